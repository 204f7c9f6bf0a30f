"""A usage event: what it is, when two are the same one, and which are refused. Laws 4.1 and 4.8."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from metering.decimals import decimal_of, text
from metering.errors import Invalid
from metering.meters import Meter
from metering.packing import canonical
from metering.times import BEYOND, DAY, floor, format_time

Dimensions = tuple[tuple[str, str], ...]
"""Names and values, sorted by name."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: a value, or an edge (start or stop) of a session.

    Attributes:
        timestamp: when, in milliseconds; with customer, meter and id it is the event's identity.
        value: what a sum, min, max or latest folds; None where the meter needs none.
        type: `start` or `stop` for the edges of a duration meter.
        amount: its own price, for `dynamic` prices.
        revision: the higher one replaces the lower of the same identity.
        void: removes what has the same identity.
    """

    customer: str
    meter: str
    id: str
    timestamp: int
    value: Decimal | None = None
    type: Literal["start", "stop"] | None = None
    amount: Decimal | None = None
    revision: int = 0
    void: bool = False
    dimensions: Dimensions = ()

    @property
    def identity(self) -> tuple[int, str]:
        """What makes it the same event as another of its customer and meter."""
        return self.timestamp, self.id

    @property
    def is_correction(self) -> bool:
        """Whether it is there to replace or remove another of its identity."""
        return self.revision > 0 or self.void

    def content(self) -> str:
        """The canonical JSON of what it says, apart from its identity (Fine print, Events)."""
        said = {
            "amount": None if self.amount is None else text(self.amount),
            "dimensions": dict(self.dimensions),
            "type": self.type,
            "value": None if self.value is None else text(self.value),
        }
        return canonical(said).decode()

    def precedence(self) -> tuple[int, bool, str]:
        """Of several of one identity the greatest holds: revision, then void, then content."""
        return self.revision, self.void, self.content()

    def as_json(self) -> dict[str, object]:
        """The event as the API writes it."""
        written: dict[str, object] = {
            "id": self.id,
            "customer": self.customer,
            "meter": self.meter,
            "timestamp": format_time(self.timestamp),
            "dimensions": dict(self.dimensions),
        }
        optional = {
            "value": None if self.value is None else text(self.value),
            "amount": None if self.amount is None else text(self.amount),
            "type": self.type,
            "revision": self.revision or None,
            "void": self.void or None,
        }
        return written | {name: value for name, value in optional.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why one event of a request is refused; its neighbours are kept."""

    index: int
    id: str | None
    code: str
    detail: str

    def as_json(self) -> dict[str, object]:
        """The verdict as the API writes it."""
        return {"index": self.index, "id": self.id, "code": self.code, "detail": self.detail}


@dataclass(frozen=True, slots=True)
class Acceptance:
    """How old and how far ahead an event may be, in milliseconds (law 4.8)."""

    past: int
    future: int

    def written_since(self, now: int) -> int:
        """The instant before which no window is written any more, as what it is folded from expires."""
        return now - self.past - 14 * DAY


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two contents of one identity at one revision; `kept` won by the fixed rule."""

    kept: Event
    lost: Event


def judge(
    event: Event,
    meters: Mapping[str, Meter],
    customers: Mapping[str, int | None],
    now: int,
    acceptance: Acceptance | None,
) -> tuple[str, str] | None:
    """Say why an event is refused, as (code, detail), or None if it is accepted.

    `customers` gives each known customer's end (`ends_at`), None without one. Without `acceptance`, events of any
    age are taken whose instants can be computed with.
    """
    meter = meters.get(event.meter)
    if meter is None:
        return "unknown_meter", f"there is no meter {event.meter!r}"
    if event.customer not in customers:
        return "unknown_customer", f"there is no customer {event.customer!r}"
    ends_at = customers[event.customer]
    if ends_at is not None and event.timestamp >= ends_at:
        return "unknown_customer", f"customer {event.customer!r} ended before this event"
    if event.timestamp < max(0, now - acceptance.past if acceptance else 0):
        return "timestamp_too_old", "the event is older than this deployment accepts"
    if event.timestamp >= BEYOND or (acceptance and event.timestamp > now + acceptance.future):
        return "timestamp_in_future", "the event lies further ahead than this deployment accepts"
    return _judge_edge(event, meter) if meter.is_duration else _judge_usage(event, meter)


def _judge_usage(event: Event, meter: Meter) -> tuple[str, str] | None:
    needs_value = meter.aggregation in {"sum", "min", "max", "latest"}
    if needs_value and event.value is None and not event.void:
        return "value_required", f"a {meter.aggregation} meter needs a value"
    if event.type is not None:
        return "invalid", "`type` belongs to duration meters"
    if meter.unique_by and not event.void and meter.unique_by not in dict(event.dimensions):
        return "invalid", f"the dimension {meter.unique_by!r} that this meter counts is missing"
    return None


def _judge_edge(event: Event, meter: Meter) -> tuple[str, str] | None:
    if event.type is None and not event.void:
        return "type_required", "a duration meter needs `type`: start or stop"
    given = dict(event.dimensions)
    missing = [name for name in meter.session if name not in given]
    if missing and not event.void:
        return "session_dimension_missing", f"missing dimensions: {', '.join(missing)}"
    if meter.weight and event.type == "start" and not event.void:
        return _judge_weight(given.get(meter.weight), meter.weight)
    return None


def _judge_weight(value: str | None, name: str) -> tuple[str, str] | None:
    if value is None:
        return "invalid", f"the dimension {name!r} that weighs this session is missing"
    try:
        negative = decimal_of(value) < 0
    except Invalid as fault:
        return "invalid", f"the weight {name!r} {fault.detail}"
    return ("invalid", f"the weight {name!r} must not be negative") if negative else None


def winners(events: Iterable[Event]) -> tuple[list[Event], list[Conflict]]:
    """Of each identity keep what holds, voids included, in order of time and id; report the conflicts.

    The result does not depend on the order or the repetition of `events` (law 4.1).
    """
    kept: dict[tuple[int, str], Event] = {}
    rivals: dict[tuple[int, str], set[Event]] = {}
    for event in events:
        holder = kept.get(event.identity)
        if holder is None:
            kept[event.identity] = event
        elif holder != event:
            rivals.setdefault(event.identity, {holder}).add(event)
            kept[event.identity] = max(holder, event, key=Event.precedence)
    ordered = [kept[identity] for identity in sorted(kept)]
    conflicts = [
        Conflict(kept[identity], lost)
        for identity in sorted(rivals)
        for lost in sorted(rivals[identity], key=Event.precedence)
        if lost.revision == kept[identity].revision and lost != kept[identity]
    ]
    return ordered, conflicts


def live(events: Iterable[Event]) -> list[Event]:
    """The events that count: one of each identity, voided ones left out."""
    return [event for event in winners(events)[0] if not event.void]


def minute_of(event: Event) -> int:
    """The minute in whose segment the event lies."""
    return floor(event.timestamp, 60_000)
