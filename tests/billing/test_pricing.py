"""Every rate model, a row a case."""

from decimal import Decimal
from fractions import Fraction
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from billing.pricing import Flat, Matrix, Measured, Price, charge, charge_flat, split
from billing.pricing.per_unit import PerUnit
from metering.decimals import text
from metering.usage import Usage
from metering.windows import Tally

PRICE: TypeAdapter[Any] = TypeAdapter(Price)


TIERS = [{"up_to": "5", "unit_price": "7"}, {"up_to": "10", "unit_price": "6.5", "flat_fee": "2"}]
OPEN = [*TIERS, {"up_to": None, "unit_price": "6"}]
STAIRS = [{"up_to": "5", "flat_fee": "50"}, {"up_to": "10", "flat_fee": "80"}]
CUT = {"model": "percentage", "rate": "1.2", "fixed_fee": "0.1", "minimum": "2", "maximum": "5"}


@pytest.mark.parametrize(
    ("price", "quantity", "amount"),
    [
        ({"model": "per_unit", "unit_price": "0.25"}, "0", "0"),
        ({"model": "per_unit", "unit_price": "0.25"}, "10.5", "2.625"),
        ({"model": "per_unit", "unit_price": "0.0000000000000000000000000001"}, "3", "0.0000000000000000000000000003"),
        ({"model": "package", "size": "1000", "package_price": "5"}, "0", "0"),
        ({"model": "package", "size": "1000", "package_price": "5"}, "0.1", "5"),
        ({"model": "package", "size": "1000", "package_price": "5"}, "1000", "5"),
        ({"model": "package", "size": "1000", "package_price": "5"}, "1000.001", "10"),
        ({"model": "package", "size": "1000", "package_price": "5", "round": "down"}, "1999", "5"),
        ({"model": "package", "size": "1000", "package_price": "5", "round": "exact"}, "1500", "7.5"),
        ({"model": "package", "size": "3", "package_price": "1", "round": "exact"}, "1", "0." + "3" * 30),
        ({"model": "graduated", "tiers": OPEN}, "0", "0"),
        ({"model": "graduated", "tiers": OPEN}, "0.001", "0.007"),
        ({"model": "graduated", "tiers": OPEN}, "5", "35"),
        ({"model": "graduated", "tiers": OPEN}, "5.001", "37.0065"),
        ({"model": "graduated", "tiers": OPEN}, "10", "69.5"),
        ({"model": "graduated", "tiers": OPEN}, "25", "159.5"),
        ({"model": "graduated", "tiers": TIERS}, "25", "167"),
        ({"model": "volume", "tiers": OPEN}, "0", "0"),
        ({"model": "volume", "tiers": OPEN}, "5", "35"),
        ({"model": "volume", "tiers": OPEN}, "5.001", "34.5065"),
        ({"model": "volume", "tiers": OPEN}, "10", "67"),
        ({"model": "volume", "tiers": OPEN}, "25", "150"),
        ({"model": "volume", "tiers": TIERS}, "25", "164.5"),
        ({"model": "stairstep", "tiers": STAIRS}, "0", "0"),
        ({"model": "stairstep", "tiers": STAIRS}, "5", "50"),
        ({"model": "stairstep", "tiers": STAIRS}, "5.001", "80"),
        ({"model": "stairstep", "tiers": STAIRS}, "1000", "80"),
        ({"model": "percentage", "rate": "1.2"}, "0", "0"),
        ({"model": "percentage", "rate": "1.2"}, "50", "0.6"),
        ({"model": "percentage", "rate": "120"}, "50", "60"),
        ({"model": "percentage", "rate": "1.2", "fixed_fee": "0.1"}, "50", "0.9"),
        ({"model": "percentage", "rate": "0", "minimum": "2"}, "50", "0"),
        (CUT, "0", "2"),
        (CUT, "50", "2"),
        (CUT, "300", "3.9"),
        (CUT, "1000", "5"),
        ({"model": "dynamic"}, "7", "12.5"),
    ],
)
def test_a_price_makes_an_amount_of_a_quantity(price: dict[str, Any], quantity: str, amount: str) -> None:
    """Of three events, whose own amounts sum to 12.5; and the steps that are shown add up to it."""
    charged = charge(PRICE.validate_python(price), Measured(Fraction(quantity), 3, Decimal("12.5")))

    assert text(charged.amount) == amount
    if charged.tiers:
        assert text(sum((Fraction(step["amount"] or 0) for step in charged.tiers), Fraction(0))) == amount


