"""The whole street in one process: tables that tell of their changes, streams and queues that a test moves by hand."""

import base64
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from random import Random
from types import SimpleNamespace
from typing import Any, TypeVar
from urllib.parse import urlsplit

from adapters.bus import Bus
from adapters.items import Item, Key, Put, Table, string, to_wire
from adapters.lag import Lag
from adapters.memory import MemoryTable
from adapters.queues import Queue
from adapters.remembered import Remembered
from adapters.secrets import Secret
from adapters.stripe import Stripe
from handlers import aggregate, api, collect, ingest, invoice, notify, pair, rate, relay, top_up
from handlers._live import Live
from metering.times import MINUTE, format_time, parse_time
from tests.handlers.receiver import Receiver
from tests.infra.local.stripe.in_process import URL, InProcess, Transport

NOW = parse_time("2026-11-20T16:00:00Z")
WEBHOOK_SECRET = "whsec_of_the_tests"
ENVIRONMENT = {
    "CATALOG_TABLE": "Catalog",
    "EVENTS_TABLE": "Events",
    "USAGE_TABLE": "Usage",
    "LEDGER_TABLE": "Ledger",
    "ACCEPT_PAST": "35d",
    "ACCEPT_FUTURE": "5m",
    "GRACE": "1h",
    "ISSUER": json.dumps({"name": "Us", "address": {}, "tax_id": "T-1", "invoice_prefix": "TX-"}),
    "BUS_NAME": "bus",
    "RATE_QUEUE_URL": "RATE",
    "INVOICE_QUEUE_URL": "INVOICE",
    "TOP_UP_QUEUE_URL": "TOP_UP",
    "COLLECT_QUEUE_URL": "COLLECT",
    "REFRESH_QUEUE_URL": "REFRESH",
    "NOTIFY_QUEUE_URL": "NOTIFY",
    "FRESHNESS": "5s",
    "ALERT_TOPIC_ARN": "topic",
    "STRIPE_SECRET_ARN": "secret",
    "RETURN_URL": "https://api.test/payment/done",
}

# What the template's filters give to each consumer: the table, the kinds of items, and what happened to them.
FRESH = frozenset({"INSERT", "MODIFY"})
CONSUMERS: dict[str, tuple[str, frozenset[str], frozenset[str]]] = {
    "pair": ("Events", frozenset({"edge", "poke"}), FRESH),
    "aggregate": ("Events", frozenset({"usage", "facts", "sightings"}), FRESH),
    "rate": ("Usage", frozenset({"window", "open", "late"}), FRESH),
    "relay": ("Ledger", frozenset({"outbox"}), frozenset({"INSERT"})),
}
HANDLERS: dict[str, Any] = {
    "pair": pair.handler,
    "aggregate": aggregate.handler,
    "rate": rate.handler,
    "relay": relay.handler,
    "RATE": rate.handler,
    "REFRESH": aggregate.handler,
    "INVOICE": invoice.handler,
    "TOP_UP": top_up.handler,
    "COLLECT": collect.handler,
    "NOTIFY": notify.handler,
}
# What the bus rules send where; beside that everything goes to NOTIFY.
RULES = {"top_up.requested": "TOP_UP", "invoice.finalized": "COLLECT", "invoice.voided": "COLLECT"}

METERS: list[dict[str, Any]] = [
    {"key": "requests", "aggregation": "sum", "dimensions": ["provider", "region"]},
    {
        "key": "runtime",
        "aggregation": "duration",
        "dimensions": ["provider"],
        "session": ["vm"],
        "weight": "memory_gb",
        "max_duration": "6h",
    },
]
PLAN: dict[str, Any] = {
    "key": "serverless",
    "currency": "USD",
    "items": [
        {"key": "requests", "meter": "requests", "price": {"model": "per_unit", "unit_price": "0.5"}},
        {
            "key": "gb-hours",
            "meter": "runtime",
            "divide_by": "3600000",
            "price": {"model": "per_unit", "unit_price": "1.25"},
        },
    ],
}


