"""The Usage table: windows that are set on the condition of what was read before their inputs."""

from collections.abc import Iterator
from decimal import Decimal
from functools import reduce
from typing import Any

import pytest

from adapters.hours import Hour, Stored
from adapters.items import ConditionFailed, Item, Put, Table
from adapters.memory import MemoryTable
from adapters.usage import Measured, Usage
from metering.minutes import Minutes
from metering.sessions import Session
from metering.times import DAY, HOUR, QUARTER, hour_name, parse_time
from metering.windows import Slots, Tally, merge_tallies
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


def frame(hour: int, meter: str = "m") -> Hour:
    return Hour("acme", meter, hour_name(hour), ("vm",))


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


DAY_START = parse_time("2026-11-18T00:00:00Z")
MARK = ("acme", f"day#{hour_name(DAY_START)[:10]}#")
EU = (("region", "eu"),)


def used_at(*hours: int, day: int = DAY_START, events: int = 1) -> Slots:
    return {(day + hour * HOUR + QUARTER, EU): Tally(events=events, quantity=Decimal(hour)) for hour in hours}


def with_hours(table: Table, day: int, *hours: int, meter: str = "m", events: int = 1) -> Usage:
    usage = Usage(table)
    for hour in hours:
        put(usage, day + hour * HOUR, (used_at(hour, day=day, events=events), ()), meter)
    return usage


