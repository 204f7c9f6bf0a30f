"""A batch is sent until every event of it is durable or refused, and given up where that is hopeless."""

import json
from collections.abc import Iterator
from threading import Timer

import pytest

from taximeter.importing.sending import Sender, Stopped
from tests.handlers.street import used
from tests.taximeter.importing.conftest import Answer, Deployment

GOOD = [json.dumps(used(name)).encode() for name in "abc"]


@pytest.fixture
def sender(deployment: Deployment) -> Iterator[Sender]:
    made = Sender(deployment.url, "tx_key", pause_seconds=0, attempts=5)
    yield made
    made.close()


def test_events_are_sent_packed_with_the_key_and_each_has_its_verdict(deployment: Deployment, sender: Sender) -> None:
    refused = sender.post([*GOOD, json.dumps(used("x", meter="unheard-of")).encode(), b"{broken", b"\xff"])
    assert {place: refusal.code for place, refusal in refused.items()} == {
        3: "unknown_meter",
        4: "invalid",
        5: "invalid",
    }
    assert [event.id for event in deployment.events()] == ["a", "b", "c"]
    (request,) = deployment.requests
    assert (request["path"], request["x-api-key"]) == ("/v1/events", "tx_key")
    assert request["content-encoding"] == "gzip"


def test_when_all_are_refused_each_still_has_its_verdict(sender: Sender) -> None:
    assert [refusal.code for refusal in sender.post([b"{", b"7"]).values()] == ["invalid", "invalid"]


def test_nothing_is_sent_for_nothing(deployment: Deployment, sender: Sender) -> None:
    assert sender.post([]) == {}
    assert deployment.requests == []


TRANSIENT: list[Answer] = [
    (429, {"retry-after": "0"}, b'{"message":"Too Many Requests"}'),
    (503, {"retry-after": "0", "content-type": "application/problem+json"}, b'{"status":503,"code":"retry"}'),
    (500, {}, b'{"message":"Internal Server Error"}'),
    (502, {"content-type": "text/html"}, b"<html>"),
    (504, {}, b""),
    (408, {}, b""),
]


@pytest.mark.parametrize("answer", TRANSIENT, ids=lambda answer: str(answer[0]))
def test_what_may_pass_is_tried_again(deployment: Deployment, sender: Sender, answer: Answer) -> None:
    deployment.before = lambda number: answer if number < 4 else None
    assert sender.post(GOOD) == {}
    assert len(deployment.requests) == 4
    assert len(deployment.events()) == 3


@pytest.mark.parametrize("lost", ["before", "after"])
def test_a_connection_that_breaks_is_made_again_and_nothing_counts_twice(
    deployment: Deployment, sender: Sender, lost: str
) -> None:
    def cut(number: int) -> None:
        if number < 3:
            raise ConnectionError

    setattr(deployment, lost, cut)
    assert sender.post(GOOD) == {}
    assert len(deployment.requests) == 3
    assert len(deployment.events()) == 3


def test_only_what_is_to_be_sent_again_is(
    deployment: Deployment, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = deployment.street.table("Events")
    put_many = table.put_many
    lines = [json.dumps(used(f"e{minute}", minute)).encode() for minute in range(5)]
    # Each time the table takes the first of what it is given: five requests, and patience begins anew with each.
    monkeypatch.setattr(table, "put_many", lambda items: put_many(items[:1]) + list(items[1:]))
    bad = json.dumps(used("x", meter="unheard-of")).encode()
    assert sender.post([lines[0], bad, *lines[1:]]).keys() == {1}
    assert len(deployment.events()) == 5
    assert len(deployment.requests) == 5


def test_patience_ends(deployment: Deployment, sender: Sender) -> None:
    deployment.before = lambda _: TRANSIENT[2]
    with pytest.raises(Stopped):
        sender.post(GOOD)
    assert len(deployment.requests) == 5


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ((401, {}, b'{"message":"Unauthorized"}'), "may not send"),
        ((403, {}, b'{"message":"Forbidden"}'), "may not send"),
        ((404, {}, b'{"message":"Not Found"}'), "404"),
        ((413, {}, b'{"code":"too_large","detail":"a request holds at most 4 MB"}'), "4 MB"),
        ((400, {}, b'{"detail":"not JSON"}'), "not JSON"),
        ((200, {}, b"<html>a page of somebody else</html>"), "no answer of Taximeter"),
        ((301, {"location": "https://elsewhere"}, b""), "301"),
        ((202, {}, b'{"accepted":2,"rejected":[]}'), "every event"),
        ((202, {}, b'{"accepted":2,"rejected":[{"index":7,"code":"invalid","detail":""}]}'), "every event"),
    ],
    ids=["401", "403", "404", "413", "400", "200", "301", "too-few", "elsewhere"],
)
def test_what_cannot_pass_stops_at_once(deployment: Deployment, sender: Sender, answer: Answer, says: str) -> None:
    deployment.before = lambda _: answer
    with pytest.raises(Stopped, match=says):
        sender.post(GOOD)
    assert len(deployment.requests) == 1


def test_a_pause_ends_when_all_is_to_end(deployment: Deployment) -> None:
    sender = Sender(deployment.url, "key", pause_seconds=60)
    deployment.before = lambda _: TRANSIENT[2]
    Timer(0.1, sender.halt.set).start()
    with pytest.raises(Stopped):
        sender.post(GOOD)
    sender.close()


@pytest.mark.parametrize("url", ["http://example.com", "ftp://127.0.0.1", "example.com", ""])
def test_the_key_is_never_sent_in_the_clear(url: str) -> None:
    with pytest.raises(ValueError, match="https"):
        Sender(url, "key")


@pytest.mark.parametrize("url", ["https://example.com/base", "http://127.0.0.1:4566/x", "http://a.localhost:1"])
def test_https_and_this_machine_are_fine(url: str) -> None:
    Sender(url, "key").close()
