"""dynamic: the sum of the events' own amounts."""

from decimal import Decimal
from fractions import Fraction
from typing import Literal

from billing.pricing.charges import Charge, Measured
from metering.decimals import text
from metering.faults import Written


class Dynamic(Written):
    """Whoever sends an event says what it costs, in the plan's currency."""

    model: Literal["dynamic"]


def charge_dynamic(measured: Measured) -> Charge:
    """The amounts as they are, their sum not below zero."""
    amount = max(measured.amount, Decimal(0))
    shown = {"events": text(measured.events), "amount": text(amount)}
    return Charge(Fraction(amount), tiers=(shown,) if amount else ())
