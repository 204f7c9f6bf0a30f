"""The larger a window, the longer between its refreshes; and nothing that is put off is left undone. Law 4.3."""

import json
from collections.abc import Callable
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from adapters import usage, windows
from adapters.items import integer
from adapters.queues import Queue
from handlers import aggregate
from metering import spreading
from metering.errors import Unavailable
from metering.events import Event
from metering.meters import Meter
from metering.segments import pack
from metering.times import DAY, HOUR, MINUTE, SECOND
from tests.handlers.street import NOW, Street, edge, queue_record, used
from tests.handlers.test_heavy_hours import PARTITION, add, event, head, measure, same_as_one_fold, uuid
from tests.rows import quick_of

LARGE = 1_000
"""Combinations of an hour that is large with `large`: it has parts, and is more than twice what a pause is for."""


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """A window is large sooner, so that a test need not fill one."""
    monkeypatch.setattr(windows, "MOST_BYTES", 20 * 1024)
    monkeypatch.setattr(spreading, "_PAUSE_BYTES", 5 * 1024)


@pytest.fixture
def hour(build: Callable[[], Street], large: None) -> tuple[Street, Meter, list[Event]]:  # noqa: ARG001 - makes it so
    """A large hour of the running day, its meter, and all its events."""
    street = build()
    meter = measure(street)
    known = [event(number, number % 60, dimensions=(("vm", uuid(number)),)) for number in range(LARGE)]
    add(street, *known)
    assert not street.delays
    assert street.items("Usage", "chunk"), "it is of parts"
    return street, meter, known


def batch(street: Street, *events: Event) -> dict[str, Any]:
    """Write events, and take the batch that aggregate gets of them."""
    assert street.events.add(pack(events)) == []
    records, street.streams["aggregate"] = street.streams["aggregate"], []
    return {"Records": records}


def late(number: int) -> Event:
    """One event more, of a combination that is there."""
    return event(100_000 + number, number, dimensions=(("vm", uuid(number)),))


def test_what_comes_to_a_large_hour_waits_and_is_refreshed_together(hour: tuple[Street, Meter, list[Event]]) -> None:
    street, meter, known = hour
    before = head(street)
    more = [late(number) for number in range(4)]
    for each in more:
        aggregate.handler(batch(street, each), None)
    assert head(street) == before
    assert street.queues["REFRESH"] == [{"partition": PARTITION, "minutes": [f"{number:02d}"]} for number in range(4)]
    # All of them for the same instant.
    assert len(set(street.delays)) == 1
    assert 0 < street.delays[0] <= 20
    street.deliver("REFRESH")
    assert head(street)["version"] == integer(before, "version") + 1
    same_as_one_fold(street, meter, known + more, [])


def test_the_neighbours_of_a_large_hour_do_not_wait(hour: tuple[Street, Meter, list[Event]]) -> None:
    street, _, _ = hour
    neighbour = event(7, 70)
    aggregate.handler(batch(street, late(1), neighbour), None)
    assert len(street.queues["REFRESH"]) == 1
    assert len(street.items("Usage", "window")) == 2


@pytest.mark.parametrize("why", ["asked for", "its day is over", "freshness", "grace"])
def test_a_large_hour_is_refreshed_at_once_where_nothing_may_wait(
    hour: tuple[Street, Meter, list[Event]], why: str
) -> None:
    street, meter, known = hour
    street.freshness_milliseconds = 0 if why == "freshness" else 5 * SECOND
    street.grace_milliseconds = 0 if why == "grace" else HOUR
    street.now += DAY if why == "its day is over" else 0
    aggregate.handler(batch(street, late(1)) | {"at_once": why == "asked for"}, None)
    assert not street.queues["REFRESH"]
    same_as_one_fold(street, meter, [*known, late(1)], [])


def test_a_refresh_waits_for_no_longer_than_half_the_grace(hour: tuple[Street, Meter, list[Event]]) -> None:
    street, _, _ = hour
    street.grace_milliseconds = 6 * SECOND
    for moment in range(20):
        street.now = NOW + moment * SECOND
        aggregate.handler(batch(street, late(moment)), None)
    assert set(street.delays) == {1, 2, 3}


