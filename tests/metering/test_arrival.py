"""From bytes to events and verdicts: every fault told, every good neighbour kept, and nothing else ever raised."""

import contextlib
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.arrival import MOST_BYTES, MOST_EVENTS, event_from_json, read_events
from metering.errors import Invalid, TooLarge
from metering.events import Event, Rejection
from tests.metering.strategies import events

GOOD: dict[str, Any] = {"id": "e-1", "customer": "acme", "meter": "requests", "timestamp": "2026-11-20T16:00:00Z"}
NDJSON = "application/x-ndjson"


def body(*rows: object) -> bytes:
    return json.dumps(rows).encode()


def one(row: object) -> Event | Rejection:
    (read,) = read_events(json.dumps(row).encode())
    return read


def accepted(**fields: object) -> Event:
    read = one(GOOD | fields)
    assert isinstance(read, Event), read
    return read


def written(value: str) -> bytes:
    """A good event with a value exactly as written."""
    return json.dumps(GOOD)[:-1].encode() + f', "value": {value}}}'.encode()


def test_an_event_arrives_with_all_that_it_says() -> None:
    event = accepted(value="1.250", amount=3, revision=2, void=False, dimensions={"region": "eu", "cores": 4})
    assert event == Event(
        customer="acme",
        meter="requests",
        id="e-1",
        timestamp=1_795_190_400_000,
        value=Decimal("1.25"),
        amount=Decimal(3),
        revision=2,
        dimensions=(("cores", "4"), ("region", "eu")),
    )


