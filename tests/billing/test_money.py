"""Law 5.1: money is exact, and rounded in one place."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.money import check_digits, cumulative, minor_units, round_money, total
from metering.errors import Invalid

fractions = st.fractions(min_value=-(10**12), max_value=10**12, max_denominator=10**9)


@pytest.mark.parametrize(
    ("currency", "digits"), [("USD", 2), ("JPY", 0), ("KWD", 3), ("ISK", 0), ("EUR", 2), ("HUF", 2)]
)
def test_a_currency_has_the_decimals_of_iso_4217(currency: str, digits: int) -> None:
    assert minor_units(currency) == digits


@pytest.mark.parametrize("currency", ["XAU", "XXX", "usd", "", "DOLLARS"])
def test_what_nobody_can_pay_in_is_refused(currency: str) -> None:
    with pytest.raises(Invalid):
        minor_units(currency)


@pytest.mark.parametrize(
    ("amount", "currency", "rounded"),
    [
        ("0.005", "USD", "0.01"),
        ("-0.005", "USD", "-0.01"),
        ("0.0049999999999999999999999999999", "USD", "0.00"),
        ("2.5", "JPY", "3"),
        ("-2.5", "JPY", "-3"),
        ("1.0005", "KWD", "1.001"),
        ("123456789012345678901234567890.125", "USD", "123456789012345678901234567890.13"),
    ],
)
def test_halves_are_rounded_away_from_zero(amount: str, currency: str, rounded: str) -> None:
    assert str(round_money(Decimal(amount), currency)) == rounded


@given(st.lists(fractions, max_size=12))
def test_cumulative_parts_sum_to_the_rounded_whole(amounts: list[Fraction]) -> None:
    assert total(cumulative(amounts, "USD")) == round_money(sum(amounts, Fraction(0)), "USD")


@given(st.lists(fractions, max_size=12))
def test_no_cumulative_part_is_off_by_more_than_a_minor_unit(amounts: list[Fraction]) -> None:
    for exact, rounded in zip(amounts, cumulative(amounts, "USD"), strict=True):
        assert abs(Fraction(rounded) - exact) <= Fraction(1, 100)


@pytest.mark.parametrize(
    ("amount", "currency", "fits"),
    [("1.10", "USD", True), ("1.100", "USD", True), ("1.101", "USD", False), ("1.5", "JPY", False)],
)
def test_an_amount_with_more_digits_than_its_currency_cannot_be_paid(amount: str, currency: str, *, fits: bool) -> None:
    if fits:
        check_digits(Decimal(amount), currency)
    else:
        with pytest.raises(Invalid):
            check_digits(Decimal(amount), currency)
