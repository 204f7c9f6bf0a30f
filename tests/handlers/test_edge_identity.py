"""An edge is one event, whatever resource its versions belong to and whatever comes when. Laws 4.1 and 4.5."""

import itertools
import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import factorial
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from adapters.events import EdgeKey
from handlers import _door, _live, aggregate
from metering.sessions import resource_with
from metering.times import HOUR, MINUTE, format_time
from taximeter.scenario import read
from taximeter.simulate import simulate
from tests.handlers.street import METERS, NOW, Crash, Street, edge, used
from tests.rows import deep

Json = dict[str, Any]


def start(minutes: int = 5, vm: str = "1", **fields: Any) -> Json:
    return edge("start", minutes, vm, **{"id": "start"} | fields)


def stop(minutes: int = 35, vm: str = "1", **fields: Any) -> Json:
    return edge("stop", minutes, vm, **{"id": "stop"} | fields)


def bare(of: Json, revision: int = 1) -> Json:
    """A void that says no more than which event it is."""
    identity = {name: of[name] for name in ("id", "customer", "meter", "timestamp")}
    return identity | {"void": True, "revision": revision}


def sessions(street: Street) -> list[Json]:
    """Those that count, in the form of a simulation's."""
    query = {"customer": "acme", "meter": "runtime", "limit": "1000"}
    names = ("meter", "key", "start", "end", "closed_by", "quantity")
    rows = street.does("GET", "/v1/sessions", query=query)["rows"]
    return in_order({name: row[name] for name in names} for row in rows if row["closed_by"] != "orphan")


def usage(street: Street) -> list[Json]:
    query = {"customer": "acme", "meter": "runtime", "group_by": "provider", "to": format_time(NOW + HOUR)}
    rows = street.does("GET", "/v1/usage", query=query)["rows"]
    return [{"meter": "runtime"} | {name: row[name] for name in ("dimensions", "quantity", "events")} for row in rows]


def simulated(events: list[Json]) -> tuple[list[Json], list[Json]]:
    """The sessions and the usage of the pure function."""
    told = simulate(read(json.dumps({"meters": METERS, "customers": [{"id": "acme"}], "events": events, "now": NOW})))
    assert not told["rejected"]
    acme = told["customers"].get("acme", {"sessions": [], "usage": []})
    return in_order(acme["sessions"]), acme["usage"]


def in_order(rows: Any) -> list[Json]:
    return sorted(rows, key=lambda row: json.dumps(row, sort_keys=True))


def listed(street: Street, limit: int = 100) -> list[tuple[str, str, list[int]]]:
    """The edges that are listed: id, status and machine, and the revisions that were replaced."""
    found: list[Any] = []
    query = {"customer": "acme", "meter": "runtime", "limit": str(limit)}
    while True:
        answer = street.does("GET", "/v1/events", query=query)
        found += answer["rows"]
        if not answer["next"]:
            break
        query["next"] = answer["next"]
    return [
        (
            row["id"],
            f"{row['status']} {row['dimensions'].get('vm', '')}".strip(),
            [each.get("revision", 0) for each in row["superseded"]],
        )
        for row in found
    ]


def agrees(street: Street, sent: list[Json]) -> None:
    """The street tells what `simulate` says, and lists each edge once."""
    assert not street.parked()
    told = simulated(sent)
    assert (sessions(street), usage(street)) == told
    identities = {(each["id"], each["timestamp"]) for each in sent}
    assert len(listed(street, 2)) == len(listed(street)) == len(identities)


