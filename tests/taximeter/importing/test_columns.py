"""Rows become native events: fields from columns, from constants, and each value as JSON can say it."""

import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from metering.arrival import read_events
from metering.events import Event, Rejection
from taximeter.importing.columns import Columns
from taximeter.importing.sources import MOST_BYTES_OF_A_LINE, Damaged, Record


def event(record: Record, *mapped: str, constant: tuple[str, ...] = (), utc: bool = False) -> Any:
    line = Columns.of(mapped, constant, utc=utc).line(record)
    assert isinstance(line, bytes), line
    assert b"\n" not in line
    return json.loads(line)


def test_columns_named_as_the_fields_are_the_fields_and_others_are_not_looked_at() -> None:
    row = {"id": "e", "customer": "acme", "value": "1.50", "dimensions.region": "eu", "note": "x", "type": None}
    assert event(row) == {"id": "e", "customer": "acme", "value": "1.50", "dimensions": {"region": "eu"}}


def test_columns_are_mapped_and_constants_set() -> None:
    row = {"uuid": "e", "id": "row 1", "who": "acme", "zone": "eu", "n": "7"}
    mapped = ("id=uuid", "customer=who", "dimensions.region=zone", "value=n")
    assert event(row, *mapped, constant=("meter=requests", "dimensions.provider=aws", "revision=2")) == {
        "id": "e",
        "customer": "acme",
        "meter": "requests",
        "value": "7",
        "revision": 2,
        "dimensions": {"region": "eu", "provider": "aws"},
    }


@pytest.mark.parametrize(
    ("field", "value", "means"),
    [
        ("timestamp", "1795190400000", 1795190400000),
        ("timestamp", 1795190400000, 1795190400000),
        ("timestamp", "2026-11-20T16:00:00Z", "2026-11-20T16:00:00Z"),
        ("timestamp", datetime(2026, 11, 20, 17, tzinfo=timezone(timedelta(hours=1))), "2026-11-20T16:00:00Z"),
        ("timestamp", datetime(2026, 11, 20, 16, 0, 0, 123456, tzinfo=UTC), "2026-11-20T16:00:00.123456Z"),
        ("timestamp", datetime(2026, 11, 20, 16), "2026-11-20T16:00:00"),  # noqa: DTZ001 - as files hold it
        ("timestamp", date(2026, 11, 20), "2026-11-20"),
        ("value", "12", "12"),
        ("value", Decimal("1E+3"), "1000"),
        ("value", 0.1, 0.1),
        ("value", float("nan"), None),
        ("id", b"e-1", "e-1"),
        ("id", 7, "7"),
        ("customer", -7, "-7"),
        ("meter", 7.5, 7.5),
        ("id", True, True),
        ("revision", "3", 3),
        ("revision", "three", "three"),
        ("void", "TRUE", True),
        ("void", "0", False),
        ("void", "perhaps", "perhaps"),
        ("void", True, True),
        ("dimensions.d", True, {"d": "true"}),
        ("dimensions.d", 1.5, {"d": 1.5}),
        ("dimensions.d", None, None),
        ("dimensions.d", 15, {"d": "15"}),
        ("dimensions", {"a": 1, "b": None}, {"a": "1"}),
        ("dimensions", [("a", "x")], {"a": "x"}),
        ("dimensions", "no object", "no object"),
        ("dimensions", [1], [1]),
    ],
)
def test_a_value_is_what_it_means_in_its_field(field: str, value: object, means: object) -> None:
    name = "dimensions" if field.startswith("dimensions") else field
    assert event({field: value}).get(name) == means


@pytest.mark.parametrize(
    ("written", "means"),
    [
        ("2026-11-20 16:00:00", "2026-11-20 16:00:00Z"),
        (datetime(2026, 11, 20, 16, 0, 0, 5000), "2026-11-20T16:00:00.005000Z"),  # noqa: DTZ001 - as files hold it
        ("2026-11-20T16:00:00+01:00", "2026-11-20T16:00:00+01:00"),
        ("2026-11-20", "2026-11-20"),
    ],
)
def test_times_without_an_offset_are_utc_only_when_that_is_said(written: object, means: str) -> None:
    assert event({"timestamp": written}, utc=True)["timestamp"] == means


def test_a_line_stays_as_it_was_written_while_nothing_is_mapped() -> None:
    line = b'{"id": "e",\r"value": 1.50, "unheard_of": 1}'
    assert Columns().line(line) == line.replace(b"\r", b" ")
    assert Columns().line(b"{broken") == b"{broken"


