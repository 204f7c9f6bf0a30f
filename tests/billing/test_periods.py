"""Law 5.8: local calendars, half-open, proof against changing clocks."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.periods import Calendar, Period, next_period, share, whole_period
from metering.times import format_time, parse_time

instants = st.integers(min_value=parse_time("1990-01-01T00:00:00Z"), max_value=parse_time("2060-01-01T00:00:00Z"))
zones = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Pacific/Apia", "America/Sao_Paulo", "Africa/Cairo"]
)
calendars = st.builds(
    Calendar,
    period=st.sampled_from(["month", "week", "day", "year"]),
    timezone=zones,
    anchor_day=st.integers(1, 31),
    starts_at=st.just(parse_time("1989-03-05T00:00:00Z")),
)


@pytest.mark.parametrize(
    ("unit", "zone", "anchor", "instant", "start", "end"),
    [
        ("month", "UTC", 1, "2026-11-20T16:00:00Z", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"),
        ("month", "UTC", 31, "2026-02-28T00:00:00Z", "2026-02-28T00:00:00Z", "2026-03-31T00:00:00Z"),
        ("month", "UTC", 31, "2028-02-28T23:59:59Z", "2028-01-31T00:00:00Z", "2028-02-29T00:00:00Z"),
        ("month", "UTC", 15, "2026-11-14T23:59:59.999Z", "2026-10-15T00:00:00Z", "2026-11-15T00:00:00Z"),
        ("month", "Europe/Berlin", 1, "2026-10-31T23:00:00Z", "2026-10-31T23:00:00Z", "2026-11-30T23:00:00Z"),
        ("month", "Europe/Berlin", 1, "2026-10-20T00:00:00Z", "2026-09-30T22:00:00Z", "2026-10-31T23:00:00Z"),
        ("month", "Asia/Kathmandu", 1, "2026-11-01T00:00:00Z", "2026-10-31T18:15:00Z", "2026-11-30T18:15:00Z"),
        ("week", "UTC", 1, "2026-11-20T16:00:00Z", "2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z"),
        ("week", "UTC", 7, "2026-11-21T16:00:00Z", "2026-11-15T00:00:00Z", "2026-11-22T00:00:00Z"),
        ("week", "UTC", 31, "2026-11-21T16:00:00Z", "2026-11-15T00:00:00Z", "2026-11-22T00:00:00Z"),
        ("day", "America/New_York", 1, "2026-11-01T12:00:00Z", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"),
        ("day", "America/New_York", 1, "2026-03-08T12:00:00Z", "2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z"),
        # Clocks in Cairo go from 00:00 to 01:00: the day begins at the first instant after the gap.
        ("day", "Africa/Cairo", 1, "2026-04-24T06:00:00Z", "2026-04-23T22:00:00Z", "2026-04-24T21:00:00Z"),
        # Clocks in Havana go from 01:00 back to 00:00: the first of the two midnights.
        ("day", "America/Havana", 1, "2026-11-01T12:00:00Z", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"),
        # Apia had no 30th of December 2011.
        ("day", "Pacific/Apia", 1, "2011-12-30T11:00:00Z", "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z"),
        # Toronto's clocks went from 23:30 to 00:30: midnight lies inside the gap.
        ("day", "America/Toronto", 1, "1974-04-28T12:00:00Z", "1974-04-28T05:00:00Z", "1974-04-29T04:00:00Z"),
        ("year", "UTC", 5, "2026-11-20T16:00:00Z", "2026-03-05T00:00:00Z", "2027-03-05T00:00:00Z"),
    ],
)
def test_an_instant_lies_in_the_period_of_its_local_calendar(
    unit: str, zone: str, anchor: int, instant: str, start: str, end: str
) -> None:
    calendar = Calendar(unit, zone, anchor, parse_time("1970-03-05T00:00:00Z"))  # type: ignore[arg-type]  # from a table
    period = whole_period(calendar, parse_time(instant))

    assert (format_time(period.start), format_time(period.end)) == (start, end)


@given(calendars, instants)
def test_periods_follow_one_another_without_gap_or_overlap(calendar: Calendar, instant: int) -> None:
    period = whole_period(calendar, instant)

    assert period.start <= instant < period.end
    assert whole_period(calendar, period.start) == period
    assert whole_period(calendar, period.end - 1) == period
    assert whole_period(calendar, period.end) == next_period(calendar, period.end)


def test_the_first_period_begins_at_starts_at_and_is_short() -> None:
    starts_at = parse_time("2026-11-16T00:00:00Z")
    calendar = Calendar("month", "UTC", 1, starts_at)
    period = next_period(calendar, starts_at)

    assert period == Period(starts_at, parse_time("2026-12-01T00:00:00Z"))
    assert share(period, whole_period(calendar, starts_at)) == Fraction(1, 2)


def test_after_a_change_of_calendar_the_next_period_runs_to_its_first_boundary() -> None:
    berlin = Calendar("month", "Europe/Berlin", 10, 0)

    assert next_period(berlin, parse_time("2026-11-01T00:00:00Z")).end == parse_time("2026-11-09T23:00:00Z")


@given(calendars, instants, instants)
def test_shares_of_cuts_sum_to_the_share_of_the_whole(calendar: Calendar, instant: int, cut: int) -> None:
    whole = whole_period(calendar, instant)
    middle = whole.start + cut % whole.length_milliseconds

    assert share(Period(whole.start, middle), whole) + share(Period(middle, whole.end), whole) == 1
