"""Living through a year: whatever deployment it is, it is asked for the same things at the same instants."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from metering.times import DAY, HOUR, MINUTE, floor
from tests.simulation.catalogue import METERS, Json
from tests.simulation.year import Visit, Year
from tests.simulation.year_auditor import Heard
from tests.simulation.year_plans import PLANS


class Place(Protocol):
    """A deployment whose clock can be moved."""

    @property
    def now(self) -> int:
        """Its clock."""

    def ask(self, path: str, query: Mapping[str, str]) -> tuple[int, Any]:
        """GET; the status and the body."""

    def does(self, method: str, path: str, body: Json) -> Any:
        """Send a request, and have it succeed."""

    def take(self, events: Sequence[Json]) -> Json:
        """Send events; the answer's body."""

    def reach(self, at: int) -> None:
        """Move the clock there, and let the schedules run."""

    def arrive(self, names: Sequence[str]) -> None:
        """Let everything that is under way arrive, of these customers."""


class Lived:
    """A year that a deployment has lived through, and what was heard of it."""

    def __init__(self, place: Place, year: Year, days_between: int) -> None:
        """Let the schedules run every so many days, and whenever somebody visits."""
        self.place, self.year, self.heard = place, year, Heard(place.ask)
        self._names = [each.id for each in year.people]
        self._between = days_between * DAY
        self._listened = year.visits[0].at
        place.reach(year.visits[0].at)
        for kind, several in (("meters", METERS), ("plans", PLANS.values())):
            for each in several:
                place.does("PUT", f"/v1/{kind}/{each['key']}", each)
        for visit in year.visits:
            self._reach(visit.at)
            self._happen(visit)
        # Behind the grace of what ended last, and not at an instant at which anything else might happen.
        self._reach(year.visits[-1].at + HOUR + MINUTE)
        self._listen()

    def _reach(self, at: int) -> None:
        while (tick := floor(self.place.now, DAY) + self._between + HOUR) < at:
            self._tick(tick)
        self._tick(at)

    def _tick(self, at: int) -> None:
        # What came late began up to 35 days ago, and is listed two weeks more.
        if at > self._listened + 12 * DAY:
            self._listen()
        self.place.reach(at)

    def _listen(self) -> None:
        self._listened = self.place.now
        self.heard.listen(self._names, self._listened - 49 * DAY)

    def _happen(self, visit: Visit) -> None:
        for request in visit.requests:
            self.place.does(*request)
        if visit.events:
            self.heard.took(visit.events, self.place.take(visit.events))
        self.place.arrive(self._names)
