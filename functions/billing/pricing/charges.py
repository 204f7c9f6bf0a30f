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


@dataclass(frozen=True, slots=True)
class Charge:
    """An amount and its explanation.

    Attributes:
        amount: exact, before rounding.
        unit_price: the price of one unit, where the model has a single one.
        tiers: the steps of the computation, as they are shown (numbers as text).
    """

    amount: Fraction
    unit_price: Decimal | None = None
    tiers: tuple[Mapping[str, str | None], ...] = ()
