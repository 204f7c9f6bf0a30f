"""From counts to dollars: the list prices of us-east-1, and what is assumed where nothing can be counted."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from infra.benchmark.run import Measured, Sample

# Dollars per million, arm64 and on demand; Lambda's reading of streams is free.
WRITE_UNIT = Decimal("0.625")
READ_UNIT = Decimal("0.125")
HTTP_REQUEST = Decimal("1.00")
INVOCATION = Decimal("0.20")
GIGABYTE_SECOND = Decimal("13.3334")
QUEUE_REQUEST = Decimal("0.40")
BUS_EVENT = Decimal("1.00")
LOG_GIGABYTE = Decimal("0.50")

MEGABYTES_A_PROCESSOR = 1769
WAIT_MILLISECONDS = 4
MEMORY_MEGABYTES: Mapping[str, int] = {
    "authorize": 512,
    "ingest": 1024,
    "pair": 512,
    "aggregate": 1024,
    "rate": 512,
    "relay": 512,
    "invoice": 1024,
}

ASSUMPTIONS = (
    "List prices of us-east-1, without free tiers. Every customer is prepaid, the month is half over, and every draw "
    "moves a cent or more.",
    "An hour is weighed from two samples: the minutes around its end, and as many around its middle. Day ends are left "
    "out.",
    f"Compute: processor time on this machine, of handler and SDK, × {MEGABYTES_A_PROCESSOR} MB a processor; "
    "environments are warm.",
    f"Waiting: {WAIT_MILLISECONDS} ms for each request to a table × the function's memory. It is on the bill, but not "
    "in the total, as the targets were measured without it.",
    "Streams have 4 shards, as those of a new table on demand.",
)


@dataclass(frozen=True, slots=True)
class Cost:
    """Dollars per million events or sessions, part by part.

    Attributes:
        api: the HTTP API.
        requests: Lambda's price of being called.
        compute: Lambda's price of the processor time.
        writes: DynamoDB's write units.
        reads: its read units.
        rest: queues, the bus, logs.
        waiting: Lambda's price of waiting for DynamoDB; not in the total.
    """

    api: Decimal
    requests: Decimal
    compute: Decimal
    writes: Decimal
    reads: Decimal
    rest: Decimal
    waiting: Decimal

    @property
    def total(self) -> Decimal:
        """All parts together, but for the waiting."""
        return self.api + self.requests + self.compute + self.writes + self.reads + self.rest


def cost_of(measured: Measured, sdk_milliseconds: Decimal) -> Cost:
    """What a million events or sessions of a shape cost."""

    def priced(what: str, price: Decimal) -> Decimal:
        return measured.million(lambda sample: total(sample, what)) / 1_000_000 * price

    def compute(sample: Sample) -> Decimal:
        own = Decimal(sum(sample.processor_nanoseconds.values())) / 1_000_000
        return own + total(sample, "table requests") * sdk_milliseconds

    def waiting(sample: Sample) -> Decimal:
        return sum(
            (Decimal(sample.counts[name, "table requests"]) * memory for name, memory in MEMORY_MEGABYTES.items()),
            Decimal(0),
        )

    gigabyte_milliseconds = measured.million(compute) * MEGABYTES_A_PROCESSOR / 1024
    waited = measured.million(waiting) * WAIT_MILLISECONDS / 1024
    return Cost(
        api=priced("http requests", HTTP_REQUEST),
        requests=priced("invocations", INVOCATION),
        compute=gigabyte_milliseconds / 1000 / 1_000_000 * GIGABYTE_SECOND,
        writes=priced("write", WRITE_UNIT),
        reads=priced("read", READ_UNIT),
        rest=priced("queue requests", QUEUE_REQUEST)
        + priced("bus events", BUS_EVENT)
        + priced("log bytes", LOG_GIGABYTE / 1000),
        waiting=waited / 1000 / 1_000_000 * GIGABYTE_SECOND,
    )


def total(sample: Sample, what: str) -> Decimal:
    """How much of something there was in all functions; `write` and `read` of all tables."""
    return sum(
        (
            Decimal(number)
            for (_, counted), number in sample.counts.items()
            if counted.split(" ")[0] == what or counted == what
        ),
        Decimal(0),
    )
