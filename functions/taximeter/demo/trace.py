"""The real trace in `events/trace`, and the start and stop events that its invocations become."""

import csv
import random
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from metering.times import format_time

TRACE = Path(__file__).resolve().parents[3] / "events" / "trace" / "azure-functions-2021-sample.csv"

# The trace does not say where a function ran, nor its memory: both follow from the first digits of its hash.
_PLACES = (("aws", "us-east-1"), ("aws", "eu-west-1"), ("azure", "westeurope"), ("gcp", "us-central1"))
_MEMORIES_GB = ("0.125", "0.25", "0.5", "1")

_SEED = 2021
_SENT_TWICE_PERCENT = 10

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Invocation:
    """One run of a function; `start` and `end` are milliseconds from the beginning of the trace."""

    number: int
    application: str
    function: str
    start: int
    end: int

    @property
    def dimensions(self) -> dict[str, str]:
        """What its events say about it."""
        chance = int(self.function[:8], 16)
        provider, region = _PLACES[chance % len(_PLACES)]
        return {
            "function_id": self.function[:8],
            "invocation_id": f"{self.number:03d}",
            "provider": provider,
            "region": region,
            "memory_gb": _MEMORIES_GB[chance // len(_PLACES) % len(_MEMORIES_GB)],
        }

    def events(self, customer: str, began: int) -> list[Event]:
        """Its start and its stop, for a trace that began at an instant."""
        common = {"customer": customer, "meter": "runtime", "dimensions": self.dimensions}
        return [
            {"id": f"{self.number:03d}:{kind}", "type": kind, "timestamp": format_time(began + offset), **common}
            for kind, offset in (("start", self.start), ("stop", self.end))
        ]


def read(path: Path = TRACE) -> list[Invocation]:
    """The invocations, in the order of their ends."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found = []
    for number, row in enumerate(rows, 1):
        end, duration = int(Decimal(row["end_timestamp"]) * 1000), int(Decimal(row["duration"]) * 1000)
        found.append(Invocation(number, row["app"], row["func"], max(end - duration, 0), end))
    return sorted(found, key=lambda each: (each.end, each.number))


def requests(invocations: Sequence[Invocation], customers: dict[str, str], began: int, count: int) -> list[list[Event]]:
    """The bodies to post: as a careless client sends them, but the same ones each time.

    Each holds the events of some invocations, shuffled, and every stop before its start. Some events occur twice in
    it, some of the request before it occur again, and the last but one is sent twice as a whole.

    Args:
        invocations: in the order in which they ended.
        customers: the customer of each application.
        began: when the trace began, in milliseconds since the epoch.
        count: how many different requests there are.
    """
    chance = random.Random(_SEED)  # noqa: S311 - the same each time, on purpose
    size = -(-len(invocations) // count)
    bodies: list[list[Event]] = []
    for first in range(0, len(invocations), size):
        fresh = [
            event
            for invocation in invocations[first : first + size]
            for event in invocation.events(customers[invocation.application], began)
        ]
        known = [*fresh, *(bodies[-1] if bodies else [])]
        body = fresh + chance.sample(known, len(fresh) * _SENT_TWICE_PERCENT // 100)
        chance.shuffle(body)
        bodies.append(_stops_first(body))
    return [*bodies[:-1], bodies[-2], bodies[-1]] if len(bodies) > 1 else bodies


def _stops_first(body: list[Event]) -> list[Event]:
    """Let the stop come first of every two that came the other way round.

    A start without its stop is a session that runs, and costs, until the stop is there; so balances only go down.
    """
    first: dict[str, int] = {}
    for place, event in enumerate(body):
        first.setdefault(event["id"], place)
    ordered = list(body)
    for name, place in first.items():
        stop = first.get(name.replace(":start", ":stop"), place)
        if place < stop and name.endswith(":start"):
            ordered[place], ordered[stop] = body[stop], body[place]
    return ordered