Answer = TypeVar("Answer")


class Crash(Exception):
    """The process ended here."""


class Fragile(MemoryTable):
    """A table with whose calls somebody may interfere; its writes may end the process, before or after."""

    def __init__(self, street: "Street", name: str) -> None:
        super().__init__(lambda old, new: street.changed(name, old, new))
        self._street = street
        self._name = name

    def all(self) -> list[Item]:
        """Everything that it holds, in the order of the keys."""
        return [self._items[key] for key in sorted(self._items)]

    def get(self, pk: str, sk: str) -> Item | None:
        return self._call(f"get {_word(sk)}", lambda: super(Fragile, self).get(pk, sk))

    def get_many(self, keys: Sequence[Key]) -> list[Item]:
        return self._call("get_many", lambda: super(Fragile, self).get_many(keys))

    def query(
        self, pk: str, first: str = "", last: str = "\U0010ffff", *, newest_first: bool = False, page: int = 0
    ) -> Iterator[Item]:
        def found() -> Iterator[Item]:
            return super(Fragile, self).query(pk, first, last, newest_first=newest_first, page=page)

        return self._call(f"query {_word(first)}", found)

    def transact(self, puts: Sequence[Put]) -> None:
        """Write; one item alone is put, which is no transaction but writes the same."""
        how = "transact" if len(puts) > 1 else "put"
        self._call(f"{how} {_word(string(puts[0].item, 'sk'))}", lambda: self._write(puts))

    def delete(self, pk: str, sk: str) -> None:
        self._call(f"delete {_word(sk)}", lambda: super(Fragile, self).delete(pk, sk))

    def _call(self, what: str, do: Callable[[], Answer]) -> Answer:
        done: Answer = self._street.interfere(f"{self._name} {what}", do)
        return done

    def _write(self, puts: Sequence[Put]) -> None:
        """Write, and maybe die."""
        dies = self._street.writes_left == 0
        if self._street.writes_left is not None:
            self._street.writes_left -= 1
        if dies and not self._street.answer_lost:
            raise Crash
        super().transact(puts)
        if dies:
            raise Crash


def _word(sort: str) -> str:
    return sort.partition("#")[0]


_WORDS_OF_PATHS = {"payment_intents", "payment_methods", "invoice_payments", "add_lines", "mark_uncollectible"}
"""Of Stripe's paths: what else has an underscore is an id."""


class Line(Transport):
    """The line to Stripe, with whose calls somebody may interfere."""

    def __init__(self, street: "Street", stand_in: InProcess) -> None:
        super().__init__(stand_in.application)
        self._street = street

    def request(self, method: str, url: str, *args: Any, **more: Any) -> Any:
        path = urlsplit(url).path.removeprefix("/v1/").split("/")
        said = "/".join(part for part in path if "_" not in part or part in _WORDS_OF_PATHS)
        return self._street.interfere(
            f"Stripe {method.upper()} {said}", lambda: super(Line, self).request(method, url, *args, **more)
        )