@pytest.mark.parametrize(
    ("sent", "content_type"),
    [
        (json.dumps(GOOD), "application/json"),
        (f"\r\n\t {json.dumps(GOOD)} \n", "application/json; charset=utf-8"),
        (json.dumps([GOOD]), "application/json"),
        (f"  {json.dumps([GOOD])}", ""),
        ("\ufeff" + json.dumps(GOOD), "application/json"),
        (json.dumps(GOOD), NDJSON),
        (f"\n\n{json.dumps(GOOD)}\r\n\n", "application/x-ndjson; charset=utf-8"),
        (json.dumps(GOOD), "Application/X-NDJSON"),
    ],
)
def test_an_object_an_array_and_lines_are_the_same_event(sent: str, content_type: str) -> None:
    assert read_events(sent.encode(), content_type) == [accepted()]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"id": None}, "id"),
        ({"id": ""}, "id"),
        ({"id": 7}, "id"),
        ({"id": 1.5}, "id"),
        ({"id": "a#b"}, "id"),
        ({"id": "a\n"}, "id"),
        ({"id": "i" * 129}, "id"),
        ({"customer": 2.5}, "customer"),
        ({"customer": "ä"}, "customer"),
        ({"meter": ["requests"]}, "meter"),
        ({"meter": 0.1}, "meter"),
        ({"timestamp": None}, "timestamp"),
        ({"timestamp": "yesterday"}, "timestamp"),
        ({"timestamp": "2026-11-20T16:00:00"}, "timestamp"),
        ({"timestamp": 1.5}, "timestamp"),
        ({"timestamp": "0000-01-01T00:00:00Z"}, "timestamp"),
        ({"timestamp": True}, "timestamp"),
        ({"value": "ten"}, "value"),
        ({"value": True}, "value"),
        ({"value": [1]}, "value"),
        ({"value": "1e30"}, "value"),
        ({"value": 1234567890123456}, "value"),
        ({"amount": "1,5"}, "amount"),
        ({"type": "begin"}, "type"),
        ({"revision": -1}, "revision"),
        ({"revision": 1.5}, "revision"),
        ({"revision": "1"}, "revision"),
        ({"revision": True}, "revision"),
        ({"revision": 2**53}, "revision"),
        ({"void": "true"}, "void"),
        ({"void": 1}, "void"),
        ({"dimensions": []}, "dimensions"),
        ({"dimensions": "eu"}, "dimensions"),
        ({"dimensions": {"": "x"}}, "dimensions"),
        ({"dimensions": {"d" * 129: "x"}}, "dimensions"),
        ({"dimensions": {"region": None}}, "dimensions.region"),
        ({"dimensions": {"region": True}}, "dimensions.region"),
        ({"dimensions": {"region": ["eu"]}}, "dimensions.region"),
        ({"dimensions": {"region": "\ud800"}}, "dimensions.region"),
        ({"dimensions": {"\udfff": "eu"}}, "dimensions"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_broken_shape_is_refused_alone_and_says_where(fields: dict[str, Any], says: str) -> None:
    read = read_events(body(GOOD, GOOD | fields, GOOD | {"id": "e-2"}))
    assert [read[0], read[2]] == [accepted(), accepted(id="e-2")], "the neighbours are kept"
    refused = read[1]
    assert isinstance(refused, Rejection)
    assert (refused.index, refused.code) == (1, "invalid")
    assert says in refused.detail


def test_every_fault_of_an_event_is_told_at_once() -> None:
    refused = one({"id": "e-1", "meter": "a b", "timestamp": "never", "value": "x", "type": "y", "extra": 1})
    assert isinstance(refused, Rejection)
    assert refused.id == "e-1"
    assert all(f"{name}: " in refused.detail for name in ("customer", "meter", "timestamp", "value", "type", "extra"))


@pytest.mark.parametrize("row", [None, 1, 1.5, "text", [], [GOOD], True, {}])
def test_what_is_no_event_at_all_is_refused_alone(row: object) -> None:
    read = read_events(body(row, GOOD))
    assert isinstance(read[0], Rejection)
    assert read[1] == accepted()


@pytest.mark.parametrize(
    ("number", "means"),
    [
        ("0.1", "0.1"),
        ("1.10", "1.1"),
        ("123456789012.345", "123456789012.345"),
        ("0.000000000000000123456789012345", "0.000000000000000123456789012345"),
        ("1e2", "100"),
        ("-0", "0"),
        ("-0.0", "0"),
        ("100000000000000000000", "1e20"),
        ('"123456789012345678901234567890.1"', "123456789012345678901234567890.1"),
    ],
)
def test_a_json_number_counts_as_it_was_written(number: str, means: str) -> None:
    (event,) = read_events(written(number))
    assert isinstance(event, Event)
    assert event.value == Decimal(means)


@pytest.mark.parametrize("number", ["1234567890.123456", "0.1234567890123456", "1234567890123456", "1e400", "1e-400"])
def test_a_json_number_that_may_have_been_rounded_is_refused(number: str) -> None:
    (refused,) = read_events(written(number))
    assert isinstance(refused, Rejection)
    assert "value" in refused.detail


@pytest.mark.parametrize("digits", [100, 4_000, 5_000, 100_000])
def test_an_endless_integer_is_the_fault_of_its_event_alone(digits: int) -> None:
    read = read_events(b"[" + written("1" * digits) + b"," + written("1") + b"]")
    assert isinstance(read[0], Rejection)
    assert isinstance(read[1], Event)


@pytest.mark.parametrize(
    "number", ["1.50", "1e3", "12345678901234567890", "7", "0", "-0", "-0.0", "0.0", "-7", "1E+2", "1" * 200]
)
def test_numbers_among_the_dimensions_keep_their_text(number: str) -> None:
    sent = json.dumps(GOOD)[:-1] + f', "dimensions": {{"cores": {number}}}}}'
    for several in (sent, f"[{sent}]", f"[{sent},null]"):
        event = read_events(several.encode())[0]
        assert isinstance(event, Event)
        assert event.dimensions == (("cores", number),)


@pytest.mark.parametrize("field", ["value", "amount", "revision", "timestamp"])
def test_minus_zero_is_zero_where_a_number_is_meant(field: str) -> None:
    sent = json.dumps(GOOD | {field: 0})
    for zero in ("0", "-0"):
        written = sent.replace(f'"{field}": 0', f'"{field}": {zero}')
        for several in (written, f"[{written}]", f"[{written},null]"):
            assert read_events(several.encode())[0] == accepted(**{field: 0})


def test_the_quick_and_the_careful_path_read_the_same() -> None:
    row = GOOD | {"value": 5, "amount": "2.50", "dimensions": {"z": "1", "a": 10**18}, "type": None}
    quick = read_events(body(row))
    careful = read_events(body(row, None))[:1]
    assert quick == careful == read_events(json.dumps(row).encode())


@pytest.mark.parametrize(
    "sent",
    [
        *(b"", b" ", b"nonsense", b"{", b'{"id": }', b"[1,", b"[}", b'"', b"\xff\xfe", b"\x80abc", b"\x00"),
        *(b"NaN", b"[NaN]", b"[Infinity]", b'{"value": -Infinity}', b"[" * 100_000, b'{"a":' * 100_000),
        *(b"[" * 100_000 + b"]" * 100_000, b"{}{}", b'{"id": "\xed\xa0\x80'),
    ],
)
def test_a_body_that_is_no_json_is_refused_as_a_whole(sent: bytes) -> None:
    with pytest.raises(Invalid):
        read_events(sent)


def test_a_broken_line_is_refused_alone() -> None:
    good = json.dumps(GOOD).encode()
    read = read_events(b"\n".join([good, b"{broken", b"", good, b'{"id": NaN}', b"[" * 50_000]), NDJSON)
    assert [isinstance(each, Event) for each in read] == [True, False, True, False, False]
    assert [each.index for each in read if isinstance(each, Rejection)] == [1, 3, 4]


@pytest.mark.parametrize("depth", [50, 150, 250, 900, 20_000])
def test_deep_nesting_is_refused_and_never_more_than_that(depth: int) -> None:
    nested = b"[" * depth + b"]" * depth
    for sent in (nested, written(nested.decode()), b'{"a":' * depth + b"1" + b"}" * depth):
        for content_type in ("application/json", NDJSON):
            with contextlib.suppress(Invalid):
                assert all(isinstance(each, Rejection) for each in read_events(sent, content_type))


def test_a_thousand_events_are_taken_and_one_more_is_too_many() -> None:
    rows = [GOOD | {"id": f"e-{number}"} for number in range(MOST_EVENTS + 1)]
    lines = [json.dumps(row).encode() for row in rows]
    assert len(read_events(body(*rows[:-1]))) == len(read_events(b"\n".join(lines[:-1]), NDJSON)) == 1_000
    for sent, content_type in (
        (body(*rows), "application/json"),
        (body(*rows, None), "application/json"),
        (b"\n".join(lines), NDJSON),
        (b"x\n" * 1_001, NDJSON),
    ):
        with pytest.raises(TooLarge):
            read_events(sent, content_type)


def test_four_megabytes_are_taken_and_a_byte_more_is_too_large() -> None:
    sent = json.dumps(GOOD).encode()
    assert read_events(sent + b" " * (MOST_BYTES - len(sent))) == [accepted()]
    with pytest.raises(TooLarge):
        read_events(sent + b" " * (MOST_BYTES - len(sent) + 1))


@pytest.mark.parametrize("letter", ["a", "é", "€", "😀", '"', "\\", "\x01", "\n"])
def test_an_event_of_more_than_64_kilobytes_is_refused_and_one_below_is_not(letter: str) -> None:
    overhead = len(accepted(dimensions={"d": ""}).content().encode())
    bytes_each = len(json.dumps(letter, ensure_ascii=False).encode()) - 2
    most = (64 * 1024 - overhead) // bytes_each
    read = read_events(
        body(GOOD | {"dimensions": {"d": letter * most}}, GOOD | {"dimensions": {"d": letter * (most + 1)}})
    )
    assert isinstance(read[0], Event)
    assert isinstance(read[1], Rejection)
    assert "64 KB" in read[1].detail


@pytest.mark.parametrize(
    "row",
    [
        {"id": "\ud800"},
        {"id": "i" * 1_000_000},
        {"id": "e", "x" * 1_000_000: 1},
        {"\ud800": 1},
        {"id": "e", "dimensions": {"\ud800" * 9: None}},
        {"id": "e"} | {f"field-{number}": number for number in range(50_000)},
        {"id": "e", "dimensions": {f"d{number}": None for number in range(50_000)}},
    ],
)
def test_a_verdict_is_small_and_can_be_sent_whatever_was_wrong(row: object) -> None:
    refused = one(row)
    assert isinstance(refused, Rejection)
    assert len(json.dumps(refused.as_json(), ensure_ascii=False).encode()) < 10_000


@given(events())
def test_an_event_that_is_written_is_read_back_the_same(event: Event) -> None:
    assert event_from_json(event.as_json()) == event
    assert one(event.as_json()) == event
    assert read_events(body(event.as_json())) == [event]


def test_one_event_by_itself_is_read_or_refused() -> None:
    assert event_from_json(GOOD) == accepted()
    with pytest.raises(Invalid, match="customer"):
        event_from_json({"id": "e-1"})


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=9)
    | st.sampled_from(list(GOOD.values())),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=5) | st.sampled_from([*GOOD, "value", "dimensions", "void"]), inner, max_size=6
        )
    ),
    max_leaves=20,
)


