"""A year of customers, lived through by a deployment and computed by the pure function: the same invoices."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from handlers import _door, _live
from tests.handlers.street import Street
from tests.rows import deep
from tests.simulation.catalogue import Json
from tests.simulation.lived import INGREDIENTS, Lived, ingredients
from tests.simulation.year import Year
from tests.simulation.year_auditor import check_ledgers, check_year

if TYPE_CHECKING:
    from infra.local.cloud import Cloud

EVERYBODY = ("tardy", "plain", "plain-2", "annual", "prepaid", "leaver", "yen", "euro")


@dataclass
class InMemory:
    """A deployment in memory, whose clock stands."""

    street: Street

    @property
    def now(self) -> int:
        return self.street.now

    def ask(self, path: str, query: Mapping[str, str]) -> tuple[int, Any]:
        return self.street.call("GET", path, query=query)

    def does(self, method: str, path: str, body: Json) -> Any:
        return self.street.does(method, path, body)

    def take(self, events: Sequence[Json]) -> Json:
        answer: Json = json.loads(self.street.post(*events)["body"])
        return answer

    def reach(self, at: int) -> None:
        self.street.now = at
        self.street.minute()
        self.street.hour()
        self.street.expire()

    def arrive(self, names: Sequence[str]) -> None:
        self.street.flow()
        self.street.minute()
        check_ledgers(self.ask, names, newest=True)


@dataclass
class OnTheCloud:
    """The deployed template on a local cloud, whose clock goes on by itself too."""

    cloud: "Cloud"
    api: httpx.Client

    @property
    def now(self) -> int:
        from infra.local.clock import now_milliseconds

        return now_milliseconds(self.cloud)

    def ask(self, path: str, query: Mapping[str, str]) -> tuple[int, Any]:
        answer = self.api.get(path, params=dict(query))
        return answer.status_code, answer.json()

    def does(self, method: str, path: str, body: Json) -> Any:
        answer = self.api.request(method, path, json=body)
        assert answer.status_code < 300, answer.text
        return answer.json()

    def take(self, events: Sequence[Json]) -> Json:
        answer = self.api.post("/v1/events", json=events)
        assert answer.status_code in (202, 400), answer.text
        return {"accepted": 0, **answer.json()}

    def reach(self, at: int) -> None:
        from infra.local.clock import advance

        if at > self.now:
            advance(self.cloud, at)

    def arrive(self, names: Sequence[str]) -> None:  # noqa: ARG002 - the clock goes on: a balance is that of a moment
        from infra.local.clock import wait_until_quiet

        wait_until_quiet(self.cloud)


@pytest.fixture
def street(monkeypatch: pytest.MonkeyPatch) -> Street:
    """A deployment without anything in it."""
    monkeypatch.setattr(_door.metrics.provider, "namespace", "Taximeter")
    made = Street()
    monkeypatch.setattr(_live, "live", made)
    return made


@pytest.fixture
def deployed(tmp_path: Path) -> Iterator[OnTheCloud]:
    """A cloud of its own: its clock is moved, and its numbers are those of the year alone."""
    from infra.local import cloud as clouds
    from infra.local.processes import free_port

    port = free_port()
    try:
        made = clouds.start(port, home=tmp_path)
        with made.api() as api:
            yield OnTheCloud(made, api)
    finally:
        clouds.stop(port, home=tmp_path)


@pytest.mark.parametrize(("name", "days_between"), [("annual", 40), deep("plain", 8)])
def test_a_year_of_one_customer_is_the_same_lived_through_and_computed(
    street: Street, name: str, days_between: int
) -> None:
    year = Year(2, (name,), visits=1, events_each=3)
    lived = Lived(InMemory(street), year, days_between)
    check_year(lived.heard, year, street.now)


@pytest.mark.deep
@pytest.mark.parametrize("seed", range(4))
def test_a_year_of_many_customers_is_the_same_lived_through_and_computed(street: Street, seed: int) -> None:
    year = Year(seed, EVERYBODY, visits=60, events_each=4)
    lived = Lived(InMemory(street), year, days_between=2)
    found = check_year(lived.heard, year, street.now)
    print(found)  # noqa: T201 - what the run was worth


@pytest.mark.deep
@pytest.mark.cloud
def test_a_year_is_the_same_lived_through_by_the_deployed_template(deployed: OnTheCloud) -> None:
    # Who is late, who has credits and who leaves, each in a zone whose clocks change.
    year = Year(1020, ("tardy", "plain", "leaver"), visits=8, events_each=3)
    assert ingredients(year) == INGREDIENTS
    lived = Lived(deployed, year, days_between=400)
    found = check_year(lived.heard, year, deployed.now)
    print(found)  # noqa: T201 - what the run was worth
