"""Who sends what: the shapes of traffic whose price is promised."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

from metering.times import MINUTE

_MOST_SECONDS_OF_A_SESSION = 10
_REGIONS = ("us-east-1", "eu-central-1")

METERS: list[dict[str, Any]] = [
    {"key": "requests", "aggregation": "sum", "dimensions": ["region"]},
    {"key": "runtime", "aggregation": "duration", "dimensions": ["region"], "session": ["invocation"]},
]
PLAN: dict[str, Any] = {
    "key": "prepaid",
    "currency": "USD",
    "items": [
        # A cent at least for each event and second, so that no draw is saved by rounding.
        {"key": "requests", "meter": "requests", "price": {"model": "per_unit", "unit_price": "0.01"}},
        {
            "key": "seconds",
            "meter": "runtime",
            "divide_by": "1000",
            "price": {"model": "per_unit", "unit_price": "0.01"},
        },
    ],
}


@dataclass(frozen=True, slots=True)
class Shape:
    """A steady stream of requests.

    Attributes:
        key: its name on the command line.
        says: what it is, for people.
        target: dollars per million that it may cost.
        minutes: how long each of the two samples is; even.
        customers: how many there are, all prepaid.
        every_milliseconds: between two requests.
        customers_a_request: whose events are in one request, in turn.
        events_each: of each of them; for sessions, how many start.
        sessions: whether these are starts and stops.
    """

    key: str
    says: str
    target: Decimal
    minutes: int
    customers: int = 1
    every_milliseconds: int = 1000
    customers_a_request: int = 1
    events_each: int = 1
    sessions: bool = False

    @property
    def unit(self) -> str:
        """What the price is for a million of."""
        return "sessions" if self.sessions else "events"


SHAPES = (
    Shape(
        key="bulk",
        says="1 customer, 100 events a request, 10 requests a second",
        target=Decimal("0.06"),
        every_milliseconds=100,
        events_each=100,
        minutes=2,
    ),
    Shape(
        key="mixed",
        says="50 customers, 2 events each a request, 1 request a second",
        target=Decimal("0.60"),
        customers=50,
        customers_a_request=50,
        events_each=2,
        minutes=4,
    ),
    Shape(
        key="single",
        says="1 customer, 1 event a request, 1 request a second",
        target=Decimal("2.65"),
        minutes=10,
    ),
    Shape(
        key="prepaid",
        says="1,000 customers, each 1 event a minute",
        target=Decimal("4.60"),
        customers=1000,
        every_milliseconds=60,
        minutes=2,
    ),
    Shape(
        key="sessions",
        says="1 customer, 25 sessions a second of 1 to 10 s, 50 edges a request",
        target=Decimal("1.70"),
        events_each=25,
        sessions=True,
        minutes=4,
    ),
)


class Traffic:
    """The requests of a shape; the same ones each time."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self._random = Random(shape.key)  # noqa: S311 - ids that look random, the same ones each time
        self._stops: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
        self._turn = 0

    def customer(self, number: int) -> str:
        """The id of a customer."""
        return f"customer-{number:04d}"

    def requests(self, start: int, end: int) -> Iterator[tuple[int, list[dict[str, Any]]]]:
        """The requests of [start, end), each with its instant; events are younger than their request."""
        every = self.shape.every_milliseconds
        for instant in range(start + every // 2, end, every):
            yield instant, self.request(instant)

    def request(self, instant: int) -> list[dict[str, Any]]:
        """One request."""
        shape = self.shape
        customers = [(self._turn + number) % shape.customers for number in range(shape.customers_a_request)]
        self._turn += shape.customers_a_request
        made = self._edges if shape.sessions else self._usage
        return [event for number in customers for event in made(self.customer(number), instant, shape.events_each)]

    def minute(self, start: int) -> Iterator[list[dict[str, Any]]]:
        """A minute in short: what still runs ends, then every customer once, in as few requests as there can be."""
        if ended := self._ended(start + MINUTE // 2):
            yield ended
        each = 1000 // self.shape.events_each // (2 if self.shape.sessions else 1)
        made = self._past_sessions if self.shape.sessions else self._usage
        for first in range(0, self.shape.customers, each):
            numbers = range(first, min(first + each, self.shape.customers))
            yield [
                event
                for number in numbers
                for event in made(self.customer(number), start + MINUTE // 2, self.shape.events_each)
            ]

    def past_hour(self, customer: str, start: int) -> list[dict[str, Any]]:
        """What an hour long ago holds: one event or session."""
        made = self._past_sessions if self.shape.sessions else self._usage
        return made(customer, start + MINUTE, 1)

    def _usage(self, customer: str, instant: int, number: int) -> list[dict[str, Any]]:
        return [
            {
                "id": self._id(),
                "customer": customer,
                "meter": "requests",
                "timestamp": instant - position,
                "value": str(self._random.randint(1, 100)),
                "dimensions": {"region": _REGIONS[position % len(_REGIONS)]},
            }
            for position in range(number)
        ]

    def _edges(self, customer: str, instant: int, number: int) -> list[dict[str, Any]]:
        edges = self._ended(instant)
        for position in range(number):
            session, at = self._id(), instant - position
            edges.append(_edge(customer, session, at, "start"))
            seconds = self._random.randint(1, _MOST_SECONDS_OF_A_SESSION)
            self._stops[instant + seconds * 1000].append(_edge(customer, session, at + seconds * 1000, "stop"))
        return edges

    def _ended(self, instant: int) -> list[dict[str, Any]]:
        due = sorted(at for at in self._stops if at <= instant)
        return [edge for at in due for edge in self._stops.pop(at)]

    def _past_sessions(self, customer: str, instant: int, number: int) -> list[dict[str, Any]]:
        edges = []
        for position in range(number):
            session, at = self._id(), instant - position
            edges += [_edge(customer, session, at, "start"), _edge(customer, session, at + 5000, "stop")]
        return edges

    def _id(self) -> str:
        return str(UUID(int=self._random.getrandbits(128), version=4))


def _edge(customer: str, session: str, at: int, kind: str) -> dict[str, Any]:
    return {
        "id": f"{session}:{kind}",
        "customer": customer,
        "meter": "runtime",
        "timestamp": at,
        "type": kind,
        "dimensions": {"invocation": session, "region": _REGIONS[0]},
    }