def test_a_line_can_be_mapped_and_keeps_the_digits_of_its_numbers() -> None:
    line = (
        b'{"uuid": "e", "value": 1.5000000000000000001, "amount": 1E+2, "timestamp": 1795190400000, "customer": 7,'
        b' "dimensions": {"a": 1.50, "b": -0}, "zone": "eu"}'
    )
    assert Columns.of(["id=uuid", "dimensions.region=zone"], ["meter=m"]).line(line) == (
        b'{"id":"e","customer":7,"meter":"m","timestamp":1795190400000,'
        b'"dimensions":{"a":"1.50","b":"-0","region":"eu"},"value":1.5000000000000000001,"amount":1E+2}'
    )


@pytest.mark.parametrize("written", [b'{"id": %s}', b'{"dimensions": {"a": %s}}'])
def test_a_line_that_is_nested_deeply_is_told_or_sent(written: bytes) -> None:
    for depth in (*range(0, 900, 100), *range(900, 1_050)):
        line = Columns.of([], ["meter=m"]).line(written % (b"[" * depth + b"]" * depth))
        assert isinstance(line, Damaged) if depth > 1_000 else isinstance(line, bytes | Damaged)


def test_what_is_no_event_at_all_stays_json() -> None:
    for line in (b"{}", b'{"value": 1.5}', b'{"amount":1.5,"value":2e1}', b'{"dimensions":{}}'):
        sent = Columns.of([], [], utc=True).line(line)
        assert isinstance(sent, bytes)
        assert json.loads(sent) == {name: value for name, value in json.loads(line).items() if value}


NUMBERS = [
    ("0.12345678901234567", False), ("12345678901234567", False), ("1" * 200, False), ("1.5e-3", True), ("1e2", True),
    ("0.123456789012345", True), ('"0.12345678901234567"', True),
]  # fmt: skip


@pytest.mark.parametrize("mapping", [([], []), (["value=value"], []), ([], ["dimensions.region=eu"])])
@pytest.mark.parametrize(("number", "is_taken"), NUMBERS)
def test_a_number_is_taken_or_refused_as_the_api_does_whatever_is_mapped_beside_it(
    mapping: tuple[list[str], list[str]], number: str, is_taken: bool
) -> None:
    written = f'{{"id":"a","customer":"acme","meter":"m","timestamp":0,"value":{number},"amount":{number}}}'
    line = Columns.of(*mapping).line(written.encode())
    assert isinstance(line, bytes)
    (event,) = read_events(line, "application/x-ndjson")
    assert isinstance(event, Event) == is_taken, event


@pytest.mark.parametrize("name", ["id", "customer", "meter"])
def test_a_number_that_is_a_name_is_refused_in_json_whatever_is_mapped_beside_it(name: str) -> None:
    event = {"id": "a", "customer": "acme", "meter": "m", "timestamp": 0, "value": "1"}
    for number in (7, 7.5):
        line = Columns.of([], ["dimensions.region=eu"]).line(json.dumps(event | {name: number}).encode())
        assert isinstance(line, bytes)
        (told,) = read_events(line, "application/x-ndjson")
        assert isinstance(told, Rejection)
        assert told.detail.startswith(f"{name}: ")


@pytest.mark.parametrize("line", [b"{broken", b"[1]", b"7", b"\xff"])
def test_a_line_that_cannot_be_mapped_is_told(line: bytes) -> None:
    assert isinstance(Columns.of(["id=uuid"], []).line(line), Damaged)


def test_what_is_damaged_stays_so_and_what_no_request_could_hold_becomes_so() -> None:
    damaged = Damaged("x", "why")
    assert Columns().line(damaged) is damaged
    assert isinstance(Columns().line({"dimensions.d": "x" * MOST_BYTES_OF_A_LINE}), Damaged)


@pytest.mark.parametrize(
    ("mapped", "constant", "says"),
    [
        (["id"], [], "FIELD="),
        (["id="], [], "FIELD="),
        (["colour=red"], [], "fields are"),
        (["dimensions=x"], [], "fields are"),
        (["dimensions.=x"], [], "fields are"),
        (["id=a", "id=b"], [], "twice"),
        (["id=a"], ["id=b"], "both"),
    ],
)
def test_a_mapping_that_means_nothing_is_refused(mapped: list[str], constant: list[str], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Columns.of(mapped, constant)


def test_a_column_that_is_not_there_is_told_before_anything_is_sent() -> None:
    with pytest.raises(ValueError, match="zone"):
        Columns.of(["id=a", "dimensions.region=zone"], []).check(["a", "b"])
