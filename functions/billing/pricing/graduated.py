"""graduated: each tier's share at its own price, plus the flat fee of every tier entered."""

from fractions import Fraction
from typing import Annotated, Literal

from billing.pricing.charges import Charge
from billing.pricing.tiers import SOME, Tier, Tiered, climb, step


class Graduated(Tiered):
    """Units cost what the tier costs in which they lie."""

    model: Literal["graduated"]
    tiers: Annotated[tuple[Tier, ...], *SOME]


def charge_graduated(price: Graduated, quantity: Fraction) -> Charge:
    """Climb the tiers, and pay in each for what lies in it."""
    parts = [
        step(low, high, (quantity if high is None else min(quantity, high)) - low, tier.unit_price, tier.flat_fee)
        for low, high, tier in climb(price.tiers, quantity)
    ]
    return Charge(sum((amount for amount, _ in parts), Fraction(0)), tiers=tuple(shown for _, shown in parts))
