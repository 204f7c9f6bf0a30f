"""CloudEvents 1.0 over HTTP: which mode a request is in, and what each attribute means here.

`id`, `time`, `subject` and `type` are the event's id, timestamp, customer and meter; `data` is a JSON object of what
else it says: value, type, amount, dimensions, revision, void. Extension attributes are allowed and not looked at, nor
is `datacontenttype`: data either is such an object or is refused.
"""

import base64
import re
from collections.abc import Mapping
from enum import Enum
from typing import Annotated, Literal, NotRequired

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, TypeAdapter, with_config
from typing_extensions import TypedDict  # pydantic needs this one below Python 3.12

from metering.bodies import Instant, Said, event_of, loads
from metering.errors import Invalid
from metering.events import Event
from metering.meters import Key

_REQUIRED = ("id", "source", "specversion", "type")
STRINGS = (*_REQUIRED, "subject")
"""The attributes that no number can be."""

_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")


class Mode(Enum):
    """How a request carries CloudEvents."""

    STRUCTURED = "the body is one event"
    BATCHED = "the body is an array of events"
    BINARY = "the headers are its attributes, the body is its data"


def _packed(value: object) -> object:
    if not isinstance(value, str):
        raise Invalid("must be base64")
    try:
        unpacked = base64.b64decode(value, validate=True)
    except ValueError:
        raise Invalid("must be base64") from None
    return loads(unpacked)


@with_config(ConfigDict(extra="ignore"))
class CloudEventBody(TypedDict):
    """One CloudEvent as it arrives, in JSON or put together from the headers and the body."""

    specversion: Literal["1.0"]
    id: Key
    source: Annotated[str, Field(min_length=1)]
    type: Key
    subject: Key
    time: Instant
    data: NotRequired[Said | None]
    data_base64: NotRequired[Annotated[Said, BeforeValidator(_packed)]]


def _one_data(body: CloudEventBody) -> CloudEventBody:
    if "data" in body and "data_base64" in body:
        raise ValueError("data and data_base64 exclude one another")
    return body


CloudEvent = Annotated[CloudEventBody, AfterValidator(_one_data)]
ONE: TypeAdapter[CloudEventBody] = TypeAdapter(CloudEvent)
SEVERAL: TypeAdapter[list[CloudEventBody]] = TypeAdapter(list[CloudEvent])


def mode_of(content_type: str, headers: Mapping[str, str]) -> Mode | None:
    """Which mode a request is in; None if it carries no CloudEvents.

    Raises:
        Invalid: it carries them in a format that is not JSON.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/cloudevents+json":
        return Mode.STRUCTURED
    if kind == "application/cloudevents-batch+json":
        return Mode.BATCHED
    if kind.startswith("application/cloudevents"):
        raise Invalid("CloudEvents are read in their JSON format, structured, batched or binary")
    return Mode.BINARY if any(f"ce-{name}" in headers for name in _REQUIRED) else None


def row_of(headers: Mapping[str, str], body: bytes) -> dict[str, object]:
    """Put the event of a request in binary mode together.

    Raises:
        Invalid: its data is not JSON.
    """
    attributes: dict[str, object] = {
        name.removeprefix("ce-"): _written(value) for name, value in headers.items() if name.startswith("ce-")
    }
    attributes.pop("data_base64", None)  # the data of this mode is the body, whatever the headers say
    return attributes | {"data": loads(body) if body.strip() else None}


def _written(value: str) -> str:
    """The value of a header: quotes undone, then one round of percent-encoding."""
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = _QUOTED_PAIR.sub(r"\1", value[1:-1])
    raw = _PERCENT.sub(lambda match: bytes.fromhex(match[1].decode()), value.encode(errors="replace"))
    return raw.decode(errors="replace")


def event(body: CloudEventBody) -> Event:
    """The event that a CloudEvent tells of."""
    said: Said = body.get("data") or body.get("data_base64") or {}
    return event_of(body["id"], body["subject"], body["type"], body["time"], said)
