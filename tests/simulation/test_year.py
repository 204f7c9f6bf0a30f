"""A year of customers, lived through by a deployment in memory and computed by the pure function: the same invoices."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from handlers import _door, _live
from metering.times import DAY, HOUR, floor
from tests.handlers.street import Street
from tests.simulation.catalogue import METERS
from tests.simulation.year import Visit, Year
from tests.simulation.year_auditor import Heard, check_ledgers, check_year
from tests.simulation.year_plans import PLANS

EVERYBODY = ("tardy", "plain", "plain-2", "annual", "prepaid", "leaver", "yen", "euro")


@pytest.fixture
def street(monkeypatch: pytest.MonkeyPatch) -> Street:
    """A deployment with the catalogue of the year."""
    monkeypatch.setattr(_door.metrics.provider, "namespace", "Taximeter")
    made = Street()
    monkeypatch.setattr(_live, "live", made)
    return made


class Lived:
    """A year that a street has lived through, and what was heard of it."""

    def __init__(self, street: Street, year: Year, days_between: int) -> None:
        self.street, self.year, self.heard = street, year, Heard(self.ask)
        self.between = days_between * DAY
        street.now = self.listened = year.visits[0].at
        for kind, several in (("meters", METERS), ("plans", PLANS.values())):
            for each in several:
                street.does("PUT", f"/v1/{kind}/{each['key']}", each)
        for visit in year.visits:
            self._reach(visit.at)
            self._happen(visit)
            check_ledgers(self.ask, [each.id for each in year.people], newest=True)
        self._reach(street.now + HOUR)
        self._listen()

    def ask(self, path: str, query: Mapping[str, str]) -> tuple[int, Any]:
        return self.street.call("GET", path, query=query)

    def _reach(self, at: int) -> None:
        """Let the schedules run every few days, and then."""
        while (tick := floor(self.street.now, DAY) + self.between + HOUR) < at:
            self._tick(tick)
        self._tick(at)

    def _tick(self, at: int) -> None:
        self.street.now = at
        self.street.minute()
        self.street.hour()
        if self.street.now > self.listened + 12 * DAY:
            self._listen()
        self.street.expire()

    def _listen(self) -> None:
        self.listened = self.street.now
        self.heard.listen([each.id for each in self.year.people], self.street.now - 49 * DAY)

    def _happen(self, visit: Visit) -> None:
        for request in visit.requests:
            self.street.does(*request)
        if visit.events:
            self.heard.took(visit.events, json.loads(self.street.post(*visit.events)["body"]))
        self.street.flow()
        self.street.minute()


def test_a_year_of_one_customer_is_the_same_lived_through_and_computed(street: Street) -> None:
    year = Year(2, ("plain",), visits=1, events_each=3)
    lived = Lived(street, year, days_between=8)
    check_year(lived.heard, year, street.now)


@pytest.mark.deep
@pytest.mark.parametrize("seed", range(4))
def test_a_year_of_many_customers_is_the_same_lived_through_and_computed(street: Street, seed: int) -> None:
    year = Year(seed, EVERYBODY, visits=60, events_each=4)
    lived = Lived(street, year, days_between=2)
    found = check_year(lived.heard, year, street.now)
    print(found)  # noqa: T201 - what the run was worth