def read_at(usage: Usage, whole_until: int | None = NOON, *cuts: int, start: int = DAY_START) -> dict[int, int]:
    """The events of the meter by the instant that they stand at, in hours."""
    found = usage.read("acme", start, None, whole_until, cuts).slots.get("m", {})
    return {(quarter - DAY_START) // HOUR: tally.events for (quarter, _), tally in sorted(found.items())}


def test_a_closed_day_is_read_whole_where_it_may_be_and_by_its_hours_where_not(table: Table) -> None:
    usage = with_hours(table, DAY_START, 3, 9)
    with_hours(table, DAY_START + DAY, 5)
    with_hours(table, DAY_START, 4, meter="other")
    by_hours = {3: 1, 9: 1, 29: 1}
    assert read_at(usage) == by_hours
    assert usage.read("acme", DAY_START, None, NOON).unclosed == (DAY_START, DAY_START + DAY)
    usage.close_day("acme", DAY_START)
    assert read_at(usage) == {0: 2, 29: 1}
    assert usage.read("acme", DAY_START, None, NOON).unclosed == (DAY_START + DAY,)
    assert usage.read("acme", DAY_START, None, NOON).slots["other"] == {
        (DAY_START, EU): Tally(events=1, quantity=Decimal(4))
    }
    # Nobody looks into a day but who may.
    assert read_at(usage, None) == by_hours
    assert read_at(usage, DAY_START + DAY - 1) == by_hours
    assert read_at(usage, DAY_START + DAY) == {0: 2, 29: 1}
    assert read_at(usage, NOON, DAY_START + 5 * HOUR) == by_hours
    assert read_at(usage, NOON, DAY_START, DAY_START + DAY) == {0: 2, 29: 1}
    assert read_at(usage, NOON, start=DAY_START + HOUR) == by_hours
    ended = usage.read("acme", DAY_START, DAY_START + 9 * HOUR + 1, NOON).slots["m"]
    assert ended == used_at(3, 9)


def test_a_day_that_is_cut_is_not_to_be_closed_again_and_again(table: Table) -> None:
    usage = with_hours(table, DAY_START, 3)
    cut = DAY_START + 5 * HOUR
    assert usage.read("acme", DAY_START, None, NOON, [cut]).unclosed == ()
    usage.close_day("acme", DAY_START)
    assert usage.read("acme", DAY_START, None, NOON, [cut]).unclosed == ()
    assert usage.read("acme", DAY_START + HOUR, None, NOON).unclosed == ()
    assert usage.read("acme", DAY_START, DAY_START + DAY - 1, NOON).unclosed == ()


def test_the_hours_between_closed_days_are_read_and_none_twice(table: Table) -> None:
    usage = Usage(table)
    for day in range(-1, 6):
        with_hours(table, DAY_START + day * DAY, 0, 23)
    for day in (-1, 0, 2, 3):
        usage.close_day("acme", DAY_START + day * DAY)
    until = DAY_START + 5 * DAY
    assert read_at(usage, until) == {0: 2, 24: 1, 47: 1, 48: 2, 72: 2, 96: 1, 119: 1, 120: 1, 143: 1}
    measured = usage.read("acme", DAY_START + HOUR, DAY_START + 3 * DAY + HOUR, until)
    assert sorted((quarter - DAY_START) // HOUR for quarter, _ in measured.slots["m"]) == [23, 24, 47, 48, 72]
    assert measured.unclosed == (DAY_START + DAY,)


def test_a_placeholder_is_ignored_by_readers_and_refreshed_by_who_comes_late(table: Table) -> None:
    usage = with_hours(table, DAY_START, 3)
    usage.reach_day("acme", DAY_START)
    assert table.get(*MARK) is None, "a day that is not kept is not reached"
    reads: list[dict[int, int]] = []
    refresh = usage._refresh_day

    def overtaken(customer: str, day: int, *, late: bool) -> bool:
        # The placeholder is there and the hours are about to be read: meanwhile something comes late.
        if not reads:
            assert table.get(*MARK)
            reads.append(read_at(usage))
            with_hours(table, DAY_START, 7)
            usage.reach_day("acme", DAY_START)
        return refresh(customer, day, late=late)

    usage._refresh_day = overtaken  # type: ignore[method-assign]  # the moment between the placeholder and the mark
    usage.close_day("acme", DAY_START)
    assert reads == [{3: 1}]
    assert read_at(usage) == {0: 2}


def test_a_late_change_between_the_hours_and_the_mark_is_in_the_day(table: Table) -> None:
    usage = with_hours(table, DAY_START, 3)
    refresh = usage._refresh_day
    raced: list[bool] = []

    def overtaken(customer: str, day: int, *, late: bool) -> bool:
        done = refresh(customer, day, late=late)
        if not raced:
            raced.append(True)
            with_hours(table, DAY_START, 7)
            Usage(table).reach_day(customer, day)
        return done

    usage._refresh_day = overtaken  # type: ignore[method-assign]  # the moment between the hours and the mark
    usage.close_day("acme", DAY_START)
    assert read_at(usage) == {0: 2}


def test_who_read_the_hours_before_somebody_else_refreshed_the_day_starts_over(table: Table) -> None:
    usage = with_hours(table, DAY_START, 3)
    usage.close_day("acme", DAY_START)
    with_hours(table, DAY_START, 3, events=5)
    usage.reach_day("acme", DAY_START)
    assert read_at(usage) == {0: 5}
    with_hours(table, DAY_START, 3, events=4)
    put_item = table.put
    raced: list[bool] = []

    def slow(write: Put) -> None:
        if not raced and write.item["kind"] in {"day", "late"}:
            raced.append(True)
            with_hours(table, DAY_START, 8)
            Usage(table).reach_day("acme", DAY_START)
        put_item(write)

    table.put = slow  # type: ignore[method-assign,assignment]  # somebody else is quicker
    usage.reach_day("acme", DAY_START)
    assert raced
    assert read_at(usage) == {0: 5}


def test_who_comes_late_to_a_day_that_nobody_goes_on_closing_does_so(table: Table) -> None:
    usage = with_hours(table, DAY_START, 3)
    table.put(Put({"pk": MARK[0], "sk": MARK[1], "kind": "closed", "state": "closing"}))
    usage.reach_day("acme", DAY_START)
    assert read_at(usage) == {0: 1}


def test_reaching_a_day_costs_no_write_but_that_of_what_changed(bench: Bench) -> None:
    usage = with_hours(bench.table, DAY_START, 3, 9)
    usage.close_day("acme", DAY_START)
    changes = bench.changes()
    bench.table.put = None  # type: ignore[method-assign,assignment]  # nobody may
    usage.reach_day("acme", DAY_START)
    assert bench.changes() == changes


def test_closing_a_day_again_changes_nothing(bench: Bench) -> None:
    usage = with_hours(bench.table, DAY_START, 3, 9)
    usage.close_day("acme", DAY_START)
    changes = bench.changes()
    usage.close_day("acme", DAY_START)
    assert bench.changes() == changes


def test_closing_a_day_reads_its_hours_once_however_many_meters_there_are() -> None:
    table = MemoryTable()
    for meter in "abcd":
        usage = with_hours(table, DAY_START, 3, 9, meter=meter)
    query, read = table.query, list[Item]()

    def counting(*given: Any, **more: Any) -> Iterator[Item]:
        for item in query(*given, **more):
            read.append(item)
            yield item

    table.query = counting  # type: ignore[method-assign]  # to see what is read
    usage.close_day("acme", DAY_START)
    assert len(read) == 1 + 4 * 2  # the placeholder, and the hours
    table.query = query  # type: ignore[method-assign]  # seen
    assert usage.read("acme", DAY_START, None, NOON).slots.keys() == set("abcd")


def test_a_day_of_every_aggregation_is_what_its_hours_are(table: Table) -> None:
    usage = Usage(table)
    tallies = [
        Tally(1, Decimal(hour), Decimal(2), Decimal(-hour), Decimal(hour), (hour, "x", Decimal(hour)), frozenset("ab"))
        for hour in range(24)
    ]
    for hour, tally in enumerate(tallies):
        put(usage, DAY_START + hour * HOUR, ({(DAY_START + hour * HOUR, EU): tally}, ()))
    usage.close_day("acme", DAY_START)
    measured = usage.read("acme", DAY_START, None, NOON)
    assert measured.slots == {"m": {(DAY_START, EU): reduce(merge_tallies, tallies)}}


def test_the_minutes_of_an_hour_are_merged_and_no_others(table: Table) -> None:
    usage = Usage(table)
    hour = frame(NOON)
    for whose, minute, events in (
        (hour, "00", 1),
        (hour, "59", 2),
        (frame(NOON, "m1"), "00", 4),
        (frame(NOON + HOUR), "00", 8),
    ):
        usage.put_minute(whose, minute, {(NOON, EU): Tally(events=events)}, usage.minute(whose, minute))
    assert usage.minutes(hour) == {(NOON, EU): Tally(events=3)}
    assert usage.read("acme", NOON, None) == Measured()
    assert usage.hours("acme", "m", NOON, NOON + DAY) == []


def test_a_minute_without_anything_is_written_only_over_one_that_had_something(bench: Bench) -> None:
    usage, hour = Usage(bench.table), frame(NOON)
    for slots_, changes in (({}, 0), (slots(NOON), 1), ({}, 2), ({}, 2)):
        usage.put_minute(hour, "07", slots_, usage.minute(hour, "07"))
        assert bench.changes() == changes
    assert usage.minutes(hour) == {}


def test_who_read_a_minute_before_somebody_else_wrote_it_starts_over(table: Table) -> None:
    usage, hour = Usage(table), frame(NOON)
    read = usage.minute(hour, "07")
    usage.put_minute(hour, "07", slots(NOON, "2"), read)
    with pytest.raises(ConditionFailed):
        usage.put_minute(hour, "07", slots(NOON), read)


def test_an_hour_is_read_the_same_however_it_is_kept(table: Table) -> None:
    usage = Usage(table)
    minutes = Minutes(slots(NOON), {"31": slots(NOON, "4"), "32": {}})
    ways: list[tuple[Slots | Minutes, bool, str]] = [
        (minutes.whole, False, "whole"),
        (minutes, False, "inside"),
        (minutes.whole, True, "apart"),
    ]
    assert stored(usage).kept == "whole"
    for usage_, apart, kept in ways:
        assert usage.put(frame(NOON), usage_, (session(NOON),), stored(usage), NOON, apart=apart)
        assert stored(usage).kept == kept
        assert stored(usage).minutes() == (minutes if kept == "inside" else Minutes())
        assert stored(usage).running() == [session(NOON)]
        assert usage.read("acme", NOON, None) == Measured({"m": minutes.whole}, {"m": [session(NOON)]})
        assert not usage.put(frame(NOON), usage_, (session(NOON),), stored(usage), NOON, apart=apart)
