"""The Events table: what happened, and the edges that the sessions around an instant depend on."""

from dataclasses import replace
from decimal import Decimal
from random import Random
from typing import Any, Literal

import pytest

from adapters.events import Addressed, EdgeKey, Events, Published, edge_key, read_edge
from adapters.items import Put, Table, binary, string
from adapters.memory import MemoryTable
from metering.errors import Unavailable, Unreadable
from metering.events import Event
from metering.meters import Meter
from metering.segments import pack
from metering.sessions import Session, pair, resource_of
from metering.times import DAY, HOUR, MINUTE, hour_name, parse_time
from metering.window_items import facts_segments
from metering.windows import Fact
from tests.adapters.conftest import Bench

NOON = parse_time("2026-11-20T12:00:00Z")
METER = Meter(key="runtime", aggregation="duration", session=("vm",))
KEPT = 50 * DAY


def usage(identity: str, minutes: int = 0, **fields: Any) -> Event:
    return Event("acme", "requests", identity, NOON + minutes * MINUTE, Decimal("1.50"), **fields)


def edge(kind: Literal["start", "stop"], at: int, identity: str = "", **fields: Any) -> Event:
    return Event(
        "acme", "runtime", identity or f"{kind}{at}", NOON + at, None, kind, dimensions=(("vm", "1"),), **fields
    )


RESOURCE = resource_of(METER, edge("start", 0))


def key(at: int) -> EdgeKey:
    return EdgeKey("acme", "runtime", RESOURCE, NOON + at)


def with_edges(table: Table, *edges: Event) -> Events:
    events = Events(table, 35 * DAY)
    assert events.add([], [(RESOURCE, each) for each in edges]) == []
    return events


def session(start: int, end: int | None) -> Session:
    return Session(RESOURCE, "s", start, end, "open" if end is None else "stop", Decimal(1), (("vm", "1"),))


def test_an_hour_holds_its_segments_and_facts_and_nothing_else(table: Table) -> None:
    events = Events(table, 35 * DAY)
    here = [usage("a"), usage("b", 59, revision=2, dimensions=(("é", "x"),)), usage("c", 59, void=True)]
    events.add(pack([*here, usage("later", 60), usage("earlier", -1)]))
    facts = [Fact(session(NOON, NOON + 5), ("label", 10**29)), Fact(session(NOON + 1, None), ("label", 3))]
    assert events.add_facts(facts_segments("acme", "requests", (), NOON, facts)) == []
    found = events.hour("acme", "requests", hour_name(NOON))
    assert sorted(found.events, key=lambda event: event.id) == here
    assert sorted(found.facts, key=lambda fact: fact.session.start) == facts
    assert found.minutes == {"00", "59"}
    items = table.query(f"acme#requests#{hour_name(NOON)}")
    assert found.bytes == sum(len(binary(item, "data")) for item in items) > 0
    assert events.hour("acme", "requests", hour_name(NOON + 2 * HOUR)) == Addressed()


def test_a_minute_holds_its_segments_and_the_facts_of_sessions_that_start_in_it(table: Table) -> None:
    events = Events(table, 35 * DAY)
    events.add(pack([usage("a"), usage("b", 5), usage("c", 5), usage("d", 6), usage("e", 55)]))
    at = {minute: Fact(session(NOON + minute * MINUTE, None), ("label", 1)) for minute in (-90, 0, 5, 6)}
    events.add_facts(facts_segments("acme", "requests", (), NOON, at.values()))
    for minute, ids, starts in (("00", "a", [-90, 0]), ("05", "bc", [5]), ("06", "d", [6]), ("07", "", [])):
        found = events.hour("acme", "requests", hour_name(NOON), minute)
        assert sorted(event.id for event in found.events) == list(ids)
        assert sorted(fact.session.start for fact in found.facts) == [NOON + start * MINUTE for start in starts]
        assert found.minutes == ({minute} if ids else set())


def test_what_is_sent_again_is_no_change(bench: Bench) -> None:
    events = Events(bench.table, 35 * DAY)
    sent = [usage("a"), usage("b")]
    edges = [(RESOURCE, edge("start", 5))]
    for order in (sent, sent[::-1], [*sent, *sent]):
        events.add(pack(order), edges)
    events.poke(key(5), "overdue")
    events.poke(key(5), "overdue")
    assert bench.changes() == 3


