"""volume: all at the price of the tier that the total falls in, plus that tier's flat fee."""

from fractions import Fraction
from typing import Annotated, Literal

from billing.pricing.charges import Charge
from billing.pricing.tiers import SOME, Tier, Tiered, climb, step


class Volume(Tiered):
    """All units cost what the highest tier costs that they reach."""

    model: Literal["volume"]
    tiers: Annotated[tuple[Tier, ...], *SOME]


def charge_volume(price: Volume, quantity: Fraction) -> Charge:
    """Pay for everything in the last tier entered."""
    entered = list(climb(price.tiers, quantity))
    if not entered:
        return Charge(Fraction(0))
    low, high, tier = entered[-1]
    amount, shown = step(low, high, quantity, tier.unit_price, tier.flat_fee)
    return Charge(amount, unit_price=None if tier.flat_fee else tier.unit_price, tiers=(shown,))
