"""Money: exact amounts, rounded once, in one named place. Law 5.1."""

from collections.abc import Callable, Iterable
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import lru_cache, wraps
from typing import ParamSpec, TypeVar

from iso4217 import Currency

from metering.decimals import EXACT
from metering.errors import Invalid

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def exact(function: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """Run a computation where plain `+` and `-` on decimals keep every digit, or raise (law 5.1)."""

    @wraps(function)
    def inside(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        with localcontext(EXACT):
            return function(*args, **kwargs)

    return inside


@lru_cache(maxsize=256)
def minor_units(currency: str) -> int:
    """How many decimals the currency has by ISO 4217: 2 for USD, 0 for JPY, 3 for KWD.

    Raises:
        Invalid: it is not a currency in which one can pay (unknown, a metal, a fund's unit of account).
    """
    try:
        digits = Currency(currency).exponent
    except ValueError:
        digits = None
    if digits is None:
        raise Invalid("must be an ISO 4217 currency such as USD")
    return digits


def round_money(amount: Decimal | Fraction | int, currency: str) -> Decimal:
    """Round to the currency's minor unit, half away from zero. Nothing else in Taximeter rounds money."""
    digits = minor_units(currency)
    scaled = abs(Fraction(amount)) * 10**digits
    units = (2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator)
    return EXACT.scaleb(Decimal(units if amount > 0 else -units), -digits)


@exact
def cumulative(amounts: Iterable[Decimal | Fraction], currency: str) -> list[Decimal]:
    """Round several amounts so that they add up to their rounded sum.

    Each is the rounded running sum less the one before it: no part is off by a whole minor unit, and the
    total is never off by more than half of one.
    """
    running, before, rounded = Fraction(0), Decimal(0), []
    for amount in amounts:
        running += Fraction(amount)
        after = round_money(running, currency)
        rounded.append(after - before)
        before = after
    return rounded


@exact
def total(amounts: Iterable[Decimal]) -> Decimal:
    """Add amounts without losing a digit."""
    return sum(amounts, Decimal(0))


def check_digits(amount: Decimal, currency: str) -> None:
    """Refuse an amount that cannot be paid because it has more digits than its currency.

    Raises:
        Invalid: it has; zeros at its end do not count.
    """
    if round_money(amount, currency) != amount:
        raise Invalid(f"must have at most {minor_units(currency)} decimals in {currency}")
