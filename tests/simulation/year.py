"""A year of customers in a deployment: who they are, and all that happens from one summer to the next.

There are both changes of the clocks of every zone and a leap day in it, and everything that may move money. What the
pure function is told of it is kept beside: a new version of a plan is a plan of its own there, to which whoever has the
plan changes with its next period.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from random import Random

from billing.periods import Calendar, PeriodUnit, whole_period
from metering.times import DAY, HOUR, MINUTE, QUARTER, floor, format_time, parse_time
from tests.simulation.catalogue import DURATIONS, METERS, Json
from tests.simulation.year_plans import BY_CURRENCY, PLANS, revised

# The first summer to come before a leap day: the clock of a local cloud only goes forward.
SUMMER = next(year for year in count(2027, 4) if datetime(year, 7, 1, tzinfo=UTC) > datetime.now(UTC))
BEGIN, END = parse_time(f"{SUMMER}-07-01T00:00:00Z"), parse_time(f"{SUMMER + 1}-07-05T12:00:00Z")
BEGIN_OF_THE_ANNUAL = parse_time(f"{SUMMER}-02-27T23:45:00Z")
ZONES = ("Europe/Berlin", "America/New_York", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kolkata", "UTC")
GRACE = HOUR

_PLAIN = tuple(meter for meter in METERS if meter["key"] not in DURATIONS)
_VALUES = ("1", "1", "2.5", "0.125", "17", "3", "0.001", "-1.25")


@dataclass
class Visit:
    """An instant at which the clock stands, and what is asked of the deployment then, in order."""

    at: int
    requests: list[tuple[str, str, Json]] = field(default_factory=list)
    events: list[Json] = field(default_factory=list)


@dataclass
class Person:
    """A customer, and what the generator remembers of it.

    Attributes:
        funded: credits are given, so that nothing that comes to be known late may change what was drawn.
        plan: what holds last, by its name in the scenario.
        settled: up to where all changes of plan are decided.
        starts: the instants from which its periods are counted: `starts_at`, then its changes of plan.
        running: its sessions, by meter, machine and start.
    """

    id: str
    body: Json
    funded: bool
    plan: str
    settled: int
    starts: list[tuple[int, str]]
    ends_at: int | None = None
    running: list[tuple[str, str, int]] = field(default_factory=list)

    def calendar(self, plan: str) -> Calendar:
        """The calendar of its periods on a plan."""
        unit: PeriodUnit = PLANS[plan].get("period", "month")
        return Calendar(unit, self.body["timezone"], self.body["anchor_day"], parse_time(self.body["starts_at"]))

    def periods(self, until: int) -> Iterator[tuple[int, int]]:
        """Its periods up to the one that holds an instant."""
        start = self.starts[0][0]
        while start <= until:
            plan = [name for begin, name in self.starts if begin <= start][-1]
            cuts = [begin for begin, _ in self.starts if begin > start]
            end = min([whole_period(self.calendar(plan), start).end, *cuts])
            yield start, end
            start = end


class Year:
    """A year: `visits` in order, and what the pure function is told of customers (`written`)."""

    def __init__(self, seed: int, people: Sequence[str], visits: int, events_each: int) -> None:
        self._random = Random(seed)  # noqa: S311 - a history, not a secret
        self._names = 0
        self.plans = dict(PLANS)
        self.written: list[Json] = []
        self._sent: defaultdict[str, list[Json]] = defaultdict(list)
        self.visits = [Visit(BEGIN)]
        self.people = [self._person(name) for name in people]
        instants = {floor(self._random.randrange(BEGIN, END), QUARTER) for _ in range(visits)}
        instants |= set(self._around_ends())
        self.visits += [Visit(at + 10 * MINUTE) for at in sorted(instants) if BEGIN < at < END - DAY]
        version_at = floor(BEGIN + 160 * DAY, QUARTER)
        for visit in self.visits[1:]:
            # Only where no change lies ahead: from when a newer version of what it names holds is not said.
            if version_at and visit.at > max(version_at, *(person.settled for person in self.people)):
                self._revise_plans(visit)
                version_at = 0
            self._live(visit, events_each)
        self.visits.append(Visit(END, events=list(self._stops(END))))

    def scenario(self, events: Sequence[Json], now: int) -> Json:
        """What the pure function is told."""
        plans = list(self.plans.values())
        return {"meters": METERS, "plans": plans, "customers": self.written, "events": list(events), "now": now}

    def _person(self, name: str) -> Person:
        """One of the people; the part of its name before a dash says what is peculiar about it."""
        random, peculiar = self._random, name.split("-", maxsplit=1)[0]
        currency = {"yen": "JPY", "euro": "EUR"}.get(peculiar, "USD")
        plan = "annual" if peculiar == "annual" else random.choice(BY_CURRENCY[currency])
        anchor = 29 if peculiar == "annual" else random.choice((29, 30, 31, 31, 2))
        start = (
            parse_time(f"{SUMMER}-02-27T23:45:00Z") if peculiar == "annual" else BEGIN + random.randrange(900) * QUARTER
        )
        body = {
            "plan": plan,
            "timezone": random.choice(ZONES),
            "anchor_day": anchor,
            "starts_at": format_time(start),
            "tax_rate": random.choice(("0", "19", "8.875")),
            "tax_on": random.choice(("rest", "subtotal")),
            "prepaid_only": peculiar == "prepaid",
        }
        self.visits[0].requests.append(("PUT", f"/v1/customers/{name}", body))
        self.written.append({"id": name, **body})
        return Person(name, body, peculiar != "tardy", plan, start, [(start, plan)])

    def _around_ends(self) -> Iterator[int]:
        """Of whom sends late: half an hour before a month's end, and half an hour after it, within the grace."""
        for person in self.people[:1]:
            for start, _ in person.periods(END):
                yield from (start - 2 * QUARTER, start + QUARTER)

    def _live(self, visit: Visit, events_each: int) -> None:
        random = self._random
        for person in self.people:
            dice = random.random()
            if person.funded and dice < 0.06:
                self._grant(visit, person)
            elif 0.06 < dice < 0.1 and visit.at > person.settled and not person.id.startswith("annual"):
                self._change_plan(visit, person)
            elif dice > 0.97 and person.id.startswith("leaver") and person.ends_at is None:
                self._leave(visit, person)
        visit.events += self._stops(visit.at, 0.5)
        for _ in range(random.randint(1, 2 * events_each - 1)):
            visit.events += self._happens(random.choice(self.people), visit.at)
        visit.events += [self._amended(each) for each in visit.events if "value" in each and random.random() < 0.06]

    def _grant(self, visit: Visit, person: Person) -> None:
        random = self._random
        begin = floor(visit.at, QUARTER) + random.choice((1, 1, 9, 300, 4000)) * QUARTER
        most = 5000 if person.id.startswith("yen") else 60
        credit = {
            "id": f"credit-{self._count()}",
            "amount": str(random.randint(1, most)),
            "kind": random.choice(("paid", "promotional")),
            "priority": random.choice((10, 50, 50, 90)),
            "effective_at": format_time(begin),
        }
        if random.random() < 0.7:
            credit["expires_at"] = format_time(begin + random.choice((1, 100, 1000, 9000)) * QUARTER)
        visit.requests.append(("POST", f"/v1/customers/{person.id}/credits", credit))
        self.written.append({"id": person.id, "credits": [credit]})

    def _change_plan(self, visit: Visit, person: Person) -> None:
        """Another plan of the same currency; where credits pay, of a period that has not begun."""
        others = BY_CURRENCY[PLANS[person.plan.split(".")[0]]["currency"]]
        key = self._random.choice(others)
        at = floor(visit.at, QUARTER)
        if person.funded or self._random.random() < 0.5:
            *_, (_, at) = person.periods(visit.at)
            at += self._random.randrange(1, 600) * QUARTER
        if person.ends_at is not None or key == person.plan.split(".")[0]:
            return
        body = {"plan": key, "plan_effective_at": format_time(at)}
        visit.requests.append(("PATCH", f"/v1/customers/{person.id}", body))
        self._holds(person, f"{key}.2" if f"{key}.2" in self.plans else key, at)

    def _holds(self, person: Person, plan: str, at: int) -> None:
        person.plan, person.settled = plan, at
        person.starts.append((at, plan.split(".", maxsplit=1)[0]))
        self.written.append({"id": person.id, "plan": plan, "plan_effective_at": format_time(at)})

    def _revise_plans(self, visit: Visit) -> None:
        """New versions of all plans: each customer's next period has them."""
        for key, plan in PLANS.items():
            visit.requests.append(("PUT", f"/v1/plans/{key}", revised(plan)))
            self.plans[f"{key}.2"] = {**revised(plan), "key": f"{key}.2"}
        known_from = floor(visit.at + MINUTE, QUARTER) + QUARTER
        for person in self.people:
            first = next(start for start, _ in person.periods(END) if start >= known_from)
            if person.ends_at is None or first < person.ends_at:
                self._holds(person, f"{person.plan}.2", first)

    def _leave(self, visit: Visit, person: Person) -> None:
        if person.settled > visit.at:
            return
        *_, (_, boundary) = person.periods(visit.at)
        person.ends_at = boundary + self._random.randrange(1, 500) * QUARTER
        body = {"ends_at": format_time(person.ends_at)}
        visit.requests.append(("PATCH", f"/v1/customers/{person.id}", body))
        self.written.append({"id": person.id, **body})

    def _happens(self, person: Person, at: int) -> Iterator[Json]:
        random = self._random
        if person.ends_at is not None and at > person.ends_at and random.random() < 0.9:
            return
        instant = at if person.funded else random.randint(self._open_since(person, at), at)
        if random.random() < 0.75:
            yield self._used(person, random.choice(_PLAIN), instant)
            return
        key, machine = random.choice(DURATIONS), f"m-{self._count()}"
        yield self._edge(person.id, key, machine, "start", instant)
        if person.funded:
            person.running.append((key, machine, instant))
        else:
            yield self._edge(person.id, key, machine, "stop", random.randint(instant, at))

    def _open_since(self, person: Person, at: int) -> int:
        """From when on nothing is finalised yet."""
        open_ = [start for start, end in person.periods(at) if end + GRACE > at]
        return max([at - 34 * DAY, *open_[:1]]) if open_ else at

    def _used(self, person: Person, meter: Json, at: int) -> Json:
        random, dimensions = self._random, {}
        for name, values in (("provider", ("aws", "azure", "gcp")), ("region", ("eu", "us"))):
            if random.random() < 0.8:
                dimensions[name] = random.choice(values)
        if "unique_by" in meter:
            dimensions[meter["unique_by"]] = random.choice(("ada", "bob", "eve", "joe"))
        event = {"id": f"e-{self._count()}", "customer": person.id, "meter": meter["key"], "timestamp": at}
        event |= {"value": random.choice(_VALUES), "dimensions": dimensions}
        if random.random() < 0.5:
            event["amount"] = random.choice(("0.1", "2", "-0.5", "0.005"))
        if not person.funded:
            self._sent[person.id].append(event)
        return event

    def _amended(self, event: Json) -> Json:
        """A void or another content of an event: of one that came now or, where that may be, long ago."""
        old = [each for each in self._sent[event["customer"]][-9:] if each["timestamp"] >= event["timestamp"]]
        event = self._random.choice(old or [event])
        change: Json = self._random.choice(({"void": True}, {"value": "8"}, {"value": "0.5"}))
        return {**event, **change, "revision": 1}

    def _edge(self, customer: str, meter: str, machine: str, kind: str, at: int) -> Json:
        given = {"vm": machine, "region": "eu", "provider": self._random.choice(("aws", "azure")), "memory_gb": "2"}
        return {
            "id": f"{machine}:{kind}",
            "customer": customer,
            "meter": meter,
            "timestamp": at,
            "type": kind,
            "dimensions": given,
        }

    def _stops(self, at: int, chance: float = 1) -> Iterator[Json]:
        """What ends; nothing runs for longer than raw events are kept, so that all of it is listed."""
        for person in self.people:
            for key, machine, start in list(person.running):
                if at - start > 10 * DAY or self._random.random() < chance:
                    person.running.remove((key, machine, start))
                    yield self._edge(person.id, key, machine, "stop", at)

    def _count(self) -> int:
        self._names += 1
        return self._names
