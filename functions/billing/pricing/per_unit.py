"""per_unit: quantity × unit_price."""

from fractions import Fraction
from typing import Literal

from billing.fields import Amount
from billing.pricing.charges import Charge
from metering.faults import Written


class PerUnit(Written):
    """The same price for every unit."""

    model: Literal["per_unit"]
    unit_price: Amount


def charge_per_unit(price: PerUnit, quantity: Fraction) -> Charge:
    """Multiply."""
    return Charge(quantity * Fraction(price.unit_price), unit_price=price.unit_price)
