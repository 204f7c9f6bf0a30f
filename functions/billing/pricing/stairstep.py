"""stairstep: the fee of the tier that the total falls in, and nothing for units."""

from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Literal

from billing.pricing.charges import Charge
from billing.pricing.tiers import SOME, Fee, Tiered, climb, step


class Stairstep(Tiered):
    """A fee by how much was used, the same anywhere within a tier."""

    model: Literal["stairstep"]
    tiers: Annotated[tuple[Fee, ...], *SOME]


def charge_stairstep(price: Stairstep, quantity: Fraction) -> Charge:
    """Pay the fee of the last tier entered."""
    entered = list(climb(price.tiers, quantity))
    if not entered:
        return Charge(Fraction(0))
    low, high, tier = entered[-1]
    amount, shown = step(low, high, quantity, Decimal(0), tier.flat_fee)
    return Charge(amount, tiers=(shown,))
