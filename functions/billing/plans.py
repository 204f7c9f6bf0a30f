"""Plans: what things cost, as data that validates itself. The public shape is in api.md under Plans."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from billing.fields import Amount, CurrencyCode, Percent, Positive, Text, bounds_crossed, list_in, mapping_in, number_in
from billing.periods import PeriodUnit
from billing.pricing import Price
from metering.bodies import DimensionName, DimensionValue
from metering.faults import Contradiction, Written
from metering.meters import Key, Meter

_OF_USAGE: Mapping[str, object] = {"meter": None, "where": {}, "measure": "quantity", "divide_by": 1, "included": 0}
"""What of an item is about usage, and what it is where nothing is said."""


class Item(Written):
    """One thing that a plan charges: usage of a meter, or a fee."""

    key: Key
    name: Text = ""
    meter: Key | None = None
    where: dict[DimensionName, DimensionValue] = Field(default_factory=dict)
    measure: Literal["quantity", "events"] = "quantity"
    divide_by: Positive = Field(default="1", validate_default=True)
    unit: Text | None = None
    included: Amount = Field(default="0", validate_default=True)
    price: Price

    @classmethod
    def contradictions(cls, written: Mapping[str, Any]) -> Iterator[Contradiction]:
        """A price rates usage of a meter, or is a fee that has nothing to do with any."""
        price = written.get("price")
        model = getattr(price, "model", mapping_in(price).get("model"))
        if model == "flat":
            for name, unsaid in _OF_USAGE.items():
                if _says(written, name, unsaid):
                    yield (name,), "is about usage, of which a flat price rates none: leave it out"
        elif model is not None and written.get("meter") is None:
            yield ("meter",), "is needed, as the price rates usage"

    @property
    def title(self) -> str:
        """What an invoice calls it."""
        return self.name or self.key


class Discount(Written):
    """A percentage of what is left, or an amount (by the period's share)."""

    percent: Percent | None = None
    amount: Amount | None = None

    @classmethod
    def contradictions(cls, written: Mapping[str, Any]) -> Iterator[Contradiction]:
        """It is either of the two."""
        if (written.get("percent") is None) == (written.get("amount") is None):
            yield (), "needs either `percent` or `amount`"


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

    @classmethod
    def contradictions(cls, written: Mapping[str, Any]) -> Iterator[Contradiction]:
        """Items are told apart by their keys, and what is owed can keep both bounds."""
        keys = [getattr(item, "key", mapping_in(item).get("key")) for item in list_in(written.get("items"))]
        for place, key in enumerate(keys):
            if isinstance(key, str) and key in keys[:place]:
                yield ("items", place, "key"), f"another item has the key {key}"
        yield from bounds_crossed(written)


@dataclass(frozen=True, slots=True)
class PlanVersion:
    """What there is to know of a version of a plan before it is read whole.

    Attributes:
        effective_at: from when it holds for periods that open.
        version: its number.
        currency: its currency; one that was in use keeps it in all versions.
    """

    effective_at: int
    version: int
    currency: str


def misfits(written: object, meters: Mapping[str, Meter | None]) -> Iterator[Contradiction]:
    """What a plan, as it was written, asks of meters that they do not have; what cannot be read is passed over.

    A meter that is None is there, and cannot be read either.
    """
    for place, item in enumerate(list_in(mapping_in(written).get("items"))):
        for where, what in _item_misfits(mapping_in(item), meters):
            yield ("items", place, *where), what


def _item_misfits(item: Mapping[str, Any], meters: Mapping[str, Meter | None]) -> Iterator[Contradiction]:
    key = item.get("meter")
    if not isinstance(key, str):
        return
    if key not in meters:
        yield ("meter",), f"there is no meter {key}"
    if (meter := meters.get(key)) is None:
        return
    price = mapping_in(item.get("price"))
    asked: list[tuple[tuple[str | int, ...], object]] = [
        (("where", name), name) for name in mapping_in(item.get("where"))
    ]
    asked += [(("price", "by", place), name) for place, name in enumerate(list_in(price.get("by")))]
    for where, name in asked:
        if isinstance(name, str) and name not in meter.dimensions:
            yield where, f"meter {meter.key} has no dimension {name}"
    if meter.is_duration:
        for where, model in _models(price):
            if model == "dynamic":
                yield ("price", *where, "model"), f"the edges of sessions have no amount, and {meter.key} has sessions"


def _models(price: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], object]]:
    """The models of a price and of those in it, with where they are."""
    inside = [
        (("prices", place, "price"), mapping_in(cell).get("price"))
        for place, cell in enumerate(list_in(price.get("prices")))
    ]
    for where, found in [((), price), *inside, (("otherwise",), price.get("otherwise"))]:
        yield where, mapping_in(found).get("model")


def _says(written: Mapping[str, Any], name: str, unsaid: object) -> bool:
    """Whether a field differs from its default, which is what a plan that was read is shown with."""
    said = written.get(name, unsaid)
    return said != unsaid and (number_in(said) is None or number_in(said) != unsaid)
