"""Sessions that outlive days, their start edges, and what windows may still be written. Laws 4.5, 4.7 and 4.8."""

from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest

from adapters.items import Item, string
from metering.times import DAY, HOUR, MINUTE, QUARTER, floor, format_time, hour_of_name
from tests.handlers.street import METERS, NOW, Crash, Street, edge
from tests.rows import deep, quick_of

GB = 2
KEPT = 49 * DAY  # `accept_past` and fourteen days
LATE = 8 * HOUR + 7 * MINUTE  # when a day's tick comes, after its midnight


@pytest.fixture
def endless(street: Street) -> Street:
    """Machines may run for ever, and a wallet pays for them."""
    street.does("PUT", "/v1/meters/runtime", {key: value for key, value in METERS[1].items() if key != "max_duration"})
    street.does("POST", "/v1/customers/acme/credits", {"id": "c", "amount": "1000000"})
    street.flow()
    return street


class Watch:
    """When windows and facts were written, how old they were then at the most."""

    def __init__(self, street: Street) -> None:
        self.oldest = 0
        self._street = street
        for name in ("Usage", "Events"):
            table: Any = street.table(name)
            table.changes = self._looking(table.changes)

    def _looking(self, told: Callable[[Item | None, Item], None]) -> Callable[[Item | None, Item], None]:
        def look(old: Item | None, new: Item) -> None:
            self._look(new)
            told(old, new)

        return look

    def _look(self, new: Item) -> None:
        if new["kind"] in {"window", "open", "facts", "late", "day"}:
            named = string(new, "pk").split("#")[2] if new["kind"] == "facts" else string(new, "sk").split("#")[1]
            hour = hour_of_name(named if "T" in named else f"{named}T00")
            self.oldest = max(self.oldest, self._street.now - hour)


def used(street: Street, start: int, end: int) -> Decimal:
    query = {"customer": "acme", "meter": "runtime", "from": format_time(start), "to": format_time(end)}
    rows = street.does("GET", "/v1/usage", query=query)["rows"]
    return sum((Decimal(row["quantity"]) for row in rows), Decimal(0))


def sessions_begun(street: Street, start: int, end: int) -> int:
    query = {"customer": "acme", "meter": "runtime", "from": format_time(start), "to": format_time(end)}
    return sum(int(row["events"]) for row in street.does("GET", "/v1/usage", query=query)["rows"])


def live_on(street: Street, days: int) -> None:
    """Let days go by, each with its tick, which pokes, and what follows of it."""
    for _ in range(days):
        street.now = floor(street.now, DAY) + DAY + LATE
        street.minute()
        street.expire()


def crash(street: Street, written: int, work: Callable[[], None], answer_lost: bool) -> None:
    """Let a process end at one of its writes."""
    street.writes_left, street.answer_lost = written, answer_lost
    with suppress(Crash):
        work()
    street.writes_left = None


START = NOW - 30 * MINUTE


