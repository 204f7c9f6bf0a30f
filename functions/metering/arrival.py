"""From the bytes of a request to events and verdicts: every fault is told at once, good neighbours are kept."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from metering import cloud_events
from metering.bodies import EventBody, detail_of, event_of, loads, shown
from metering.cloud_events import CloudEventBody, Mode
from metering.decimals import JsonNumber
from metering.errors import Invalid, TooLarge
from metering.events import Event, Rejection

MOST_EVENTS = 1_000
MOST_BYTES = 4 * 1024 * 1024
MOST_BYTES_OF_AN_EVENT = 64 * 1024

# A number of which only the careful path sees that it is not written 0; a string that looks like it costs no more.
_MINUS_ZERO = re.compile(rb"-0[\s,\]}]")

Body = TypeVar("Body")


@dataclass(frozen=True, slots=True)
class _Form(Generic[Body]):
    """One form of writing events.

    Attributes:
        strings: the fields that no number can be, not even one whose text was kept.
    """

    one: TypeAdapter[Body]
    several: TypeAdapter[list[Body]]
    strings: tuple[str, ...]
    event: Callable[[Body], Event]

    def read_all(self, body: bytes) -> list[Event | Rejection] | None:
        """The quick path, for a whole array in which nothing is wrong; None otherwise."""
        if _MINUS_ZERO.search(body):
            return None
        try:
            rows = self.several.validate_json(body)
        except ValidationError:
            return None
        _refuse_too_many(len(rows))
        return [_sized(index, self.event(row)) for index, row in enumerate(rows)]

    def read(self, index: int, row: object) -> Event | Rejection:
        """The careful path, which tells every event its own faults."""
        if isinstance(row, Invalid):
            return Rejection(index, None, "invalid", row.detail)
        if isinstance(row, dict):
            row = row | {name: None for name in self.strings if isinstance(row.get(name), JsonNumber)}
        try:
            event = self.event(self.one.validate_python(row))
        except ValidationError as faults:
            given = row.get("id") if isinstance(row, dict) else None
            named = shown(given)[:128] if isinstance(given, str) else None
            return Rejection(index, named, "invalid", detail_of(faults))
        return _sized(index, event)


def _native(body: EventBody) -> Event:
    return event_of(body["id"], body["customer"], body["meter"], body["timestamp"], body)


_NATIVE: _Form[EventBody] = _Form(
    TypeAdapter(EventBody), TypeAdapter(list[EventBody]), ("id", "customer", "meter"), _native
)
_CLOUD: _Form[CloudEventBody] = _Form(cloud_events.ONE, cloud_events.SEVERAL, cloud_events.STRINGS, cloud_events.event)


def read_events(
    body: bytes, content_type: str = "application/json", headers: Mapping[str, str] | None = None
) -> list[Event | Rejection]:
    """Read a request body: an object, an array, NDJSON, or CloudEvents in any of their three modes.

    Args:
        body: unpacked.
        content_type: the header that says what it is.
        headers: of the request, in lower case; CloudEvents in binary mode have their attributes there.

    Returns:
        For each event in the order sent, the event, or why its shape is refused (code `invalid`).

    Raises:
        Invalid: the body as a whole cannot be read.
        TooLarge: more than 1,000 events or 4 MB.
    """
    if len(body) > MOST_BYTES:
        raise TooLarge("a request holds at most 4 MB")
    mode = cloud_events.mode_of(content_type, headers or {})
    if mode is Mode.BINARY:
        return [_CLOUD.read(0, cloud_events.row_of(headers or {}, body))]
    form: _Form[EventBody] | _Form[CloudEventBody] = _CLOUD if mode else _NATIVE
    lines = not mode and "ndjson" in content_type.lower()
    if not lines and mode is not Mode.STRUCTURED and body.lstrip()[:1] == b"[":
        read = form.read_all(body)
        if read is not None:
            return read
    loose = [_line(line) for line in body.splitlines() if line.strip()] if lines else _rows(loads(body), mode)
    _refuse_too_many(len(loose))
    return [form.read(index, row) for index, row in enumerate(loose)]


def _refuse_too_many(count: int) -> None:
    if count > MOST_EVENTS:
        raise TooLarge("a request holds at most 1,000 events")


def _rows(loaded: object, mode: Mode | None) -> list[object]:
    if isinstance(loaded, list) and mode is not Mode.STRUCTURED:
        return loaded
    if mode is Mode.BATCHED:
        raise Invalid("a batch of CloudEvents is an array")
    return [loaded]


def _line(line: bytes) -> object:
    try:
        return loads(line)
    except Invalid as fault:
        return fault  # of this line alone: its neighbours are kept


def _sized(index: int, event: Event) -> Event | Rejection:
    # Only dimensions can be large. Counting characters, of six bytes each at most (\u0001), and six for the marks
    # around a name and its value, keeps the encoding off the common path; fifty stand for all the rest.
    characters = 50 + sum(len(name) + len(value) + 1 for name, value in event.dimensions)
    if characters * 6 > MOST_BYTES_OF_AN_EVENT and len(event.content().encode()) > MOST_BYTES_OF_AN_EVENT:
        return Rejection(index, event.id, "invalid", "an event holds at most 64 KB")
    return event


def event_from_json(body: object) -> Event:
    """Read one native event, as `Event.as_json` writes it or a scenario holds it.

    Raises:
        Invalid: its shape is wrong; all faults are in the detail.
    """
    read = _NATIVE.read(0, body)
    if isinstance(read, Rejection):
        raise Invalid(read.detail)
    return read
