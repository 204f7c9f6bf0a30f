"""Dates as people read them, in a time zone: 30 November 2026, which no country reads as another day."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from metering.times import parse_time

_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def day(instant: str, timezone: str) -> str:
    """The local date of an instant."""
    return _date(_local(parse_time(instant), timezone))


def stretch(start: str, end: str, timezone: str) -> tuple[str, str]:
    """The first and the last day of a half-open stretch of time; with a time where it begins or ends within a day."""
    first, last = parse_time(start), parse_time(end)
    if first < last and _begins_a_day(last, timezone):
        return _moment(first, timezone), _date(_local(last - 1, timezone))
    return _moment(first, timezone), _moment(last, timezone)


def _local(instant: int, timezone: str) -> datetime:
    return (_EPOCH + timedelta(milliseconds=instant)).astimezone(ZoneInfo(timezone))


def _begins_a_day(instant: int, timezone: str) -> bool:
    """Whether it is the first instant of a local day: midnight, or where clocks skip that, what follows."""
    return _local(instant - 1, timezone).date() < _local(instant, timezone).date()


def _moment(instant: int, timezone: str) -> str:
    moment = _local(instant, timezone)
    return _date(moment) if _begins_a_day(instant, timezone) else f"{_date(moment)} {moment:%H:%M}"


def _date(moment: datetime) -> str:
    return f"{moment.day} {_MONTHS[moment.month - 1]} {moment.year}"