def post_at(street: Street, kind: str, at: int, **fields: Any) -> None:
    street.post(edge(kind, (at - NOW) // MINUTE + 60, **fields))
    street.flow()


def test_a_session_that_outlives_its_edge_is_billed_to_the_millisecond(endless: Street) -> None:
    street, days = endless, 52
    watch = Watch(street)
    post_at(street, "start", START)
    for day in range(days):
        live_on(street, 1)
        if day % 7 == 0 or day > days - 3:
            far = street.now + DAY
            assert used(street, START, far) == GB * (street.now - START)
            midnight = floor(street.now, DAY)
            assert used(street, midnight, far) == GB * (street.now - midnight)
            assert used(street, midnight - DAY, midnight) == GB * min(DAY, midnight - START)
            assert sessions_begun(street, START - HOUR, far) == 1
    assert not [item for item in street.items("Events", "edge") if ":start:" in str(item["sk"])]
    assert len(street.usage.open_sessions("acme", "runtime")) == 1
    stop = floor(street.now, MINUTE) - HOUR
    post_at(street, "stop", stop)
    assert used(street, START, street.now + DAY) == GB * (stop - START)
    live_on(street, 3)
    assert used(street, START, street.now + DAY) == GB * (stop - START)
    assert street.usage.open_sessions("acme", "runtime") == []
    assert watch.oldest <= KEPT
    assert not street.parked()
    # What the wallet paid is what was used: 1.25 for each gigabyte hour.
    balance = Decimal(street.does("GET", "/v1/customers/acme/balance")["balance"])
    assert abs(1_000_000 - balance - Decimal("1.25") * GB * (stop - START) / HOUR) < days  # rounded by invoice line


@pytest.mark.parametrize("late_days", [deep(1), deep(10), 34])
def test_a_stop_that_comes_weeks_late_takes_back_what_ran_since_and_touches_nothing_before_it(
    endless: Street, late_days: int
) -> None:
    street = endless
    post_at(street, "start", START)
    live_on(street, 52)
    watch = Watch(street)
    stop = floor(street.now, MINUTE) - late_days * DAY
    post_at(street, "stop", stop)
    live_on(street, 1)
    assert used(street, START, street.now + DAY) == GB * (stop - START)
    assert watch.oldest <= KEPT


@pytest.mark.parametrize("late_days", [deep(1), deep(34)])
def test_a_start_that_comes_weeks_late_ends_the_session_before_it_and_runs_on(endless: Street, late_days: int) -> None:
    street = endless
    post_at(street, "start", START)
    live_on(street, 52)
    watch = Watch(street)
    again = floor(street.now, MINUTE) - late_days * DAY
    post_at(street, "start", again)
    live_on(street, 2)
    far = street.now + DAY
    assert used(street, START, far) == GB * (street.now - START)
    assert sessions_begun(street, START - HOUR, far) == 2
    (running,) = street.usage.open_sessions("acme", "runtime")
    assert running.start == again
    assert watch.oldest <= KEPT


def test_what_a_late_edge_gave_a_later_one_takes_back(endless: Street) -> None:
    street = endless
    post_at(street, "start", START)
    live_on(street, 12)
    first = floor(street.now, MINUTE) - 3 * DAY
    post_at(street, "stop", first)
    assert used(street, START, street.now + DAY) == GB * (first - START)
    earlier = first - 5 * DAY
    post_at(street, "stop", earlier)
    assert used(street, START, street.now + DAY) == GB * (earlier - START)
    post_at(street, "stop", earlier, revision=1, void=True)
    assert used(street, START, street.now + DAY) == GB * (first - START)
    post_at(street, "stop", first, revision=1, void=True)
    assert used(street, START, street.now + DAY) == GB * (street.now - START)
    live_on(street, 2)
    assert used(street, START, street.now + DAY) == GB * (street.now - START)
    post_at(street, "start", START, revision=1, void=True)
    assert used(street, START - HOUR, street.now + DAY) == 0


def test_a_start_revised_after_days_counts_anew_from_its_beginning(endless: Street) -> None:
    street = endless
    post_at(street, "start", START)
    live_on(street, 5)
    post_at(street, "start", START, revision=1, dimensions={"vm": "1", "memory_gb": "3", "provider": "aws"})
    assert used(street, START, street.now + DAY) == 3 * (street.now - START)
    live_on(street, 2)
    assert used(street, START, street.now + DAY) == 3 * (street.now - START)


def test_a_start_that_ran_for_days_may_become_a_stop_while_another_edge_is_paired(endless: Street) -> None:
    street = endless
    post_at(street, "start", START - HOUR)
    post_at(street, "start", START)
    live_on(street, 3)
    street.post(edge("start", 0))
    waiting = street.streams.pop("pair")
    street.post(edge("start", 30, revision=1) | {"type": "stop"})
    street.run("pair", street.streams.pop("pair"))
    street.run("pair", waiting)
    street.flow()
    assert used(street, START - HOUR, street.now + DAY) == GB * HOUR
    rows = street.does("GET", "/v1/sessions", query={"customer": "acme", "meter": "runtime", "from": str(START - HOUR)})
    assert [row["closed_by"] for row in rows["rows"]] == ["stop", "start"]


@pytest.mark.parametrize("ahead", [1 * MINUTE, 5 * MINUTE])
@pytest.mark.parametrize("to_midnight", [2 * MINUTE, 8 * HOUR])
def test_a_stop_ahead_of_the_clock_counts_when_its_time_has_come(endless: Street, ahead: int, to_midnight: int) -> None:
    street = endless
    post_at(street, "start", START)
    street.now = floor(NOW, DAY) + DAY - to_midnight
    street.minute()
    stop = street.now + ahead
    post_at(street, "stop", stop)
    assert used(street, START, street.now + DAY) == GB * (street.now - START)
    assert len(street.usage.open_sessions("acme", "runtime")) == 1
    for passed, expected in ((ahead // 2, ahead // 2), (ahead, ahead), (ahead + 1, ahead), (HOUR, ahead), (DAY, ahead)):
        street.now = stop - ahead + passed
        assert used(street, START, street.now + DAY) == GB * (stop - ahead + expected - START)
        street.minute()
        assert used(street, START, street.now + DAY) == GB * (stop - ahead + expected - START)
    assert street.usage.open_sessions("acme", "runtime") == []
    rows = street.does("GET", "/v1/sessions", query={"customer": "acme", "meter": "runtime", "from": str(START)})[
        "rows"
    ]
    assert [(row["closed_by"], row["end"]) for row in rows] == [("stop", format_time(stop))]


def test_what_outlived_its_start_is_listed_once_also_while_its_stop_is_ahead_of_the_clock(endless: Street) -> None:
    street = endless
    post_at(street, "start", START)
    live_on(street, 52)
    stop = floor(street.now, MINUTE) + 4 * MINUTE
    post_at(street, "stop", stop)
    for _ in range(3):
        query = {"customer": "acme", "meter": "runtime"}
        (row,) = street.does("GET", "/v1/sessions", query=query)["rows"]
        assert row["status"] == ("open" if street.now < stop else "closed")
        street.now += 2 * MINUTE
        street.minute()


@pytest.mark.parametrize("days", [8, deep(20)])
def test_many_machines_for_weeks_are_read_right_at_any_moment_and_paid(endless: Street, days: int) -> None:
    street = endless
    starts = {f"m{number}": START + number * 47 * MINUTE for number in range(7)}
    ends: dict[str, int] = {}

    def right() -> None:
        expected = sum(max(0, min(street.now, ends.get(vm, street.now)) - start) for vm, start in starts.items())
        assert used(street, START, street.now + DAY) == GB * expected
        paid = 1_000_000 - Decimal(street.does("GET", "/v1/customers/acme/balance")["balance"])
        assert abs(paid - Decimal("1.25") * GB * expected / HOUR) < 1

    for vm, start in starts.items():
        street.now = max(street.now, start)
        post_at(street, "start", start, vm=vm)
    right()
    for day in range(days):
        street.now = floor(street.now, DAY) + DAY + (day * 5 % 24) * HOUR + day * QUARTER // 7
        right()  # before anything was poked
        street.minute()
        right()
        if day % 3 == 1:
            vm = f"m{day // 3}"
            ends[vm] = floor(street.now, MINUTE) - (day % 2) * 30 * HOUR
            post_at(street, "stop", ends[vm], vm=vm)
            right()
    assert not street.parked()


@pytest.mark.parametrize("written", quick_of([0, 1, 2, 3, 4, 5, 7, 9], 1, 3, 5))
@pytest.mark.parametrize("answer_lost", [False, True])
def test_a_process_that_ends_while_it_counts_a_day_and_is_run_again_counts_it_once(
    endless: Street, written: int, answer_lost: bool
) -> None:
    street = endless
    post_at(street, "start", START)
    live_on(street, 3)
    street.now += DAY
    crash(street, written, street.minute, answer_lost)
    street.flow()
    assert used(street, START, street.now + DAY) == GB * (street.now - START)
    live_on(street, 1)
    assert used(street, START, street.now + DAY) == GB * (street.now - START)
    stop = floor(street.now, MINUTE) - 2 * DAY
    street.post(edge("stop", (stop - NOW) // MINUTE + 60))
    crash(street, written, street.flow, answer_lost)
    street.flow()
    assert used(street, START, street.now + DAY) == GB * (stop - START)
    assert street.usage.open_sessions("acme", "runtime") == []
