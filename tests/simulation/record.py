"""What a running system was told, and what the pure function says of it."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from metering.arrival import read_events
from metering.events import Event, live
from metering.meters import Meter
from metering.sessions import pair, resource_of
from metering.times import format_time
from taximeter.scenario import Scenario, accepted, read, subscribers
from taximeter.simulate import ACCEPT_FUTURE, Known, simulate
from tests.simulation.catalogue import METERS, PLANS, Json

# Only a deployment knows of its acceptance window; `simulate` takes events of any age.
_OF_THE_WINDOW = {"timestamp_too_old", "timestamp_in_future"}
_DURATIONS = [Meter.model_validate(each) for each in METERS if each["aggregation"] == "duration"]


@dataclass(frozen=True)
class Expected:
    """What the pure function says of one customer at an instant.

    Attributes:
        told: what `simulate` writes, and the stops that ended nothing beside the sessions.
        known: the usage of any interval.
        events: the usage events that hold.
        now: that instant.
    """

    told: Json
    known: Known
    events: Sequence[Event]
    now: int


@dataclass
class Record:
    """What a running system was told, as a scenario has it.

    Attributes:
        written: what was written of customers, in order.
        accepted: every event that was not refused for its age, as often as it was sent.
        verdicts: of each refused event its id, code and detail.
        edges: the starts and stops that were not refused.
    """

    written: list[Json] = field(default_factory=list)
    accepted: list[Json] = field(default_factory=list)
    verdicts: set[tuple[str, str, str]] = field(default_factory=set)
    edges: set[Event] = field(default_factory=set)

    def take(self, events: Sequence[Json], answer: Json) -> list[Json]:
        """Keep what an answer says of the events of its request; returns those that count from now on."""
        refused = {each["index"]: each for each in answer["rejected"]}
        assert answer["accepted"] == len(events) - len(refused)
        taken = [event for index, event in enumerate(events) if index not in refused]
        # As a deployment reads them: what was written decides, also of a number.
        self.edges |= {
            each for each in read_events(json.dumps(taken).encode()) if isinstance(each, Event) and each.type
        }
        for index, event in enumerate(events):
            reason = refused.get(index, {"code": None})
            if reason["code"] in _OF_THE_WINDOW:
                continue
            self.accepted.append(event)
            if reason["code"]:
                self.verdicts.add((reason["id"], reason["code"], reason["detail"]))
        return taken

    def expected(self, now: int, random: Random | None = None) -> dict[str, Expected]:
        """What the pure function says of all this at an instant, by customer; with `random`, told in any order."""
        events = random.sample(self.accepted, len(self.accepted)) if random else self.accepted
        whole = {"meters": METERS, "plans": PLANS, "customers": self.written, "events": events, "now": now}
        scenario = read(json.dumps(whole))
        told = simulate(scenario)
        assert {(each["id"], each["code"], each["detail"]) for each in told["rejected"]} == self.verdicts
        known, usage = _known(scenario), _usage(scenario)
        return {
            name: Expected(
                {**each, "sessions": each["sessions"] + self._orphans(name, now)}, known[name], usage[name], now
            )
            for name, each in told["customers"].items()
        }

    def _orphans(self, customer: str, now: int) -> list[Json]:
        """The stops that ended nothing: a simulation leaves them out, and a running system shows them."""
        found = []
        for meter in _DURATIONS:
            resources: defaultdict[str, list[Event]] = defaultdict(list)
            edges = [each for each in self.edges if (each.customer, each.meter) == (customer, meter.key)]
            for edge in live(each for each in edges if each.timestamp <= now):  # whatever resource (law 4.1)
                resources[resource_of(meter, edge)].append(edge)
            for session in (each for together in resources.values() for each in pair(together, meter, now)):
                if session.closed_by == "orphan":
                    key, at = dict(session.dimensions), format_time(session.start)
                    row = {"meter": meter.key, "key": {name: key[name] for name in meter.session}, "start": at}
                    found.append({**row, "end": at, "closed_by": "orphan", "quantity": "0"})
        return found


def _usage(scenario: Scenario) -> Mapping[str, Sequence[Event]]:
    """The usage events of each customer of a scenario."""
    meters = scenario.meters_by_key()
    versions: defaultdict[tuple[str, str], list[Event]] = defaultdict(list)
    for event in accepted(scenario)[0]:
        if not meters[event.meter].is_duration and event.timestamp <= scenario.now + ACCEPT_FUTURE:
            versions[event.customer, event.meter].append(event)
    found: defaultdict[str, list[Event]] = defaultdict(list)
    for (customer, _), several in versions.items():
        found[customer] += live(several)
    return found


def _known(scenario: Scenario) -> Mapping[str, Known]:
    """The usage of each customer of a scenario."""
    taken, _ = accepted(scenario)
    events: defaultdict[str, list[Event]] = defaultdict(list)
    for event in taken:
        events[event.customer].append(event)
    meters = scenario.meters_by_key()
    return {
        name: Known(meters, events[name], each.account, scenario.now)
        for name, each in subscribers(scenario, taken).items()
    }
