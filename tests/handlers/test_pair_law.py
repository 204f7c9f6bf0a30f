"""What pair publishes, edge by edge, is what pairing all edges at once gives: law 4.5, on the memory twin."""

import json
from types import SimpleNamespace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.events import Events
from adapters.items import Item
from adapters.memory import MemoryTable
from adapters.watches import PATIENCE, SHARDS, Watches
from handlers.pair import pair_records
from metering.events import Acceptance, Event
from metering.meters import Meter
from metering.sessions import pair, resource_of
from metering.times import DAY, HOUR, MINUTE, hour_name, parse_time
from metering.windows import Fact, fold, merge, tallies_between
from tests.metering.strategies import NOON, duration_meter

NOW = NOON + 20 * HOUR

edges = st.lists(
    st.builds(
        Event,
        customer=st.just("acme"),
        meter=st.just("runtime"),
        id=st.sampled_from("abc"),
        timestamp=st.sampled_from([0, 1, 2, 2, 3, 3, 14]).map(lambda number: NOON + number * 20 * MINUTE),
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
        self.store = Events(MemoryTable(self._changed), 35 * DAY)
        self.live: Any = SimpleNamespace(
            events=self.store,
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

    def wait(self) -> None:
        """Let a minute pass, and have pair look again at what looked odd."""
        watches: Watches = self.live.watches
        due = [key for shard in range(SHARDS) for key in watches.due_suspects(shard, NOW + PATIENCE, 100)]
        for suspect in watches.suspects(due):
            self.store.poke(suspect.key, f"{suspect.reason}-2026-11-20T16")
        self.handle(len(self.pending), forget=True)

    def announced(self) -> set[tuple[int, str, str]]:
        """What was announced: start, id and how it ended."""
        bodies = [json.loads(str(item["body"])) for item in self.ledger.all() if item["kind"] == "outbox"]
        return {(parse_time(body["timestamp"]), body["event"], body["closed_by"]) for body in bodies}


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(edges, st.sampled_from([None, 30 * MINUTE, 3 * HOUR]), st.data())
def test_whatever_arrives_when_and_however_often_the_windows_are_those_of_all_edges_at_once(
    sent: list[Event], longest: int | None, data: st.DataObject
) -> None:
    world = World(duration_meter(max_duration=longest))
    resource = resource_of(world.meter, sent[0])
    left = list(sent)
    while left or world.pending:
        if left and (not world.pending or data.draw(st.booleans())):
            several = data.draw(st.integers(1, len(left)))
            world.store.add([], dict.fromkeys((resource, edge) for edge in left[:several]))  # as ingest does
            del left[:several]
        else:
            world.handle(
                data.draw(st.integers(1, len(world.pending))), forget=data.draw(st.sampled_from([True, True, False]))
            )
    assert not world.announced()
    world.wait()
    paired = pair(sent, world.meter, NOW)
    odd = {"start", "orphan", "max_duration"}
    assert world.announced() == {(each.start, each.id, each.closed_by) for each in paired if each.closed_by in odd}
    assert not world.ledger.due("suspect#0", NOW + DAY, 1)
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
