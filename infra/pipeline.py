"""From an event to the wallet: ingest, pair, aggregate, rate, and relay to the bus."""

from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra import grants
from infra.function import OurFunction, Shared
from infra.messages import Messages
from infra.schedule import EventEvery

_FRESH = ["INSERT", "MODIFY"]


def _kinds(*kinds: str) -> dict[str, object]:
    """The stream records of items of some kinds; never their removal."""
    return {"eventName": _FRESH, "dynamodb": {"NewImage": {"kind": {"S": list(kinds)}}}}


class Pipeline(Construct):
    """The functions that every event passes through."""

    def __init__(self, scope: Construct, shared: Shared, messages: Messages) -> None:
        super().__init__(scope, "Pipeline")
        self._shared = shared
        self._messages = messages
        self.ingest = self._ingest()
        self.pair = self._pair()
        self.aggregate = self._aggregate()
        self.rate = self._rate()
        self.relay = self._relay()
        self.consumers = [self.pair, self.aggregate, self.rate, self.relay]
        self.parking = [self.pair, self.aggregate, self.rate]
        self.functions = [self.ingest, *self.consumers]

    def _ingest(self) -> OurFunction:
        data = self._shared.data
        return OurFunction(
            self,
            "ingest",
            self._shared,
            description="Takes events over HTTPS and makes them durable",
            memory_megabytes=1024,
            timeout_seconds=29,
            may=[
                # It marks a meter as used before the meter's first event is kept.
                grants.on_table(data.catalog, *grants.READ, "PutItem"),
                grants.on_table(data.events, "BatchWriteItem"),
            ],
        )

    def _pair(self) -> OurFunction:
        data = self._shared.data
        pair = OurFunction(
            self,
            "pair",
            self._shared,
            description="Pairs starts with stops into sessions",
            memory_megabytes=512,
            timeout_seconds=60,
            may=[
                grants.on_table(data.events, "Query", "PutItem", "BatchWriteItem"),
                grants.on_table(data.catalog, *grants.READ),
                grants.on_table(data.ledger, "PutItem"),
            ],
        )
        pair.consume_stream(_stream(data.events), _kinds("edge", "poke"), self._shared)
        return pair

    def _aggregate(self) -> OurFunction:
        data, queue = self._shared.data, self._messages.refresh
        aggregate = OurFunction(
            self,
            "aggregate",
            self._shared,
            description="Folds segments into windows of usage",
            memory_megabytes=1024,
            timeout_seconds=120,
            may=[
                # It notes edges where their hour is kept by its minutes, and pokes those of several resources.
                grants.on_table(data.events, "Query", "PutItem"),
                grants.on_table(data.usage, *grants.WINDOWS),
                grants.on_table(data.catalog, *grants.READ),
                grants.on_table(data.ledger, "PutItem"),
                # It puts the refreshes of large windows off.
                grants.to_queue(queue),
            ],
            environment={
                "REFRESH_QUEUE_URL": queue.queue_url,
                "FRESHNESS": f"{self._shared.settings.freshness_seconds}s",
            },
        )
        aggregate.consume_stream(_stream(data.events), _kinds("usage", "facts", "sightings"), self._shared)
        # What waited for the same instant comes together; the fewest at once that Lambda allows, so that it does.
        aggregate.consume_queue(queue, most_at_once=2, batch_size=100, gathering_seconds=3)
        return aggregate

    def _rate(self) -> OurFunction:
        data, queue = self._shared.data, self._messages.rate
        rate = OurFunction(
            self,
            "rate",
            self._shared,
            description="Moves wallets to what is owed now",
            memory_megabytes=512,
            timeout_seconds=120,
            may=[
                *settling(self._shared),
                grants.on_due_index(data.ledger),
                # A watch ends when nothing runs any more.
                grants.on_table(data.ledger, "DeleteItem"),
                # It keeps past days as wholes.
                grants.on_table(data.usage, *grants.WINDOWS),
                # It pokes sessions that reached their longest duration, and what looked odd a minute ago.
                grants.on_table(data.events, "PutItem"),
                grants.to_queue(queue),
                # Its minute also finds the webhooks whose next try has come.
                grants.to_queue(self._messages.notify),
            ],
            environment={"RATE_QUEUE_URL": queue.queue_url, "NOTIFY_QUEUE_URL": self._messages.notify.queue_url},
            dead_letters=self._messages.undelivered,
        )
        rate.consume_stream(_stream(data.usage), _kinds("window", "open", "late"), self._shared)
        rate.consume_queue(queue, most_at_once=10)
        EventEvery(
            self,
            "RateEveryMinute",
            function=rate,
            rate="1 minute",
            undelivered=self._messages.undelivered,
        )
        return rate

    def _relay(self) -> OurFunction:
        bus = self._messages.bus
        relay = OurFunction(
            self,
            "relay",
            self._shared,
            description="Publishes the outbox on the bus",
            memory_megabytes=512,
            timeout_seconds=30,
            may=[grants.to_bus(bus)],
            environment={"BUS_NAME": bus.event_bus_name},
        )
        outbox = _kinds("outbox") | {"eventName": ["INSERT"]}
        relay.consume_stream(_stream(self._shared.data.ledger), outbox, self._shared)
        return relay


def settling(shared: Shared) -> list[iam.PolicyStatement]:
    """What whoever moves a wallet needs: to read usage and catalogue, to write the ledger."""
    data = shared.data
    return [
        grants.on_table(data.usage, "Query"),
        grants.on_table(data.catalog, *grants.READ),
        grants.on_table(data.ledger, *grants.SETTLE),
    ]


def _stream(table: dynamodb.TableV2) -> str:
    """The ARN of a table's stream, which a table with a stream always has."""
    if table.table_stream_arn is None:
        message = f"{table.node.path} has no stream"
        raise ValueError(message)
    return table.table_stream_arn
