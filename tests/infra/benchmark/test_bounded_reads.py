"""Rating one customer reads a bounded number of items, however long the period and however many the events. Law 4.4.

The past days of a period are read as one item each and meter, with a mark each that they are whole; the hours of the
running day and of the one before it, which late usage still changes, singly.
"""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from adapters.items import Item, Key
from adapters.memory import MemoryTable
from handlers import _door
from infra.benchmark.counting import CountingTable
from infra.benchmark.deployment import Deployment
from infra.benchmark.shapes import METERS, PLAN
from metering.times import DAY, HOUR, MINUTE, parse_time

BEGIN = parse_time("2027-01-01T00:00:00Z")
CUSTOMER = "acme"


class ItemCounting(CountingTable):
    """A table that counts the items that are read, too; `inner` tells what changed."""

    def get_many(self, keys: Sequence[Key]) -> list[Item]:
        found = super().get_many(keys)
        self._tally.add("items", len(found))
        return found

    def _read(self, items: Sequence[Item], *, eventual: bool = False) -> None:
        super()._read(items, eventual=eventual)
        self._tally.add("items", len(items))


class Counted(Deployment):
    """A deployment whose tables count items."""

    def table(self, name: str) -> CountingTable:
        if name not in self._tables:
            inner = MemoryTable(lambda old, new: self._changed(name, old, new))
            self._tables[name] = ItemCounting(name, inner, self.tally)
        return self._tables[name]


class Customer:
    """One customer with two meters, and a life of some events every few hours."""

    def __init__(self, period: str, every: int, events: int) -> None:
        self.every, self.events = every, events
        self.deployment = Counted(BEGIN, 5000)
        for meter in METERS:
            self.deployment.request("PUT", f"/v1/meters/{meter['key']}", meter)
        self.deployment.request("PUT", f"/v1/plans/{PLAN['key']}", {**PLAN, "period": period})
        self.deployment.request("PUT", f"/v1/customers/{CUSTOMER}", {"plan": PLAN["key"]})

    def live(self, until: int) -> None:
        """Let usage and finished sessions come in until then, and be drawn from the wallet."""
        for start in range(self.deployment.now, until, self.every):
            self._post(start + 7 * MINUTE)
            self.deployment.advance(start + self.every, schedules=False)

    def _post(self, at: int, *, sessions: bool = True) -> None:
        self.deployment.advance(at, schedules=False)
        used: list[dict[str, Any]] = []
        for number in range(self.events):
            common = {"customer": CUSTOMER, "timestamp": at - number * 1000}
            of_session = {"invocation": f"s-{at}-{number}", "region": "us-east-1"}
            edge = {**common, "meter": "runtime", "dimensions": of_session}
            used.append({**common, "id": f"e-{at}-{number}", "meter": "requests", "value": "1"})
            used += [
                {**edge, "id": f"{at}-{number}:start", "type": "start"},
                {**edge, "id": f"{at}-{number}:stop", "type": "stop", "timestamp": at - number * 1000 + 500},
            ]
        sent = used if sessions else used[:1]
        self.deployment.request("POST", "/v1/events", sent)

    def reads(self) -> dict[str, tuple[int, int]]:
        """The items and the units that are read to rate the customer after one more event, and to show its draft."""
        self._post(self.deployment.now + 20 * MINUTE, sessions=False)
        return {"rate": self._counted("rate", self._rate), "draft": self._counted("api", self._draft)}

    def _counted(self, function: str, work: Callable[[], None]) -> tuple[int, int]:
        tally = self.deployment.tally
        tally.start()
        self.deployment.counting = True
        work()
        self.deployment.counting = False
        assert tally.counts[function, "invocations"] == 1
        units = sum(number for (name, what), number in tally.counts.items() if name == function and "read " in what)
        return tally.counts[function, "items"], int(units)

    def _rate(self) -> None:
        """The event's segment is folded after five seconds, and the window is rated five seconds later."""
        self.deployment.advance(self.deployment.now + 12_000, schedules=False)

    def _draft(self) -> None:
        self.deployment.request("GET", f"/v1/customers/{CUSTOMER}/invoices/draft", None)


@pytest.fixture(autouse=True)
def namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_door.metrics.provider, "namespace", "Taximeter")


def read_after(period: str, every: int, events: int, days: Sequence[int]) -> list[dict[str, tuple[int, int]]]:
    customer = Customer(period, every, events)
    found = []
    for day in days:
        customer.live(BEGIN + day * DAY + 12 * HOUR)
        found.append(customer.reads())
    return found


@pytest.mark.parametrize("events", [1, pytest.param(10, marks=pytest.mark.deep)])
def test_a_month_is_read_by_its_days_however_many_events_there_were(events: int) -> None:
    """Two meters and a mark a day, and 14 items besides: the catalogue, the wallet, the hours of today."""
    assert read_after("month", 3 * HOUR, events, (3, 10, 30)) == [
        {"rate": (days * 3 + 14, units), "draft": (days * 3 + 14, units)} for days, units in ((3, 6), (10, 6), (30, 7))
    ]


@pytest.mark.deep
@pytest.mark.parametrize(("events", "units"), [(1, 26), (10, 27)])
def test_eleven_months_of_a_year_are_read_by_their_days_however_many_events_there_were(events: int, units: int) -> None:
    (told,) = read_after("year", 12 * HOUR, events, (335,))
    assert told == {"rate": (1014, units), "draft": (1014, units)}
