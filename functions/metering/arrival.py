"""From the bytes of a request to events and verdicts: every fault is told at once, good neighbours are kept."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal, NotRequired

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    TypeAdapter,
    ValidationError,
    with_config,
)
from typing_extensions import TypedDict  # pydantic needs this one below Python 3.12

from metering.decimals import JsonNumber, decimal_of
from metering.errors import Invalid, TooLarge
from metering.events import Event, Rejection
from metering.meters import Key
from metering.times import parse_time

MOST_EVENTS = 1_000
MOST_BYTES = 4 * 1024 * 1024
MOST_BYTES_OF_AN_EVENT = 64 * 1024
_MOST_CHARACTERS_OF_A_DETAIL = 1_000


def _decimal(value: object) -> Decimal:
    if isinstance(value, float):
        # Its digits are gone already; the careful path reads them from the text.
        raise ValueError("is a JSON number with a fraction")
    return decimal_of(value)


def _dimension(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError("must be a string or a number")
    return _encodable(str(value))


def _encodable(value: str) -> str:
    value.encode()  # half of a surrogate pair cannot be stored; UnicodeEncodeError is a ValueError
    return value


_Decimal = Annotated[Decimal, PlainValidator(_decimal)]
_DimensionName = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_encodable)]
_DimensionValue = Annotated[str, BeforeValidator(_dimension)]


@with_config(ConfigDict(extra="forbid"))
class EventBody(TypedDict):
    """One native event as it arrives; api.md, Events."""

    id: Key
    customer: Key
    meter: Key
    timestamp: Annotated[int, PlainValidator(parse_time)]
    value: NotRequired[_Decimal | None]
    type: NotRequired[Literal["start", "stop"] | None]
    amount: NotRequired[_Decimal | None]
    revision: NotRequired[Annotated[int, Field(ge=0, lt=2**53, strict=True)]]
    void: NotRequired[Annotated[bool, Field(strict=True)]]
    dimensions: NotRequired[dict[_DimensionName, _DimensionValue]]


_KEYS = ("id", "customer", "meter")
_BULK = TypeAdapter(list[EventBody])
_ONE = TypeAdapter(EventBody)


def read_events(body: bytes, content_type: str = "application/json") -> list[Event | Rejection]:
    """Read a native request body: an object, an array, or NDJSON.

    Returns:
        For each event in the order sent, the event, or why its shape is refused (code `invalid`).

    Raises:
        Invalid: the body as a whole cannot be read.
        TooLarge: more than 1,000 events or 4 MB.
    """
    if len(body) > MOST_BYTES:
        raise TooLarge("a request holds at most 4 MB")
    if "ndjson" not in content_type.lower() and body.lstrip()[:1] == b"[":
        try:
            rows = _BULK.validate_json(body)
        except ValidationError:
            pass  # the careful path tells every event its own fault
        else:
            _refuse_too_many(len(rows))
            return [_sized(index, _event(row)) for index, row in enumerate(rows)]
    loose = _rows(body, content_type)
    _refuse_too_many(len(loose))
    return [_read_one(index, row) for index, row in enumerate(loose)]


def _refuse_too_many(count: int) -> None:
    if count > MOST_EVENTS:
        raise TooLarge("a request holds at most 1,000 events")


def _rows(body: bytes, content_type: str) -> list[object]:
    if "ndjson" in content_type.lower():
        return [_line(line) for line in body.splitlines() if line.strip()]
    loaded = _loads(body)
    return loaded if isinstance(loaded, list) else [loaded]


def _line(line: bytes) -> object:
    try:
        return _loads(line)
    except Invalid as fault:
        return fault  # of this line alone: its neighbours are kept


def _loads(body: bytes) -> object:
    try:
        return json.loads(body, parse_float=JsonNumber, parse_int=_integer, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Invalid("not JSON") from None


def _integer(written: str) -> object:
    # Python refuses to read an integer of thousands of digits: as text it is one event's fault, not the body's.
    return int(written) if len(written) < 100 else JsonNumber(written)


def _no_constant(name: str) -> object:
    raise ValueError(name)


def _read_one(index: int, row: object) -> Event | Rejection:
    if isinstance(row, Invalid):
        return Rejection(index, None, "invalid", row.detail)
    if isinstance(row, dict):
        # A number is no key, not even one whose text was kept.
        row = row | {name: None for name in _KEYS if isinstance(row.get(name), JsonNumber)}
    try:
        event = _event(_ONE.validate_python(row))
    except ValidationError as faults:
        given = row.get("id") if isinstance(row, dict) else None
        named = _shown(given)[:128] if isinstance(given, str) else None
        return Rejection(index, named, "invalid", _detail(faults))
    return _sized(index, event)


def _sized(index: int, event: Event) -> Event | Rejection:
    # Only dimensions can be large. Counting characters, of six bytes each at most (\u0001), and six for the marks
    # around a name and its value, keeps the encoding off the common path; fifty stand for all the rest.
    characters = 50 + sum(len(name) + len(value) + 1 for name, value in event.dimensions)
    if characters * 6 > MOST_BYTES_OF_AN_EVENT and len(event.content().encode()) > MOST_BYTES_OF_AN_EVENT:
        return Rejection(index, event.id, "invalid", "an event holds at most 64 KB")
    return event


def _detail(faults: ValidationError) -> str:
    told = faults.errors(include_url=False, include_context=False, include_input=False)
    return _shown("; ".join(map(_sentence, told)))[:_MOST_CHARACTERS_OF_A_DETAIL]


def _shown(sent: str) -> str:
    # What a client sent and is told again must be encodable: half of a surrogate pair is shown as `?`.
    return sent.encode(errors="replace").decode()


def _sentence(fault: Mapping[str, Any]) -> str:
    where = ".".join(str(step) for step in fault["loc"])
    return f"{where}: {fault['msg'].removeprefix('Value error, ')}" if where else str(fault["msg"])


def _event(body: EventBody) -> Event:
    return Event(
        customer=body["customer"],
        meter=body["meter"],
        id=body["id"],
        timestamp=body["timestamp"],
        value=body.get("value"),
        type=body.get("type"),
        amount=body.get("amount"),
        revision=body.get("revision", 0),
        void=body.get("void", False),
        dimensions=tuple(sorted(body.get("dimensions", {}).items())),
    )


def event_from_json(body: object) -> Event:
    """Read one native event, as `Event.as_json` writes it or a scenario holds it.

    Raises:
        Invalid: its shape is wrong; all faults are in the detail.
    """
    read = _read_one(0, body)
    if isinstance(read, Rejection):
        raise Invalid(read.detail)
    return read
