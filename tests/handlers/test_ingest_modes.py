"""POST /v1/events as others send it: CloudEvents, packed in pieces, to a table that is too busy."""

import base64
import gzip
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from handlers import ingest
from metering.times import format_time
from tests.handlers.street import Street, http_event, used

MEGABYTE = 1024 * 1024
GOOD = json.dumps([used("a")]).encode()


def answer_to(body: bytes, headers: dict[str, str]) -> Any:
    packed = {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}
    return ingest.handler(http_event("POST", "/v1/events", headers=headers) | packed, None)


def send(body: bytes, headers: dict[str, str]) -> tuple[int, Any]:
    answer = answer_to(body, headers)
    return answer["statusCode"], json.loads(answer["body"])


def cloud_event(native: dict[str, Any]) -> dict[str, Any]:
    data = {name: native[name] for name in ("value", "dimensions") if name in native}
    named = {"id": native["id"], "subject": native["customer"], "type": native["meter"]}
    time = format_time(native["timestamp"])
    return {"specversion": "1.0", "source": "here", **named, "time": time, "data": data}


def test_an_event_in_each_mode_is_the_same_item(street: Street) -> None:
    street.post(used("a"))
    before = street.items("Events", "usage")
    row = cloud_event(used("a"))
    attributes = {f"ce-{name}": value for name, value in row.items() if name != "data"}
    told = {"accepted": 1, "rejected": []}
    for body, headers in (
        (row, {"content-type": "application/cloudevents+json"}),
        ([row], {"content-type": "application/cloudevents-batch+json; charset=utf-8"}),
        (row["data"], {"content-type": "application/json", **attributes}),
        (row["data"], attributes),
    ):
        sent = json.dumps(body).encode()
        assert send(sent, headers) == (202, told)
        assert send(gzip.compress(sent), {**headers, "content-encoding": "gzip"}) == (202, told)
    assert street.items("Events", "usage") == before


def test_the_cloud_events_of_a_batch_have_verdicts_of_their_own(street: Street) -> None:
    rows = [
        cloud_event(used("a")),
        cloud_event(used("b", meter="unheard-of")),
        cloud_event(used("c")) | {"time": "never"},
        cloud_event({name: value for name, value in used("d").items() if name != "value"}),
    ]
    status, told = send(json.dumps(rows).encode(), {"content-type": "application/cloudevents-batch+json"})
    assert (status, told["accepted"]) == (202, 1)
    assert [(each["index"], each["id"], each["code"]) for each in told["rejected"]] == [
        (1, "b", "unknown_meter"),
        (2, "c", "invalid"),
        (3, "d", "value_required"),
    ]
    assert len(street.items("Events", "usage")) == 1


def test_gzip_in_several_pieces_is_read_to_its_end(street: Street) -> None:
    lines = [json.dumps(used(name)).encode() + b"\n" for name in "abc"]
    headers = {"content-type": "application/x-ndjson", "content-encoding": "gzip"}
    pieces = b"".join(gzip.compress(line) for line in lines)
    assert send(pieces, headers) == (202, {"accepted": 3, "rejected": []})
    assert send(pieces + b"\0" * 9, headers)[0] == 202
    assert street.items("Events", "usage")


@pytest.mark.parametrize(
    ("body", "encoding", "status"),
    [
        (gzip.compress(GOOD) + gzip.compress(b" ")[:-1], "gzip", 400),
        (gzip.compress(GOOD) + b"more", "gzip", 400),
        (gzip.compress(GOOD)[:-8] + b"\0" * 8, "gzip", 400),
        (gzip.compress(b" " * 3 * MEGABYTE) * 2, "gzip", 413),
        (gzip.compress(b"") * 100_000 + gzip.compress(GOOD), "gzip", 202),
        (GOOD, "br", 400),
        (GOOD, "deflate, gzip", 400),
        (GOOD, "identity", 202),
        (gzip.compress(GOOD), "X-GZip", 202),
    ],
    ids=["cut", "garbage", "checksum", "large", "empty-pieces", "br", "twice", "identity", "x-gzip"],
)
def test_a_packed_body_is_what_its_encoding_says_or_refused(
    street: Street, body: bytes, encoding: str, status: int
) -> None:
    assert send(body, {"content-encoding": encoding})[0] == status
    assert len(street.items("Events", "usage")) == (status == 202)


def client_error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code}}, "BatchWriteItem")


@pytest.mark.parametrize(
    "error",
    [
        client_error("ProvisionedThroughputExceededException"),
        client_error("ThrottlingException"),
        client_error("RequestLimitExceeded"),
        client_error("InternalServerError"),
        ReadTimeoutError(endpoint_url="https://dynamodb"),
        EndpointConnectionError(endpoint_url="https://dynamodb"),
    ],
)
@pytest.mark.parametrize("table", ["Events", "Catalog"])
def test_a_table_that_is_too_busy_or_silent_is_told_as_try_again(
    street: Street, monkeypatch: pytest.MonkeyPatch, error: Exception, table: str
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise error

    for name in ("put_many", "get_many", "query", "get"):
        monkeypatch.setattr(street.table(table), name, refuse)
    answer = answer_to(json.dumps(used("a")).encode(), {})
    assert (answer["statusCode"], answer["headers"]["retry-after"]) == (503, "1")
    assert json.loads(answer["body"])["code"] == "retry"


def test_what_is_our_own_mistake_is_not_told_as_try_again(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise client_error("AccessDeniedException")

    monkeypatch.setattr(street.table("Events"), "put_many", refuse)
    with pytest.raises(ClientError):
        street.post(used("a"))


def test_nothing_is_answered_while_an_event_is_not_durable(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    table: Any = street.table("Events")
    monkeypatch.setattr(table, "put_many", lambda items: items)
    answer = street.post(used("a"), used("b", 7))
    assert (answer["statusCode"], answer["headers"]["retry-after"]) == (503, "1")
    told = json.loads(answer["body"])
    assert [each["code"] for each in told["rejected"]] == ["retry", "retry"]
