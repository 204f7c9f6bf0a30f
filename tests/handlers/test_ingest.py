"""POST /v1/events: good events are kept, each bad one told why, and nothing is said before it is durable."""

import base64
import gzip
import json
import zlib
from typing import Any

import pytest

from adapters.items import Item
from handlers import ingest
from metering.times import DAY, MINUTE
from tests.handlers.street import NOW, Street, edge, http_event, used

MEGABYTE = 1024 * 1024


def send(body: str | bytes, **headers: str) -> tuple[int, Any]:
    event = http_event("POST", "/v1/events", headers={name.replace("_", "-"): value for name, value in headers.items()})
    if isinstance(body, bytes):
        event |= {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}
    else:
        event["body"] = body
    answer = ingest.handler(event, None)
    return answer["statusCode"], json.loads(answer["body"])


def bomb(megabytes: int) -> bytes:
    """Gzip of so many blanks, of which one megabyte was packed: nobody reads as far as its checksum, which is wrong."""
    packer = zlib.compressobj(1, wbits=31)
    first, each = (packer.compress(b" " * MEGABYTE) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    return first + each * (megabytes - 1) + packer.flush()


def stored(street: Street) -> list[Item]:
    return street.items("Events", "usage", "edge")


@pytest.mark.parametrize(
    ("body", "headers", "accepted"),
    [
        (json.dumps(used("a")), {}, 1),
        (json.dumps([used("a"), edge("start")]), {}, 2),
        ("\n".join(json.dumps(used(name)) for name in "abc"), {"content_type": "application/x-ndjson"}, 3),
        (gzip.compress(json.dumps([used("a")]).encode()), {"content_encoding": "gzip"}, 1),
        (gzip.compress(json.dumps(used("a")).encode()), {"content_encoding": "GZIP", "content_type": "any/thing"}, 1),
        (json.dumps(used("a")).encode(), {"content_type": "application/octet-stream"}, 1),
    ],
    ids=["one", "batch", "ndjson", "gzip", "gzip-of-any-type", "base64"],
)
def test_a_body_is_read_as_its_headers_say(
    street: Street, body: str | bytes, headers: dict[str, str], accepted: int
) -> None:
    assert send(body, **headers) == (202, {"accepted": accepted, "rejected": []})
    assert bool(stored(street)) == bool(accepted)


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        ("", {}, 400, "invalid"),
        ("{", {}, 400, "invalid"),
        ("NaN", {}, 400, "invalid"),
        ("[" * 100_000, {}, 400, "invalid"),
        (b"\xff\xfe", {}, 400, "invalid"),
        (b"no gzip", {"content_encoding": "gzip"}, 400, "invalid"),
        (gzip.compress(json.dumps([used("a")]).encode())[:-9], {"content_encoding": "gzip"}, 400, "invalid"),
        (
            b"\xef\xbf\xbd" * 20,
            {"content_encoding": "gzip"},
            400,
            "invalid",
        ),  # what a proxy leaves of gzip read as text
        ("[" + "1," * 1000 + "1]", {}, 413, "too_large"),
        (json.dumps([used(str(number)) for number in range(1001)]), {}, 413, "too_large"),
        (json.dumps([used("a", note="x" * 5 * MEGABYTE)]), {}, 413, "too_large"),
        (gzip.compress(b" " * 5 * MEGABYTE), {"content_encoding": "gzip"}, 413, "too_large"),
        (bomb(500), {"content_encoding": "gzip"}, 413, "too_large"),
    ],
    # The bodies are large, and gzip writes the time into them: names that stay.
    ids=[
        *("empty", "cut", "nan", "deep", "binary", "no-gzip", "short-gzip", "broken-gzip"),
        *("many-rows", "many-events", "large-event", "large-gzip", "gzip-bomb"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_whole(
    street: Street, body: str | bytes, headers: dict[str, str], status: int, code: str
) -> None:
    told, answer = send(body, **headers)
    assert (told, answer["code"]) == (status, code)
    assert answer["status"] == status
    assert answer["detail"]
    assert stored(street) == []


REFUSED: list[tuple[dict[str, Any], str]] = [
    (used("x", meter="unheard-of"), "unknown_meter"),
    (used("x", customer="nobody"), "unknown_customer"),
    (used("x", timestamp=NOW - 35 * DAY - 1), "timestamp_too_old"),
    (used("x", timestamp=-1), "timestamp_too_old"),
    (used("x", timestamp="1969-12-31T23:59:59.999Z"), "timestamp_too_old"),
    (used("x", timestamp="0001-01-01T00:00:00+14:00"), "timestamp_too_old"),
    (used("x", timestamp=NOW + 5 * MINUTE + 1), "timestamp_in_future"),
    (used("x", timestamp="9999-12-31T23:59:59Z"), "timestamp_in_future"),
    (used("x", timestamp=10**40), "timestamp_in_future"),
    (edge("start", timestamp=-1), "timestamp_too_old"),
    ({name: value for name, value in used("x").items() if name != "value"}, "value_required"),
    (edge("start", type=None), "type_required"),
    (edge("start", dimensions={"memory_gb": "1"}), "session_dimension_missing"),
    (edge("start", dimensions={"vm": "1"}), "invalid"),
    (used("x", type="start"), "invalid"),
    (used("x", value="1e"), "invalid"),
    (used("x", unheard_of=1), "invalid"),
    (used("x", id="no spaces"), "invalid"),
]


@pytest.mark.parametrize(("event", "code"), REFUSED)
@pytest.mark.usefixtures("street")
def test_a_bad_event_is_told_its_code_and_its_neighbours_are_kept(event: dict[str, Any], code: str) -> None:
    status, answer = send(json.dumps([used("a"), event, used("b", 7)]))
    assert (status, answer["accepted"]) == (202, 2)
    (rejection,) = answer["rejected"]
    assert (rejection["index"], rejection["id"], rejection["code"]) == (1, event["id"], code)
    assert rejection["detail"]
    status, answer = send(json.dumps(event))
    assert (status, answer["accepted"], answer["rejected"][0]["code"]) == (400, 0, code)


@pytest.mark.parametrize(("body", "kind"), [
    ("[]", "application/json"), (" [ ] ", "application/json"), ("[]", "application/cloudevents-batch+json"),
    ("", "application/x-ndjson"), ("\n \r\n", "application/x-ndjson"),
])  # fmt: skip
def test_of_no_event_none_is_accepted(street: Street, body: str, kind: str) -> None:
    status, answer = send(body, content_type=kind)
    assert (status, answer["code"], answer["accepted"], answer["rejected"]) == (400, "invalid", 0, [])
    assert stored(street) == []


def test_events_at_the_very_edges_of_what_is_accepted_are(street: Street) -> None:
    edges = [used("old", timestamp=NOW - 35 * DAY), used("new", timestamp=NOW + 5 * MINUTE)]
    assert street.post(*edges)["statusCode"] == 202


def test_a_customer_that_ended_is_unknown_from_then_on(street: Street) -> None:
    street.does("PATCH", "/v1/customers/acme", {"ends_at": NOW})
    _, answer = send(json.dumps([used("before", timestamp=NOW - 1), used("after", timestamp=NOW)]))
    assert [(each["id"], each["code"]) for each in answer["rejected"]] == [("after", "unknown_customer")]


def test_what_is_sent_again_in_any_order_is_the_same_items(street: Street) -> None:
    events = [used("a"), used("b", value="1.50"), edge("start"), edge("stop", 9)]
    street.post(*events)
    before = stored(street)
    street.post(*events[::-1], *events)
    assert stored(street) == before
    assert len(before) == 3


@pytest.mark.usefixtures("street")
def test_a_thousand_events_are_taken_at_once() -> None:
    events = [used(f"e{number}", number % 60) for number in range(700)]
    events += [edge(kind, number % 60, str(number)) for number in range(150) for kind in ("start", "stop")]
    status, answer = send(json.dumps(events))
    assert (status, answer) == (202, {"accepted": 1000, "rejected": []})


def test_what_the_table_does_not_take_is_to_be_sent_again_and_only_that(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    table: Any = street.table("Events")
    put_many = table.put_many

    def reluctant(items: list[Item]) -> list[Item]:
        kept = [item for item in items if "#stop:" not in str(item["sk"]) and not str(item["sk"]).startswith("07")]
        kept = [item for item in kept if "1:stop" not in str(item["sk"])]
        put_many(kept)
        return [item for item in items if item not in kept]

    monkeypatch.setattr(table, "put_many", reluctant)
    sent = [used("a"), used("b", 7), used("c", 7, meter="unheard-of"), edge("start"), edge("stop", 9)]
    status, answer = send(json.dumps(sent))
    assert (status, answer["accepted"]) == (202, 2)
    assert [(each["index"], each["code"]) for each in answer["rejected"]] == [
        (1, "retry"),
        (2, "unknown_meter"),
        (4, "retry"),
    ]
    assert len(stored(street)) == 2
    event = http_event("POST", "/v1/events", json.dumps(used("b", 7)))
    refused = ingest.handler(event, None)
    assert (refused["statusCode"], refused["headers"]["retry-after"]) == (503, "1")


def test_a_meter_is_marked_as_used_before_its_first_event_is_stored(street: Street) -> None:
    assert not street.catalog.is_used("meters", "requests")
    send(json.dumps(used("x", value="broken")))
    assert not street.catalog.is_used("meters", "requests")
    street.post(used("a"))
    assert street.catalog.is_used("meters", "requests")
