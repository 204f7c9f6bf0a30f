"""flat: an amount once a period."""

from fractions import Fraction
from typing import Literal

from pydantic import StrictBool

from billing.fields import Amount
from billing.pricing.charges import Charge
from metering.faults import Written


class Flat(Written):
    """A fee for the period; `due` only says when the wallet pays it: at its first instant, or at its end."""

    model: Literal["flat"]
    amount: Amount
    due: Literal["advance", "arrears"] = "advance"
    prorate: StrictBool = True


def charge_flat(price: Flat, share: Fraction) -> Charge:
    """The fee, by the period's share of a whole one unless `prorate` is false."""
    parts = share if price.prorate else Fraction(1)
    return Charge(parts * Fraction(price.amount), unit_price=price.amount)
