"""Billing periods: local calendars as half-open intervals of milliseconds. Law 5.8, Fine print Periods."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

PeriodUnit = Literal["month", "week", "day", "year"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Period:
    """The instants from `start` up to and without `end`, in milliseconds."""

    start: int
    end: int

    @property
    def length_milliseconds(self) -> int:
        """The elapsed time between its ends: a day on which clocks change is shorter or longer."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Calendar:
    """What decides where periods of a customer begin.

    Attributes:
        period: how long they are.
        timezone: IANA name; a boundary is a local midnight there.
        anchor_day: the day of the month (of the week from Monday = 1, for weeks) on which they begin; where a month
            or week is too short for it, its last day.
        starts_at: the first instant that is charged; for years also what names the month.
    """

    period: PeriodUnit
    timezone: str
    anchor_day: int
    starts_at: int


def next_period(calendar: Calendar, start: int) -> Period:
    """The period that begins at `start`, wherever that is, and runs to the calendar's next boundary."""
    return Period(start, whole_period(calendar, start).end)


def whole_period(calendar: Calendar, instant: int) -> Period:
    """The calendar's own period around an instant, from boundary to boundary."""
    around = [_midnight(calendar.timezone, day) for day in _days_around(calendar, instant)]
    return Period(
        max(boundary for boundary in around if boundary <= instant),
        min(boundary for boundary in around if boundary > instant),
    )


def share(period: Period, whole: Period) -> Fraction:
    """How much of a whole period a short one is, in elapsed time."""
    return Fraction(period.length_milliseconds, whole.length_milliseconds)


def local_day(timezone: str, instant: int) -> Period:
    """The calendar day around an instant, for caps that count by day."""
    return whole_period(Calendar("day", timezone, 1, 0), instant)


def local_month(timezone: str, instant: int) -> Period:
    """The calendar month around an instant, for caps that count by month."""
    return whole_period(Calendar("month", timezone, 1, 0), instant)


def local_date(timezone: str, instant: int) -> date:
    """The day on the calendar of a time zone."""
    return _local(timezone, instant).date()


def _days_around(calendar: Calendar, instant: int) -> Iterator[date]:
    """Days on which periods near the instant begin: surely one at or before it and one after."""
    today = _local(calendar.timezone, instant).date()
    for step in range(-2, 3):
        if calendar.period == "day":
            yield today + timedelta(days=step)
        elif calendar.period == "week":
            monday = today - timedelta(days=today.weekday())
            yield monday + timedelta(days=7 * step + min(calendar.anchor_day, 7) - 1)
        elif calendar.period == "month":
            yield _anchored(today.year * 12 + today.month - 1 + step, calendar.anchor_day)
        else:
            month = _local(calendar.timezone, calendar.starts_at).month
            yield _anchored((today.year + step) * 12 + month - 1, calendar.anchor_day)


def _anchored(months: int, anchor_day: int) -> date:
    first = date(months // 12, months % 12 + 1, 1)
    following = date((months + 1) // 12, (months + 1) % 12 + 1, 1)
    return first + timedelta(days=min(anchor_day, (following - first).days) - 1)


@lru_cache(maxsize=4096)
def _midnight(timezone: str, day: date) -> int:
    """The first instant whose local time is that midnight or later: after a gap, the first of a repeated one."""
    zone = ZoneInfo(timezone)
    wanted = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - a local wall clock, on purpose
    # With fold=0 the offset is the earlier one: exact where midnight exists once or twice, late within a gap.
    latest = (wanted.replace(tzinfo=zone).astimezone(UTC) - _EPOCH) // _MILLISECOND
    if _local(timezone, latest).replace(tzinfo=None) == wanted:
        return latest
    earliest = (wanted.replace(tzinfo=zone, fold=1).astimezone(UTC) - _EPOCH) // _MILLISECOND
    while earliest < latest:
        middle = (earliest + latest) // 2
        if _local(timezone, middle).replace(tzinfo=None) >= wanted:
            latest = middle
        else:
            earliest = middle + 1
    return latest


def _local(timezone: str, instant: int) -> datetime:
    return (_EPOCH + timedelta(milliseconds=instant)).astimezone(ZoneInfo(timezone))