def test_what_was_put_off_is_not_put_off_again_and_done_twice_changes_nothing(
    hour: tuple[Street, Meter, list[Event]],
) -> None:
    street, meter, known = hour
    records = batch(street, late(1))
    for _ in range(2):  # the batch comes again, as after a crash behind the message
        aggregate.handler(records, None)
    first, second = street.queues["REFRESH"]
    street.run("aggregate", [queue_record(first)])
    after = head(street)
    street.run("aggregate", [queue_record(second), queue_record(first)])
    assert head(street) == after
    assert len(street.delays) == 2
    same_as_one_fold(street, meter, [*known, late(1)], [])


def test_a_batch_that_cannot_be_put_off_comes_again(
    hour: tuple[Street, Meter, list[Event]], monkeypatch: pytest.MonkeyPatch
) -> None:
    street, meter, known = hour
    records = batch(street, late(1))

    def refuse(**_: object) -> Any:
        return {"Failed": [{"Id": "0"}]}

    full = Queue("REFRESH", SimpleNamespace(send_message_batch=refuse))  # type: ignore[arg-type]  # all that it calls
    with monkeypatch.context() as context:
        context.setattr(street, "queue", lambda _: full)
        with pytest.raises(Unavailable):
            aggregate.handler(records, None)
    aggregate.handler(records, None)
    street.flow()
    same_as_one_fold(street, meter, [*known, late(1)], [])


@pytest.mark.parametrize("seed", quick_of(range(6), 0, 1))
def test_whatever_is_put_off_and_delivered_when_an_hour_is_one_fold(
    build: Callable[[], Street], monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(spreading, "_PAUSE_BYTES", 8)
    random = Random(seed)  # noqa: S311 - no secret
    street = build()
    meter = measure(street)
    events = [event(number, number % 60, dimensions=(("vm", str(number % 7)),)) for number in range(900)]
    left = events[:]
    random.shuffle(left)
    while left:
        street.now += random.randrange(MINUTE)
        street.events.add(pack(left[:90]))
        del left[:90]
        street.flow(random)
    assert street.delays
    same_as_one_fold(street, meter, events, [])


@pytest.mark.usefixtures("large")
def test_the_end_of_a_session_never_waits(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spreading, "_PAUSE_BYTES", 8)
    street.post(*(edge("start", number % 50, vm=str(number)) for number in range(50)))
    street.flow()
    street.post(*(edge("stop", number % 50 + 5, vm=str(number)) for number in range(50)))
    street.flow()
    assert not street.delays
    assert street.usage.open_sessions("acme", "runtime") == []
    street.post(used("a"))
    street.flow()
    street.post(used("b"))
    street.flow()
    assert street.delays  # which is not for want of size


def test_an_hour_with_more_than_can_be_kept_is_parked_and_not_lost_and_its_neighbours_go_on(
    hour: tuple[Street, Meter, list[Event]], monkeypatch: pytest.MonkeyPatch
) -> None:
    street, meter, known = hour
    before = head(street)
    more = event(200_000, 7, dimensions=(("vm", uuid(200_000)),))
    with monkeypatch.context() as context:
        context.setattr(usage, "MOST_SLOTS", LARGE)
        for each in (more, late(1)):
            add(street, each, event(9, 70))
    (parked,) = {str(item["reason"]) for item in street.parked()}
    assert parked == f"an hour holds at most {LARGE} combinations of dimensions by quarter of an hour"
    assert {item["function"] for item in street.parked()} == {"aggregate"}
    assert street.items("Usage", "window")[0] == before
    assert len(street.items("Usage", "window")) == 2
    # Once there is room for it, what was parked is all it takes.
    for item in street.parked():
        record = json.loads(str(item["record"]))
        aggregate.handler({"Records": [record], "at_once": True}, None)
        street.outbox.unpark(item)
    same_as_one_fold(street, meter, [*known, more, late(1)], [])


def test_the_records_of_an_hour_with_more_than_can_be_kept_are_parked_as_they_came(
    build: Callable[[], Street], monkeypatch: pytest.MonkeyPatch
) -> None:
    street = build()
    measure(street)
    monkeypatch.setattr(usage, "MOST_SLOTS", 500)
    records = batch(street, *(event(number, number % 60, dimensions=(("vm", uuid(number)),)) for number in range(999)))
    aggregate.handler(records, None)
    assert sum("dynamodb" in str(item["record"]) for item in street.parked()) == len(records["Records"]) == 60