STORIES: dict[str, list[Json]] = {
    "a void of a start": [start(), stop(), bare(start())],
    "a void of a stop": [start(), stop(), bare(stop())],
    "a void of a start of revision 0": [start(), stop(), bare(start(), 0)],
    "a void with other session dimensions": [start(), stop(), start(5, "2", void=True)],
    "a void that comes to nothing": [bare(start())],
    "a void of what was voided": [start(), bare(start(), 1), bare(start(), 2)],
    "a start that moves": [start(), stop(), start(5, "2", revision=1)],
    "a stop that moves": [start(), start(10, "2", id="other"), stop(), stop(35, "2", revision=1)],
    "a start that moves and comes back": [start(), start(5, "2", revision=1), start(revision=2)],
    "a start that moves twice": [start(), start(5, "2", revision=1), start(5, "3", revision=2)],
    "a start that becomes another machine's stop": [
        start(0, "2", id="other"),
        start(),
        {**start(5, "2", revision=1), "type": "stop"},
    ],
    "a stop behind a start that moved": [start(0, id="other"), start(), start(5, "2", revision=1), stop()],
    "a stop before a start that moved": [start(0, id="other"), start(40), start(40, "2", revision=1), stop(50)],
    "a move that is voided": [start(), stop(), start(5, "2", revision=1), bare(start(), 2)],
    "a move that is voided too late": [start(), start(5, "2", revision=2), bare(start(), 1)],
    "a revival": [start(), stop(), bare(start(), 1), start(revision=2)],
    "a revival elsewhere": [start(), stop(35, "2"), bare(start(), 1), start(5, "2", revision=2)],
    "three contents of one revision": [start(revision=1), start(5, "2", revision=1), start(5, "3", revision=1)],
    "a move at the first instant of an hour": [start(0), stop(60), stop(60, "2", revision=1)],
    "two starts of one identity": [start(), start(5, "2"), stop(), stop(40, "2", id="other")],
    "two starts of one identity, and the loser again": [
        start(),
        start(5, "2"),
        start(dimensions={"vm": "1", "memory_gb": "4", "provider": "aws"}),
    ],
    "three starts of one identity": [start(), start(5, "2"), start(5, "3")],
    "two orphans of one identity": [stop(), stop(35, "2")],
    "two stops of one identity": [start(0), start(0, "2", id="o"), stop(), stop(35, "2")],
    "two stops of one identity, of sessions from different hours": [
        start(-70),
        start(0, "2", id="o"),
        stop(),
        stop(35, "2"),
    ],
    "two stops of one identity at the first instant of an hour": [
        start(-10),
        start(-70, "2", id="o"),
        stop(0),
        stop(0, "2"),
    ],
    "two stops of one identity, one of which ends nothing": [start(), stop(), stop(35, "2")],
    "three stops of one identity": [start(0), start(1, "2", id="o"), stop(), stop(35, "2"), stop(35, "3")],
    "a start and a stop of one identity": [start(0, "2", id="o"), start(id="x"), stop(5, "2", id="x")],
    "two pairs of one identity each, at the same instants": [
        start(5, id="a"),
        start(5, "2", id="a"),
        stop(35, id="a"),
        stop(35, "2", id="a"),
    ],
    "two starts of one identity that are voided": [start(), start(5, "2"), bare(start(), 0)],
    "two starts of one identity and a revision": [start(), start(5, "2"), start(5, "3", revision=1)],
    "two stops of one identity that are voided": [start(0), start(0, "2", id="o"), stop(), stop(35, "2"), bare(stop())],
    "two stops of one identity that move": [start(0), start(0, "2", id="o"), stop(), stop(35, "2", revision=1)],
}


@pytest.mark.parametrize("orders", [6, deep(24)])
@pytest.mark.parametrize("name", STORIES)
def test_whatever_arrives_first_the_version_that_holds_counts_and_no_other(
    build: Callable[[], Street], name: str, orders: int
) -> None:
    every = factorial(len(STORIES[name])) // orders | 1  # an odd step, so that all of it changes its place
    for order in itertools.islice(itertools.permutations(STORIES[name]), 0, None, every):
        street = build()
        street.prepare()
        for each in order:
            street.post(each)
            street.flow()
        agrees(street, list(order))


@pytest.mark.parametrize("name", STORIES)
def test_it_is_the_same_when_all_of_it_arrives_at_once(street: Street, name: str) -> None:
    street.post(*STORIES[name])
    street.flow()
    agrees(street, STORIES[name])
    street.post(*reversed(STORIES[name]))
    street.flow()
    agrees(street, STORIES[name])


BY_MINUTES = [(-1, 640), (-1, 0), (500, 640)]
"""Hours kept by their minutes: inside their item, apart, and once something came to them."""


@contextmanager
def alive(most_bytes: tuple[int, int] | None = None) -> Iterator[Street]:
    """A deployment; with `most_bytes` in hours that are kept by their minutes from the first fact on."""
    street = Street()
    with pytest.MonkeyPatch.context() as patch:
        if most_bytes:
            patch.setattr(aggregate, "_LIGHT_BYTES", most_bytes[0])
            patch.setattr(aggregate, "_MOST_BYTES_INSIDE", most_bytes[1])
        patch.setattr(_door.metrics.provider, "namespace", "Taximeter")
        patch.setattr(_live, "live", street)
        logging.disable(logging.CRITICAL)  # of every crash
        try:
            street.prepare()
            yield street
        finally:
            logging.disable(logging.NOTSET)


def in_hours_by_minutes() -> Iterator[Any]:
    """Every story in every such hour; in the quick suite each story in one of them."""
    for number, name in enumerate(STORIES):
        for kind, most_bytes in enumerate(BY_MINUTES):
            yield (name, most_bytes) if number % len(BY_MINUTES) == kind else deep(name, most_bytes)