@dataclass
class Street(Live):
    """A deployment in memory, with the sample catalogue.

    Attributes:
        now: the clock of every function.
        tables: by name.
        streams: the records that each consumer has not had yet.
        queues: the messages that wait, by queue.
        delays: of the messages that were put off, in seconds.
        bus_entries: everything that was put on the bus.
        stand_in: Stripe at the end of the street; without one nobody may call it.
        interfere: is given the name of every call of a table, a queue, the secret, the bus or Stripe, and makes it.
        lags: the ages of the oldest records that consumers were last given, in milliseconds.
        writes_left: how many writes of a table go well before one ends the process; None for all.
    """

    environment: dict[str, str] = field(default_factory=lambda: dict(ENVIRONMENT))
    now: int = NOW
    tables: dict[str, Fragile] = field(default_factory=dict)
    streams: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    queues: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    delays: list[int] = field(default_factory=list)
    bus_entries: list[dict[str, Any]] = field(default_factory=list)
    lags: list[int] = field(default_factory=list)
    stand_in: InProcess | None = None
    interfere: Callable[[str, Callable[[], Any]], Any] = lambda _, do: do()
    writes_left: int | None = None
    answer_lost: bool = False
    secrets: dict[str, Any] = field(
        default_factory=lambda: {
            "stripe_api_key": "sk_test_1",
            "stripe_webhook_secrets": [WEBHOOK_SECRET],
            "signing_key": "of-the-tests",
        }
    )

    def __post_init__(self) -> None:
        self._numbers = count(10**20)
        self.table = self._table

    def _table(self, name: str) -> Table:
        return self.tables.setdefault(name, Fragile(self, name))

    def changed(self, table: str, old: Item | None, new: Item) -> None:
        """Hand a change to the consumers whose filters let it pass."""
        name = "MODIFY" if old else "INSERT"
        number = next(self._numbers)
        takers = [
            consumer
            for consumer, (source, kinds, names) in CONSUMERS.items()
            if source == table and new.get("kind") in kinds and name in names
        ]
        record = stream_record(table, name, new, number) if takers else {}
        for consumer in takers:
            self.streams[consumer].append(record)

    @cached_property
    def clock(self) -> Any:
        """The street's clock."""
        return lambda: self.now

    @cached_property
    def remembered(self) -> Remembered:
        """A memory of one call, so that a test need not wait."""
        return Remembered(self.catalog, 1, count().__next__)

    @cached_property
    def bus(self) -> Bus:
        """A bus that keeps what it gets, and follows the rules."""
        return Bus("bus", SimpleNamespace(put_events=self._put_events))  # type: ignore[arg-type]  # all that it calls

    def _put_events(self, Entries: list[dict[str, Any]]) -> Any:  # noqa: N803 - the SDK's own name
        return self.interfere("bus put_events", lambda: self._take_events(Entries))

    def _take_events(self, entries: list[dict[str, Any]]) -> Any:
        for entry in entries:
            self.bus_entries.append(entry)
            at = int(entry["Time"].timestamp() * 1000)
            event = bus_event(entry["DetailType"], json.loads(entry["Detail"]), at)
            for queue in filter(None, ("NOTIFY", RULES.get(entry["DetailType"]))):
                self.queues[queue].append(event)
        return {"Entries": [{"EventId": "1"} for _ in entries]}

    @cached_property
    def lag(self) -> Lag:
        """What CloudWatch says of the consumers' lag."""
        answer = {"MetricDataResults": [{"Values": self.lags}, {}]}
        return Lag(["aggregate", "rate"], SimpleNamespace(get_metric_data=lambda **_: answer))  # type: ignore[arg-type]  # all that it calls

    @cached_property
    def stripe(self) -> Stripe:
        """The real SDK, with its stand-in behind it."""
        assert self.stand_in, "nobody is to call Stripe here"
        return Stripe(self.secret, URL, transport=Line(self, self.stand_in))

    @cached_property
    def secret(self) -> Secret:
        """The Stripe secret."""

        def read(SecretId: str) -> Any:  # noqa: N803 - the SDK's own name
            return self.interfere(f"secret {SecretId}", lambda: {"SecretString": json.dumps(self.secrets)})

        return Secret("arn", SimpleNamespace(get_secret_value=read))  # type: ignore[arg-type]  # all that it calls

    @cached_property
    def webhooks(self) -> Receiver:
        """Users' servers."""
        return Receiver()

    def queue(self, name: str) -> Queue:
        """A queue that keeps its messages."""

        def send(QueueUrl: str, Entries: list[dict[str, Any]]) -> Any:  # noqa: N803 - the SDK's own names
            return self.interfere(f"queue {QueueUrl}", lambda: take(QueueUrl, Entries))

        def take(queue: str, entries: list[dict[str, Any]]) -> Any:
            self.queues[queue] += [json.loads(entry["MessageBody"]) for entry in entries]
            self.delays += [entry["DelaySeconds"] for entry in entries if "DelaySeconds" in entry]
            return {}

        return Queue(self.setting(f"{name}_QUEUE_URL"), SimpleNamespace(send_message_batch=send))  # type: ignore[arg-type]  # all that it calls

    def call(
        self, method: str, path: str, body: object = None, scopes: str = "admin", query: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """Call the API; returns the status and the body."""
        event = http_event(method, path, None if body is None else json.dumps(body), scopes=scopes, query=query)
        answer = api.handler(event, None)
        told = answer.get("body") or ""
        return answer["statusCode"], json.loads(told) if told.startswith(("{", "[")) else told

    def does(self, method: str, path: str, body: object = None, query: Mapping[str, str] | None = None) -> Any:
        """Call the API, and have it succeed."""
        status, told = self.call(method, path, body, query=query)
        assert status < 300, told
        return told

    def prepare(self, **customer: Any) -> None:
        """Write the sample catalogue, and the customer acme on the sample plan."""
        for meter in METERS:
            self.does("PUT", f"/v1/meters/{meter['key']}", meter)
        self.does("PUT", "/v1/plans/serverless", PLAN)
        self.does("PUT", "/v1/customers/acme", {"plan": "serverless", **customer})

    def post(self, *events: Mapping[str, Any]) -> dict[str, Any]:
        """Post events through ingest; returns its answer."""
        answer: dict[str, Any] = ingest.handler(http_event("POST", "/v1/events", json.dumps(events)), None)
        return answer

    def flow(self, random: Random | None = None) -> None:
        """Move every record, put-off refresh and rate message along until nothing is left.

        With `random`: in any order, in batches of any size, some of them twice.
        """
        while True:
            waiting = [name for name in CONSUMERS if self.streams[name]]
            queues = [name for name in ("RATE", "REFRESH") if self.queues[name]]
            if not waiting and not queues:
                return
            if not waiting or (random and queues and random.random() < 0.1):
                self.deliver(random.choice(queues) if random else queues[0])
                continue
            name = random.choice(waiting) if random else waiting[0]
            records = self.streams[name]
            if random:
                random.shuffle(records)
            size = random.randint(1, len(records)) if random else len(records)
            batch = records[:size]
            self.run(name, batch)
            if not random or random.random() < 0.8:
                del records[:size]

    def run(self, name: str, records: Sequence[Mapping[str, Any]]) -> None:
        """Give a consumer one batch, as the gateway of its stream or queue would write it."""
        HANDLERS[name]({"Records": json.loads(json.dumps(records))}, None)

    def deliver(self, queue: str, most: int = 10) -> None:
        """Give a queue's function what waits, and what follows of it; what raises stays, what is put back waits."""
        known, put_back = list(map(id, self.queues[queue])), []
        while batch := self.queues[queue][:most]:
            self.run(queue, [queue_record(message) for message in batch])
            del self.queues[queue][: len(batch)]
            fresh = [each for each in self.queues[queue] if "tries" in each and id(each) not in known]
            put_back += fresh
            self.queues[queue] = [each for each in self.queues[queue] if each not in fresh]
        self.queues[queue] += put_back

    def minute(self) -> None:
        """The schedule's minute, and all that follows of it."""
        rate.handler({"source": "schedule", "time": format_time(self.now)}, None)
        self.flow()

    def hour(self) -> None:
        """The schedule's hour, and all that follows of it."""
        invoice.handler({"source": "schedule", "time": format_time(self.now)}, None)
        self.deliver("INVOICE")
        self.flow()

    def advance(self, now: str) -> None:
        """Move the clock and let the schedules run."""
        self.now = parse_time(now)
        for _ in range(2):
            self.minute()
            self.hour()

    def expire(self) -> None:
        """Remove what DynamoDB would have removed by now."""
        for table in self.tables.values():
            for item in table.all():
                if "ttl" in item and int(str(item["ttl"])) * 1000 < self.now:
                    table.delete(string(item, "pk"), string(item, "sk"))

    def announced(self, detail_type: str) -> list[dict[str, Any]]:
        """What was told on the bus, of one type."""
        return [json.loads(entry["Detail"]) for entry in self.bus_entries if entry["DetailType"] == detail_type]

    def parked(self, customer: str = "acme") -> list[Item]:
        """What was parked of a customer."""
        return self.outbox.parked(customer)

    def items(self, table: str, *kinds: str) -> list[Item]:
        """The items of a table, of some kinds, in the order of their keys."""
        found = self.tables[table].all() if table in self.tables else []
        return [item for item in found if item.get("kind") in kinds]


def stream_record(table: str, name: str, item: Item, number: int) -> dict[str, Any]:
    """A record as Lambda gets it from a DynamoDB stream."""
    return {
        "eventID": f"{number:x}",
        "eventName": name,
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "us-east-1",
        "dynamodb": {
            "ApproximateCreationDateTime": NOW // 1000,
            "Keys": to_wire({key: item[key] for key in ("pk", "sk")}),
            "NewImage": {
                key: {"B": base64.b64encode(tagged["B"]).decode()} if "B" in tagged else tagged
                for key, tagged in to_wire(item).items()
            },
            "SequenceNumber": str(number),
            "SizeBytes": 200,
            "StreamViewType": "NEW_IMAGE",
        },
        "eventSourceARN": f"arn:aws:dynamodb:us-east-1:000000000000:table/{table}/stream/2026-11-01T00:00:00.000",
    }


def queue_record(message: Mapping[str, Any]) -> dict[str, Any]:
    """A record as Lambda gets it from a queue."""
    return {"messageId": "m-1", "body": json.dumps(message), "attributes": {}, "eventSource": "aws:sqs"}


def bus_event(detail_type: str, detail: Mapping[str, Any], at: int = NOW) -> dict[str, Any]:
    """An event as EventBridge hands it on."""
    return {
        "version": "0",
        "id": "e-1",
        "source": "taximeter",
        "detail-type": detail_type,
        "time": format_time(at),
        "detail": dict(detail),
    }


def http_event(
    method: str,
    path: str,
    body: str | None = None,
    headers: Mapping[str, str] | None = None,
    scopes: str = "admin",
    query: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """A request as the HTTP API hands it on (payload format 2.0)."""
    return {
        "version": "2.0",
        "routeKey": f"{method} {path}",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"content-type": "application/json", **(headers or {})},
        "queryStringParameters": dict(query or {}),
        "requestContext": {
            "http": {"method": method, "path": path},
            "stage": "$default",
            "authorizer": {"lambda": {"key": "k", "scopes": scopes}},
        },
        "body": body,
        "isBase64Encoded": False,
    }


def used(identity: str, minutes: int = 0, value: str = "1", **fields: Any) -> dict[str, Any]:
    """A usage event of acme, some minutes after the hour before now."""
    at = NOW - 60 * MINUTE + minutes * MINUTE
    event = {"id": identity, "customer": "acme", "meter": "requests", "timestamp": at, "value": value}
    return event | {"dimensions": {"provider": "aws"}} | fields


def edge(kind: str, minutes: int = 0, vm: str = "1", **fields: Any) -> dict[str, Any]:
    """A start or stop of one of acme's machines, some minutes after the hour before now."""
    at = NOW - 60 * MINUTE + minutes * MINUTE
    identity = f"{vm}:{kind}:{minutes}"
    event = {"id": identity, "customer": "acme", "meter": "runtime", "timestamp": at, "type": kind}
    return event | {"dimensions": {"vm": vm, "memory_gb": "2", "provider": "aws"}} | fields
