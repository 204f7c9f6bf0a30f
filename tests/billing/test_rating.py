"""Laws 5.1 to 5.3: rating is pure, exact, and does not care how usage was cut or shuffled."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.money import round_money
from billing.plans import Plan
from billing.rating import Line, rate, rate_items, subtotal, subtotal_exact
from metering.decimals import text
from metering.usage import Usage
from metering.windows import Tally

REGIONS = ["eu", "us", None]
UNIT = {"model": "per_unit", "unit_price": "0.333"}
MATRIX = {
    "model": "matrix",
    "by": ["region"],
    "prices": [
        {"when": {"region": "us"}, "price": {"model": "package", "size": "3", "package_price": "0.10"}},
        {"when": {"region": "eu"}, "price": UNIT},
    ],
}


def plan(*items: dict[str, Any], **fields: Any) -> Plan:
    return Plan.model_validate({"key": "p", "currency": "USD", "items": list(items), **fields})


def item(**fields: Any) -> dict[str, Any]:
    return {"key": "calls", "meter": "m", "name": "Calls", "price": UNIT, **fields}


def used(quantity: str | Decimal, region: str | None = None, events: int = 1, meter: str = "m") -> Usage:
    dimensions = (("region", region),) if region else ()
    return Usage(meter, "sum", dimensions, Tally(events, Decimal(quantity)))


def shown(lines: tuple[Line, ...]) -> list[tuple[Any, ...]]:
    return [(line.description, line.kind, line.quantity and text(line.quantity), text(line.amount)) for line in lines]


HALF = Fraction(1, 2)
TEN = item(price={"model": "per_unit", "unit_price": "10"})
FEE = {"key": "fee", "price": {"model": "flat", "amount": "20"}}
ARREARS = {"key": "fee", "price": {"model": "flat", "amount": "20", "due": "arrears"}}


@pytest.mark.parametrize(
    ("priced", "usage", "share", "over", "lines"),
    [
        (plan(item()), [], 1, True, []),
        (plan(item()), [used("0", events=2)], 1, True, [("Calls", "usage", 0, "0")]),
        (plan(item()), [used("10", events=0)], 1, True, [("Calls", "usage", "10", "3.33")]),
        (plan(item()), [used("10", meter="other")], 1, True, []),
        (plan(item()), [used("-10")], 1, True, [("Calls", "usage", 0, "0")]),
        (plan(item(included="4")), [used("10")], 1, True, [("Calls", "usage", "6", "2")]),
        (plan(item(included="4")), [used("10")], HALF, True, [("Calls", "usage", "8", "2.66")]),
        (plan(item(included="40")), [used("10")], 1, True, [("Calls", "usage", 0, "0")]),
        (plan(item(divide_by="3")), [used("10")], 1, True, [("Calls", "usage", "3." + "3" * 30, "1.11")]),
        (plan(item(measure="events")), [used("10", events=3)], 1, True, [("Calls", "usage", "3", "1")]),
        (plan(item(where={"region": "eu"})), [used("1", "eu"), used("1", "us"), used("1")], 1, True,
            [("Calls", "usage", "1", "0.33")]),
        (plan(FEE), [], HALF, False, [("fee", "flat", "0.5", "10")]),
        (plan(ARREARS), [], 1, False, []),
        (plan(ARREARS), [], 1, True, [("fee", "flat", "1", "20")]),
        (plan(TEN, discounts=[{"percent": "10"}, {"amount": "5"}]), [used("10")], 1, True,
            [("Calls", "usage", "10", "100"), ("Discount 10%", "discount", None, "-10"),
             ("Discount", "discount", None, "-5")]),
        (plan(TEN, discounts=[{"amount": "5"}, {"percent": "10"}]), [used("10")], HALF, True,
            [("Calls", "usage", "10", "100"), ("Discount", "discount", None, "-2.5"),
             ("Discount 10%", "discount", None, "-9.75")]),
        (plan(TEN, discounts=[{"amount": "500"}]), [used("10")], 1, True,
            [("Calls", "usage", "10", "100"), ("Discount", "discount", None, "-100")]),
        (plan(TEN, discounts=[{"percent": "10"}]), [], 1, True, []),
        (plan(TEN, maximum="30"), [used("10")], 1, False,
            [("Calls", "usage", "10", "100"), ("Maximum", "discount", None, "-70")]),
        (plan(TEN, minimum="30"), [used("1")], 1, True,
            [("Calls", "usage", "1", "10"), ("Minimum", "minimum", None, "20")]),
        (plan(TEN, minimum="30"), [used("1")], 1, False, [("Calls", "usage", "1", "10")]),
        (plan(TEN, minimum="30"), [], HALF, True, [("Minimum", "minimum", None, "15")]),
    ],
)  # fmt: skip
def test_usage_becomes_lines(
    priced: Plan, usage: list[Usage], share: Fraction, lines: list[tuple[Any, ...]], *, over: bool
) -> None:
    assert shown(rate(priced, usage, Fraction(share), over=over)) == lines


def test_a_matrix_makes_a_line_per_combination_and_uses_up_what_is_included_in_their_order() -> None:
    rows = [used("5", "eu"), used("4", "us"), used("7"), used("0", "us", events=0)]
    lines = rate(plan(item(price=MATRIX, included="6")), rows)

    assert shown(lines) == [
        ("Calls (region us)", "usage", 0, "0"),
        ("Calls (region eu)", "usage", "3", "1"),
        ("Calls", "usage", "7", "0"),
    ]
    assert [line.unpriced for line in lines] == [False, False, True]
    assert "unpriced" not in lines[0].as_json()
    assert lines[2].as_json()["unpriced"] is True


def test_the_lines_of_one_item_are_rounded_cumulatively() -> None:
    cells = [{"when": {"region": r}, "price": {"model": "per_unit", "unit_price": "0.004"}} for r in ("a", "b", "c")]
    price = {"model": "matrix", "by": ["region"], "prices": cells}
    lines = rate(plan(item(price=price)), [used("1", region) for region in "cab"])

    assert [text(line.amount) for line in lines] == ["0", "0.01", "0"]


def test_a_line_shows_thirty_decimals_of_an_endless_amount_and_explains_itself() -> None:
    (line,) = rate(plan(item(divide_by="3", unit="k")), [used("1")])

    assert line.as_json() == {
        "item": "calls",
        "description": "Calls",
        "quantity": "0." + "3" * 30,
        "unit": "k",
        "unit_price": "0.333",
        "amount": "0.11",
        "amount_exact": "0.111",
        "kind": "usage",
        "tiers": [],
        "dimensions": {},
    }


def test_usage_given_by_item_skips_where() -> None:
    priced = plan(item(where={"region": "eu"}))

    assert rate(priced, [used("3")]) == ()
    assert [text(line.amount) for line in rate_items(priced, {"calls": [used("3")]})] == ["1"]


quantities = st.decimals(min_value=-50, max_value=10**9, places=6, allow_nan=False)
rows = st.lists(
    st.builds(used, quantities, st.sampled_from(REGIONS), st.integers(0, 5), st.sampled_from(["m", "n"])), max_size=12
)
plans = st.sampled_from(
    [
        plan(item(), item(key="n", meter="n", divide_by="7", included="3")),
        plan(item(price=MATRIX, included="5"), item(key="e", measure="events"), discounts=[{"percent": "12.5"}]),
        plan(
            item(price={**MATRIX, "otherwise": UNIT}), FEE, minimum="100", maximum="1000", discounts=[{"amount": "3"}]
        ),
    ]
)


@given(plans, rows, st.randoms(use_true_random=False), st.fractions(0, 1))
def test_cutting_and_shuffling_usage_changes_no_line(
    priced: Plan, usage: list[Usage], chance: Any, share: Fraction
) -> None:
    cut = []
    for row in usage:
        quantity, events = Decimal(chance.randint(-100, 100)), chance.randint(0, row.events)
        cut.append(replace(row, tally=Tally(events, quantity)))
        cut.append(replace(row, tally=Tally(row.events - events, row.quantity - quantity)))
    chance.shuffle(cut)

    assert rate(priced, cut, share) == rate(priced, usage, share)


@given(plans, rows)
def test_the_lines_of_an_item_sum_to_its_rounded_whole(priced: Plan, usage: list[Usage]) -> None:
    lines = rate(priced, usage)
    for each in priced.items:
        mine = [line for line in lines if line.item == each.key]
        assert subtotal(mine) == round_money(subtotal_exact(mine), "USD")


@given(plans, rows, st.booleans())
def test_what_is_owed_is_never_negative_nor_above_the_maximum(priced: Plan, usage: list[Usage], over: bool) -> None:
    owed = subtotal(rate(priced, usage, over=over))

    assert owed >= 0
    assert priced.maximum is None or owed <= priced.maximum
