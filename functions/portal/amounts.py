"""Amounts as people read them: with the digits of their currency, and none lost."""

from decimal import Decimal

from billing.money import minor_units
from metering.decimals import EXACT


def money(amount: str, currency: str) -> str:
    """An amount with the digits of its currency, and more only where it has them: 12.50 USD, 13 JPY."""
    value = EXACT.create_decimal(amount)
    return f"{value:f}" if _digits(value) > minor_units(currency) else f"{value:.{minor_units(currency)}f}"


def grouped(number: str) -> str:
    """A number with its thousands apart: 1,234,567.89."""
    sign, digits = ("-", number[1:]) if number.startswith("-") else ("", number)
    whole, point, rest = digits.partition(".")
    return f"{sign}{int(whole):,}{point}{rest}"


def _digits(value: Decimal) -> int:
    exponent = value.normalize(EXACT).as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
