"""A deployment in memory whose handlers get the batches that AWS would make, while a clock of its own goes on.

A stream's consumer gathers the records of a shard for the batching window, which begins with the first of them, or
until there are as many as a batch holds; a function keeps what it remembers per shard, as its environments would; the
authorizer's answer is remembered for a minute. The tables have as many shards as a new table on demand has.
"""

import base64
import io
import json
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from adapters.items import Item, string, to_wire
from adapters.memory import MemoryTable
from handlers import _live, aggregate, api, authorize, ingest, invoice, pair, rate, relay
from infra.benchmark.counting import CountingTable, Tally
from infra.benchmark.environment import Environment
from metering.packing import digest
from metering.times import HOUR, MINUTE, floor, format_time, parse_time

SHARDS = 4
MOST_RECORDS = 500
_HTTP_CHUNK_BYTES, _BUS_CHUNK_BYTES = 512 * 1024, 64 * 1024
_LOG_LINE_BYTES = 26  # that CloudWatch adds to each
_AUTHORIZED_FOR = MINUTE

# What the template's filters let through: the table and the kinds; only the outbox asks for new items alone.
CONSUMERS: dict[str, tuple[str, frozenset[str]]] = {
    "pair": ("Events", frozenset({"edge", "poke"})),
    "aggregate": ("Events", frozenset({"usage", "facts", "sightings"})),
    "rate": ("Usage", frozenset({"window", "open", "late"})),
    "relay": ("Ledger", frozenset({"outbox"})),
}
_HANDLERS: dict[str, Any] = {
    "authorize": authorize.handler,
    "ingest": ingest.handler,
    "pair": pair.handler,
    "aggregate": aggregate.handler,
    "rate": rate.handler,
    "relay": relay.handler,
    "invoice": invoice.handler,
    "api": api.handler,
}
_QUEUES = {"RATE": "rate", "INVOICE": "invoice", "REFRESH": "aggregate"}
_ENVIRONMENT = {
    **{f"{name.upper()}_TABLE": name for name in ("Catalog", "Events", "Usage", "Ledger")},
    **{f"{name}_QUEUE_URL": name for name in ("RATE", "INVOICE", "TOP_UP", "COLLECT", "REFRESH", "NOTIFY")},
    "ACCEPT_PAST": "35d",
    "ACCEPT_FUTURE": "5m",
    "GRACE": "1h",
    "ISSUER": "{}",
    "BUS_NAME": "bus",
}


@dataclass
class _Gathering:
    """The records of one shard that a consumer has not had yet, and since when the first of them waits."""

    since: int = 0
    records: list[dict[str, Any]] = field(default_factory=list)


