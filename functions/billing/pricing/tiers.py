"""Tiers, and how a quantity climbs them: shared by the models that have some.

`up_to` is inclusive and cumulative. At quantity zero no tier is entered, and the last tier has no end, `up_to` or not.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, TypeVar

from pydantic import AfterValidator, Field

from billing.fields import Amount, Positive, list_in, mapping_in, number_in
from billing.pricing.charges import Step
from metering.decimals import text
from metering.faults import Contradiction, Written


class Fee(Written):
    """A tier that costs the same however far one climbs in it."""

    up_to: Positive | None = None
    flat_fee: Amount


class Tier(Written):
    """A tier with a price for its units, a fee for being entered, or both."""

    up_to: Positive | None = None
    unit_price: Amount = Field(default="0", validate_default=True)
    flat_fee: Amount = Field(default="0", validate_default=True)

    @classmethod
    def contradictions(cls, written: Mapping[str, Any]) -> Iterator[Contradiction]:
        """A tier that costs nothing has to say so."""
        if not written.keys() & {"unit_price", "flat_fee"}:
            yield (), "needs `unit_price`, `flat_fee`, or both"


class Tiered(Written):
    """A price with tiers."""

    @classmethod
    def contradictions(cls, written: Mapping[str, Any]) -> Iterator[Contradiction]:
        """Tiers follow one another upwards, and none follows the one without an end."""
        tiers = list_in(written.get("tiers"))
        ends = [getattr(tier, "up_to", mapping_in(tier).get("up_to")) for tier in tiers]
        highest = Decimal(0)
        for place, end in enumerate(ends):
            reached = number_in(end)
            if end is None and place < len(ends) - 1:
                yield ("tiers", place, "up_to"), "only the last tier may be without an end"
            elif reached is not None and 0 < reached <= highest:
                yield ("tiers", place, "up_to"), f"must be above the tier before, which ends at {text(highest)}"
            highest = max(highest, reached or highest)


_Tier = TypeVar("_Tier", Fee, Tier)


def _some(tiers: tuple[_Tier, ...]) -> tuple[_Tier, ...]:
    if not tiers:
        raise ValueError("must have at least one tier")
    return tiers


SOME = (AfterValidator(_some), Field(json_schema_extra={"minItems": 1}))
"""Asks for at least one tier; a `min_length` would also miss those that are there and faulty."""


def climb(tiers: Sequence[_Tier], quantity: Fraction) -> Iterator[tuple[Fraction, Fraction | None, _Tier]]:
    """The tiers that a quantity enters, each with where it begins and where it ends."""
    low = Fraction(0)
    for place, tier in enumerate(tiers):
        if quantity <= low:
            return
        last = place == len(tiers) - 1 or tier.up_to is None
        high = None if last else Fraction(tier.up_to or 0)
        yield low, high, tier
        low = quantity if high is None else high


def step(
    low: Fraction, high: Fraction | None, quantity: Fraction, unit_price: Decimal, flat_fee: Decimal
) -> tuple[Fraction, Step]:
    """What a quantity costs in one tier, and how that is shown."""
    amount = quantity * Fraction(unit_price) + Fraction(flat_fee)
    return amount, {
        "from": text(low),
        "up_to": None if high is None else text(high),
        "quantity": text(quantity),
        "unit_price": text(unit_price),
        "flat_fee": text(flat_fee),
        "amount": text(amount),
    }