@pytest.mark.parametrize("amount", ["0", "-3"])
def test_what_events_say_that_they_cost_is_not_below_zero(amount: str) -> None:
    assert charge(PRICE.validate_python({"model": "dynamic"}), Measured(Fraction(1), 2, Decimal(amount))).amount == 0


def test_nothing_owed_before_clamping_is_nothing_owed() -> None:
    assert charge(PRICE.validate_python(CUT), Measured(Fraction(0), 0, Decimal(0))).amount == 0


@pytest.mark.parametrize(
    ("prorate", "share", "amount"), [(True, Fraction(1, 3), Fraction(10)), (False, Fraction(1, 3), Fraction(30))]
)
def test_a_fee_counts_by_the_share_unless_prorate_is_false(share: Fraction, amount: Fraction, *, prorate: bool) -> None:
    fee = Flat(model="flat", amount=Decimal(30), prorate=prorate)

    assert charge_flat(fee, share).amount == amount


def _step(*told: str | None) -> dict[str, str | None]:
    return dict(zip(["from", "up_to", "quantity", "unit_price", "flat_fee", "amount"], told, strict=True))


@pytest.mark.parametrize(
    ("price", "quantity", "unit_price", "steps"),
    [
        ({"model": "per_unit", "unit_price": "2"}, "11", "2", []),
        (
            {"model": "package", "size": "10", "package_price": "2"},
            "11",
            None,
            [{"quantity": "11", "packages": "2", "size": "10", "package_price": "2", "amount": "4"}],
        ),
        ({"model": "graduated", "tiers": OPEN}, "5", None, [_step("0", "5", "5", "7", "0", "35")]),
        (
            {"model": "graduated", "tiers": OPEN},
            "12",
            None,
            [
                _step("0", "5", "5", "7", "0", "35"),
                _step("5", "10", "5", "6.5", "2", "34.5"),
                _step("10", None, "2", "6", "0", "12"),
            ],
        ),
        (
            {"model": "graduated", "tiers": TIERS},
            "12",
            None,
            [_step("0", "5", "5", "7", "0", "35"), _step("5", None, "7", "6.5", "2", "47.5")],
        ),
        ({"model": "volume", "tiers": OPEN}, "12", "6", [_step("10", None, "12", "6", "0", "72")]),
        ({"model": "volume", "tiers": OPEN}, "8", None, [_step("5", "10", "8", "6.5", "2", "54")]),
        ({"model": "stairstep", "tiers": STAIRS}, "3", None, [_step("0", "5", "3", "0", "50", "50")]),
        (
            CUT,
            "1000",
            None,
            [
                {
                    "quantity": "1000",
                    "rate": "1.2",
                    "events": "3",
                    "fixed_fee": "0.1",
                    "minimum": "2",
                    "maximum": "5",
                    "amount": "5",
                }
            ],
        ),
        ({"model": "dynamic"}, "12", None, [{"events": "3", "amount": "12.5"}]),
    ],
)
def test_a_charge_explains_itself_step_by_step(
    price: dict[str, Any], quantity: str, unit_price: str | None, steps: list[dict[str, str | None]]
) -> None:
    charged = charge(PRICE.validate_python(price), Measured(Fraction(quantity), 3, Decimal("12.5")))

    assert (charged.unit_price and text(charged.unit_price), list(charged.tiers)) == (unit_price, steps)


tier = st.tuples(st.integers(1, 50), st.integers(0, 9), st.integers(0, 9))


