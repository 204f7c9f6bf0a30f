"""Instants and durations: what is read, what is refused, and that both survive being written."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.errors import Invalid
from metering.times import (
    DAY,
    HOUR,
    MINUTE,
    QUARTER,
    floor,
    format_duration,
    format_time,
    hour_name,
    hour_of_name,
    parse_duration,
    parse_time,
)

instants = st.integers(0, parse_time("9998-12-31T23:59:59.999Z"))


@pytest.mark.parametrize(
    ("sent", "means"),
    [
        ("2026-11-20T16:00:00Z", "2026-11-20T16:00:00Z"),
        ("2026-11-20t16:00:00z", "2026-11-20T16:00:00Z"),
        ("2026-11-20 16:00:00Z", "2026-11-20T16:00:00Z"),
        ("2026-11-20T16:00:00+02:00", "2026-11-20T14:00:00Z"),
        ("2026-11-20T16:00:00-05:30", "2026-11-20T21:30:00Z"),
        ("2026-11-20T16:00:00-00:00", "2026-11-20T16:00:00Z"),
        ("2026-11-20T16:00:00.5Z", "2026-11-20T16:00:00.500Z"),
        ("2026-11-20T16:00:00.1239999999999Z", "2026-11-20T16:00:00.123Z"),
        ("2026-11-20T16:00:00.000999Z", "2026-11-20T16:00:00Z"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.999Z"),
        ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z"),
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
        ("9998-12-31T23:59:59.999Z", "9998-12-31T23:59:59.999Z"),
        (0, "1970-01-01T00:00:00Z"),
        (1_795_190_400_123, "2026-11-20T16:00:00.123Z"),
    ],
)
def test_a_time_with_an_offset_or_epoch_milliseconds_is_read(sent: object, means: str) -> None:
    assert format_time(parse_time(sent)) == means


@pytest.mark.parametrize(
    "sent",
    [
        *("", "now", "2026-11-20", "16:00:00Z", "2026-11-20T16:00:00", "2026-11-20T16:00Z", "20261120T160000Z"),
        *("2026-13-01T00:00:00Z", "2026-02-29T00:00:00Z", "2026-11-31T00:00:00Z", "2026-00-01T00:00:00Z"),
        *("2026-11-20T24:00:00Z", "2026-11-20T16:60:00Z", "2026-11-20T16:00:61Z", "2026-11-20T16:00:00.Z"),
        *(
            "2026-11-20T16:00:00+24:00",
            "2026-11-20T16:00:00+05:60",
            "2026-11-20T16:00:00+05",
            "2026-11-20T16:00:00+0500",
        ),
        *("2026-11-20T16:00:00 Z", " 2026-11-20T16:00:00Z", "2026-11-20T16:00:00Z\n", "2026-W47-5T16:00:00Z"),
        *("٢٠٢٦-11-20T16:00:00Z", "0000-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "1969-12-31T23:59:59.999Z"),
        *("9999-01-01T00:00:00Z", "1970-01-01T00:00:00+00:01", "1795190400123"),
        *(-1, 253_370_764_800_000, 10**40, True, None, 1.0, [], {}, b"2026-11-20T16:00:00Z"),
    ],
)
def test_what_is_no_instant_is_refused(sent: object) -> None:
    with pytest.raises(Invalid):
        parse_time(sent)


@given(instants)
def test_an_instant_survives_being_written(instant: int) -> None:
    assert parse_time(format_time(instant)) == instant == parse_time(instant)


@given(st.integers(parse_time("1971-01-01T00:00:00Z"), parse_time("9998-01-01T00:00:00Z")), st.integers(-1439, 1439))
def test_the_offset_changes_the_writing_and_not_the_instant(instant: int, offset_minutes: int) -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=instant)
    local = moment.astimezone(timezone(timedelta(minutes=offset_minutes)))
    assert parse_time(local.isoformat(timespec="milliseconds")) == instant


@given(instants, instants)
def test_names_of_hours_sort_as_their_hours_do(one: int, other: int) -> None:
    assert (hour_name(one) < hour_name(other)) == (floor(one, HOUR) < floor(other, HOUR))
    assert hour_of_name(hour_name(one)) == floor(one, HOUR)


@pytest.mark.parametrize("name", ["", "2026-11-20", "2026-11-20T24", "2026-11-20T16:00", "x"])
def test_what_names_no_hour_is_refused(name: str) -> None:
    with pytest.raises(Invalid):
        hour_of_name(name)


@given(instants, st.sampled_from([MINUTE, QUARTER, HOUR, DAY]))
def test_an_instant_is_cut_to_the_last_boundary_not_after_it(instant: int, unit: int) -> None:
    cut = floor(instant, unit)
    assert cut % unit == 0
    assert cut <= instant < cut + unit


@pytest.mark.parametrize(
    ("written", "milliseconds"),
    [("0ms", 0), ("250ms", 250), ("30s", 30_000), ("15m", 900_000), ("1h", HOUR), ("35d", 35 * DAY), ("007s", 7_000)],
)
def test_a_duration_is_a_whole_number_and_a_unit(written: str, milliseconds: int) -> None:
    assert parse_duration(written) == milliseconds


@pytest.mark.parametrize(
    "written",
    ["", "15", "m", "1.5h", "-1s", "+1s", "1 h", "1H", "1w", "15m\n", "٣s", "36501d", "9" * 13 + "s", 15, None],
)
def test_what_is_no_duration_is_refused(written: object) -> None:
    with pytest.raises(Invalid):
        parse_duration(written)


@given(st.integers(0, 36_500 * DAY) | st.integers(0, 36_500).map(lambda days: days * DAY))
def test_a_duration_survives_being_written(milliseconds: int) -> None:
    if milliseconds < 10**12 or milliseconds % 1_000 == 0:  # at most twelve digits are read
        assert parse_duration(format_duration(milliseconds)) == milliseconds
