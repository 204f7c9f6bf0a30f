"""The one idea, end to end: everything but the events is a function of the events.

Order, repetition, batches, records delivered twice and processes that end half-way change nothing that anybody reads.
"""

import json
import os
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.items import Item
from metering.times import MINUTE
from metering.window_items import pack_sessions, pack_slots
from tests.handlers.street import NOW, Crash, Street, edge, used
from tests.rows import deep

Build = Callable[[], Street]
DEEP = os.environ.get("HYPOTHESIS_PROFILE") == "deep"
tried = settings(
    max_examples=400 if DEEP else 25,
    deadline=None,
    derandomize=not DEEP,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
NOTHING = {pack_slots({}), pack_sessions([], ("vm",))}
LATER = "2026-12-01T02:00:00Z"

minutes = st.integers(0, 55)
events = st.lists(
    st.one_of(
        st.builds(
            used,
            st.sampled_from("abc"),
            minutes,
            st.sampled_from(["1", "2.5", "-1", "1e-9"]),
            revision=st.sampled_from([0, 0, 1]),
            void=st.sampled_from([False, False, False, True]),
        ),
        st.builds(
            edge,
            st.sampled_from(["start", "stop"]),
            minutes,
            st.sampled_from("12"),
            revision=st.sampled_from([0, 0, 1]),
            void=st.sampled_from([False, False, False, True]),
        ),
    ),
    min_size=1,
    max_size=10,
)


def windows(street: Street) -> list[tuple[Any, ...]]:
    """Keys and bytes of all windows that say anything; an emptied one only tells that something was once there."""
    found = street.items("Usage", "window", "open")
    return [(item["pk"], item["sk"], item["data"]) for item in found if item["data"] not in NOTHING]


def told(street: Street) -> dict[str, Any]:
    """All that the API tells about acme's usage and money."""
    paths = {
        "/v1/customers/acme/balance": {},
        "/v1/customers/acme/ledger": {},
        "/v1/customers/acme/credits": {},
        "/v1/usage": {"customer": "acme", "meter": "runtime", "window": "hour"},
        "/v1/sessions": {"customer": "acme", "meter": "runtime"},
        "/v1/invoices": {"customer": "acme"},
    }
    answers = {path: street.does("GET", path, query=query) for path, query in paths.items()}
    invoices = [street.does("GET", f"/v1/invoices/{row['id']}") for row in answers["/v1/invoices"]["rows"]]
    return {**answers, "draft": street.call("GET", "/v1/customers/acme/invoices/draft"), "invoices": invoices}


def begin(build: Build) -> Street:
    street = build()
    street.prepare(alerts=[{"key": "low", "kind": "balance_below", "threshold": "19"}])
    street.does("POST", "/v1/customers/acme/credits", {"id": "c", "amount": "20"})
    return street


@tried
@given(events, st.randoms(use_true_random=False))
def test_order_repetition_and_batches_change_nothing_that_anybody_reads(
    build: Build, sent: list[dict[str, Any]], random: Random
) -> None:
    plain = begin(build)
    plain.post(*sent)
    plain.flow()
    plain.minute()
    usage, answers = windows(plain), told(plain)
    plain.advance(LATER)
    later = told(plain)

    mixed = begin(build)
    again = [*sent, *random.choices(sent, k=len(sent))]
    random.shuffle(again)
    while again:
        size = random.randint(1, len(again))
        mixed.post(*again[:size])
        del again[:size]
        if random.random() < 0.5:
            mixed.flow(random)
    mixed.flow(random)
    mixed.minute()
    assert windows(mixed) == usage
    assert told(mixed) == answers
    mixed.advance(LATER)
    assert told(mixed) == later


def state(street: Street) -> dict[str, Any]:
    """Everything that is kept, but for how often it was written."""

    def known(item: Item) -> str:
        return str(sorted((name, value) for name, value in item.items() if name != "version"))

    return {
        "told": told(street),
        "windows": windows(street),
        "ledger": [known(item) for item in street.tables["Ledger"].all()],
        "announced": sorted({entry["Detail"] for entry in street.bus_entries}),
    }


def survive(step: Callable[[], object], street: Street) -> None:
    """Take a step; where the process ends, take it again."""
    try:
        step()
    except Crash:
        street.writes_left = None
        step()


def live_through(street: Street, writes_left: int | None, *, answer_lost: bool) -> int:
    """A story from the first event to the invoice, in which one write ends the process; returns how many there were."""
    first = [used("a", 3, "9"), used("b", 4), edge("start", 5), edge("stop", 35), edge("start", 36), edge("stop", 2)]
    second = [used("a", 3, "8", revision=1), edge("stop", 59), edge("start", 59, "2"), used("b", 4, "7")]
    steps: list[Callable[[], object]] = [
        lambda: street.post(*first),
        street.flow,
        lambda: street.post(*second),
        street.flow,
        lambda: street.advance("2026-11-20T17:00:00Z"),
        lambda: street.advance("2026-11-21T00:00:00Z"),
        lambda: street.advance("2026-12-01T00:30:00Z"),
        lambda: street.advance(LATER),
    ]
    street.answer_lost = answer_lost
    most = street.writes_left = 10_000 if writes_left is None else writes_left
    for step in steps:
        survive(step, street)
    return 0 if street.writes_left is None else most - street.writes_left


@pytest.mark.parametrize("every", [4, deep(1)])
@pytest.mark.parametrize("answer_lost", [False, True])
def test_a_process_that_ends_at_any_write_and_is_run_again_leaves_nothing_half_done(
    build: Build, answer_lost: bool, every: int
) -> None:
    """At every fourth write in the quick suite, and others where the answer is lost."""
    reference = begin(build)
    writes = live_through(reference, None, answer_lost=answer_lost)
    expected = state(reference)
    assert 40 < writes < 200
    assert expected["told"]["invoices"]
    for number in range(2 * answer_lost % every, writes, every):
        street = begin(build)
        assert live_through(street, number, answer_lost=answer_lost) == 0, "nothing crashed"
        assert state(street) == expected, f"after a crash at write {number}"


def test_a_record_that_cannot_be_processed_is_parked_whole_and_its_neighbours_go_on(build: Build) -> None:
    street = begin(build)
    street.post(used("good", 1, "4"), used("bad", -60, "5"), edge("start", 1), edge("stop", 31))
    segments = street.streams["aggregate"]
    (damaged,) = [each for each in segments if each["dynamodb"]["Keys"]["pk"]["S"].endswith("T14")]
    keys = damaged["dynamodb"]["Keys"]
    item = street.tables["Events"].get(keys["pk"]["S"], keys["sk"]["S"])
    assert item
    street.tables["Events"].put_many([{**item, "data": b"\xff damaged"}])
    street.flow()
    parked = street.parked()
    assert {str(each["function"]) for each in parked} == {"aggregate"}
    records = [json.loads(str(each["record"])) for each in parked]
    assert damaged in records
    answer = street.does("GET", "/v1/usage", query={"customer": "acme", "meter": "requests"})
    assert [row["quantity"] for row in answer["rows"]] == ["4"]
    assert street.does("GET", "/v1/customers/acme/balance")["balance"] == "16.75"


def test_nothing_is_finalised_while_a_record_waits_and_everything_once_it_is_gone(build: Build) -> None:
    street = begin(build)
    street.post(used("a", 1))
    street.flow()
    street.outbox.park("acme", "aggregate", {"any": "record"}, "damaged", NOW)
    street.advance(LATER)
    assert [row["status"] for row in told(street)["/v1/invoices"]["rows"]] == ["draft"]
    status, answer = street.call("POST", f"/v1/invoices/{told(street)['/v1/invoices']['rows'][0]['id']}/finalize")
    assert (status, answer["code"]) == (409, "record_parked")
    street.outbox.unpark(street.parked()[0])
    street.hour()
    assert [row["status"] for row in told(street)["/v1/invoices"]["rows"]] == ["paid"]


def test_a_schedule_that_has_nothing_to_do_writes_nothing(build: Build) -> None:
    street = begin(build)
    street.post(used("a", 1, "100"), edge("start", 5), edge("stop", 35))
    street.flow()
    street.advance(LATER)
    street.queues["COLLECT"].clear()
    before = [list(table.all()) for table in street.tables.values()]
    street.now += MINUTE
    street.minute()
    street.hour()
    assert [list(table.all()) for table in street.tables.values()] == before
    assert not street.queues["COLLECT"]
