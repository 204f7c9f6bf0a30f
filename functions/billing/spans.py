"""The windows in which usage is shown: minutes, local hours, and local days to years, cut to what was asked for."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from billing.periods import Calendar, Period, whole_period
from metering.times import DAY, HOUR, MINUTE, QUARTER, floor

SpanUnit = Literal["minute", "hour", "day", "week", "month", "year", "total"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
# A calendar of years begins them in the month of this instant: January, in every zone.
_IN_JANUARY = 15 * DAY


@dataclass(frozen=True, slots=True)
class Grid:
    """An interval and the windows that it is cut into.

    Attributes:
        unit: how long a window is; `total` is the whole interval, a week begins on Monday, a year in January.
        timezone: IANA name, whose hours and days they are.
        start: the first instant of the interval, in milliseconds; the first window may be short.
        end: where it ends, exclusive; the last window may be short.
    """

    unit: SpanUnit
    timezone: str
    start: int
    end: int

    @property
    def falls_on_days(self) -> bool:
        """Whether no window begins within a day of UTC, but where the interval does: whole days suffice to fill it."""
        return self.unit == "total" or (self.timezone == "UTC" and self.unit not in ("minute", "hour"))

    def at(self, instant: int) -> Period:
        """The window that holds an instant of the interval."""
        whole = self._whole(instant)
        return Period(max(whole.start, self.start), min(whole.end, self.end))

    def starts(self, instants: Iterable[int]) -> dict[int, int]:
        """Where the window of each of these instants of the interval starts."""
        found: dict[int, int] = {}
        window = Period(self.start, self.start)
        for instant in sorted(set(instants)):
            if instant >= window.end:
                window = self.at(instant)
            found[instant] = window.start
        return found

    def windows(self, first: int) -> Iterator[Period]:
        """The windows in order, from the one that holds `first`, to the end of the interval."""
        while first < self.end:
            window = self.at(first)
            yield window
            first = window.end

    def _whole(self, instant: int) -> Period:
        match self.unit:
            case "total":
                return Period(self.start, self.end)
            case "minute":
                return Period(floor(instant, MINUTE), floor(instant, MINUTE) + MINUTE)
            case "hour":
                return local_hour(self.timezone, instant)
            case unit:
                return whole_period(Calendar(unit, self.timezone, 1, _IN_JANUARY), instant)


def local_hour(timezone: str, instant: int) -> Period:
    """The instants around this one that have its local hour and its offset from UTC.

    An hour that clocks repeat is two windows, and where they change by half an hour some are shorter.
    """
    offset = _offset(timezone, instant)
    start = floor(instant + offset, HOUR) - offset
    end = start + HOUR
    while start < instant and _offset(timezone, start) != offset:
        start += QUARTER
    while end > instant + 1 and _offset(timezone, end - 1) != offset:
        end -= QUARTER
    return Period(min(start, instant), max(end, instant + 1))


def _offset(timezone: str, instant: int) -> int:
    local = (_EPOCH + timedelta(milliseconds=instant)).astimezone(ZoneInfo(timezone))
    return (local.utcoffset() or timedelta()) // _MILLISECOND
