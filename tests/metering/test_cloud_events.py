"""CloudEvents in their three modes are the native event, or are refused with the names that their sender knows."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.arrival import MOST_EVENTS, read_events
from metering.errors import Invalid, TooLarge
from metering.events import Event, Rejection
from tests.metering.strategies import events

STRUCTURED = "application/cloudevents+json"
BATCHED = "application/cloudevents-batch+json"
DATA: dict[str, Any] = {"value": "1.25", "dimensions": {"region": "eu"}}
GOOD: dict[str, Any] = {
    "specversion": "1.0",
    "id": "e-1",
    "source": "/gateways/eu-1",
    "type": "requests",
    "subject": "acme",
    "time": "2026-11-20T16:00:00Z",
    "data": DATA,
}
NATIVE: dict[str, Any] = {
    "id": "e-1",
    "customer": "acme",
    "meter": "requests",
    "timestamp": "2026-11-20T16:00:00Z",
    **DATA,
}


def structured(row: object) -> Event | Rejection:
    (read,) = read_events(json.dumps(row).encode(), STRUCTURED)
    return read


def batched(*rows: object) -> list[Event | Rejection]:
    return read_events(json.dumps(rows).encode(), BATCHED)


def binary(attributes: dict[str, str], data: bytes = b"", content_type: str = "application/json") -> Event | Rejection:
    (read,) = read_events(data, content_type, {f"ce-{name}": value for name, value in attributes.items()})
    return read


def without(row: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}


@given(events())
def test_an_event_is_the_same_in_every_mode_and_as_the_native_one(event: Event) -> None:
    native = event.as_json()
    attributes: dict[str, Any] = {
        "specversion": "1.0",
        "source": "here",
        "id": event.id,
        "type": event.meter,
        "subject": event.customer,
        "time": native["timestamp"],
    }
    data = without(native, "id", "customer", "meter", "timestamp")
    packed = base64.b64encode(json.dumps(data).encode()).decode()
    assert structured(attributes | {"data": data}) == event
    assert structured(attributes | {"data_base64": packed}) == event
    assert batched(attributes | {"data": data}, attributes | {"data_base64": packed}) == [event, event]
    assert binary(attributes, json.dumps(data).encode()) == event


@pytest.mark.parametrize(
    "fields",
    [
        {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
        {"partitionkey": "p", "sequence": 7, "sampled": True, "dataschema": "https://example.com/schema"},
        {"datacontenttype": "application/json"},
        {"datacontenttype": "text/plain; of-no-interest"},
        {"time": "2026-11-20T17:00:00+01:00"},
    ],
)
def test_extension_attributes_and_labels_change_nothing(fields: dict[str, Any]) -> None:
    native = read_events(json.dumps(NATIVE).encode())
    assert [structured(GOOD | fields)] == batched(GOOD | fields) == native
    header = {name: str(value) for name, value in (without(GOOD, "data") | fields).items()}
    assert [binary(header, json.dumps(DATA).encode())] == native


def test_a_number_in_data_counts_as_it_was_written() -> None:
    written = json.dumps(GOOD).replace('"1.25"', "0.1")
    for sent, content_type in ((written, STRUCTURED), (f"[{written}]", BATCHED)):
        (event,) = read_events(sent.encode(), content_type)
        assert isinstance(event, Event)
        assert str(event.value) == "0.1"
    rounded = binary(without(GOOD, "data"), b'{"value": 1234567890.123456}')
    assert isinstance(rounded, Rejection)
    assert "data.value" in rounded.detail


@pytest.mark.parametrize("data", [{}, {"data": None}, {"data": {}}, {"data_base64": "e30="}])
def test_an_event_may_say_nothing_but_that_it_happened(data: dict[str, Any]) -> None:
    bare = without(GOOD, "data")
    native = read_events(json.dumps(without(NATIVE, *DATA)).encode())
    assert [structured(bare | data)] == batched(bare | data) == [binary(bare)] == [binary(bare, b" \n")] == native


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"specversion": 1.0}, "specversion"),
        ({"id": ""}, "id"),
        ({"id": 7}, "id"),
        ({"id": 1.5}, "id"),
        ({"source": ""}, "source"),
        ({"source": 1.5}, "source"),
        ({"type": "has space"}, "type"),
        ({"type": 1.5}, "type"),
        ({"subject": None}, "subject"),
        ({"subject": "ä"}, "subject"),
        ({"subject": 2.5}, "subject"),
        ({"time": None}, "time"),
        ({"time": "2026-11-20T16:00:00"}, "time"),
        ({"data": "text"}, "data"),
        ({"data": 1}, "data"),
        ({"data": [DATA]}, "data"),
        ({"data": {"colour": "red"}}, "data.colour"),
        ({"data": {"value": "ten"}}, "data.value"),
        ({"data": {"type": "begin"}}, "data.type"),
        ({"data": {"revision": -1}}, "data.revision"),
        ({"data": {"void": 1}}, "data.void"),
        ({"data": {"dimensions": {"region": None}}}, "data.dimensions.region"),
        ({"data_base64": "e30="}, "exclude"),
    ],
)
def test_a_broken_cloud_event_is_refused_alone_and_says_where(fields: dict[str, Any], says: str) -> None:
    good = structured(GOOD)
    for read in (batched(GOOD, GOOD | fields, GOOD), [good, structured(GOOD | fields), good]):
        assert [read[0], read[2]] == [good, good], "the neighbours are kept"
        refused = read[1]
        assert isinstance(refused, Rejection)
        assert refused.code == "invalid"
        assert says in refused.detail


@pytest.mark.parametrize("packed", ["not base64!", "e30", 7, base64.b64encode(b"{nope").decode(), "WzFd"])
def test_packed_data_that_is_no_object_is_refused(packed: object) -> None:
    refused = structured(without(GOOD, "data") | {"data_base64": packed})
    assert isinstance(refused, Rejection)
    assert "data_base64" in refused.detail


@pytest.mark.parametrize("name", ["specversion", "id", "source", "type", "subject", "time"])
def test_what_every_event_needs_is_missed_in_every_mode(name: str) -> None:
    row = without(GOOD, name)
    for refused in (structured(row), *batched(row), binary(without(row, "data"), json.dumps(DATA).encode())):
        assert isinstance(refused, Rejection)
        assert refused.detail == f"{name}: Field required"
        assert refused.id == row.get("id")


def test_every_fault_is_told_at_once_with_the_names_of_cloud_events() -> None:
    refused = structured({"specversion": "2", "id": "a b", "data": {"value": "x", "extra": 1}})
    assert isinstance(refused, Rejection)
    told = ("specversion: ", "id: ", "source: ", "type: ", "subject: ", "time: ", "data.value: ", "data.extra: ")
    assert all(name in refused.detail for name in told)


@pytest.mark.parametrize(
    ("written", "means"),
    [
        ("acme", "acme"),
        ("%61cme", "acme"),
        ("a%2Db", "a-b"),
        ('"acme"', "acme"),
        ('"ac\\me"', "acme"),
        ("a%3ab%7C", "a:b|"),
        ("a%", None),
        ("a%2", None),
        ("%25", None),
        ("%2561", None),
        ("%C3%A4", None),
        ("%FF", None),
        ('"', None),
        ("\ud800", None),
    ],
)
def test_the_value_of_a_header_is_unquoted_and_its_percents_undone_once(written: str, means: str | None) -> None:
    read = binary(without(GOOD, "data") | {"subject": written})
    assert (read.customer if isinstance(read, Event) else None) == means


@pytest.mark.parametrize(
    ("sent", "content_type", "headers"),
    [
        (b"{nope", STRUCTURED, {}),
        (b"", STRUCTURED, {}),
        (b"{nope", BATCHED, {}),
        (json.dumps(GOOD).encode(), BATCHED, {}),
        (b"<event/>", "application/cloudevents+xml", {}),
        (b"", "application/cloudevents", {}),
        (b"", "application/cloudevents-batch+avro", {}),
        (b"{nope", "application/json", {"ce-id": "e-1"}),
        (b"{}\n{}", "application/x-ndjson", {"ce-specversion": "1.0"}),
    ],
)
def test_a_request_that_is_in_no_mode_is_refused_as_a_whole(
    sent: bytes, content_type: str, headers: dict[str, str]
) -> None:
    with pytest.raises(Invalid):
        read_events(sent, content_type, headers)


def test_the_content_type_decides_before_the_headers() -> None:
    headers = {"ce-id": "other", "ce-specversion": "1.0"}
    assert read_events(json.dumps(GOOD).encode(), f"{STRUCTURED.upper()}; charset=UTF-8", headers) == [structured(GOOD)]
    assert read_events(json.dumps(NATIVE).encode(), "application/json", {"ce-other": "x"}) == [structured(GOOD)]


def test_data_in_the_headers_is_not_the_data() -> None:
    sent = without(GOOD, "data") | {"data": "{}", "data_base64": "e30="}
    assert binary(sent, json.dumps(DATA).encode()) == structured(GOOD)


def test_one_event_is_no_array_in_structured_mode() -> None:
    (refused,) = read_events(json.dumps([GOOD]).encode(), STRUCTURED)
    assert isinstance(refused, Rejection)


def test_a_thousand_events_are_a_batch_and_one_more_is_too_many() -> None:
    rows = [GOOD] * MOST_EVENTS
    assert len(batched(*rows)) == 1_000
    for row in (GOOD, None):
        with pytest.raises(TooLarge):
            batched(*rows, row)


def test_an_event_of_more_than_64_kilobytes_is_refused_in_every_mode() -> None:
    data = {"dimensions": {"d": "x" * 65_536}}
    row = GOOD | {"data": data}
    for read in (structured(row), *batched(row), binary(without(GOOD, "data"), json.dumps(data).encode())):
        assert isinstance(read, Rejection)
        assert "64 KB" in read.detail


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.sampled_from(["1.0", "acme"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5) | st.sampled_from([*GOOD, *DATA, "data_base64"]), inner, max_size=7)
    ),
    max_leaves=20,
)


def verdicts(sent: bytes, content_type: str, headers: dict[str, str] | None = None) -> list[Event | Rejection]:
    """Read; what cannot be read may be refused whole, and nothing else may be raised. All can be sent back."""
    try:
        read = read_events(sent, content_type, headers)
    except (Invalid, TooLarge):
        return []
    for each in read:
        json.dumps(each.as_json(), ensure_ascii=False).encode()
    return read


@given(anything, st.sampled_from([STRUCTURED, BATCHED]), st.booleans())
def test_no_json_in_a_cloud_event_does_more_than_be_refused(sent: Any, content_type: str, ascii_only: bool) -> None:
    verdicts(json.dumps(sent, ensure_ascii=ascii_only).encode(errors="surrogatepass"), content_type)


@given(
    st.dictionaries(st.sampled_from([*GOOD, "data_base64", "x"]), st.text(max_size=30) | st.sampled_from(["1.0"])),
    st.binary(max_size=60) | anything.map(lambda sent: json.dumps(sent).encode()),
)
def test_no_headers_do_more_than_be_refused(attributes: dict[str, str], sent: bytes) -> None:
    verdicts(sent, "application/json", {f"ce-{name}": value for name, value in attributes.items()})


@given(st.dictionaries(st.sampled_from([*GOOD, "data_base64"]), anything))
def test_whatever_one_cloud_event_holds_its_neighbours_are_kept(fields: dict[str, Any]) -> None:
    sent = json.dumps([GOOD, GOOD | fields, GOOD]).replace("NaN", "0").replace("Infinity", "0")
    first, _, last = read_events(sent.encode(), BATCHED)
    assert [first, last] == [structured(GOOD)] * 2


@given(st.data(), st.sampled_from([STRUCTURED, BATCHED]))
def test_a_damaged_cloud_event_never_becomes_an_error_of_ours(data: st.DataObject, content_type: str) -> None:
    sent = bytearray(json.dumps([GOOD, GOOD] if content_type == BATCHED else GOOD).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        sent[data.draw(st.integers(0, len(sent) - 1))] = data.draw(st.integers(0, 255))
    verdicts(bytes(sent), content_type)
