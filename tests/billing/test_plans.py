"""What users may write in a plan, and what is refused."""

from typing import Any

import pytest
from pydantic import ValidationError

from billing.plans import Plan, check
from metering.meters import Meter

UNIT = {"model": "per_unit", "unit_price": "0.5"}


def plan(*items: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"key": "p", "currency": "USD", "items": list(items), **fields}


def matrix(**fields: Any) -> dict[str, Any]:
    cell = {"when": {"region": "eu"}, "price": UNIT}
    return {"model": "matrix", "by": ["region"], "prices": [cell], **fields}


@pytest.mark.parametrize(
    ("written", "word"),
    [
        (plan(currency="ABC"), "ISO 4217"),
        (plan(surprise=1), "surprise"),
        (plan(minimum="2", maximum="1"), "minimum"),
        (plan(discounts=[{}]), "percent"),
        (plan(discounts=[{"percent": "10", "amount": "1"}]), "percent"),
        (plan(discounts=[{"percent": "101"}]), "at most 100"),
        (plan({"key": "a", "meter": "m", "price": UNIT}, {"key": "a", "meter": "m", "price": UNIT}), "two items"),
        (plan({"key": "a", "price": UNIT}), "needs a `meter`"),
        (plan({"key": "a", "meter": "m", "price": {"model": "flat", "amount": "1"}}), "leave out `meter`"),
        (plan({"key": "a", "meter": "m", "price": {"model": "surge"}}), "surge"),
        (plan({"key": "a", "meter": "m", "price": UNIT, "divide_by": "0"}), "above zero"),
        (plan({"key": "a", "meter": "m", "price": UNIT, "included": "-1"}), "negative"),
        (plan({"key": "a", "meter": "m", "price": {"model": "per_unit", "unit_price": 0.1}}), "decimal number"),
        (plan({"key": "a", "meter": "m", "price": matrix(otherwise=matrix())}), "matrix"),
        (plan({"key": "a", "meter": "m", "price": matrix(otherwise={"model": "flat", "amount": "1"})}), "flat"),
        (plan({"key": "a", "meter": "m", "price": matrix(by=["zone"])}), "`region`, which is not in `by`"),
        (plan({"key": "a", "meter": "m", "price": matrix(by=[])}), "at least 1"),
    ],
)
def test_a_plan_that_cannot_be_meant_is_refused(written: dict[str, Any], word: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Plan.model_validate(written)
    assert word in str(refused.value)


def test_all_faults_of_a_plan_are_told_at_once() -> None:
    item = {"key": "a", "meter": "m", "price": {"model": "package", "size": "0", "package_price": "x"}}
    with pytest.raises(ValidationError) as refused:
        Plan.model_validate(plan(item, currency="ABC"))
    assert {error["loc"][-1] for error in refused.value.errors()} == {"currency", "size", "package_price"}


def test_a_plan_comes_out_as_it_went_in() -> None:
    written = plan(
        {
            "key": "a",
            "meter": "m",
            "where": {"provider": "aws"},
            "divide_by": "1000",
            "included": "5",
            "price": matrix(),
        },
        {"key": "fee", "price": {"model": "flat", "amount": "20"}},
        discounts=[{"percent": "10"}],
        minimum="100",
    )
    once = Plan.model_validate(written)
    shown = once.model_dump(mode="json", exclude_unset=True)

    assert shown == written
    assert Plan.model_validate(shown) == once
    # Kept and shown with its defaults, it is the same plan still.
    assert Plan.model_validate(once.model_dump(mode="json")) == once


def test_check_finds_unknown_meters_and_dimensions_all_at_once() -> None:
    meter = Meter(key="m", aggregation="sum", dimensions=("region",))
    written = Plan.model_validate(
        plan(
            {"key": "a", "meter": "other", "price": UNIT},
            {"key": "b", "meter": "m", "where": {"provider/x": "aws"}, "price": matrix(by=["region", "zone"])},
            {"key": "c", "meter": "m", "where": {"region": "eu"}, "price": UNIT},
            {"key": "fee", "price": {"model": "flat", "amount": "20"}},
        )
    )
    faults = check(written, {"m": meter})

    assert [fault.pointer for fault in faults] == [
        "/items/0/meter",
        "/items/1/where/provider~1x",
        "/items/1/price/by/1",
    ]
