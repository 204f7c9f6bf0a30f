"""Exact numbers, in and out. Law 5.1: Decimal or Fraction, never binary floating point."""

import re
from decimal import Clamped, Context, Decimal, Inexact, InvalidOperation, Overflow
from fractions import Fraction

from metering.errors import Invalid

# Wide enough for any product or sum of two thirty-digit quantities over a year of milliseconds. It raises
# where a digit would be lost, so an inexact result cannot come out of it unseen.
EXACT = Context(prec=300, traps=[Inexact, InvalidOperation, Overflow, Clamped])

_GRAMMAR = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_DIGITS_PER_SIDE = 30
_DIGITS_OF_A_NUMBER = 15
_DECIMALS_SHOWN = 30


class JsonNumber(str):
    """The text of a JSON number that has a fraction or an exponent, kept as it was written."""

    __slots__ = ()


def decimal_of(value: object) -> Decimal:
    """Read a quantity or amount from what a client sent.

    Accepts a string of the documented grammar, an integer, or a `JsonNumber`; a number of more than 15
    significant digits is refused, because clients' own JSON libraries have already rounded such numbers.

    Raises:
        Invalid: it is none of these, or has more than 30 digits on a side of the point.
    """
    if isinstance(value, Decimal):
        return _bounded(value)
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise Invalid("must be a decimal number, as a string or a JSON number")
    if isinstance(value, int) and abs(value) >= 10**_DIGITS_PER_SIDE:
        raise Invalid("must have at most 30 digits on either side of the point")
    written = str(value)
    if len(written) > 200 or not _GRAMMAR.fullmatch(written):
        raise Invalid("must be a decimal number such as 12.5")
    try:
        number = EXACT.create_decimal(written)
    except (Inexact, InvalidOperation, Overflow, Clamped):
        raise Invalid("must have at most 30 digits on either side of the point") from None
    if isinstance(value, int | JsonNumber) and _significant_digits(number) > _DIGITS_OF_A_NUMBER:
        raise Invalid("a JSON number of more than 15 significant digits is refused: send a string")
    return _bounded(number)


def _significant_digits(number: Decimal) -> int:
    return len("".join(map(str, number.as_tuple().digits)).strip("0"))


def _bounded(number: Decimal) -> Decimal:
    """Refuse what has more than thirty digits on either side of the point, trailing zeros aside."""
    if not number.is_finite():
        raise Invalid("must be a finite number")
    plain = number.normalize(EXACT)
    exponent = plain.as_tuple().exponent
    assert isinstance(exponent, int)  # noqa: S101 - finite numbers have integer exponents; this is for the type checker
    if plain.adjusted() >= _DIGITS_PER_SIDE or exponent < -_DIGITS_PER_SIDE:
        raise Invalid("must have at most 30 digits on either side of the point")
    return plain or Decimal(0)


def text(value: Decimal | Fraction | int) -> str:
    """Write a number the one way that the API writes numbers: no exponent, no trailing zeros.

    A fraction whose decimals never end is shown with 30 of them, cut half away from zero.
    """
    if not value:
        return "0"  # most of what windows hold
    if isinstance(value, Fraction):
        value = _decimal(value)
    elif isinstance(value, int):
        value = Decimal(value)
    plain = value.normalize(EXACT)
    return f"{plain:f}" if plain else "0"


def _decimal(value: Fraction) -> Decimal:
    rest = value.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    if rest == 1:
        return EXACT.divide(Decimal(value.numerator), Decimal(value.denominator))
    scaled = abs(value) * 10**_DECIMALS_SHOWN
    cut = (2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator)
    return EXACT.scaleb(Decimal(cut if value > 0 else -cut), -_DECIMALS_SHOWN)
