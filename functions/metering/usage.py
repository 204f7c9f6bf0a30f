"""The usage of an interval, read from windows: what billing rates, and how it is joined. Laws 4.3, 4.4 and 4.7."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from metering.events import Dimensions
from metering.meters import Aggregation, Meter
from metering.sessions import Session
from metering.windows import Slots, Tally, accrued_by_dimensions, merge_tallies


@dataclass(frozen=True, slots=True)
class Usage:
    """The usage of one meter and one dimension combination over some interval: what billing rates.

    It keeps the tally, and not the quantity alone: that of several combinations is the quantity of their tallies
    merged (`join`), which for most aggregations is not the sum of theirs.

    Attributes:
        aggregation: the meter's.
        dimensions: sorted (name, value) pairs; a name that the events lacked is absent.
        tally: what is known of it.
    """

    meter: str
    aggregation: Aggregation
    dimensions: Dimensions
    tally: Tally

    @property
    def quantity(self) -> Decimal:
        """By the meter's aggregation; milliseconds × weight for durations."""
        return quantity(self.aggregation, self.tally)

    @property
    def events(self) -> int:
        """How many live events, or sessions started."""
        return self.tally.events

    @property
    def amount(self) -> Decimal:
        """The sum of the events' own amounts."""
        return self.tally.amount


def quantity(aggregation: Aggregation, tally: Tally) -> Decimal:
    """What a tally amounts to under an aggregation; 0 where nothing was seen."""
    return {
        "sum": tally.quantity,
        "duration": tally.quantity,
        "count": Decimal(tally.events),
        "min": tally.least or Decimal(0),
        "max": tally.most or Decimal(0),
        "latest": tally.latest[2] if tally.latest else Decimal(0),
        "unique": Decimal(len(tally.values)),
    }[aggregation]


def join(rows: Iterable[Usage]) -> Usage | None:
    """The usage of some combinations of one meter taken together, as if they were one; None where there are none.

    The least of the least values, the greatest of the greatest, the latest, the distinct ones; else the sum. Its
    dimensions are those that all rows share.
    """
    found = list(rows)
    if len(found) < 2:
        return found[0] if found else None
    shared = set(found[0].dimensions).intersection(*(row.dimensions for row in found))
    merged = merge_tallies(*(row.tally for row in found))
    return Usage(found[0].meter, found[0].aggregation, tuple(sorted(shared)), merged)


def tallies_between(
    meter: Meter,
    slots: Slots,
    open_sessions: Sequence[Session],
    start: int,
    end: int,
    at: int,
    ends_at: int | None = None,
) -> dict[Dimensions, Tally]:
    """Join the usage of [start, end) by dimension combination, open sessions measured as if they stopped at `at`.

    `start` and `end` lie on quarters of an hour (law 4.3), or `end` is beyond all usage. `ends_at` is the customer's
    end, at which open sessions end at the latest.
    """
    joined: defaultdict[Dimensions, list[Tally]] = defaultdict(list)
    for (quarter, dimensions), tally in slots.items():
        if start <= quarter < end:
            joined[dimensions].append(tally)
    for session in open_sessions:
        for dimensions, accrued in accrued_by_dimensions(session, meter, start, end, at, ends_at):
            joined[dimensions].append(accrued)
    return {
        dimensions: merge_tallies(*several) if len(several) > 1 else several[0]
        for dimensions, several in joined.items()
    }


def usage_between(
    meter: Meter,
    slots: Slots,
    open_sessions: Sequence[Session],
    start: int,
    end: int,
    at: int,
    ends_at: int | None = None,
) -> list[Usage]:
    """The usage of [start, end) by dimension combination, in order of dimensions; see `tallies_between`."""
    joined = tallies_between(meter, slots, open_sessions, start, end, at, ends_at)
    return [Usage(meter.key, meter.aggregation, dimensions, joined[dimensions]) for dimensions in sorted(joined)]
