"""A meter: what is counted, and how. The public shape is in api.md under Catalogue."""

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    model_validator,
)

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


class Meter(BaseModel):
    """What users define with `PUT /v1/meters/{key}`. Durations are milliseconds inside and `15m` in JSON.

    Attributes:
        dimensions_since: from when those dimensions count that were added once there were events (law 4.9). The
            catalogue keeps it; it is not for users to write.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

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

    @model_validator(mode="after")
    def _fits_its_aggregation(self) -> "Meter":
        faults = list(self._misfits())
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def _misfits(self) -> list[str]:
        duration = self.aggregation == "duration"
        # Said is what differs from the default, so that a meter that was read can be written back as it is.
        fields = type(self).model_fields
        said = {name for name in fields if getattr(self, name) != fields[name].default}
        rules = (
            (
                duration and not self.session,
                "a duration needs `session`: the dimensions that tie start to stop",
            ),
            (
                duration and self.unit is not None,
                "the unit of a duration is fixed: leave `unit` out",
            ),
            (duration and self.round_up < 1, "`round_up` must be at least 1ms"),
            (duration and self.max_duration == 0, "`max_duration` must be above zero"),
            (
                self.aggregation == "unique" and not self.unique_by,
                "a unique meter needs `unique_by`",
            ),
            (
                self.aggregation != "unique" and "unique_by" in said,
                "`unique_by` belongs to unique meters",
            ),
            *(
                (not duration and name in said, f"`{name}` belongs to duration meters")
                for name in ("session", "weight", "round_up", "minimum", "max_duration")
            ),
        )
        return [fault for broken, fault in rules if broken]

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