class Deployment:
    """Functions, tables, streams, queues and schedules, with a clock that only this moves.

    Attributes:
        now: the clock of every function.
        tally: what was counted; nothing is while `counting` is False.
        muted: while True, no stream tells of anything.
    """

    def __init__(self, now: int, freshness_milliseconds: int) -> None:
        self.now = now
        self.tally = Tally()
        self.counting = False
        self.muted = False
        self._freshness = freshness_milliseconds
        self._numbers = count(10**20)
        self._shards: dict[str, int] = {}
        self._tables: dict[str, CountingTable] = {}
        self._environments: dict[tuple[str, int], Environment] = {}
        self._gathering: defaultdict[tuple[str, int], _Gathering] = defaultdict(_Gathering)
        self._queues: defaultdict[str, list[str]] = defaultdict(list)
        self._authorized_until = 0

    def table(self, name: str) -> CountingTable:
        """One of the tables."""
        if name not in self._tables:
            inner = MemoryTable(lambda old, new: self._changed(name, old, new))
            self._tables[name] = CountingTable(name, inner, self.tally)
        return self._tables[name]

    def shard(self, partition: str) -> int:
        """Which shard of a stream a partition's records are in."""
        if partition not in self._shards:
            self._shards[partition] = int(digest(partition.encode())[:8], 16) % SHARDS
        return self._shards[partition]

    def _changed(self, table: str, old: Item | None, new: Item) -> None:
        consumers = [
            name
            for name, (source, kinds) in CONSUMERS.items()
            if source == table and new.get("kind") in kinds and not (name == "relay" and old)
        ]
        if consumers and not self.muted:
            record = _stream_record(table, "MODIFY" if old else "INSERT", new, next(self._numbers))
            for name in consumers:
                gathering = self._gathering[name, self.shard(string(new, "pk"))]
                gathering.since = gathering.since if gathering.records else self.now
                gathering.records.append(record)

    def advance(self, until: int, *, schedules: bool = True) -> None:
        """Let time pass: deliver what was gathered long enough, and run what is scheduled, in order."""
        while (following := self._next(schedules=schedules)) <= until:
            self.now = max(self.now, following)
            self._deliver_due()
            if schedules and self.now == following and self.now % MINUTE == 0:
                self._scheduled()
        self.now = max(self.now, until)

    def _next(self, *, schedules: bool) -> int:
        dues = [self._due(gathering) for gathering in self._gathering.values() if gathering.records]
        if schedules:
            dues.append(floor(self.now, MINUTE) + MINUTE)
        return min(dues, default=1 << 62)

    def _due(self, gathering: _Gathering) -> int:
        full = len(gathering.records) >= MOST_RECORDS
        return self.now if full else gathering.since + self._freshness

    def _deliver_due(self) -> None:
        # Taken before any of them runs: what these write at the end of a window belongs into the next one.
        batches = []
        for (consumer, shard), gathering in self._gathering.items():
            if gathering.records and self._due(gathering) <= self.now:
                batches.append((consumer, shard, gathering.records[:MOST_RECORDS]))
                del gathering.records[:MOST_RECORDS]
                gathering.since = self.now
        for consumer, shard, records in batches:
            self.invoke(consumer, {"Records": records}, shard)

    def _scheduled(self) -> None:
        self.invoke("rate", {"source": "schedule", "time": format_time(self.now)})
        if self.now % HOUR == 0:
            self.invoke("invoice", {"source": "schedule", "time": format_time(self.now)})
        for queue, function in _QUEUES.items():
            while self._queues[queue]:
                body = self._queues[queue].pop(0)
                self.tally.function = function if self.counting else None
                self.tally.add("queue requests", 2)  # to receive it, and to delete it
                self.invoke(function, {"Records": [{"messageId": "m", "body": body, "eventSource": "aws:sqs"}]})

    def invoke(self, function: str, event: Mapping[str, Any], shard: int = 0) -> Any:  # noqa: ANN401 - JSON
        """Give a function an event, in the environment that would get it; returns its answer."""
        if (function, shard) not in self._environments:
            self._environments[function, shard] = Environment(
                _ENVIRONMENT | {"FRESHNESS": f"{self._freshness}ms"}, self.table, self
            )
        text = json.dumps(event)
        before, _live.live = _live.live, self._environments[function, shard]
        outer, self.tally.function = self.tally.function, function if self.counting else None
        self.tally.add("invocations")
        written = io.StringIO()
        aside, began = self.tally.table_nanoseconds, time.process_time_ns()
        try:
            with redirect_stdout(written):
                told = _HANDLERS[function](json.loads(text), None)
            spent = time.process_time_ns() - began - (self.tally.table_nanoseconds - aside)
            if self.counting:
                self.tally.processor_nanoseconds[function] += spent
            for line in written.getvalue().splitlines():
                self.tally.add("log bytes", len(line.encode()) + _LOG_LINE_BYTES)
            return told
        finally:
            _live.live, self.tally.function = before, outer

    def request(self, method: str, path: str, body: object, *, key: str | None = None) -> Any:  # noqa: ANN401 - JSON
        """Send an HTTP request; with `key` as a client would, else straight to the function, as an admin.

        Raises:
            RuntimeError: it was not answered with success.
        """
        text = json.dumps(body, separators=(",", ":"))
        function = "ingest" if path == "/v1/events" else "api"
        event = _http_event(method, path, text, key)
        if key is not None:
            self._gateway(event, text)
        told = self.invoke(function, event)
        answer = json.loads(told.get("body") or "null")
        if told["statusCode"] >= 300 or (isinstance(answer, dict) and answer.get("rejected")):
            raise RuntimeError(f"{method} {path}: {told}")
        return answer

    def _gateway(self, event: Mapping[str, Any], text: str) -> None:
        self.tally.function = "gateway" if self.counting else None
        self.tally.add("http requests", max(1, -(-len(text.encode()) // _HTTP_CHUNK_BYTES)))
        if self.now >= self._authorized_until:
            if not self.invoke("authorize", event)["isAuthorized"]:
                raise RuntimeError("the key is not known")
            self._authorized_until = self.now + _AUTHORIZED_FOR

    def put_events(self, Entries: Sequence[Mapping[str, Any]]) -> Any:  # noqa: N803, ANN401 - the SDK's own name and JSON
        """The bus."""
        for entry in Entries:
            self.tally.add("bus events", max(1, -(-len(entry["Detail"].encode()) // _BUS_CHUNK_BYTES)))
        return {"Entries": [{"EventId": "e"} for _ in Entries]}

    def send(self, QueueUrl: str, Entries: Sequence[Mapping[str, str]]) -> Any:  # noqa: N803, ANN401 - the SDK's own names and JSON
        """A queue; the messages of those that have no function here are kept, and seen by whoever looks."""
        self.tally.add("queue requests")
        self._queues[QueueUrl] += [entry["MessageBody"] for entry in Entries]
        return {}

    def parked(self) -> int:
        """How many records could not be processed: a benchmark in which there are any counts something else."""
        return len(self.table("Ledger").inner.due("parked", 1 << 62, 1000))


def _stream_record(table: str, name: str, item: Item, number: int) -> dict[str, Any]:
    image = {
        key: {"B": base64.b64encode(tagged["B"]).decode()} if "B" in tagged else tagged
        for key, tagged in to_wire(item).items()
    }
    return {
        "eventID": f"{number:x}",
        "eventName": name,
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "us-east-1",
        "dynamodb": {
            "ApproximateCreationDateTime": parse_time("2026-11-16T00:00:00Z") // 1000,
            "Keys": {key: image[key] for key in ("pk", "sk")},
            "NewImage": image,
            "SequenceNumber": str(number),
            "SizeBytes": 200,
            "StreamViewType": "NEW_IMAGE",
        },
        "eventSourceARN": f"arn:aws:dynamodb:us-east-1:000000000000:table/{table}/stream/2026-11-01T00:00:00.000",
    }


def _http_event(method: str, path: str, body: str, key: str | None) -> dict[str, Any]:
    return {
        "version": "2.0",
        "routeKey": f"{method} {path}",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"content-type": "application/json", "x-api-key": key or ""},
        "queryStringParameters": {},
        "requestContext": {
            "http": {"method": method, "path": path},
            "stage": "$default",
            "authorizer": {"lambda": {"key": "k", "scopes": "admin"}},
        },
        "body": body,
        "isBase64Encoded": False,
    }
