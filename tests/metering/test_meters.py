"""Meters: which definitions are taken, and why the others are not. api.md, Catalogue."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from metering.errors import Invalid
from metering.faults import read_model
from metering.meters import Meter

SUM = {"key": "requests", "aggregation": "sum"}
UNIQUE = {"key": "users", "aggregation": "unique", "unique_by": "user_id"}
DURATION = {"key": "runtime", "aggregation": "duration", "session": ["vm"]}


@pytest.mark.parametrize(
    "body",
    [
        SUM,
        *({"key": "m", "aggregation": each} for each in ("count", "min", "max", "latest")),
        {**SUM, "name": "Requests", "unit": "requests", "dimensions": ["provider", "region"]},
        {**SUM, "key": "A-z_0.9:@|=+"},
        {**SUM, "key": "k" * 128},
        {**SUM, "unit": None, "unique_by": None, "session": [], "weight": None, "round_up": "1ms", "minimum": "0ms"},
        UNIQUE,
        {**UNIQUE, "unit": "users", "dimensions": ["user_id"]},
        DURATION,
        {**DURATION, "session": ["function_id", "invocation_id"], "weight": "memory_gb", "max_duration": "15m"},
        {**DURATION, "round_up": "1s", "minimum": "1m", "dimensions": ["vm"]},
    ],
)
def test_a_meter_that_fits_its_aggregation_is_taken(body: dict[str, Any]) -> None:
    Meter.model_validate(body)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"aggregation": "sum"}, "key"),
        ({"key": "m"}, "aggregation"),
        ({**SUM, "aggregation": "average"}, "aggregation"),
        ({**SUM, "key": ""}, "key"),
        ({**SUM, "key": "a#b"}, "key"),
        ({**SUM, "key": "a b"}, "key"),
        ({**SUM, "key": "a\n"}, "key"),
        ({**SUM, "key": "é"}, "key"),
        ({**SUM, "key": "k" * 129}, "key"),
        ({**SUM, "key": 7}, "key"),
        ({**SUM, "colour": "red"}, "colour"),
        ({**SUM, "name": None}, "name"),
        ({**SUM, "dimensions": "region"}, "dimensions"),
        ({**SUM, "dimensions": ["region", "region"]}, "twice"),
        ({**SUM, "dimensions": [""]}, "dimensions"),
        ({**SUM, "dimensions": ["d" * 129]}, "dimensions"),
        ({**SUM, "dimensions": [1]}, "dimensions"),
        ({**SUM, "dimensions": ["\ud800"]}, "dimensions"),
        ({**SUM, "unique_by": "user_id"}, "`unique_by` belongs to unique"),
        ({**SUM, "session": ["vm"]}, "`session` belongs to duration"),
        ({**SUM, "weight": "gb"}, "`weight` belongs to duration"),
        ({**SUM, "round_up": "1s"}, "`round_up` belongs to duration"),
        ({**SUM, "minimum": "1s"}, "`minimum` belongs to duration"),
        ({**SUM, "max_duration": "1s"}, "`max_duration` belongs to duration"),
        ({"key": "u", "aggregation": "unique"}, "needs `unique_by`"),
        ({**UNIQUE, "unique_by": ""}, "unique_by"),
        ({**UNIQUE, "session": ["vm"]}, "`session` belongs to duration"),
        ({"key": "d", "aggregation": "duration"}, "needs `session`"),
        ({**DURATION, "session": []}, "needs `session`"),
        ({**DURATION, "session": ["vm", "vm"]}, "twice"),
        ({**DURATION, "unit": "seconds"}, "leave `unit` out"),
        ({**DURATION, "unique_by": "vm"}, "`unique_by` belongs to unique"),
        ({**DURATION, "round_up": "0ms"}, "at least 1ms"),
        ({**DURATION, "max_duration": "0s"}, "above zero"),
        ({**DURATION, "minimum": "1.5s"}, "minimum"),
        ({**DURATION, "minimum": 5}, "minimum"),
        ({**DURATION, "minimum": "36501d"}, "minimum"),
        ({**DURATION, "round_up": None}, "round_up"),
    ],
)
def test_a_meter_that_contradicts_itself_is_refused_with_the_reason(body: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Meter.model_validate(body)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({**SUM, "unique_by": "u", "session": ["vm"], "weight": "gb"}, ["/session", "/weight", "/unique_by"]),
        ({**SUM, "name": 5, "round_up": "1s", "colour": "red"}, ["/name", "/colour", "/round_up"]),
        ({**DURATION, "session": [], "unit": "s", "round_up": "0ms"}, ["/session", "/unit", "/round_up"]),
        ({"key": "u", "aggregation": "unique", "dimensions": ["a", ""]}, ["/dimensions/1", "/unique_by"]),
        ({"aggregation": "mean", "weight": "gb"}, ["/key", "/aggregation"]),
    ],
)
def test_every_fault_of_a_meter_is_told_at_once_with_its_pointer(body: dict[str, Any], pointers: list[str]) -> None:
    with pytest.raises(Invalid) as refused:
        read_model(Meter, body)
    assert [fault.pointer for fault in refused.value.faults] == pointers


durations = st.integers(0, 10**6).map(lambda number: f"{number}s")


@given(
    st.sampled_from([SUM, UNIQUE, DURATION]),
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=9), unique=True, max_size=4),
    durations,
)
def test_a_meter_that_was_read_can_be_written_back(body: dict[str, Any], dimensions: list[str], minimum: str) -> None:
    extra = {"minimum": minimum} if body is DURATION else {}
    meter = Meter.model_validate({**body, "dimensions": dimensions, **extra})
    assert Meter.model_validate_json(meter.model_dump_json()) == meter
    assert Meter.model_validate(meter.model_dump(mode="json")) == meter
    assert Meter.model_validate_json(meter.model_dump_json(exclude_defaults=True)) == meter


def test_durations_are_milliseconds_inside_and_words_outside() -> None:
    meter = Meter.model_validate({**DURATION, "max_duration": "900s", "round_up": "1000ms"})
    assert (meter.max_duration, meter.round_up, meter.minimum) == (900_000, 1_000, 0)
    written = meter.model_dump(mode="json")
    assert (written["max_duration"], written["round_up"], written["minimum"]) == ("15m", "1s", "0ms")
