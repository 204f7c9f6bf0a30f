"""What pair publishes, edge by edge, is what pairing all edges at once gives: law 4.5, on the memory twin."""

import json
from types import SimpleNamespace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.events import EdgeKey, Events
from adapters.items import Item
from adapters.memory import MemoryTable
from adapters.raw_events import RawEvents
from adapters.watches import PATIENCE, SHARDS, Watches
from handlers.pair import pair_records
from metering.events import Acceptance, Event
from metering.meters import Meter
from metering.sessions import Session, pair, resource_of
from metering.times import DAY, HOUR, MINUTE, floor, hour_name, parse_time
from metering.usage import tallies_between
from metering.windows import Fact, fold, latest_sessions, merge
from tests.metering.strategies import NOON, duration_meter

NOW = NOON + 20 * HOUR
BEGINNINGS = [NOON, floor(NOW, DAY) - 40 * MINUTE]
"""The first edges come well within a day that is over, or in its last hour."""


def edges(begin: int) -> st.SearchStrategy[list[Event]]:
    """Edges of one resource, some at the first instant of an hour."""
    return st.lists(
        st.builds(
            Event,
            customer=st.just("acme"),
            meter=st.just("runtime"),
            id=st.sampled_from("abc"),
            timestamp=st.sampled_from([0, 1, 2, 2, 3, 3, 14]).map(lambda number: begin + number * 20 * MINUTE),
            type=st.sampled_from(["start", "stop"]),
            revision=st.sampled_from([0, 0, 0, 1, 2]),
            void=st.sampled_from([False, False, False, True]),
            dimensions=st.just((("vm", "1"),)),
        ),
        min_size=1,
        max_size=9,
    )


class World:
    """The Events table in memory, its stream of edges, and pair at its end."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self.pending: list[dict[str, Any]] = []
        self.written = 0
        self.ledger = MemoryTable()
        table = MemoryTable(self._changed)
        self.store, self.raw = Events(table, 35 * DAY), RawEvents(table, 35 * DAY)
        self.live: Any = SimpleNamespace(
            events=self.store,
            raw_events=self.raw,
            clock=lambda: NOW,
            remembered=SimpleNamespace(meters=lambda _: {meter.key: meter}, accounts=lambda _: {}),
            outbox=SimpleNamespace(announce=lambda *_: None),
            acceptance=Acceptance(35 * DAY, 5 * MINUTE),
            catalog=SimpleNamespace(accounts=lambda _: {}),
            watches=Watches(self.ledger),
        )

    def _changed(self, _old: Item | None, new: Item) -> None:
        self.written += 1
        if new["kind"] in {"edge", "poke"}:
            keys = {name: {"S": new[name]} for name in ("pk", "sk")}
            record = {"Keys": keys, "SequenceNumber": str(self.written)}
            self.pending.append({"eventSourceARN": "table/stream/2026-11-20", "dynamodb": record})

    def handle(self, count: int, *, forget: bool) -> None:
        """Give pair the oldest records; what is not forgotten comes again, as after a failure."""
        batch = self.pending[:count]
        pair_records(batch, self.live)
        if forget:
            del self.pending[:count]

    def poke(self) -> None:
        """What the minute does about what has looked odd for long enough."""
        watches: Watches = self.live.watches
        due = [key for shard in range(SHARDS) for key in watches.due_suspects(shard, NOW + PATIENCE, 100)]
        for suspect in watches.suspects(due):
            self.store.poke(suspect.key, f"{suspect.reason}-2026-11-20T16-{self.written}")

    def wait(self) -> None:
        """Let a minute pass, and have pair look again at what looked odd."""
        self.poke()
        self.handle(len(self.pending), forget=True)

    def facts(self, resource: str) -> dict[int, list[Fact]]:
        """By hour, what was said to it."""
        return {
            hour: [fact for fact in self.raw.facts("acme", "runtime", hour) if fact.session.resource == resource]
            for hour in range(NOON - HOUR, NOON + 2 * DAY, HOUR)
        }

    def listed(self, resource: str) -> set[tuple[int, str, str, int | None]]:
        """What the hours tell of the sessions and orphans that start in them: start, id, how and when it ended."""
        return {
            (session.start, session.id, session.closed_by, session.end)
            for hour, facts in self.facts(resource).items()
            for session in latest_sessions(facts)
            if session.closed_by != "void" and floor(session.start, HOUR) == hour
        }

    def unremembered(self, resource: str) -> list[tuple[int, Session]]:
        """The hours that a session was said to touch beyond that of its start, though nobody remembers it."""
        edge = EdgeKey("acme", "runtime", resource, NOON)
        around = self.store.around(edge, self.meter, 0, NOON + 2 * DAY)
        ends = {identity: published.end for identity, published in around.published.items()}
        return [
            (hour, session)
            for hour, facts in self.facts(resource).items()
            for session in (fact.session for fact in facts)
            if hour > max(floor(session.start, HOUR), ends.get((session.start, session.id), 0))
        ]

    def announced(self) -> set[tuple[int, str, str]]:
        """What was announced: start, id and how it ended."""
        bodies = [json.loads(str(item["body"])) for item in self.ledger.all() if item["kind"] == "outbox"]
        return {(parse_time(body["timestamp"]), body["event"], body["closed_by"]) for body in bodies}


@settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    st.sampled_from(BEGINNINGS).flatmap(edges), st.sampled_from([None, 30 * MINUTE, 3 * HOUR]), st.booleans(), st.data()
)
def test_whatever_arrives_when_and_however_often_the_windows_are_those_of_all_edges_at_once(
    sent: list[Event], longest: int | None, patient: bool, data: st.DataObject
) -> None:
    world = World(duration_meter(max_duration=longest))
    resource = resource_of(world.meter, sent[0])
    left = list(sent)
    while left or world.pending:
        if not patient and data.draw(st.integers(0, 9)) == 9:
            world.poke()
        elif left and (not world.pending or data.draw(st.booleans())):
            several = data.draw(st.integers(1, len(left)))
            world.store.add([], dict.fromkeys((resource, edge) for edge in left[:several]))  # as ingest does
            del left[:several]
        else:
            world.handle(
                data.draw(st.integers(1, len(world.pending))), forget=data.draw(st.sampled_from([True, True, False]))
            )
    assert not (patient and world.announced())
    world.wait()
    paired = pair(sent, world.meter, NOW)
    odd = {"start", "orphan", "max_duration"}
    standing = {(each.start, each.id, each.closed_by) for each in paired if each.closed_by in odd}
    assert world.announced() == standing if patient else world.announced() >= standing
    assert not world.ledger.due("suspect#0", NOW + DAY, 1)
    assert not world.unremembered(resource)
    assert world.listed(resource) == {
        (each.start, each.id, each.closed_by, each.end) for each in paired if each.closed_by != "void"
    }
    hours = range(NOON - HOUR, NOON + DAY, HOUR)
    addressed = [(hour, world.store.hour("acme", "runtime", hour_name(hour))) for hour in hours]
    folded = [fold(world.meter, (), each.facts, hour, hour + HOUR) for hour, each in addressed]
    whole = fold(world.meter, facts=[Fact(session, ("", 1)) for session in paired])
    slots, running = merge(*(each.slots for each in folded)), [session for each in folded for session in each.open]
    for hour in hours:
        span = (hour, hour + HOUR, NOW)
        assert tallies_between(world.meter, slots, running, *span) == tallies_between(
            world.meter, whole.slots, whole.open, *span
        )
    assert {session.identity for session in running} == {session.identity for session in whole.open}