def test_every_item_outlives_its_minute_by_what_is_accepted_and_fifteen_days(table: Table) -> None:
    events = with_edges(table, edge("start", 59_999))
    events.add(pack([usage("a")]))
    events.poke(key(61_000), "r")
    items = [*table.query(key(0).partition), *table.query(f"acme#requests#{hour_name(NOON)}")]
    assert [item["ttl"] for item in items] == [(at + KEPT) // 1000 for at in (NOON, NOON + MINUTE, NOON)]


def test_a_damaged_item_is_unreadable() -> None:
    table = MemoryTable()
    events = Events(table, 35 * DAY)
    table.put(
        Put({"pk": f"acme#requests#{hour_name(NOON)}", "sk": "00#x", "kind": "usage", "minute": NOON, "data": b""})
    )
    with pytest.raises(Unreadable):
        events.hour("acme", "requests", hour_name(NOON))
    for body in ("{", "[]", '{"id": 1}', "null"):
        with pytest.raises(Unreadable):
            read_edge({"pk": "a#b#c", "sk": "1#x", "body": body})
    for pk, sk in (("a#b", "1#x"), ("a#b#c#d", "1#x"), ("a#b#c", "x#1")):
        with pytest.raises(Unreadable):
            edge_key({"pk": pk, "sk": sk})


def test_an_edge_is_read_as_it_was_and_its_key_names_it(table: Table) -> None:
    sent = edge("stop", 7, identity="a|b", revision=3, void=True)
    with_edges(table, sent)
    (item,) = table.query(key(0).partition)
    assert read_edge(item) == sent
    assert edge_key(item) == key(7)


def around(events: Events, first: int, last: int | None = None) -> list[str]:
    found = events.around(key(first), METER, NOON + first, NOON + (first if last is None else last))
    return [event.id for event in sorted(found.edges, key=lambda event: (event.timestamp, event.id, event.revision))]


def test_edges_are_read_from_the_start_before_to_the_start_after(table: Table) -> None:
    events = with_edges(
        table,
        *(edge("start", at) for at in (10, 30, 50, 70)),
        *(edge("stop", at) for at in (20, 40, 60, 80)),
    )
    assert around(events, 45) == ["start30", "stop40", "start50"]
    assert around(events, 40) == ["start30", "stop40", "start50"]
    assert around(events, 30) == ["start10", "stop20", "start30", "stop40", "start50"]
    assert around(events, 35, 55) == ["start30", "stop40", "start50", "stop60", "start70"]
    assert around(events, 5) == ["start10"]
    assert around(events, 75) == ["start70", "stop80"]
    assert around(events, 85) == ["start70", "stop80"]


@pytest.mark.parametrize(
    ("edges", "at"),
    [
        ([("start", 10), ("stop", 20), ("start", 20), ("stop", 30)], 20),  # a restart within one millisecond
        ([("start", 10), ("stop", 20), ("start", 20), ("stop", 30)], 30),
        ([("start", 10), ("start", 20), ("stop", 20), ("start", 30), ("stop", 30), ("stop", 40)], 40),
        ([("start", 20), ("stop", 20), ("stop", 30)], 30),  # a session without length, then an orphan
        ([("stop", 10), ("start", 20), ("stop", 20), ("start", 30)], 30),
        ([("start", 10), ("stop", 15), ("start", 20), ("stop", 20), ("stop", 30), ("start", 40)], 30),
        ([("start", 10), ("start", 10), ("stop", 10), ("stop", 20)], 20),
    ],
)
def test_what_is_read_is_enough_to_pair_what_starts_there_as_if_all_was_read(
    table: Table, edges: list[tuple[Literal["start", "stop"], int]], at: int
) -> None:
    all_edges = [edge(kind, when, f"{number}") for number, (kind, when) in enumerate(edges)]
    events = with_edges(table, *all_edges)
    found = events.around(key(at), METER, NOON + at, NOON + at).edges
    whole, part = (pair(some, METER, NOON + HOUR) for some in (all_edges, found))
    begins = min(event.timestamp for event in found)
    concerned = [each for each in whole if begins <= each.start <= NOON + at]
    assert [each for each in part if each.start <= NOON + at] == concerned


def test_revisions_and_voids_decide_what_a_live_start_is(table: Table) -> None:
    events = with_edges(
        table,
        edge("start", 10, "a"),
        edge("start", 20, "b"),
        edge("start", 20, "b", revision=1, void=True),
        edge("stop", 40, "c"),
        edge("start", 50, "d"),
        edge("stop", 50, "d", revision=1),
        edge("start", 60, "e"),
        edge("start", 70, "f"),
    )
    assert around(events, 40) == ["a", "b", "b", "c", "d", "d", "e"]


def test_pokes_and_published_ends_between_edges_are_no_edges(table: Table) -> None:
    events = with_edges(table, edge("start", 10, "s"), edge("stop", 40))
    events.poke(key(10), "overdue")
    events.poke(key(20), "overdue")
    events.publish(key(0), edge("start", 10, "s"), Published(NOON + DAY, NOON + HOUR, "digest"))
    found = events.around(key(40), METER, NOON + 40, NOON + 40)
    assert {event.id for event in found.edges} == {"s", "stop40"}
    assert found.published == {(NOON + 10, "s"): Published(NOON + DAY, NOON + HOUR, "digest")}


def test_what_was_published_is_written_on_the_condition_of_what_was_read(bench: Bench) -> None:
    events = Events(bench.table, 35 * DAY)
    start = edge("start", 0, "s")
    first = events.publish(key(0), start, Published(NOON + HOUR, 0, "digest"))
    (read,) = events.around(key(0), METER, NOON, NOON).published.values()
    assert (read, read.version) == (first, 1)
    second = events.publish(key(0), start, replace(read, end=NOON + 3 * HOUR))
    for lost in (first, Published(NOON + 9 * HOUR, 0, "digest")):
        with pytest.raises(Unavailable):
            events.publish(key(0), start, lost)
    assert events.around(key(0), METER, NOON, NOON).published == {(NOON, "s"): second}
    assert bench.changes() == 2


def test_what_was_published_keeps_the_start_of_a_session_that_outlives_its_edge(table: Table) -> None:
    start = edge("start", 0, "s")
    events = with_edges(table, start, edge("stop", 60 * DAY))
    events.publish(key(0), start, Published(NOON + 60 * DAY, NOON + 59 * DAY, "digest"))
    (item,) = (item for item in table.query(key(0).partition) if item["kind"] == "published")
    assert item["ttl"] == (NOON + 60 * DAY + KEPT) // 1000
    (expired,) = [string(item, "sk") for item in table.query(key(0).partition) if "#s#0" in string(item, "sk")]
    table.delete(key(0).partition, expired)
    assert around(events, 60 * DAY) == ["s", f"stop{60 * DAY}"]


def test_a_resource_with_thousands_of_edges_is_read_in_part(bench: Bench) -> None:
    events = with_edges(
        bench.table,
        *(edge(kind, 10 * number + late) for number in range(600) for kind, late in (("start", 0), ("stop", 5))),  # type: ignore[arg-type]  # start and stop
    )
    assert around(events, 3005) == ["start3000", "stop3005", "start3010"]


class Asked(MemoryTable):
    """A table that counts its queries."""

    queries = 0

    def query(self, *args: Any, **named: Any) -> Any:
        self.queries += 1
        return super().query(*args, **named)


@pytest.mark.parametrize("seed", range(30))
def test_wherever_edges_lie_in_a_long_partition_their_sessions_are_what_the_whole_would_give(seed: int) -> None:
    random = Random(seed)  # noqa: S311 - it chooses cases
    made = [
        edge("start" if random.random() < 0.5 else "stop", random.randint(0, 60), f"{number}", void=number % 9 == 0)
        for number in range(random.randint(10, 60))
    ]
    events = with_edges(MemoryTable(), *made)
    whole = pair(made, METER, NOON + HOUR)
    for first in (0, 7, 30, 55, 60):
        last = first + random.randint(0, 10)
        found = events.around(key(first), METER, NOON + first, NOON + last)
        part = pair(found.edges, METER, NOON + HOUR)
        ends = NOON + last if found.end is None else min(NOON + last, found.end - 1)
        assert [each for each in part if NOON + first <= each.start <= ends] == [
            each for each in whole if NOON + first <= each.start <= ends
        ]


def test_the_newest_edges_are_read_at_once() -> None:
    table = Asked()
    events = with_edges(table, edge("start", 10), edge("stop", 20))
    for at in (10, 20):
        table.queries = 0
        events.around(key(at), METER, NOON + at, NOON + at)
        assert table.queries == 1
