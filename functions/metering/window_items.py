"""How windows, open sessions and facts are written down: canonical JSON, compressed. Shapes only, no meaning."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from metering.decimals import text
from metering.errors import Unreadable
from metering.events import Dimensions
from metering.minutes import Minutes
from metering.packing import canonical, compress, cut, digest, unpack_json
from metering.segments import Segment
from metering.sessions import Session, resource_with
from metering.sightings import Sighting
from metering.times import HOUR, MINUTE, QUARTER, floor, hour_name
from metering.windows import Fact, Slots, Tally

_UNSAID: tuple[Any, ...] = (0, "0", "0", None, None, None, [])
"""A tally that says nothing, cell by cell; trailing cells like these are not written."""


def pack_slots(slots: Slots) -> bytes:
    """Write a window: the same usage gives the same bytes."""
    return pack_minutes(Minutes(slots))


def pack_minutes(minutes: Minutes) -> bytes:
    """Write a window with its last minutes, which readers of windows do not see."""
    several = [minutes.sealed, *minutes.last.values()]
    combinations = sorted({dimensions for slots in several for _, dimensions in slots})
    index = {combination: position for position, combination in enumerate(combinations)}
    content: dict[str, Any] = {
        "dimensions": [dict(each) for each in combinations],
        "rows": _slot_rows(minutes.sealed, index),
    }
    if minutes.last:
        content["minutes"] = {minute: _slot_rows(slots, index) for minute, slots in minutes.last.items()}
    return compress(canonical(content))


def fitting(minutes: Minutes, most_bytes: int) -> Minutes | None:
    """Seal as few of the oldest minutes as it takes to be written in so many bytes; None if that does not do."""
    left: Minutes | None = minutes
    while left and len(pack_minutes(left)) > most_bytes:
        left = left.sealing_one()
    return left


def _slot_rows(slots: Slots, index: Mapping[Dimensions, int]) -> list[list[object]]:
    return [
        [quarter // QUARTER, index[dimensions], *_tally_row(slots[quarter, dimensions])]
        for quarter, dimensions in sorted(slots)
    ]


def _tally_row(tally: Tally) -> list[object]:
    latest = tally.latest and [tally.latest[0], tally.latest[1], text(tally.latest[2])]
    row: list[object] = [
        tally.events,
        text(tally.quantity),
        text(tally.amount),
        _optional(tally.least),
        _optional(tally.most),
        latest,
        sorted(tally.values),
    ]
    # Each cell against its own default: a least value of "0" is a value, and not the same as none at all.
    while row and row[-1] == _UNSAID[len(row) - 1]:
        row.pop()
    return row


def _optional(value: Decimal | None) -> str | None:
    return None if value is None else text(value)


def unpack_slots(data: bytes, shared: dict[str, str] | None = None) -> Slots:
    """Read a window back, whole.

    With `shared` the distinct values that several windows have are the same objects: each is put there once.

    Raises:
        Unreadable: the content is damaged.
    """
    return unpack_minutes(data, shared).whole


def unpack_minutes(data: bytes, shared: dict[str, str] | None = None) -> Minutes:
    """Read a window back with its last minutes, if it was written with them; `shared` as in `unpack_slots`.

    Raises:
        Unreadable: the content is damaged.
    """
    known = {} if shared is None else shared
    content = unpack_json(data)
    try:
        combinations = [tuple(sorted(each.items())) for each in content["dimensions"]]
        last = content.get("minutes", {}).items()
        return Minutes(
            _read_slots(content["rows"], combinations, known),
            {minute: _read_slots(rows, combinations, known) for minute, rows in last},
        )
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError):
        raise Unreadable("the window's rows do not fit together") from None


def _read_slots(rows: Iterable[Sequence[Any]], combinations: Sequence[Dimensions], shared: dict[str, str]) -> Slots:
    return {(row[0] * QUARTER, combinations[row[1]]): _read_tally(row[2:], shared) for row in rows}


def _read_tally(row: Sequence[Any], shared: dict[str, str]) -> Tally:
    events, total, amount, least, most, latest, values = [*row, *_UNSAID[len(row) :]]
    return Tally(
        events=events,
        quantity=Decimal(total),
        amount=Decimal(amount),
        least=None if least is None else Decimal(least),
        most=None if most is None else Decimal(most),
        latest=(latest[0], latest[1], Decimal(latest[2])) if latest else None,
        values=frozenset(map(shared.setdefault, values, values)),
    )


def minute_within(hour: int, start: int) -> str:
    """In which minute (`05`) of an hour the facts of a session stand: that of its start, the first for earlier ones."""
    return f"{(max(start, hour) - hour) // MINUTE:02d}"


def facts_segments(
    customer: str, meter: str, tied_by: Sequence[str], hour: int, facts: Iterable[Fact]
) -> list[Segment]:
    """Address facts to an hour: items beside the hour's segments; the same facts are the same items.

    They are grouped by the minute in which their sessions start, the first one for what started before, so that all
    facts about one session stand together.

    Args:
        customer: whose.
        meter: its key.
        tied_by: its session dimensions; a resource that follows from them is not written.
        hour: its start.
        facts: which.
    """
    minutes: defaultdict[str, set[bytes]] = defaultdict(set)
    for fact in facts:
        row = canonical([*fact.rank, *_session_row(fact.session, tied_by)])
        minutes[minute_within(hour, fact.session.start)].add(row)
    partition = f"{customer}#{meter}#{hour_name(hour)}"
    contents = [
        (minute, _table(part, tied_by))
        for minute in sorted(minutes)
        for part in cut(sorted(minutes[minute]), lambda row: len(row) + 2)
    ]
    return [
        Segment(partition, f"{minute}#facts#{digest(content)}", hour, compress(content)) for minute, content in contents
    ]


def _table(rows: Iterable[bytes], tied_by: Sequence[str]) -> bytes:
    """Rows of sessions, behind the names of the dimensions that their resources follow from."""
    return b'{"by":' + canonical(list(tied_by)) + b',"rows":[' + b",".join(rows) + b"]}"


def unpack_facts(data: bytes) -> list[Fact]:
    """Read facts back.

    Raises:
        Unreadable: the content is damaged.
    """
    content = unpack_json(data)
    try:
        tied_by = content["by"]
        return [Fact(_read_session(row[2:], tied_by), (row[0], row[1])) for row in content["rows"]]
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError):
        raise Unreadable("the facts cannot be read") from None


def sightings_segments(customer: str, meter: str, found: Iterable[Sighting]) -> list[Segment]:
    """Address edges of one minute to it: items beside the hour's segments; the same edges are the same items."""
    ordered = sorted(set(found))
    if not ordered:
        return []
    minute = floor(ordered[0].instant, MINUTE)
    rows = (canonical([instant - minute, mark, resource]) for instant, mark, resource in ordered)
    contents = [
        b'{"minute":' + canonical(minute) + b',"rows":[' + b",".join(part) + b"]}"
        for part in cut(rows, lambda row: len(row) + 1)
    ]
    partition, name = f"{customer}#{meter}#{hour_name(minute)}", minute_within(floor(minute, HOUR), minute)
    return [Segment(partition, f"{name}#seen#{digest(content)}", minute, compress(content)) for content in contents]


