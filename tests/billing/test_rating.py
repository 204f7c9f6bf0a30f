"""Laws 5.1 to 5.3: rating is pure, exact, and does not care how usage was cut or shuffled."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.money import round_money
from billing.plans import Plan
from billing.rating import Line, rate, rate_items, subtotal, subtotal_exact
from metering.decimals import text
from metering.meters import Aggregation
from metering.times import DAY, QUARTER
from metering.usage import Usage, usage_between
from metering.windows import Slots, Tally, fold, merge
from tests.metering.strategies import NOON, duration_meter, events, facts, meters

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


def used(
    quantity: str | Decimal, region: str | None = None, events: int = 1, meter: str = "m", amount: int = 0
) -> Usage:
    dimensions = (("region", region),) if region else ()
    return Usage(meter, "sum", dimensions, Tally(events, Decimal(quantity), Decimal(amount)))


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


TIERS = [
    {"up_to": "5", "unit_price": "0.37", "flat_fee": "1"},
    {"up_to": "100.5", "unit_price": "0.11"},
    {"up_to": None, "unit_price": "0.013", "flat_fee": "0.5"},
]
PRICES: list[dict[str, Any]] = [
    UNIT,
    *({"model": "package", "size": "3", "package_price": "0.1", "round": each} for each in ("up", "down", "exact")),
    {"model": "graduated", "tiers": TIERS},
    {"model": "volume", "tiers": TIERS},
    {"model": "stairstep", "tiers": [{"up_to": "5", "flat_fee": "3"}, {"up_to": "9", "flat_fee": "4"}]},
    {"model": "percentage", "rate": "1.7", "fixed_fee": "0.3", "minimum": "0.5", "maximum": "40"},
    {"model": "dynamic"},
]


def test_in_a_short_period_only_what_counts_by_the_period_shrinks() -> None:
    fee = {"model": "percentage", "rate": "10", "minimum": "3", "maximum": "4"}
    tiers = [{"up_to": "4", "unit_price": "1", "flat_fee": "10"}, {"up_to": None, "unit_price": "2"}]
    priced = plan(
        item(included="4", price={"model": "graduated", "tiers": tiers}),
        item(key="least", price=fee),
        item(key="most", price=fee, meter="n"),
        {"key": "whole", "price": {"model": "flat", "amount": "20", "prorate": False}},
        FEE,
        discounts=[{"amount": "5"}, {"percent": "10"}],
        maximum="60",
    )
    lines = rate(priced, [used("8"), used("1000", meter="n")], HALF)

    assert [text(line.amount) for line in lines] == ["18", "3", "4", "20", "10", "-2.5", "-5.25", "-17.25"]


@pytest.mark.parametrize(
    ("aggregation", "of_all", "of_eu", "of_each"),
    [
        ("sum", "10", "5", ["1", "5", "4"]),
        ("count", "4", "2", ["1", "2", "1"]),
        ("min", "1", "2", ["1", "2", "4"]),
        ("max", "4", "3", ["1", "3", "4"]),
        ("latest", "1", "2", ["1", "2", "4"]),
        ("unique", "4", "3", ["1", "3", "2"]),
    ],
)
def test_an_item_rates_the_combinations_that_it_does_not_tell_apart_as_one(
    aggregation: Aggregation, of_all: str, of_eu: str, of_each: list[str]
) -> None:
    usage = [
        Usage("m", aggregation, (("region", region),) if region else (), _tally(place, Decimal(quantity), values))
        for place, (region, quantity, values) in enumerate(
            [("eu", "3", "aw"), ("us", "4", "bw"), ("eu", "2", "c"), (None, "1", "a")]
        )
    ]
    one = {"model": "per_unit", "unit_price": "1"}
    split = {"model": "matrix", "by": ["region"], "prices": [], "otherwise": one}
    priced = plan(item(price=one), item(key="eu", price=one, where={"region": "eu"}), item(key="each", price=split))

    assert [text(line.amount) for line in rate(priced, usage)] == [of_all, of_eu, *of_each]


def _tally(at: int, quantity: Decimal, values: str) -> Tally:
    """One event, as every aggregation would count it."""
    return Tally(1, quantity, Decimal(0), quantity, quantity, (at, "id", quantity), frozenset(values))


quantities = st.decimals(min_value=-50, max_value=10**9, places=6, allow_nan=False)
rows = st.lists(
    st.builds(
        used, quantities, st.sampled_from(REGIONS), st.integers(0, 5), st.sampled_from(["m", "n"]), st.integers(-9, 99)
    ),
    max_size=12,
)
prices = st.sampled_from(PRICES)


@st.composite
def matrices(draw: st.DrawFn) -> dict[str, Any]:
    """A matrix of any models, with a price for the rest or without."""
    cells = [{"when": {"region": each}, "price": draw(prices)} for each in draw(st.permutations(["eu", "us"]))]
    return {"model": "matrix", "by": ["region"], "prices": cells, "otherwise": draw(st.none() | prices)}


items = st.builds(
    item,
    price=prices | matrices(),
    meter=st.sampled_from(["m", "n"]),
    measure=st.sampled_from(["quantity", "events"]),
    included=st.sampled_from(["0", "7.5"]),
    divide_by=st.sampled_from(["1", "7"]),
)
bounds: list[dict[str, Any]] = [
    {},
    {"minimum": "100", "maximum": "1000", "discounts": [{"amount": "3"}]},
    {"discounts": [{"percent": "12.5"}, {"amount": "1"}, {"percent": "100"}]},
]
plans = st.builds(
    lambda several, fields: plan(
        *({**each, "key": str(place)} for place, each in enumerate(several)), {**FEE, "key": "fee"}, **fields
    ),
    st.lists(items, min_size=1, max_size=3),
    st.sampled_from(bounds),
)


@given(plans, rows, st.randoms(use_true_random=False), st.fractions(0, 1))
def test_cutting_and_shuffling_usage_changes_no_line(
    priced: Plan, usage: list[Usage], chance: Any, share: Fraction
) -> None:
    cut = []
    for row in usage:
        quantity, amount = (Decimal(chance.randint(-100, 100)) for _ in range(2))
        one = Tally(chance.randint(0, row.events), quantity, amount)
        other = Tally(row.events - one.events, row.quantity - quantity, row.amount - amount)
        cut += [replace(row, tally=one), replace(row, tally=other)]
    chance.shuffle(cut)

    assert rate(priced, cut, share) == rate(priced, usage, share)


SPANS = st.lists(st.integers(0, 7).map(lambda quarters: NOON + quarters * QUARTER), max_size=4)


@given(plans, st.sampled_from(get_args(Aggregation)), st.data())
def test_cutting_time_anywhere_and_repeating_events_changes_no_line(
    priced: Plan, aggregation: Aggregation, data: st.DataObject
) -> None:
    meter = duration_meter() if aggregation == "duration" else meters(aggregation)
    meter = meter.model_copy(update={"key": "m"})
    happened = data.draw(st.lists(facts if meter.is_duration else events("m"), max_size=8))
    again = data.draw(st.permutations([*happened, *happened[:3]]))
    cuts = [NOON, *sorted(set(data.draw(SPANS))), NOON + DAY]

    def folded(several: Sequence[Any], start: int, end: int) -> Slots:
        return fold(meter, **{"facts" if meter.is_duration else "events": several}, start=start, end=end).slots

    def lines(slots: Slots) -> tuple[Line, ...]:
        return rate(priced, usage_between(meter, slots, (), NOON, NOON + DAY, at=NOON + DAY))

    pieces = [folded(again, start, end) for start, end in pairwise(cuts)]
    assert lines(merge(*pieces)) == lines(folded(happened, NOON, NOON + DAY))


@given(prices, st.sampled_from(["eu", "zz", None]), quantities, st.integers(0, 5))
def test_a_matrix_with_one_price_for_all_is_that_price(
    price: dict[str, Any], region: str | None, quantity: Decimal, counted: int
) -> None:
    usage = [used(quantity, region, counted, amount=7)]
    (plain,) = rate(plan(item(price=price, included="3")), usage)
    forms: list[dict[str, Any]] = [
        {"prices": [{"when": {}, "price": price}]},
        {"prices": [{"when": {"region": "*"}, "price": price}]},
        {"prices": [], "otherwise": price},
    ]
    for form in forms:
        (line,) = rate(plan(item(price={"model": "matrix", "by": ["region"], **form}, included="3")), usage)
        assert replace(line, dimensions={}, description=plain.description) == plain


@given(plans, rows)
def test_the_steps_of_a_line_add_up_to_it(priced: Plan, usage: list[Usage]) -> None:
    """Where their decimals end; a third is shown with thirty of them."""
    for line in rate(priced, usage):
        shown = line.as_json()
        if shown["tiers"]:
            added = sum(Fraction(step["amount"] or 0) for step in shown["tiers"])
            assert abs(added - line.amount_exact) < Fraction(len(shown["tiers"]), 10**30)
        elif line.unit_price is not None and line.quantity is not None:
            assert line.quantity * Fraction(line.unit_price) == line.amount_exact
        elif line.kind == "usage":
            assert line.amount_exact == 0


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
