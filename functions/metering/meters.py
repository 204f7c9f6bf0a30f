"""A meter: what is counted, and how. The public shape is in api.md under Catalogue."""

from collections.abc import Iterator, Mapping, Set
from itertools import pairwise
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    StringConstraints,
)

from metering.errors import Invalid
from metering.faults import Contradiction, Written
from metering.times import format_duration, format_time, parse_duration, parse_time

Key = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:@|=+-]{1,128}$")]
DimensionName = Annotated[str, StringConstraints(min_length=1, max_length=128)]
Aggregation = Literal["sum", "count", "min", "max", "latest", "unique", "duration"]


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError("names a dimension twice")
    return names


DimensionNames = Annotated[tuple[DimensionName, ...], AfterValidator(_distinct)]


# Milliseconds inside, `15m` outside.
Duration = Annotated[int, BeforeValidator(parse_duration), PlainSerializer(format_duration, when_used="json")]
# Milliseconds inside, RFC 3339 outside.
Moment = Annotated[int, BeforeValidator(parse_time), PlainSerializer(format_time, when_used="json")]


_OF_AGGREGATIONS: Mapping[str, object] = {
    "unit": None,
    "unique_by": None,
    "session": [],
    "weight": None,
    "round_up": "1ms",
    "minimum": "0ms",
    "max_duration": None,
}
"""What not every aggregation has, and what it is where nothing is said."""


def _is(said: object, unsaid: object) -> bool:
    if isinstance(unsaid, str):
        return _milliseconds(said) == _milliseconds(unsaid)
    return said == unsaid or (isinstance(said, tuple) and not said)


def _milliseconds(written: object) -> int | None:
    """The duration that was written; None if it is none."""
    try:
        return parse_duration(written)
    except Invalid:
        return None


def _misfits_of_duration(written: Mapping[str, Any], said: Set[str]) -> Iterator[Contradiction]:
    if "session" not in said:
        yield ("session",), "a duration needs `session`: the dimensions that tie start to stop"
    if "unit" in said:
        yield ("unit",), "the unit of a duration is fixed: leave `unit` out"
    if _milliseconds(written.get("round_up")) == 0:
        yield ("round_up",), "`round_up` must be at least 1ms"
    if _milliseconds(written.get("max_duration")) == 0:
        yield ("max_duration",), "`max_duration` must be above zero"


class Meter(Written):
    """What users define with `PUT /v1/meters/{key}`. Durations are milliseconds inside and `15m` in JSON.

    Attributes:
        dimensions_since: from when those dimensions count that were added once there were events (law 4.9). The
            catalogue keeps it; it is not for users to write.
    """

    key: Key
    name: str = ""
    aggregation: Aggregation
    unit: str | None = None
    dimensions: DimensionNames = ()
    unique_by: DimensionName | None = None
    session: DimensionNames = ()
    weight: DimensionName | None = None
    round_up: Duration = 1
    minimum: Duration = 0
    max_duration: Duration | None = None
    dimensions_since: dict[DimensionName, Moment] = Field(default_factory=dict)

    @classmethod
    def contradictions(cls, written: Mapping[str, Any]) -> Iterator[Contradiction]:
        """Each aggregation has fields of its own, which no other knows."""
        aggregation = written.get("aggregation")
        if aggregation not in get_args(Aggregation):
            return
        # Said is what differs from the default, so that a meter that was read can be written back as it is.
        said = {name for name, unsaid in _OF_AGGREGATIONS.items() if not _is(written.get(name, unsaid), unsaid)}
        if aggregation == "duration":
            yield from _misfits_of_duration(written, said)
        else:
            for name in ("session", "weight", "round_up", "minimum", "max_duration"):
                if name in said:
                    yield (name,), f"`{name}` belongs to duration meters"
        if aggregation != "unique" and "unique_by" in said:
            yield ("unique_by",), "`unique_by` belongs to unique meters"
        if aggregation == "unique" and "unique_by" not in said:
            yield ("unique_by",), "a unique meter needs `unique_by`"

    @property
    def is_duration(self) -> bool:
        """Whether start and stop events are paired, rather than values folded."""
        return self.aggregation == "duration"

    def kept(self, dimensions: tuple[tuple[str, str], ...], instant: int) -> tuple[tuple[str, str], ...]:
        """Of the dimensions of what happened at an instant those that count: declared by then, law 4.9."""
        since = self.dimensions_since
        return tuple(pair for pair in dimensions if pair[0] in self.dimensions and since.get(pair[0], 0) <= instant)

    def stretches(self, start: int, end: int) -> list[tuple[int, int]]:
        """Cut [start, end) where a dimension begins to count: within each piece the same ones do."""
        if start >= end:
            return []
        cuts = {instant for instant in self.dimensions_since.values() if start < instant < end}
        return list(pairwise([start, *sorted(cuts), end]))

    def replacing(self, stored: "Meter", since: int) -> "Meter":
        """This meter as the successor of one that has events: the dimensions that it adds count from `since`."""
        added = {name: since for name in self.dimensions if name not in stored.dimensions}
        return self.model_copy(update={"dimensions_since": stored.dimensions_since | added})
