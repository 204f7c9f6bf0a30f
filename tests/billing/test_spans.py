"""Windows in which usage is shown: local hours and days, whatever the clocks do."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.spans import Grid, local_hour
from metering.times import DAY, HOUR, MINUTE, QUARTER, floor, format_time, parse_time

ZONES = [
    *("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe"),
    *("America/St_Johns", "Pacific/Chatham", "America/Santiago", "Africa/Casablanca", "Pacific/Apia"),
]
UNITS: list[Any] = ["minute", "hour", "day", "week", "month", "year", "total"]


@pytest.mark.parametrize(("unit", "zone", "start", "end", "inside"), [
    ("hour", "UTC", "2026-11-20T16:15Z", "2026-11-20T18:00Z", "11-20T17:00"),
    ("hour", "Asia/Kathmandu", "2026-11-20T00:00Z", "2026-11-20T01:30Z", "11-20T00:15 11-20T01:15"),
    # The hour that New York repeats is two.
    ("hour", "America/New_York", "2026-11-01T05:00Z", "2026-11-01T08:00Z", "11-01T06:00 11-01T07:00"),
    # Lord Howe goes back by half an hour at 15:00Z, from 02:00 to 01:30, and on by as much at 15:30Z.
    ("hour", "Australia/Lord_Howe", "2026-04-04T14:00Z", "2026-04-04T16:30Z", "04-04T15:00 04-04T15:30"),
    ("hour", "Australia/Lord_Howe", "2026-10-03T14:30Z", "2026-10-03T17:00Z", "10-03T15:30 10-03T16:00"),
    # Days of 25 and of 23 hours; one that begins at one o'clock, as midnight does not exist.
    ("day", "Europe/Berlin", "2026-10-24T22:00Z", "2026-10-26T23:00Z", "10-25T23:00"),
    ("day", "Europe/Berlin", "2026-03-28T23:00Z", "2026-03-30T22:00Z", "03-29T22:00"),
    ("day", "America/Santiago", "2026-09-05T04:00Z", "2026-09-07T03:00Z", "09-06T04:00"),
    # The day that Samoa left out.
    ("day", "Pacific/Apia", "2011-12-29T10:00Z", "2011-12-31T10:00Z", "12-30T10:00"),
    ("week", "UTC", "2026-11-20T00:00Z", "2026-12-01T00:00Z", "11-23T00:00 11-30T00:00"),
    ("month", "Asia/Kolkata", "2026-11-20T00:00Z", "2027-01-05T00:00Z", "11-30T18:30 12-31T18:30"),
    ("year", "America/New_York", "2025-06-01T00:00Z", "2027-06-01T00:00Z", "01-01T05:00 01-01T05:00"),
    ("total", "UTC", "2025-06-01T00:00Z", "2027-06-01T00:00Z", ""),
])  # fmt: skip
def test_an_interval_is_cut_where_local_clocks_say(unit: Any, zone: str, start: str, end: str, inside: str) -> None:
    at = [parse_time(each.replace("Z", ":00Z")) for each in (start, end)]
    first, *rest = Grid(unit, zone, *at).windows(at[0])
    assert format_time(first.start)[:16] == start[:16]
    assert " ".join(format_time(window.start)[5:16] for window in rest) == inside


@given(st.sampled_from(UNITS), st.sampled_from(ZONES), st.integers(0, 40 * 365 * 24), st.integers(1, 60))
def test_windows_follow_on_each_other_from_the_first_instant_to_the_last(
    unit: Any, zone: str, hours: int, quarters: int
) -> None:
    start = parse_time("1990-01-01T00:00:00Z") + hours * HOUR
    grid = Grid(unit, zone, start, start + quarters * QUARTER)
    windows = list(grid.windows(start))
    assert [windows[0].start, *(each.end for each in windows)] == [*(each.start for each in windows), grid.end]
    for window in windows:
        assert {grid.at(window.start), grid.at(window.end - 1)} == {window}
    instants = list(range(start, grid.end, QUARTER))
    assert grid.starts(reversed(instants)) == {each: grid.at(each).start for each in instants}


@given(st.sampled_from(ZONES), st.integers(0, 40 * 365 * 24 * 60))
def test_a_local_hour_lies_on_quarters_and_is_never_longer_than_one(zone: str, minutes: int) -> None:
    instant = parse_time("1990-01-01T00:00:00Z") + minutes * MINUTE
    window = local_hour(zone, instant)
    assert window.start <= instant < window.end
    assert (window.start % QUARTER, window.end % QUARTER) == (0, 0)
    assert window.length_milliseconds <= HOUR


def test_a_window_that_holds_an_instant_is_found_without_the_others() -> None:
    start = parse_time("2026-11-20T16:15:00Z")
    grid = Grid("day", "UTC", start, start + 400 * DAY)
    assert next(grid.windows(start + 399 * DAY)).start == floor(start + 399 * DAY, DAY)
