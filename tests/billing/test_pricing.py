"""Every rate model, a row a case."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from pydantic import TypeAdapter

from billing.pricing import Flat, Matrix, Measured, Package, PerUnit, Price, charge, split
from metering.decimals import text
from metering.usage import Usage
from metering.windows import Tally

PRICE: TypeAdapter[Any] = TypeAdapter(Price)


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
    ],
)
def test_a_price_makes_an_amount_of_a_quantity(price: dict[str, Any], quantity: str, amount: str) -> None:
    measured = Measured(Fraction(quantity), 1, Decimal(0))

    assert text(charge(PRICE.validate_python(price), measured).amount) == amount


@pytest.mark.parametrize(
    ("prorate", "share", "amount"), [(True, Fraction(1, 3), Fraction(10)), (False, Fraction(1, 3), Fraction(30))]
)
def test_a_fee_counts_by_the_share_unless_prorate_is_false(share: Fraction, amount: Fraction, *, prorate: bool) -> None:
    fee = Flat(model="flat", amount=Decimal(30), prorate=prorate)

    assert charge(fee, Measured(Fraction(1), 0, Decimal(0)), share).amount == amount


def test_a_package_price_explains_itself() -> None:
    price = Package(model="package", size=Decimal(10), package_price=Decimal(2))
    (step,) = charge(price, Measured(Fraction(11), 1, Decimal(0))).tiers

    assert step == {"packages": "2", "size": "10", "package_price": "2", "amount": "4"}


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