@given(st.lists(tier, min_size=1, max_size=5), st.fractions(0, 300, max_denominator=8), st.booleans())
def test_graduated_is_what_each_unit_costs_where_it_lies(
    drawn: list[tuple[int, int, int]], quantity: Fraction, last: bool
) -> None:
    """Against a ruler that is laid along the tiers."""
    ends = list(accumulate(length for length, _, _ in drawn))
    tiers: list[dict[str, int | None]] = [
        {"up_to": end, "unit_price": price, "flat_fee": fee} for end, (_, price, fee) in zip(ends, drawn, strict=True)
    ]
    tiers[-1]["up_to"] = None if last else ends[-1]
    pieces = int(quantity * 840)
    counted, entered = Fraction(0), set()
    for place, start in enumerate([0, *ends[:-1]]):
        beyond = ends[place] * 840 if place < len(ends) - 1 else pieces
        inside = max(0, min(pieces, beyond) - start * 840)
        counted += Fraction(inside, 840) * drawn[place][1]
        entered |= {place} if inside else set()
    counted += sum(drawn[place][2] for place in entered)

    price = PRICE.validate_python({"model": "graduated", "tiers": tiers})
    assert charge(price, Measured(Fraction(pieces, 840), 1, Decimal(0))).amount == counted


@given(st.lists(tier, min_size=1, max_size=5), st.fractions(0, 300), st.fractions(0, 300))
def test_more_usage_never_costs_less_in_tiers(
    drawn: list[tuple[int, int, int]], one: Fraction, other: Fraction
) -> None:
    """Volume apart, which is meant to: with falling prices one unit more may cost less."""
    ends = accumulate(length for length, _, _ in drawn)
    rows = [
        {"up_to": end, "unit_price": price, "flat_fee": fee} for end, (_, price, fee) in zip(ends, drawn, strict=True)
    ]
    fees = accumulate(fee for _, _, fee in drawn)
    rising = [{"up_to": row["up_to"], "flat_fee": fee} for row, fee in zip(rows, fees, strict=True)]
    for price in ({"model": "graduated", "tiers": rows}, {"model": "stairstep", "tiers": rising}):
        less, more = (
            charge(PRICE.validate_python(price), Measured(quantity, 1, Decimal(0))).amount
            for quantity in sorted([one, other])
        )
        assert less <= more


MATRIX = Matrix.model_validate(
    {
        "model": "matrix",
        "by": ["provider", "region"],
        "prices": [
            {"when": {"provider": "aws", "region": "eu"}, "price": {"model": "per_unit", "unit_price": "1"}},
            {"when": {"provider": "aws", "region": "*"}, "price": {"model": "per_unit", "unit_price": "2"}},
            {"when": {"provider": "gcp"}, "price": {"model": "per_unit", "unit_price": "3"}},
        ],
    }
)


@pytest.mark.parametrize(
    ("dimensions", "unit_price"),
    [
        ({"provider": "aws", "region": "eu"}, "1"),
        ({"provider": "aws", "region": "us"}, "2"),
        ({"provider": "aws"}, "2"),
        ({"provider": "gcp", "region": "us"}, "3"),
        ({"provider": "gcp"}, "3"),
        ({"region": "eu"}, None),
        ({"provider": "azure", "region": "eu"}, None),
    ],
)
def test_the_first_pattern_that_matches_wins(dimensions: dict[str, str], unit_price: str | None) -> None:
    (part,) = split(MATRIX, [_usage(dimensions)])

    assert part.dimensions == dimensions
    assert (
        (part.price and str(part.price.unit_price)) == unit_price if isinstance(part.price, PerUnit) else not unit_price
    )


def test_parts_come_in_the_order_of_prices_then_of_values_a_missing_one_first() -> None:
    rows = [{"provider": "x"}, {}, {"provider": "gcp"}, {"provider": "aws", "region": "us"}, {"provider": "aws"}]
    parts = split(MATRIX, [_usage(row) for row in rows])

    assert [dict(part.dimensions) for part in parts] == [
        {"provider": "aws"},
        {"provider": "aws", "region": "us"},
        {"provider": "gcp"},
        {},
        {"provider": "x"},
    ]


def _usage(dimensions: dict[str, str]) -> Usage:
    return Usage("m", "sum", tuple(sorted(dimensions.items())), Tally(1, Decimal(1)))