@pytest.mark.parametrize(("name", "most_bytes"), list(in_hours_by_minutes()))
def test_it_is_the_same_in_hours_that_are_kept_by_their_minutes(name: str, most_bytes: tuple[int, int]) -> None:
    for order in (STORIES[name], STORIES[name][::-1]):
        with alive(most_bytes) as street:
            for each in order:
                street.post(each)
                street.flow()
            agrees(street, order)


def test_an_edge_is_noted_only_where_its_hour_is_kept_by_its_minutes_and_once(build: Callable[[], Street]) -> None:
    sent = [start(), stop(), start(1, "2"), stop(1, "2"), start(3, "3"), start(4, "3"), stop(50, "4")]
    light = build()
    light.prepare()
    light.post(*sent)
    light.flow()
    assert not light.items("Events", "sightings")
    with alive(BY_MINUTES[0]) as heavy:
        for _ in range(2):
            heavy.post(*sent)
            heavy.flow()
        assert [str(item["sk"])[:2] for item in heavy.items("Events", "sightings")] == ["35"]
        # Told again of the same sessions, the fold has nothing to note.
        resource = resource_with(("vm",), {"vm": "1"})
        heavy.events.poke(EdgeKey("acme", "runtime", resource, NOW - 55 * MINUTE), "again")
        before = len(heavy.items("Events", "facts"))
        heavy.flow()
        assert len(heavy.items("Events", "facts")) > before
        assert len(heavy.items("Events", "sightings")) == 1


def test_a_correction_is_listed_once_with_all_that_it_replaced(street: Street) -> None:
    street.post(start(), start(5, "2", revision=1), stop(), bare(stop()), bare(start(50)), start(3, id="plain"))
    street.flow()
    wanted = [("start", "void", []), ("stop", "void", [0]), ("start", "live 2", [0]), ("plain", "live 1", [])]
    for limit in (1, 2, 3, 10):
        assert listed(street, limit) == wanted
    street.post(bare(start(), 2), start(3, "2", id="plain"))
    street.flow()
    assert listed(street)[2:] == [("start", "void", [1, 0]), ("plain", "live 2", [0])]


def test_an_edge_without_corrections_is_one_item_and_a_correction_is_brought_where_it_belongs(street: Street) -> None:
    street.post(start(), stop())
    street.flow()
    assert len(street.items("Events", "edge")) == 2
    street.post(bare(start()))
    assert len(street.items("Events", "edge")) == 3
    street.flow()
    places = [
        str(item["pk"]).split("#")[2][0] for item in street.items("Events", "edge") if "#start#" in str(item["sk"])
    ]
    assert sorted(places) == sorted([places[0], places[0], "~", "~"])


@pytest.mark.parametrize(
    ("sent", "conflicts"),
    [
        ([start(), start(5, "2")], 1),
        ([stop(), stop(35, "2")], 1),
        ([start(0), start(1, "2", id="other"), stop(), stop(35, "2")], 1),
        ([start(0), start(1, "2", id="other"), stop(), stop(35, "2"), stop(35, "3")], 2),
        ([start(0, "2", id="other"), start(id="x"), stop(5, "2", id="x")], 1),
        ([start(0), start(1, "2", id="other"), stop(), stop(35, "2", id="another")], 0),
        ([start(revision=1), start(5, "2", revision=1)], 1),
        ([start(revision=1), bare(start())], 1),
        ([start(), bare(start())], 0),
        ([start(), start(5, "2", revision=1)], 0),
        ([start(revision=1), start(5, "2", revision=1), start(5, "3", revision=1)], 2),
    ],
)
def test_a_conflict_across_resources_is_told_once(street: Street, sent: list[Json], conflicts: int) -> None:
    street.post(*sent)
    for _ in range(3):
        street.flow()
        street.post(*sent)
    street.flow(Random(1))  # noqa: S311 - what it does can be repeated
    assert len(street.announced("event.conflict")) == conflicts


@pytest.mark.parametrize("correction", [bare(start()), start(5, "2", revision=1), bare(stop())])
@pytest.mark.parametrize("interrupted", ["edges", "correction"])
def test_an_edge_and_its_correction_that_are_paired_at_one_time_never_miss_each_other(
    build: Callable[[], Street], correction: Json, interrupted: str
) -> None:
    """One is sent and paired whole before each single request that pairing the other makes of the table."""
    edges = [start(), stop()]
    first, second = (edges, [correction]) if interrupted == "edges" else ([correction], edges)
    moments = 0
    while paired_within(build(), moments, first, second):
        moments += 1
    assert moments >= 3


