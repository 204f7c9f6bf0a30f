"""Instants and durations. Inside, both are integers: milliseconds since 1970 in UTC, and milliseconds."""

import re
from datetime import UTC, datetime, timedelta

from metering.errors import Invalid

SECOND = 1_000
MINUTE = 60 * SECOND
QUARTER = 15 * MINUTE
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ]((?:[01]\d|2[0-3]):[0-5]\d:\d{2})(?:\.(\d+))?([Zz]|[+-]\d{2}:[0-5]\d)", re.ASCII
)
_DURATION = re.compile(r"(\d{1,12})(ms|s|m|h|d)", re.ASCII)
_UNITS = {"ms": 1, "s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}
BEYOND = 253_370_764_800_000
"""9999-01-01: instants from 1970 on and before it both RFC 3339 and all that is computed from them can carry."""

# Longer ones are slips of the pen, and an instant so far ahead would have more digits than its place in a key.
_LONGEST = 36_500 * DAY


def parse_time(value: object) -> int:
    """Read an instant that can be computed with: see `parse_any_time`.

    Raises:
        Invalid: it is none, or lies outside the years 1970 to 9998.
    """
    instant = parse_any_time(value)
    if not 0 <= instant < BEYOND:
        raise Invalid("must lie between the years 1970 and 9998")
    return instant


def parse_any_time(value: object) -> int:
    """Read RFC 3339 with an offset, or integer epoch milliseconds; digits below a millisecond are cut.

    It may lie at any time, so that who looks at it can say that it is too early or too late.

    Raises:
        Invalid: it is neither.
    """
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise Invalid("must be an RFC 3339 time with an offset, or epoch milliseconds")
    return value if isinstance(value, int) else _from_text(value)


def _from_text(written: str) -> int:
    match = _TIME.fullmatch(written)
    if not match:
        raise Invalid("must be an RFC 3339 time with an offset, such as 2026-11-20T16:00:00Z")
    day, time, fraction, offset = match.groups()
    # A leap second has no millisecond of its own: it is counted with the last one of its minute.
    leap = time.endswith(":60")
    try:
        moment = datetime.fromisoformat(
            f"{day}T{time[:-2] + '59' if leap else time}{'+00:00' if offset in 'Zz' else offset}"
        )
    except ValueError:
        raise Invalid("is not a time that exists") from None
    milliseconds = 999 if leap else int(f"{fraction or '':0<3}"[:3])
    return (moment - _EPOCH) // timedelta(milliseconds=1) + milliseconds


def format_time(instant: int) -> str:
    """Write an instant in RFC 3339, UTC; milliseconds only where there are some."""
    written = (_EPOCH + timedelta(milliseconds=instant)).strftime("%Y-%m-%dT%H:%M:%S")
    milliseconds = instant % SECOND
    return f"{written}.{milliseconds:03d}Z" if milliseconds else f"{written}Z"


def parse_duration(value: object) -> int:
    """Read a duration of the configuration (`250ms`, `15m`, `35d`) into milliseconds.

    Raises:
        Invalid: it is not a whole number with one of the units ms, s, m, h, d, or is more than 36,500 days.
    """
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if not match:
        raise Invalid("must be a duration such as 250ms, 30s, 15m, 1h or 35d")
    milliseconds = int(match[1]) * _UNITS[match[2]]
    if milliseconds > _LONGEST:
        raise Invalid("must be at most 36500d")
    return milliseconds


def format_duration(milliseconds: int) -> str:
    """Write a duration with the largest unit that divides it."""
    for unit in ("d", "h", "m", "s"):
        if milliseconds and milliseconds % _UNITS[unit] == 0:
            return f"{milliseconds // _UNITS[unit]}{unit}"
    return f"{milliseconds}ms"


def floor(instant: int, unit: int) -> int:
    """Cut an instant to the start of its minute, quarter, hour or day (UTC)."""
    return instant - instant % unit


def hour_name(instant: int) -> str:
    """Name the hour of an instant as the keys of the tables do: `2026-11-20T16`."""
    return format_time(floor(instant, HOUR))[:13]


def hour_of_name(name: str) -> int:
    """Read back what `hour_name` wrote.

    Raises:
        Invalid: it is not the name of an hour.
    """
    return parse_time(f"{name}:00:00Z")
