"""Running a shape: a month that is half over, then two samples of traffic, one across the end of an hour."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal

from adapters.items import Item, binary, string
from adapters.keys import Keys
from adapters.shards import shard_of
from billing.packing import pack, unpack
from handlers import _door
from infra.benchmark.deployment import Deployment
from infra.benchmark.shapes import METERS, PLAN, Shape, Traffic
from metering.times import HOUR, MINUTE, floor, parse_time

MONTH = parse_time("2026-11-01T00:00:00Z")
NOON = parse_time("2026-11-16T12:00:00Z")
_KEY = "tx_benchmark"
_DENSE = 2 * MINUTE
_AT_A_TIME = 4 * MINUTE

Say = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Sample:
    """What some minutes of traffic cost.

    Attributes:
        units: how many events or sessions there were.
        counts: see `Tally`.
        processor_nanoseconds: by function.
    """

    units: int
    counts: Counter[tuple[str, str]]
    processor_nanoseconds: Counter[str]


@dataclass(frozen=True, slots=True)
class Measured:
    """A shape's two samples.

    Attributes:
        boundary: the minutes around the end of an hour.
        middle: as many minutes around the middle of an hour.
    """

    shape: Shape
    boundary: Sample
    middle: Sample

    def an_hour(self, of: Callable[[Sample], Decimal]) -> Decimal:
        """What a whole hour has of something: the boundary's minutes once, the middle's for the rest.

        Over an hour what is re-read grows evenly, so its middle stands for what lies around it.
        """
        minutes = self.shape.minutes
        return of(self.boundary) + of(self.middle) * (60 - minutes) / minutes

    def million(self, of: Callable[[Sample], Decimal]) -> Decimal:
        """What a million events or sessions have of something."""
        return self.an_hour(of) / self.an_hour(lambda sample: Decimal(sample.units)) * 1_000_000


def measure(shape: Shape, freshness_seconds: int = 5, say: Say = lambda _done: None) -> Measured:
    """Run a shape.

    Args:
        shape: who sends what.
        freshness_seconds: how long the consumers of streams gather records.
        say: told how many requests were sent, as it goes.

    Raises:
        RuntimeError: a request was refused or a record parked, so that the counts would mean nothing.
    """
    run = _Run(shape, freshness_seconds, say)
    half = shape.minutes * MINUTE // 2
    with _namespace():
        run.prepare(NOON - half)
        boundary = run.sample(NOON - half, NOON + half)
        middle = NOON + HOUR // 2
        run.fill(NOON + half, middle - half)
        return Measured(shape, boundary, run.sample(middle - half, middle + half))


@contextmanager
def _namespace() -> Iterator[None]:
    """Let the functions count their metrics as they do when deployed."""
    provider = _door.metrics.provider
    before, provider.namespace = provider.namespace, "Taximeter"
    try:
        yield
    finally:
        provider.namespace = before


class _Run:
    """One deployment and its traffic."""

    def __init__(self, shape: Shape, freshness_seconds: int, say: Say) -> None:
        self.shape = shape
        self.traffic = Traffic(shape)
        self.deployment = Deployment(MONTH, freshness_seconds * 1000)
        self._drained = 6 * freshness_seconds * 1000
        self._say = say

    def prepare(self, now: int) -> None:
        """Catalogue, customers, credits, the month's hours so far, and the minutes of the running hour."""
        deployment = self.deployment
        Keys(deployment.table("Catalog")).store("benchmark", _KEY, ["ingest"])
        for meter in METERS:
            deployment.request("PUT", f"/v1/meters/{meter['key']}", meter)
        deployment.request("PUT", f"/v1/plans/{PLAN['key']}", PLAN)
        for number in range(self.shape.customers):
            path = f"/v1/customers/{self.traffic.customer(number)}"
            deployment.request("PUT", path, {"plan": PLAN["key"], "prepaid_only": True})
        credit = {"id": "prepaid", "amount": "1000000000"}
        deployment.request("POST", f"/v1/customers/{self.traffic.customer(0)}/credits", credit)
        self._live_through(floor(now, HOUR))
        self.fill(floor(now, HOUR), now)

    def _live_through(self, now: int) -> None:
        """One customer lives through the month until now, an event or session an hour; the others get a copy."""
        deployment = self.deployment
        first = self.traffic.customer(0)
        deployment.now = now
        for hour in range(MONTH, now, HOUR):
            deployment.request("POST", "/v1/events", self.traffic.past_hour(first, hour))
        deployment.advance(now + self._drained, schedules=False)
        deployment.muted = True
        for name in ("Events", "Usage", "Ledger"):
            table = deployment.table(name).inner
            lived = [item for item in table.all() if string(item, "pk").split("#")[0] == first]
            for number in range(1, self.shape.customers):
                table.put_many([_copied(item, first, self.traffic.customer(number)) for item in lived])
        deployment.muted = False

    def fill(self, start: int, end: int) -> None:
        """Let time pass that is not counted: as it is at an hour's beginning, then every customer once a minute.

        An hour of much traffic is kept by minutes from its second minute on; after that, how much a minute holds makes
        no difference to the others. A few minutes at a time are folded: in order, as they would be.
        """
        for minute in range(start, end - MINUTE, MINUTE):
            if minute % HOUR < _DENSE:
                for _, events in self.traffic.requests(minute, minute + MINUTE):
                    self.deployment.request("POST", "/v1/events", events)
            else:
                for events in self.traffic.minute(minute):
                    self.deployment.request("POST", "/v1/events", events)
            if (minute + MINUTE) % _AT_A_TIME == 0:
                self.deployment.advance(minute + MINUTE)
        self.deployment.advance(end - self._drained)

    def sample(self, start: int, end: int) -> Sample:
        """Let traffic come in and count what happens between two instants; what came before is under way."""
        deployment, units = self.deployment, 0
        for instant, events in self.traffic.requests(start - self._drained, end):
            deployment.advance(instant)
            if instant >= start and not deployment.counting:
                deployment.tally.start()
                deployment.counting = True
            deployment.request("POST", "/v1/events", events, key=_KEY)
            if deployment.counting:
                units += sum(event.get("type", "start") == "start" for event in events)
            self._say(1)
        deployment.advance(end - 1)
        deployment.counting = False
        sample = Sample(units, deployment.tally.counts, deployment.tally.processor_nanoseconds)
        deployment.advance(end + self._drained)
        if deployment.parked():
            raise RuntimeError("records were parked: what was counted is not what it costs")
        return sample


def _copied(item: Item, first: str, customer: str) -> Item:
    """An item of one customer as if another had lived through the same."""
    made: Item = {**item, "pk": string(item, "pk").replace(first, customer)}
    if item.get("kind") == "wallet":
        made["data"] = pack(replace(unpack(binary(item, "data")), customer=customer))
        made["due_shard"] = f"wallet#{shard_of(customer):02d}"
    return made
