"""The parts of an event's body that every way of sending it shares: how it is read, and how its faults are told."""

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
    ValidationError,
    with_config,
)
from typing_extensions import TypedDict  # pydantic needs this one below Python 3.12

from metering.decimals import JsonNumber, decimal_of
from metering.errors import Invalid
from metering.events import Event
from metering.meters import Key
from metering.times import parse_any_time

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
DimensionName = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_encodable)]
DimensionValue = Annotated[str, BeforeValidator(_dimension)]

Instant = Annotated[int, PlainValidator(parse_any_time)]
"""RFC 3339 or epoch milliseconds outside, milliseconds inside; `judge` says which are too old and which lie ahead."""


@with_config(ConfigDict(extra="forbid"))
class Said(TypedDict):
    """What an event says, apart from what makes it this one event."""

    value: NotRequired[_Decimal | None]
    type: NotRequired[Literal["start", "stop"] | None]
    amount: NotRequired[_Decimal | None]
    revision: NotRequired[Annotated[int, Field(ge=0, lt=2**53, strict=True)]]
    void: NotRequired[Annotated[bool, Field(strict=True)]]
    dimensions: NotRequired[dict[DimensionName, DimensionValue]]


@with_config(ConfigDict(extra="forbid"))
class EventBody(Said):
    """One native event as it arrives; api.md, Events."""

    id: Key
    customer: Key
    meter: Key
    timestamp: Instant


def event_of(id_: str, customer: str, meter: str, timestamp: int, said: Said) -> Event:
    """Put an event together from its validated parts."""
    return Event(
        customer=customer,
        meter=meter,
        id=id_,
        timestamp=timestamp,
        value=said.get("value"),
        type=said.get("type"),
        amount=said.get("amount"),
        revision=said.get("revision", 0),
        void=said.get("void", False),
        dimensions=tuple(sorted(said.get("dimensions", {}).items())),
    )


def loads(body: bytes) -> object:
    """Read JSON; numbers with a fraction keep their text.

    Raises:
        Invalid: it is none.
    """
    try:
        return json.loads(body, parse_float=JsonNumber, parse_int=_integer, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Invalid("not JSON") from None


class _MinusZero(int):
    """The number -0, whose text is not that of 0."""

    def __str__(self) -> str:
        return "-0"


def _integer(written: str) -> object:
    if written == "-0":
        return _MinusZero()
    # Python refuses to read an integer of thousands of digits: as text it is one event's fault, not the body's.
    return int(written) if len(written) < 100 else JsonNumber(written)


def _no_constant(name: str) -> object:
    raise ValueError(name)


def detail_of(faults: ValidationError) -> str:
    """Every fault of a body in one line that is short enough to be sent."""
    told = faults.errors(include_url=False, include_context=False, include_input=False)
    return shown("; ".join(map(_sentence, told)))[:_MOST_CHARACTERS_OF_A_DETAIL]


def shown(sent: str) -> str:
    """What a client sent and is told again must be encodable: half of a surrogate pair is shown as `?`."""
    return sent.encode(errors="replace").decode()


def _sentence(fault: Mapping[str, Any]) -> str:
    where = ".".join(str(step) for step in fault["loc"])
    return f"{where}: {fault['msg'].removeprefix('Value error, ')}" if where else str(fault["msg"])