def verdicts(sent: bytes, content_type: str) -> list[Event | Rejection]:
    """Read; what cannot be read may be refused whole, and nothing else may be raised. All can be sent back."""
    try:
        read = read_events(sent, content_type)
    except (Invalid, TooLarge):
        return []
    for each in read:
        json.dumps(each.as_json(), ensure_ascii=False).encode()
    return read


@given(st.binary(max_size=80) | st.text(alphabet='{}[]",:0123456789.eE-tfn\\u d8', max_size=60).map(str.encode))
def test_no_bytes_do_more_than_be_refused(sent: bytes) -> None:
    verdicts(sent, "application/json")
    verdicts(sent, NDJSON)


@given(anything, st.sampled_from(["application/json", NDJSON]), st.booleans())
def test_no_json_does_more_than_be_refused(sent: Any, content_type: str, ascii_only: bool) -> None:
    verdicts(json.dumps(sent, ensure_ascii=ascii_only).encode(errors="surrogatepass"), content_type)


@given(st.dictionaries(st.sampled_from([*GOOD, "value", "amount", "type", "revision", "void", "dimensions"]), anything))
def test_whatever_one_event_holds_its_neighbours_are_kept(fields: dict[str, Any]) -> None:
    sent = json.dumps([GOOD, GOOD | fields, GOOD | {"id": "e-2"}]).replace("NaN", "0").replace("Infinity", "0")
    first, _, last = read_events(sent.encode())
    assert [first, last] == [accepted(), accepted(id="e-2")]


@given(st.data())
def test_a_damaged_byte_never_turns_a_body_into_an_error_of_ours(data: st.DataObject) -> None:
    sent = bytearray(body(GOOD | {"value": 1.5, "dimensions": {"region": "eu"}}, GOOD))
    for _ in range(data.draw(st.integers(1, 3))):
        sent[data.draw(st.integers(0, len(sent) - 1))] = data.draw(st.integers(0, 255))
    verdicts(bytes(sent), "application/json")
