"""The kinds of values that users write into plans and customers, each read and written in one way."""

import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BeforeValidator,
    JsonValue,
    PlainSerializer,
    StrictInt,
    StringConstraints,
)

from billing.money import minor_units
from metering.decimals import JsonNumber, decimal_of, text
from metering.errors import Invalid
from metering.faults import Contradiction
from metering.times import QUARTER, floor, format_time, parse_time

_DEEPEST = 100


def number_in(written: object) -> Decimal | None:
    """The number that was written; None if it is none."""
    try:
        return decimal_of(written)
    except Invalid:
        return None


def bounds_crossed(written: Mapping[str, Any]) -> Iterator[Contradiction]:
    """What is wrong with a `minimum` above its `maximum`."""
    least, most = number_in(written.get("minimum")), number_in(written.get("maximum"))
    if least is not None and most is not None and least > most:
        yield ("minimum",), "must not be above `maximum`"


def mapping_in(written: object) -> Mapping[str, Any]:
    """The object that was written; an empty one if it is none."""
    return written if isinstance(written, Mapping) else {}


def list_in(written: object) -> Sequence[Any]:
    """The list that was written; an empty one if it is none."""
    return written if isinstance(written, list | tuple) else ()


def _not_negative(value: Decimal) -> Decimal:
    if value < 0:
        raise ValueError("must not be negative")
    return value


def _positive(value: Decimal) -> Decimal:
    if value <= 0:
        raise ValueError("must be above zero")
    return value


def _percentage(value: Decimal) -> Decimal:
    if value > 100:
        raise ValueError("must be at most 100")
    return value


def _currency(value: str) -> str:
    minor_units(value)
    return value


def _timezone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):  # unknown, a path, or the name of a folder
        raise Invalid("must be an IANA time zone such as Europe/Berlin") from None
    return value


def _quarter(value: object) -> int:
    return floor(parse_time(value), QUARTER)


def instant_in(written: object) -> int | None:
    """The configured instant that was written; None if it is none."""
    try:
        return _quarter(written)
    except Invalid:
        return None


def _as_sent(written: object, *, depth: int = 0) -> object:
    """JSON with its numbers as numbers, and not as the text that amounts are read from."""
    if depth > _DEEPEST:
        raise Invalid("is nested too deeply")
    if isinstance(written, JsonNumber):
        return json.loads(written)
    if isinstance(written, Mapping):
        return {name: _as_sent(value, depth=depth + 1) for name, value in written.items()}
    return [_as_sent(each, depth=depth + 1) for each in written] if isinstance(written, list) else written


def unkept_numbers(written: object, where: tuple[str | int, ...]) -> Iterator[Contradiction]:
    """The numbers within JSON that could not be given back as they were sent, with where they are."""
    if isinstance(written, JsonNumber):
        kept = Decimal(str(json.loads(written)))
        if not kept.is_finite() or kept != Decimal(written):
            yield where, "has more digits than a JSON number keeps: send a string"
    if len(where) <= _DEEPEST:  # what lies deeper is refused as a whole
        within = written.items() if isinstance(written, Mapping) else enumerate(list_in(written))
        for name, value in within:
            yield from unkept_numbers(value, (*where, name))


Exact = Annotated[Decimal, BeforeValidator(decimal_of), PlainSerializer(text, when_used="json")]
Amount = Annotated[Exact, AfterValidator(_not_negative)]
Positive = Annotated[Exact, AfterValidator(_positive)]
Percent = Annotated[Amount, AfterValidator(_percentage)]
CurrencyCode = Annotated[str, AfterValidator(_currency)]
Timezone = Annotated[str, AfterValidator(_timezone)]
# Configured instants are cut to the quarter of an hour: windows can be cut there and nowhere else.
Instant = Annotated[int, BeforeValidator(_quarter), PlainSerializer(format_time, when_used="json")]
Text = Annotated[str, StringConstraints(max_length=1_000)]
# What nobody computes with and is given back as it was sent.
Opaque = Annotated[dict[str, JsonValue], BeforeValidator(_as_sent)]
AnchorDay = Annotated[StrictInt, AfterValidator(lambda day: _within(day, 1, 31))]
Days = Annotated[StrictInt, AfterValidator(lambda days: _within(days, 0, 3_650))]


def _within(value: int, least: int, most: int) -> int:
    if not least <= value <= most:
        raise ValueError(f"must be from {least} to {most}")
    return value


def merge_patch(target: Any, patch: Any) -> Any:  # noqa: ANN401 - RFC 7396 is about any JSON
    """Apply a JSON merge patch (RFC 7396): null removes, objects merge, all else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged
