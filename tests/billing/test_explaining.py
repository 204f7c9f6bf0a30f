"""Explaining lines: from usage to amounts, and what differs from the lines that were frozen. Law 5.2."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.explaining import Explained, Window, difference, explain, tax_steps
from billing.periods import Period
from billing.plans import Plan
from billing.rating import rate
from metering.meters import Meter
from metering.times import DAY, QUARTER
from metering.usage import Usage, usage_between
from metering.windows import Slots, Tally

METER = Meter.model_validate({"key": "m", "aggregation": "sum", "dimensions": ["a", "b"]})
UNIT = {"model": "per_unit", "unit_price": "0.333"}
PRICES = [
    UNIT,
    {"model": "package", "size": "3", "package_price": "0.7"},
    {"model": "matrix", "by": ["a"], "prices": [{"when": {"a": "x"}, "price": UNIT}]},
    {"model": "matrix", "by": ["b", "a"], "prices": [], "otherwise": UNIT},
]
SHARES = st.sampled_from([Fraction(1), Fraction(1, 3), Fraction(2, 7)])


def plan(*items: Any, **more: Any) -> Plan:
    return Plan.model_validate({"key": "p", "currency": "USD", "items": items, **more})


def usage(slots: Slots, start: int, end: int) -> list[Usage]:
    return usage_between(METER, slots, (), start, end, end)


def told(made_by: Plan, slots: Slots, share: Fraction, lines: Sequence[Any] | None = None) -> list[Explained]:
    """Explain what was used in three days; the lines are today's unless given."""
    whole = usage(slots, 0, 3 * DAY)
    days = [Window(Period(at, at + DAY), tuple(usage(slots, at, at + DAY))) for at in range(0, 3 * DAY, DAY)]
    own = [line.as_json() for line in rate(made_by, whole, share)]
    return list(explain(made_by, own if lines is None else lines, whole, days, share, over=True))


def used(value: int = 1, at: int = 0, **dimensions: str) -> Slots:
    return {(at, tuple(sorted(dimensions.items()))): Tally(events=1, quantity=Decimal(value))}


@st.composite
def slots(draw: st.DrawFn) -> Slots:
    dimensions = st.sampled_from([(), (("a", "x"),), (("a", "y"),), (("a", "x"), ("b", "z"))])
    places = st.tuples(st.integers(0, 3 * DAY // QUARTER - 1).map(lambda each: each * QUARTER), dimensions)
    values = st.builds(Tally, events=st.integers(1, 3), quantity=st.integers(-3, 9).map(Decimal))
    found: Slots = draw(st.dictionaries(places, values, max_size=8))
    return found


@given(slots(), st.lists(st.sampled_from(PRICES), min_size=1, max_size=3), SHARES, st.sampled_from(["0", "5"]))
def test_every_line_is_explained_and_its_windows_sum_to_it(
    found: Slots, prices: list[Any], share: Fraction, included: str
) -> None:
    items = [
        {"key": f"i{place}", "meter": "m", "price": price, "included": included, "divide_by": "2"}
        for place, price in enumerate(prices)
    ]
    made_by = plan(*items, discounts=[{"percent": "0"}, {"percent": "15"}, {"amount": "0.05"}], minimum="3")
    rows = told(made_by, found, share)
    assert len({row.id for row in rows}) == len(rows)
    rounded: dict[str, Decimal] = {}
    for row in rows:
        assert row.line is not None
        assert not row.differs
        assert row.steps is not None
        if row.item is None:
            left = row.steps["left"]
            assert Decimal(left["before"]) + Decimal(left["amount"]) == Decimal(left["after"])
            continue
        quantity, taken, rounding = (row.steps[name] for name in ("quantity", "included", "rounding"))
        days = sum(each.quantity for window in row.windows for each in window.usage)
        assert Decimal(days) == sum(each.quantity for each in row.usage) == Decimal(quantity["measured"])
        cut = max(Fraction(quantity["used"]), Fraction(0)) - Fraction(quantity["rated"])
        assert abs(cut - Fraction(taken["used_up_here"])) < Fraction(1, 10**28)
        assert quantity["rated"] == row.line["quantity"]
        before = rounded.get(row.item.key, Decimal(0))
        assert (Decimal(rounding["rounded_before"]), rounding["amount"]) == (before, row.line["amount"])
        rounded[row.item.key] = before + Decimal(rounding["amount"])
        assert Decimal(rounding["item_rounded_so_far"]) == rounded[row.item.key]
    assert sum(Decimal(row.line["amount"]) for row in rows if row.line) >= 3 * share - Fraction(1, 100)


def test_what_no_usage_makes_any_more_differs_and_an_adjustment_does_not() -> None:
    made_by = plan({"key": "i", "meter": "m", "price": PRICES[2]})
    explained = told(made_by, {**used(3, a="x"), **used(4, a="y")}, Fraction(1))
    frozen = [each.line for each in explained if each.line]
    adjustment: dict[str, Any] = {
        "item": None,
        "kind": "adjustment",
        "description": "Adjustment",
        "dimensions": {},
        "amount": "2",
    }
    rows = told(made_by, {**used(5, a="x"), **used(1)}, Fraction(1), [*frozen, adjustment])
    assert [(row.differs, bool(row.line), row.today.quantity if row.today else None) for row in rows] == [
        (True, True, 5),
        (True, True, None),
        (False, True, None),
        (True, False, 1),
    ]
    assert rows[1].dimensions == {"a": "y"}
    assert rows[3].dimensions == {"a": None}
    today = rate(made_by, usage({**used(5, a="x"), **used(1)}, 0, DAY))
    assert difference([*frozen, adjustment], today) == Decimal("0.67")


def test_a_discount_that_had_nothing_to_take_off_is_passed_over_and_equal_ones_are_told_apart() -> None:
    fees = {"key": "fee", "price": {"model": "flat", "amount": "10", "prorate": False}}
    made_by = plan(fees, discounts=[{"percent": "0"}, {"amount": "2"}, {"amount": "2"}, {"percent": "50"}], maximum="2")
    rows = told(made_by, {}, Fraction(1, 2))
    assert [(row.steps or {}).get("discount", {}).get("amount") for row in rows] == [None, "2", "2", None, None]
    assert (rows[0].steps or {})["fee"]["share"] == "1"
    assert [(row.steps or {})["left"]["after"] for row in rows[1:]] == ["9", "8", "4", "1"]
    assert (rows[-1].steps or {})["maximum"] == {"in_plan": "2", "share": "0.5", "in_period": "1"}


@pytest.mark.parametrize(
    ("tax_on", "tax", "said"),
    [
        ("rest", "1", ("rest", "10", "1")),
        ("subtotal", "1.5", ("subtotal", "15", "1.5")),
        ("subtotal", "1", ("rest", "10", "1")),  # it was that when the invoice was made
        ("rest", "1.5", ("subtotal", "15", "1.5")),
    ],
)
def test_tax_is_told_by_what_it_was_taken_of(tax_on: str, tax: str, said: tuple[str, str, str]) -> None:
    invoice = {"subtotal": "15", "credits_applied": "5", "tax_rate": "10", "tax": tax, "currency": "USD"}
    invoice["credit_granted"] = "0"
    steps = tax_steps(invoice, tax_on)
    assert (steps["on"], steps["taxed"], steps["amount"]) == said
