"""Amounts as people read them: with the digits of their currency, and none lost."""

import re
from decimal import Decimal

from billing.money import minor_units
from metering.decimals import EXACT

_PLAIN = re.compile(r"-?\d+(\.\d+)?", re.ASCII)

# A millionth of a millionth: what is cut off a quantity on paper can be read in the API.
_DECIMALS = 12


def money(amount: str, currency: str) -> str:
    """An amount with the digits of its currency, and more only where it has them: 12.50 USD, 13 JPY."""
    value = EXACT.create_decimal(amount)
    return f"{value:f}" if _digits(value) > minor_units(currency) else f"{value:.{minor_units(currency)}f}"


def grouped(number: str) -> str:
    """A number with its thousands apart: 1,234,567.89; what is none stays as it is."""
    if not _PLAIN.fullmatch(number):
        return number
    sign, digits = ("−", number[1:]) if number.startswith("-") else ("", number)
    whole, point, rest = digits.partition(".")
    return f"{sign}{int(whole):,}{point}{rest}"


def shortened(number: str) -> str:
    """A quantity as `grouped`; one with more than a dozen decimals is cut and has an ellipsis."""
    whole, point, decimals = grouped(number).partition(".")
    return f"{whole}{point}{decimals[:_DECIMALS]}…" if len(decimals) > _DECIMALS else f"{whole}{point}{decimals}"


def _digits(value: Decimal) -> int:
    exponent = value.normalize(EXACT).as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
