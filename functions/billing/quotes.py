"""Quotes: what some usage would cost on a plan. One full, finished period, nobody's, and nothing is kept."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, Discriminator, Field, Tag

from billing.fields import Exact
from billing.plans import Item, Plan
from billing.rating import Line, rate_items, select, subtotal
from metering.bodies import DimensionName, DimensionValue
from metering.decimals import decimal_of, text
from metering.errors import Fault, Invalid
from metering.faults import Contradiction, Written
from metering.meters import Key
from metering.usage import Usage
from metering.windows import Tally


def _count(written: object) -> int:
    number = decimal_of(written)
    if number < 0 or number != number.to_integral_value():
        raise Invalid("must be a whole number, not negative")
    return int(number)


def _as_shown(written: object) -> object:
    """A plan as GET shows it, or one that was never given a key."""
    if not isinstance(written, Mapping):
        return written
    return {"key": "quote"} | {name: value for name, value in written.items() if name != "version"}


def _kind(written: object) -> str | None:
    if isinstance(written, Mapping | Plan):
        return "plan"
    return "key" if isinstance(written, str) else None


PlanOrKey = Annotated[
    Annotated[Plan, BeforeValidator(_as_shown), Tag("plan")] | Annotated[Key, Tag("key")],
    Discriminator(_kind, custom_error_type="plan", custom_error_message="must be a plan, or the key of one"),
]
"""A plan that is written out, or the key of one that is kept."""


class QuoteRow(Written):
    """Some usage, of an item whatever its `where`, or of a meter for all items that rate it; rows add up."""

    item: Key | None = None
    meter: Key | None = None
    quantity: Exact = Field(default="0", validate_default=True)
    events: Annotated[int, BeforeValidator(_count)] = 0
    amount: Exact = Field(default="0", validate_default=True)
    dimensions: dict[DimensionName, DimensionValue] = Field(default_factory=dict)

    @classmethod
    def contradictions(cls, written: Mapping[str, Any]) -> Iterator[Contradiction]:
        """It is of either of the two."""
        if (written.get("item") is None) == (written.get("meter") is None):
            yield (), "needs either `item` or `meter`"


class QuoteRequest(Written):
    """What users post to `/v1/quotes`; the meters of a plan that is written out need not exist."""

    plan: PlanOrKey
    usage: tuple[QuoteRow, ...] = ()


@dataclass(frozen=True, slots=True)
class Quote:
    """What it comes to, before tax and credits."""

    currency: str
    lines: tuple[Line, ...]

    @property
    def total(self) -> Decimal:
        """The sum of the rounded lines: there is no tax on it."""
        return subtotal(self.lines)

    def as_json(self) -> dict[str, Any]:
        """The quote as the API answers it."""
        return {
            "currency": self.currency,
            "lines": [line.as_json() for line in self.lines],
            "subtotal": text(self.total),
            "total": text(self.total),
        }


def quote(plan: Plan, rows: Sequence[QuoteRow]) -> Quote:
    """Rate rows of usage as one full, finished period.

    Raises:
        Invalid: rows name items that the plan does not have, or that are fees; all of them are told.
    """
    items = {item.key: item for item in plan.items}
    faults = [
        Fault(f"/usage/{place}/item", f"the plan has no item {row.item} that rates usage")
        for place, row in enumerate(rows)
        if row.item is not None and (row.item not in items or items[row.item].meter is None)
    ]
    if faults:
        raise Invalid("the usage does not fit the plan", faults=faults)
    return Quote(plan.currency, rate_items(plan, {item.key: _usage_of(item, rows) for item in plan.items}))


def _usage_of(item: Item, rows: Sequence[QuoteRow]) -> list[Usage]:
    """What is told of an item itself, and what of its meter its `where` lets through."""
    own = [_usage(item.meter, row) for row in rows if row.item == item.key]
    return own + select(item, [_usage(row.meter, row) for row in rows if row.meter is not None])


def _usage(meter: str | None, row: QuoteRow) -> Usage:
    """A quantity that was told is not counted again: rows add up, whatever the meter's aggregation."""
    dimensions = tuple(sorted(row.dimensions.items()))
    return Usage(meter or "", "sum", dimensions, Tally(row.events, row.quantity, row.amount))
