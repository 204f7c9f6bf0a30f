"""Plans: what things cost, as data that validates itself. The public shape is in api.md under Plans."""

from collections.abc import Iterator, Mapping
from typing import Literal

from pydantic import Field, model_validator

from billing.fields import Amount, CurrencyCode, Percentage, Positive, Text, Written
from billing.periods import PeriodUnit
from billing.pricing import Flat, Matrix, Price
from metering.errors import Fault
from metering.meters import Key, Meter

_OF_USAGE: Mapping[str, object] = {"meter": None, "where": {}, "measure": "quantity", "divide_by": 1, "included": 0}
"""What of an item is about usage, and what it is where nothing is said."""


class Item(Written):
    """One thing that a plan charges: usage of a meter, or a fee."""

    key: Key
    name: Text = ""
    meter: Key | None = None
    where: dict[str, str] = Field(default_factory=dict)
    measure: Literal["quantity", "events"] = "quantity"
    divide_by: Positive = Field(default="1", validate_default=True)
    unit: Text | None = None
    included: Amount = Field(default="0", validate_default=True)
    price: Price

    @model_validator(mode="after")
    def _rates_usage_or_is_a_fee(self) -> "Item":
        if not isinstance(self.price, Flat):
            if self.meter is None:
                raise ValueError("needs a `meter`, as its price rates usage")
            return self
        # Said is what differs from the default, so that a plan that was read can be written back as it is.
        needless = [name for name, unsaid in _OF_USAGE.items() if getattr(self, name) != unsaid]
        if needless:
            names = ", ".join(f"`{name}`" for name in needless)
            raise ValueError(f"has a flat price, which rates no usage: leave out {names}")
        return self

    @property
    def title(self) -> str:
        """What an invoice calls it."""
        return self.name or self.key


class Discount(Written):
    """A percentage of what is left, or an amount (by the period's share)."""

    percent: Percentage | None = None
    amount: Amount | None = None

    @model_validator(mode="after")
    def _is_one_of_the_two(self) -> "Discount":
        if (self.percent is None) == (self.amount is None):
            raise ValueError("needs either `percent` or `amount`")
        return self


class Plan(Written):
    """What users define with `PUT /v1/plans/{key}`."""

    key: Key
    name: Text = ""
    currency: CurrencyCode
    period: PeriodUnit = "month"
    items: tuple[Item, ...] = ()
    minimum: Amount | None = None
    maximum: Amount | None = None
    discounts: tuple[Discount, ...] = ()

    @model_validator(mode="after")
    def _is_consistent(self) -> "Plan":
        keys = [item.key for item in self.items]
        faults = [f"two items have the key {key}" for key in sorted({k for k in keys if keys.count(k) > 1})]
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            faults.append("`minimum` must not be above `maximum`")
        if faults:
            raise ValueError("; ".join(faults))
        return self


def check(plan: Plan, meters: Mapping[str, Meter]) -> list[Fault]:
    """Find what a plan asks of meters that they do not have: all faults at once, none if it fits."""
    return [fault for index, item in enumerate(plan.items) for fault in _misfits(index, item, meters)]


def _misfits(index: int, item: Item, meters: Mapping[str, Meter]) -> Iterator[Fault]:
    if item.meter is None:
        return
    meter = meters.get(item.meter)
    if meter is None:
        yield Fault(f"/items/{index}/meter", f"there is no meter {item.meter}")
        return
    asked = [("where/" + _escaped(name), name) for name in item.where]
    if isinstance(item.price, Matrix):
        asked += [(f"price/by/{place}", name) for place, name in enumerate(item.price.by)]
    for place, name in asked:
        if name not in meter.dimensions:
            yield Fault(f"/items/{index}/{place}", f"meter {meter.key} has no dimension {name}")


def _escaped(name: str) -> str:
    """A name as a part of a JSON pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")
