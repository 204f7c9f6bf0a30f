"""What users may write in a plan, and what is refused."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from billing.plans import Plan, misfits
from metering.errors import Invalid
from metering.faults import read_model
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
        (
            plan({"key": "a", "meter": "m", "price": UNIT}, {"key": "a", "meter": "m", "price": UNIT}),
            "another item has the key a",
        ),
        (plan({"key": "a", "price": UNIT}), "as the price rates usage"),
        (plan({"key": "a", "meter": "m", "price": {"model": "flat", "amount": "1"}}), "leave it out"),
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


def test_every_fault_of_a_plan_is_told_at_once_with_its_pointer() -> None:
    meters = {
        "m": Meter(key="m", aggregation="sum", dimensions=("region",)),
        "vm": Meter(key="vm", aggregation="duration", session=("id",)),
    }
    tiers = [{"up_to": "5", "unit_price": "x"}, {"up_to": None, "flat_fee": "1"}, {"up_to": "5", "unit_price": "1"}, {}]
    cells = [{"when": {"zone": "a"}, "price": {"model": "graduated", "tiers": tiers}}]
    written = plan(
        {"key": "a", "meter": "other", "divide_by": "0", "price": UNIT},
        {"key": "a", "meter": "m", "where": {"provider/x": "aws"}, "price": matrix(by=["region", "era"], prices=cells)},
        {
            "key": "b",
            "meter": "m",
            "where": {"region": "eu"},
            "price": {"model": "percentage", "rate": "-1", "minimum": "3", "maximum": "2"},
        },
        {"key": "c", "meter": "vm", "price": matrix(by=[], prices=[], otherwise={"model": "dynamic"})},
        {"key": "fee", "meter": "m", "included": "1", "divide_by": "1.0", "price": {"model": "flat", "amount": "20"}},
        {"key": "d", "price": {"model": "volume", "tiers": []}},
        {"key": "e", "meter": "m", "price": {"model": "surge"}},
        minimum="2",
        maximum="1",
        currency="ABC",
        discounts=[{}, {"percent": "100.5"}],
        surprise=1,
    )
    with pytest.raises(Invalid) as refused:
        read_model(Plan, written, misfits(written, meters))

    assert sorted(fault.pointer for fault in refused.value.faults) == sorted(
        [
            "/currency",
            "/minimum",
            "/surprise",
            "/discounts/0",
            "/discounts/1/percent",
            "/items/0/meter",
            "/items/0/divide_by",
            "/items/1/key",
            "/items/1/where/provider~1x",
            "/items/1/price/by/1",
            "/items/1/price/prices/0/when/zone",
            "/items/1/price/prices/0/price/tiers/0/unit_price",
            "/items/1/price/prices/0/price/tiers/1/up_to",
            "/items/1/price/prices/0/price/tiers/2/up_to",
            "/items/1/price/prices/0/price/tiers/3",
            "/items/2/price/rate",
            "/items/2/price/minimum",
            "/items/3/price/by",
            "/items/3/price/otherwise/model",
            "/items/4/meter",
            "/items/4/included",
            "/items/5/meter",
            "/items/5/price/tiers",
            "/items/6/price",
        ]
    )


def test_a_dimension_is_text_even_where_it_is_a_number() -> None:
    cell = {"when": {"tier": 2}, "price": UNIT}
    price = {"model": "matrix", "by": ["tier"], "prices": [cell]}
    once = Plan.model_validate(plan({"key": "a", "meter": "m", "where": {"size": 4}, "price": price}))

    (item,) = once.model_dump(mode="json")["items"]
    assert (item["where"], item["price"]["prices"][0]["when"]) == ({"size": "4"}, {"tier": "2"})


@pytest.mark.parametrize("model", ["graduated", "volume", "stairstep"])
@pytest.mark.parametrize(
    ("ends", "wrong"),
    [
        (["5", "10", None], []),
        (["5", "10"], []),
        ([None], []),
        (["5", "5", None], [1]),
        (["5", "4", "6", None], [1]),
        (["5", "4", "4.5", None], [1, 2]),
        ([None, "5"], [0]),
        (["5", None, None], [1]),
        (["0", None], [0]),
        (["-1", "x"], [0, 1]),
    ],
)
def test_tiers_follow_one_another_upwards_to_one_without_an_end(
    model: str, ends: list[str | None], wrong: list[int]
) -> None:
    tiers = [{"up_to": end, "flat_fee": "1"} for end in ends]
    written = plan({"key": "a", "meter": "m", "price": {"model": model, "tiers": tiers}})
    told = []
    try:
        read_model(Plan, written)
    except Invalid as refused:
        told = [fault.pointer for fault in refused.faults]

    assert sorted(told) == [f"/items/0/price/tiers/{place}/up_to" for place in wrong]


PLACES = ["key", "currency", "items", "meter", "price", "model", "tiers", "up_to", "by", "prices", "when", "otherwise"]
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["m", "flat", "matrix", "volume", "1", "region"]),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.sampled_from(PLACES), inside, max_size=4),
    max_leaves=12,
)


@given(anything, anything, anything)
def test_whatever_is_sent_as_a_plan_is_read_or_refused(tiers: Any, item: Any, items: Any) -> None:
    meters = {"m": Meter(key="m", aggregation="sum"), "1": None}
    priced = {"key": "a", "meter": "m", "price": {"model": "volume", "tiers": tiers}}
    split = {"key": "a", "meter": "m", "price": {"model": "matrix", "by": tiers, "prices": item, "otherwise": item}}
    for written in (plan(priced, item), plan(split), plan() | {"items": items}, items):
        with suppress(Invalid):
            read_model(Plan, written, misfits(written, meters))
