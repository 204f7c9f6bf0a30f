"""Segments: the events of one customer, meter and minute as one item. Law 4.2.

The sort key holds a hash of the canonical content, so the same events sent again are the same item, and a put of it
changes nothing.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from metering.decimals import text
from metering.errors import Unreadable
from metering.events import Dimensions, Event, minute_of
from metering.packing import canonical, compress, cut, digest, unpack_json
from metering.times import MINUTE, hour_name


@dataclass(frozen=True, slots=True)
class Segment:
    """One item of the Events table.

    Attributes:
        partition: `customer#meter#hour`.
        sort: `minute#hash-of-content`.
        minute: the instant its events' minute starts; its time to live follows from it alone (law 4.8).
        data: the events in columns, compressed.
    """

    partition: str
    sort: str
    minute: int
    data: bytes


def pack(events: Iterable[Event]) -> list[Segment]:
    """Group usage events by customer, meter and minute, whatever their order or repetition."""
    groups: defaultdict[tuple[str, str, int], set[Event]] = defaultdict(set)
    for event in events:
        groups[event.customer, event.meter, minute_of(event)].add(event)
    return [segment for group in sorted(groups) for segment in _segments(group, groups[group])]


def _segments(group: tuple[str, str, int], events: Iterable[Event]) -> Iterator[Segment]:
    customer, meter, minute = group
    ordered = sorted(events, key=lambda event: (event.identity, event.precedence()))
    for part in cut(ordered, _most_bytes):
        content = canonical(_columns(part, minute))
        sort = f"{minute // MINUTE % 60:02d}#{digest(content)}"
        yield Segment(f"{customer}#{meter}#{hour_name(minute)}", sort, minute, compress(content))


def _most_bytes(event: Event) -> int:
    # Columns repeat neither names nor dimensions, so this is an upper bound of what the event adds.
    return len(event.content().encode()) + len(event.id) + 64


def _columns(events: Sequence[Event], minute: int) -> dict[str, list[object]]:
    combinations = sorted({event.dimensions for event in events})
    index = {combination: position for position, combination in enumerate(combinations)}
    columns: dict[str, list[object]] = {
        "id": [event.id for event in events],
        "at": [event.timestamp - minute for event in events],
        "dimensions": [dict(combination) for combination in combinations],
        "which": [index[event.dimensions] for event in events],
        "value": [None if event.value is None else text(event.value) for event in events],
        "amount": [None if event.amount is None else text(event.amount) for event in events],
        "revision": [event.revision for event in events],
        "void": [int(event.void) for event in events],
    }
    # A column in which nothing is said is left out: most events have no amount and no revision.
    return {name: column for name, column in columns.items() if any(cell not in (None, 0) for cell in column)}


def unpack(partition: str, minute: int, data: bytes) -> list[Event]:
    """Read a segment's events back.

    Raises:
        Unreadable: the content is damaged.
    """
    columns = unpack_json(data)
    try:
        customer, meter, _ = partition.split("#")
        return _rows(customer, meter, minute, columns)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError):
        raise Unreadable("the segment's columns do not fit together") from None


def _rows(customer: str, meter: str, minute: int, columns: dict[str, list[Any]]) -> list[Event]:
    ids = columns["id"]
    nothing = [None] * len(ids)
    combinations: list[Dimensions] = [tuple(sorted(each.items())) for each in columns.get("dimensions", [{}])]
    return [
        Event(
            customer=customer,
            meter=meter,
            id=ids[row],
            timestamp=minute + (columns.get("at", nothing)[row] or 0),
            value=_number(columns.get("value", nothing)[row]),
            amount=_number(columns.get("amount", nothing)[row]),
            revision=columns.get("revision", nothing)[row] or 0,
            void=bool(columns.get("void", nothing)[row]),
            dimensions=combinations[columns.get("which", nothing)[row] or 0],
        )
        for row in range(len(ids))
    ]


def _number(written: str | None) -> Decimal | None:
    return None if written is None else Decimal(written)
