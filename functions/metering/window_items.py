"""How windows, open sessions and facts are written down: canonical JSON, compressed. Shapes only, no meaning."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from metering.decimals import text
from metering.errors import Unreadable
from metering.events import Dimensions
from metering.packing import canonical, compress, cut, digest, unpack_json
from metering.segments import Segment
from metering.sessions import Session
from metering.times import MINUTE, QUARTER, hour_name
from metering.windows import Fact, Slots, Tally

_UNSAID: tuple[Any, ...] = (0, "0", "0", None, None, None, [])
"""A tally that says nothing, cell by cell; trailing cells like these are not written."""


def pack_slots(slots: Slots) -> bytes:
    """Write a window: the same usage gives the same bytes."""
    combinations = sorted({dimensions for _, dimensions in slots})
    index = {combination: position for position, combination in enumerate(combinations)}
    rows = [
        [quarter // QUARTER, index[dimensions], *_tally_row(slots[quarter, dimensions])]
        for quarter, dimensions in sorted(slots)
    ]
    return compress(canonical({"dimensions": [dict(each) for each in combinations], "rows": rows}))


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


def unpack_slots(data: bytes) -> dict[tuple[int, Dimensions], Tally]:
    """Read a window back.

    Raises:
        Unreadable: the content is damaged.
    """
    content = unpack_json(data)
    try:
        combinations = [tuple(sorted(each.items())) for each in content["dimensions"]]
        return {(row[0] * QUARTER, combinations[row[1]]): _read_tally(row[2:]) for row in content["rows"]}
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError):
        raise Unreadable("the window's rows do not fit together") from None


def _read_tally(row: Sequence[Any]) -> Tally:
    events, total, amount, least, most, latest, values = [*row, *_UNSAID[len(row) :]]
    return Tally(
        events=events,
        quantity=Decimal(total),
        amount=Decimal(amount),
        least=None if least is None else Decimal(least),
        most=None if most is None else Decimal(most),
        latest=(latest[0], latest[1], Decimal(latest[2])) if latest else None,
        values=frozenset(values),
    )


def facts_segments(customer: str, meter: str, hour: int, facts: Iterable[Fact]) -> list[Segment]:
    """Address facts to an hour: items beside the hour's segments; the same facts are the same items.

    They are grouped by the minute in which their sessions start, the first one for what started before, so that all
    facts about one session stand together.
    """
    minutes: defaultdict[int, set[bytes]] = defaultdict(set)
    for fact in facts:
        row = canonical([*_session_row(fact.session), *fact.rank])
        minutes[(max(fact.session.start, hour) - hour) // MINUTE].add(row)
    partition = f"{customer}#{meter}#{hour_name(hour)}"
    contents = [
        (minute, b"[" + b",".join(part) + b"]")
        for minute in sorted(minutes)
        for part in cut(sorted(minutes[minute]), lambda row: len(row) + 2)
    ]
    return [
        Segment(partition, f"{minute:02d}#facts#{digest(content)}", hour, compress(content))
        for minute, content in contents
    ]


def unpack_facts(data: bytes) -> list[Fact]:
    """Read facts back.

    Raises:
        Unreadable: the content is damaged.
    """
    rows = unpack_json(data)
    try:
        return [Fact(_read_session(row), (row[8], row[9])) for row in rows]
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError):
        raise Unreadable("the facts cannot be read") from None


def pack_sessions(sessions: Iterable[Session]) -> bytes:
    """Write the open sessions of an hour; the same ones give the same bytes, whatever their order."""
    return compress(canonical(sorted(map(_session_row, sessions), key=canonical)))


def unpack_sessions(data: bytes) -> list[Session]:
    """Read open sessions back.

    Raises:
        Unreadable: the content is damaged.
    """
    rows = unpack_json(data)
    try:
        return [_read_session(row) for row in rows]
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError):
        raise Unreadable("the open sessions cannot be read") from None


def _session_row(session: Session) -> list[Any]:
    return [
        session.resource,
        session.start,
        session.id,
        session.end,
        session.closed_by,
        text(session.weight),
        dict(session.dimensions),
        session.counted_until,
    ]


def _read_session(row: Sequence[Any]) -> Session:
    return Session(
        resource=row[0],
        start=row[1],
        id=row[2],
        end=row[3],
        closed_by=row[4],
        weight=Decimal(row[5]),
        dimensions=tuple(sorted(row[6].items())),
        counted_until=row[7],
    )