def unpack_sightings(data: bytes) -> set[Sighting]:
    """Read edges back that were noted.

    Raises:
        Unreadable: the content is damaged.
    """
    content = unpack_json(data)
    try:
        minute, rows = content["minute"], content["rows"]
        return {Sighting(minute + row[0], row[1], row[2]) for row in rows}
    except (LookupError, TypeError, ValueError, AttributeError):
        raise Unreadable("the edges that were noted cannot be read") from None


def pack_sessions(sessions: Iterable[Session], tied_by: Sequence[str]) -> bytes:
    """Write the open sessions of an hour; the same ones give the same bytes, whatever their order.

    `tied_by` are the meter's session dimensions; a resource that follows from them is not written.
    """
    return compress(_table(sorted(canonical(_session_row(session, tied_by)) for session in sessions), tied_by))


def unpack_sessions(data: bytes) -> list[Session]:
    """Read open sessions back.

    Raises:
        Unreadable: the content is damaged.
    """
    content = unpack_json(data)
    try:
        tied_by = content["by"]
        return [_read_session(row, tied_by) for row in content["rows"]]
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError):
        raise Unreadable("the open sessions cannot be read") from None


def _session_row(session: Session, tied_by: Sequence[str]) -> list[Any]:
    """A session with its instants counted from its start, so that rows are alike."""
    given = dict(session.dimensions)
    follows = given.keys() >= set(tied_by) and session.resource == resource_with(tied_by, given)
    return [
        session.start,
        session.id,
        _since(session.start, session.end),
        # A stop is told by its mark.
        session.closed_by if session.ended_by is None else session.ended_by,
        text(session.weight),
        given,
        _since(session.start, session.counted_until),
        *([] if follows else [session.resource]),
    ]


def _since(start: int, instant: int | None) -> int | None:
    return None if instant is None else instant - start


def _read_session(row: Sequence[Any], tied_by: Sequence[str]) -> Session:
    start, name, length, closed_by, weight, given, counted, *resource = row
    ended_by = closed_by if isinstance(closed_by, int) else None
    dimensions = tuple(sorted(given.items()))
    return Session(
        resource=resource[0] if resource else resource_with(tied_by, given),
        start=start,
        id=name,
        end=None if length is None else start + length,
        closed_by=closed_by if ended_by is None else "stop",
        weight=Decimal(weight),
        dimensions=dimensions,
        counted_until=None if counted is None else start + counted,
        ended_by=ended_by,
    )
