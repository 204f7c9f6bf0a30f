"""percentage: usage × rate / 100, plus a fee for each event, clamped."""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any, Literal

from pydantic import Field

from billing.fields import Amount, bounds_crossed
from billing.pricing.charges import Charge, Measured
from metering.decimals import text
from metering.faults import Contradiction, Written


class Percentage(Written):
    """A part of what was measured, as of money that was moved: `rate` in percent, above 100 for cost plus a margin.

    `minimum` and `maximum` clamp each line. Nothing owed before clamping means nothing owed.
    """

    model: Literal["percentage"]
    rate: Amount
    fixed_fee: Amount = Field(default="0", validate_default=True)
    minimum: Amount | None = None
    maximum: Amount | None = None

    @classmethod
    def contradictions(cls, written: Mapping[str, Any]) -> Iterator[Contradiction]:
        """No amount lies above its minimum and below its maximum if these are the wrong way round."""
        return bounds_crossed(written)


def charge_percentage(price: Percentage, measured: Measured) -> Charge:
    """Multiply, add the fees of all events, those of included usage too, and clamp."""
    owed = measured.quantity * Fraction(price.rate) / 100 + measured.events * Fraction(price.fixed_fee)
    if not owed:
        return Charge(Fraction(0))
    amount = owed if price.minimum is None else max(owed, Fraction(price.minimum))
    amount = amount if price.maximum is None else min(amount, Fraction(price.maximum))
    shown = {
        "quantity": text(measured.quantity),
        "rate": text(price.rate),
        "events": text(measured.events),
        "fixed_fee": text(price.fixed_fee),
        "minimum": None if price.minimum is None else text(price.minimum),
        "maximum": None if price.maximum is None else text(price.maximum),
        "amount": text(amount),
    }
    return Charge(amount, tiers=(shown,))
