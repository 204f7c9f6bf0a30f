"""The Usage table: windows that are set on the condition of what was read before their inputs."""

from decimal import Decimal
from typing import Any

import pytest

from adapters.items import ConditionFailed, Table
from adapters.usage import Frame, Measured, Stored, Usage
from metering.sessions import Session
from metering.times import HOUR, QUARTER, hour_name, parse_time
from metering.windows import Slots, Tally
from tests.adapters.conftest import Bench

NOON = parse_time("2026-11-20T12:00:00Z")
NOTHING: tuple[Slots, tuple[Session, ...]] = ({}, ())


def slots(hour: int, quantity: str = "1") -> Slots:
    return {
        (hour, ()): Tally(events=1, quantity=Decimal(quantity)),
        (hour + QUARTER, (("region", "eu"),)): Tally(events=2, least=Decimal(0), values=frozenset("ab")),
    }


def session(start: int) -> Session:
    return Session("r", f"s{start}", start, None, "open", Decimal("0.5"), (("vm", "1"),))


def frame(hour: int, meter: str = "m") -> Frame:
    return Frame("acme", meter, "hour", hour_name(hour))


def stored(usage: Usage, hour: int = NOON, meter: str = "m") -> Stored:
    return usage.stored(frame(hour, meter), of_sessions=True)


def put(usage: Usage, hour: int, folded: tuple[Slots, tuple[Session, ...]], meter: str = "m", now: int = NOON) -> bool:
    return usage.put(frame(hour, meter), *folded, stored(usage, hour, meter), now)


def test_what_was_put_is_read_by_meter(table: Table) -> None:
    usage = Usage(table)
    assert put(usage, NOON, (slots(NOON), (session(NOON + 5),)))
    assert put(usage, NOON + HOUR, (slots(NOON + HOUR), ()))
    assert put(usage, NOON, (slots(NOON, "7"), ()), "other#m"[:5])
    assert usage.read("acme", NOON, NOON + 2 * HOUR) == Measured(
        {"m": {**slots(NOON), **slots(NOON + HOUR)}, "other": slots(NOON, "7")}, {"m": [session(NOON + 5)]}
    )
    assert usage.read("nobody", NOON, NOON + HOUR) == Measured()
    assert usage.open_sessions("acme", "m") == [session(NOON + 5)]
    assert usage.open_sessions("acme", "other") == []


@pytest.mark.parametrize(
    ("start", "end", "hours"),
    [
        (0, HOUR, [0]),
        (0, HOUR + 1, [0, 1]),
        (QUARTER, HOUR, [0]),
        (HOUR - 1, HOUR, [0]),
        (HOUR, 3 * HOUR, [1, 2]),
        (HOUR, HOUR, []),
        (3 * HOUR, 4 * HOUR, []),
    ],
)
def test_the_hours_that_touch_an_interval_are_read(table: Table, start: int, end: int, hours: list[int]) -> None:
    usage = Usage(table)
    for number in range(3):
        put(usage, NOON + number * HOUR, ({(NOON + number * HOUR, ()): Tally(events=1)}, ()))
    read = usage.read("acme", NOON + start, NOON + end).slots.get("m", {})
    assert [(quarter - NOON) // HOUR for quarter, _ in sorted(read)] == hours


def test_an_unchanged_window_is_not_written(bench: Bench) -> None:
    usage = Usage(bench.table)
    folded: Any = (slots(NOON), (session(NOON + 5), session(NOON + 6)))
    assert put(usage, NOON, folded)
    assert bench.changes() == 2
    assert not put(usage, NOON, (folded[0], folded[1][::-1]))
    assert bench.changes() == 2
    assert put(usage, NOON, (slots(NOON, "2"), folded[1]))
    assert bench.changes() == 3


def test_who_read_before_somebody_else_wrote_starts_over(table: Table) -> None:
    usage = Usage(table)
    read = stored(usage)
    put(usage, NOON, (slots(NOON, "2"), ()))
    with pytest.raises(ConditionFailed):
        usage.put(frame(NOON), slots(NOON, "1"), (), read, NOON)
    read = stored(usage)
    put(usage, NOON, (slots(NOON, "3"), (session(NOON),)))
    with pytest.raises(ConditionFailed):
        usage.put(frame(NOON), slots(NOON, "3"), (session(NOON + 1),), read, NOON)
    with pytest.raises(ConditionFailed):
        usage.put(frame(NOON), slots(NOON, "4"), (), read, NOON)
    assert usage.read("acme", NOON, NOON + HOUR) == Measured({"m": slots(NOON, "3")}, {"m": [session(NOON)]})


def test_what_closed_leaves_the_open_ones_before_its_usage_is_in_the_window(table: Table) -> None:
    usage = Usage(table)
    put(usage, NOON, ({}, (session(NOON),)))
    read = stored(usage)
    put(usage, NOON, (slots(NOON, "9"), (session(NOON),)))
    with pytest.raises(ConditionFailed):
        # The window has moved on, the open sessions have not: they are written first, so nothing counts twice.
        usage.put(frame(NOON), slots(NOON), (), read, NOON)
    assert usage.open_sessions("acme", "m") == []


def test_an_emptied_list_of_open_sessions_keeps_its_version_for_two_days(table: Table) -> None:
    usage = Usage(table)
    put(usage, NOON, (slots(NOON), (session(NOON),)))
    put(usage, NOON, (slots(NOON), ()), now=NOON + HOUR)
    item = stored(usage).open
    assert item is not None
    assert item.version == 2
    assert item.head["ttl"] == (NOON + 49 * HOUR) // 1000
    assert usage.read("acme", NOON, NOON + HOUR).open == {"m": []}


def test_an_empty_window_tells_that_something_is_addressed_to_its_hour(table: Table) -> None:
    usage = Usage(table)
    assert put(usage, NOON, NOTHING)
    put(usage, NOON + 2 * HOUR, NOTHING)
    put(usage, NOON + HOUR, NOTHING, "other")
    assert usage.hours("acme", "m", NOON, NOON + 3 * HOUR) == [NOON + 2 * HOUR, NOON]
    assert usage.hours("acme", "m", NOON, NOON + 2 * HOUR) == [NOON]
    assert usage.hours("acme", "m", NOON + 3 * HOUR, NOON) == []
    assert usage.has_any("acme")
    assert not usage.has_any("nobody")
