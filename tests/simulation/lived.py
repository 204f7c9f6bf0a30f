"""Living through a year: whatever deployment it is, it is asked for the same things at the same instants."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from metering.times import DAY, HOUR, MINUTE, floor, parse_time
from tests.simulation.catalogue import METERS, Json
from tests.simulation.year import END, SUMMER, Person, Visit, Year
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


LEAP_DAY = parse_time(f"{SUMMER + 1}-02-29T00:00:00Z")
INGREDIENTS = {
    *("a credit that expires", "somebody leaves", "a change of plan", "new versions of plans", "events that come late"),
    *("a correction", "a session over a change of the clocks", "a session over the leap day"),
    *("a session over a change of plan", "a session over a period's end"),
}


def ingredients(year: Year) -> set[str]:
    """What a year has of what a year can have."""
    found = {f"a session over {what}" for person in year.people for each in _sessions(year, person) for what in each}
    said = {name for visit in year.visits[1:] for _, path, body in visit.requests for name in (path[:9], *body)}
    found |= {
        what
        for name, what in (
            ("expires_at", "a credit that expires"),
            ("ends_at", "somebody leaves"),
            ("plan_effective_at", "a change of plan"),
            ("/v1/plans", "new versions of plans"),
        )
        if name in said
    }
    events = [(visit.at, event) for visit in year.visits for event in visit.events]
    found |= {"events that come late"} if any(event["timestamp"] < at - DAY for at, event in events) else set()
    found |= {"a correction"} if any("revision" in event for _, event in events) else set()
    return found


def _sessions(year: Year, person: Person) -> Iterator[Iterator[str]]:
    """Of each of somebody's sessions, what it goes on over."""
    edges = [each for visit in year.visits for each in visit.events if each["customer"] == person.id and "type" in each]
    ends = {each["dimensions"]["vm"]: each["timestamp"] for each in edges if each["type"] == "stop"}
    for start in (each for each in edges if each["type"] == "start" and each["meter"] == "lease"):
        yield _goes_over(person, start["timestamp"], ends[start["dimensions"]["vm"]])


def _goes_over(person: Person, begin: int, end: int) -> Iterator[str]:
    zone = ZoneInfo(person.body["timezone"])
    if len({datetime.fromtimestamp(at / 1000, UTC).astimezone(zone).utcoffset() for at in (begin, end)}) > 1:
        yield "a change of the clocks"
    if begin < LEAP_DAY and end > LEAP_DAY + DAY:
        yield "the leap day"
    if any(begin < at < end for at, _ in person.starts[1:]):
        yield "a change of plan"
    if any(begin < at < end for at, _ in person.periods(END)):
        yield "a period's end"
