"""What a price rates, and what it makes of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Measured:
    """What one line rates.

    Attributes:
        quantity: not negative, after `divide_by` and `included`.
        events: how many events or sessions it came from.
        amount: the sum of the events' own amounts.
    """

    quantity: Fraction
    events: int
    amount: Decimal


Step = Mapping[str, str | None]
"""A step of a computation as it is shown, numbers as text."""


@dataclass(frozen=True, slots=True)
class Charge:
    """An amount and its explanation.

    Attributes:
        amount: exact, before rounding.
        unit_price: the price of one unit, where the model has a single one.
        tiers: the steps of the computation, tier by tier; none where quantity × unit price says it all.
    """

    amount: Fraction
    unit_price: Decimal | None = None
    tiers: tuple[Step, ...] = ()