def paired_within(street: Street, moment: int, first: list[Json], second: list[Json]) -> bool:
    """Whether there was such a moment while the first were paired; in the end all of it agrees."""

    def posted(events: list[Json]) -> list[Any]:
        waiting = street.streams.pop("pair", [])
        street.post(*events)
        batch, street.streams["pair"] = street.streams["pair"], waiting
        return batch

    street.prepare()
    batch = posted(first)
    with pytest.MonkeyPatch.context() as patch:
        done = interrupt(street, patch, moment, lambda: street.run("pair", posted(second)))
        street.run("pair", batch)
    if done:
        street.flow()
        agrees(street, [*first, *second])
    return bool(done)


def interrupt(street: Street, patch: pytest.MonkeyPatch, moment: int, happens: Callable[[], None]) -> list[bool]:
    """Have something happen before the table's request of this number; tells whether it did."""
    table, numbers, done = street.tables["Events"], itertools.count(), list[bool]()

    def wrapped(name: str) -> Callable[..., Any]:
        request = getattr(table, name)

        def call(*given: Any, **named: Any) -> Any:
            if next(numbers) == moment:
                done.append(True)
                happens()
            return request(*given, **named)

        return call

    for name in ("query", "transact"):
        patch.setattr(table, name, wrapped(name))
    return done


def test_what_cannot_be_spread_is_parked_and_redriven(street: Street) -> None:
    sent = [start(), stop(), bare(start())]
    street.post(*sent)
    table = street.tables["Events"]
    (item,) = [each for each in street.items("Events", "edge") if "#~" in str(each["pk"])]
    table.put_many([{**item, "body": "{"}])
    street.post(used("a"), edge("start", 5, "other", timestamp=NOW - 3 * HOUR))
    street.flow()
    assert len(sessions(street)) == 2
    parked = street.parked()
    assert {each["function"] for each in parked} == {"pair"}
    table.put_many([item])
    street.streams.clear()
    for each in parked:
        street.run("pair", [json.loads(str(each["record"]))])
        street.outbox.unpark(each)
    street.flow()
    agrees(street, [*sent, edge("start", 5, "other", timestamp=NOW - 3 * HOUR)])


INSTANTS = [-70, 0, 5, 5, 20]


@st.composite
def versions(draw: st.DrawFn) -> Json:
    """A version of one of few edges, of any resource."""
    id_ = draw(st.sampled_from(["a", "b", "x", "y"]))
    minutes = draw(st.sampled_from(INSTANTS))
    revision = draw(st.sampled_from([0, 0, 0, 1, 2]))
    void = draw(st.integers(0, 4)) == 0
    kind = draw(st.sampled_from(["start", "stop"])) if revision else "start" if id_ in "ab" else "stop"
    event = edge(kind, minutes, draw(st.sampled_from(["1", "2", "3"])), id=id_, revision=revision)
    if not void:
        return event
    return draw(st.sampled_from([bare(event, revision), event | {"void": True}]))


def live_through(sent: list[Json], data: st.DataObject) -> None:
    """Send and deliver in pieces, in any order, often twice, with crashes at any write; then all of it agrees."""
    with alive(data.draw(st.sampled_from([None, *BY_MINUTES]))) as street:
        left = list(sent)
        while left or street.streams["pair"] or street.streams["aggregate"]:
            waiting = [name for name in ("pair", "aggregate") if street.streams[name]]
            step = data.draw(st.sampled_from([*waiting, "post"] if left else waiting))
            street.writes_left = data.draw(st.sampled_from([None, None, 0, 1, 2, 3, 5]))
            street.answer_lost = data.draw(st.booleans())
            if step == "post":
                several = data.draw(st.integers(1, len(left)))
                survive(street, lambda batch=left[:several]: street.post(*batch))  # type: ignore[misc]  # a default
                del left[:several]
                continue
            records = street.streams[step]
            size = data.draw(st.integers(1, len(records)))
            survive(street, lambda name=step, batch=records[:size]: street.run(name, batch))  # type: ignore[misc]  # the same
            if data.draw(st.sampled_from([True, True, False])):
                del records[:size]
        street.flow()
        agrees(street, sent)


def survive(street: Street, step: Callable[[], object]) -> None:
    try:
        step()
    except Crash:
        street.writes_left = None
        step()
    street.writes_left = None


def run(examples: int, number: int) -> None:
    """Live the lives of a number, the same ones each time."""

    @seed(number)
    @settings(
        deadline=None,
        max_examples=examples,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(st.lists(versions(), min_size=1, max_size=7), st.data())
    def holds(sent: list[Json], data: st.DataObject) -> None:
        live_through(sent, data)

    holds()


def test_whatever_arrives_when_and_however_often_each_edge_counts_once_as_simulated() -> None:
    run(30, 0)


@pytest.mark.deep
def test_a_thousand_lives_of_edges_and_their_corrections_agree_with_the_simulation() -> None:
    """`SIMULATED_SEED` gives other ones than those of every run."""
    run(1000, int(os.environ.get("SIMULATED_SEED", "1")))
