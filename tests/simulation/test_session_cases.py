"""Every case of sessions, told alike by the pure pairing, by `simulate` and by a deployment in whatever order."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from handlers import _door, _live
from metering.arrival import read_events
from metering.events import Event, winners
from metering.meters import Meter
from metering.sessions import Session, billed_until, pair, resource_of
from metering.times import DAY, HOUR, MINUTE, floor, format_time, parse_time
from metering.windows import part_of
from taximeter.scenario import read
from taximeter.simulate import simulate
from tests.handlers.street import Street
from tests.simulation.auditor import rows
from tests.simulation.session_cases import CASES, LONG, Case, Json, Ran, instant, many_open

METER: Json = {"key": "runtime", "aggregation": "duration", "session": ["vm"]}
PLANS: list[Json] = [
    {
        "key": key,
        "currency": "USD",
        "items": [
            {
                "key": "minutes",
                "meter": "runtime",
                "divide_by": "60000",
                "price": {"model": "per_unit", "unit_price": "1"},
            }
        ],
    }
    for key in ("first", "second")
]
LATE = 8 * HOUR + 7 * MINUTE  # when a day's tick comes, after its midnight


def named(case: Case) -> str:
    return case.name


def meter_of(case: Case) -> Json:
    return METER | dict(case.meter)


def writes_of(case: Case) -> list[Json]:
    first, *patches = case.customer or ({},)
    return [{"plan": "first", **first}, *patches]


def without_arrival(edge: Json) -> Json:
    return {name: value for name, value in edge.items() if name != "arrives"}


def edges_of(case: Case) -> list[Json]:
    return [without_arrival(each) for each in case.edges]


def told(found: Iterable[Ran]) -> list[Ran]:
    return sorted(found, key=lambda each: (each[1], each[3], each))


# The pure pairing.


def paired(case: Case) -> list[Session]:
    resources: defaultdict[str, list[Event]] = defaultdict(list)
    meter, edges = Meter.model_validate(meter_of(case)), list[Event]()
    for first in range(0, len(case.edges), 1_000):
        for each in read_events(json.dumps(edges_of(case)[first : first + 1_000]).encode()):
            assert isinstance(each, Event)
            edges.append(each)
    for each in winners(edges)[0]:  # whatever resource (law 4.1)
        resources[resource_of(meter, each)].append(each)
    ends_at = next((parse_time(each["ends_at"]) for each in writes_of(case) if "ends_at" in each), None)
    found = [each for edges in resources.values() for each in pair(edges, meter, instant(case.now), ends_at)]
    return [each for each in found if each.closed_by != "void"]


def as_if_stopped(session: Session, now: int) -> Session:
    return replace(session, end=now) if session.end is None else session


@pytest.mark.parametrize("case", CASES + LONG, ids=named)
def test_pairing_its_edges_gives_the_sessions_of_a_case(case: Case) -> None:
    meter, now, sessions = Meter.model_validate(meter_of(case)), instant(case.now), paired(case)
    found = [
        (
            dict(each.dimensions)["vm"],
            format_time(each.start),
            None if each.end is None else format_time(each.end),
            each.closed_by,
            int(billed_until(as_if_stopped(each, now), meter, now + 1)),
        )
        for each in sessions
    ]
    assert told(found) == told(case.sessions)
    assert sum(each[4] for each in found) == case.quantity
    for _, _, windows in case.parts:
        for begin, end, quantity in windows:
            parts = [part_of(as_if_stopped(each, now), meter, instant(begin), instant(end)) for each in sessions]
            assert sum(parts) == quantity


# The simulation.


def simulated(case: Case) -> Json:
    scenario = {
        "meters": [meter_of(case)],
        "plans": PLANS,
        "customers": [{"id": "acme", **each} for each in writes_of(case)],
        "events": edges_of(case),
        "now": format_time(instant(case.now)),
    }
    answer = simulate(read(json.dumps(scenario)))
    assert answer["rejected"] == []
    acme: Json = answer["customers"]["acme"]
    return acme


def row_of(row: Json) -> Ran:
    return row["key"]["vm"], row["start"], row["end"], row["closed_by"], int(row["quantity"])


def quantities(invoices: list[Json], charges: list[Json]) -> tuple[str, ...]:
    lines = [line for each in sorted(invoices, key=lambda each: each["period"]["start"]) for line in each["lines"]]
    return tuple(line["quantity"] for line in [*lines, *charges])


@pytest.mark.parametrize("case", [*CASES, *(pytest.param(each, marks=pytest.mark.deep) for each in LONG)], ids=named)
def test_simulating_a_case_gives_its_sessions_its_usage_and_its_bills(case: Case) -> None:
    acme = simulated(case)
    assert told([row_of(each) for each in acme["sessions"]]) == told(
        [each for each in case.sessions if each[3] != "orphan"]
    )
    assert sum(int(each["quantity"]) for each in acme["usage"]) == case.quantity
    if case.billed:
        assert quantities(acme["invoices"], acme["charges"]) == case.billed


# The deployment.


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch) -> Callable[[Case], Street]:
    """Makes a deployment in which a case may happen."""
    monkeypatch.setattr(_door.metrics.provider, "namespace", "Taximeter")

    def make(case: Case) -> Street:
        street = Street(now=min([instant(case.begin or case.now), *map(arrival, case.edges)]))
        monkeypatch.setattr(_live, "live", street)
        street.does("PUT", "/v1/meters/runtime", meter_of(case))
        for plan in PLANS:
            street.does("PUT", f"/v1/plans/{plan['key']}", plan)
        first, *patches = writes_of(case)
        street.does("PUT", "/v1/customers/acme", first)
        for patch in patches:
            street.does("PATCH", "/v1/customers/acme", patch)
        return street

    return make


def arrival(edge: Json) -> int:
    return instant(edge["arrives"]) if "arrives" in edge else 2**60


def send(street: Street, edges: list[Json]) -> None:
    """Post edges as far as a request takes them; every one is accepted."""
    for first in range(0, len(edges), 1_000):
        assert json.loads(street.post(*edges[first : first + 1_000])["body"])["rejected"] == []
    street.flow()


def live_until(street: Street, until: int) -> None:
    """Let time pass with a tick on every day."""
    while street.now < until:
        tick = floor(street.now, DAY) + DAY + LATE
        street.now = min(tick, until)
        street.minute()
        street.expire()


def at_once(street: Street, case: Case) -> None:
    street.now = instant(case.now)
    send(street, edges_of(case))


def reversed_one_by_one(street: Street, case: Case) -> None:
    street.now = instant(case.now)
    for each in reversed(edges_of(case)):
        send(street, [each])


def one_by_one(street: Street, case: Case) -> None:
    street.now = instant(case.now)
    for each in edges_of(case):
        send(street, [each])


def as_they_came(street: Street, case: Case) -> None:
    for each in sorted(case.edges, key=arrival):
        live_until(street, arrival(each))
        send(street, [without_arrival(each)])
    live_until(street, instant(case.now))


def check(street: Street, case: Case) -> None:
    """Hold all that the deployment tells against the case."""

    def ask(path: str, query: Any) -> tuple[int, Any]:
        return street.call("GET", path, query=query)

    street.minute()
    acme = {"customer": "acme", "meter": "runtime", "limit": "1000"}
    before = {"from": format_time(instant(case.now) - 500 * DAY), "to": format_time(instant(case.now) + HOUR)}
    listed = told([row_of(each) for each in rows(ask, "/v1/sessions", **acme, **before)])
    assert listed == told(case.sessions)
    used = rows(ask, "/v1/usage", window="total", **acme, **before)
    assert sum(int(each["quantity"]) for each in used) == case.quantity
    running = sum(each[3] == "open" for each in case.sessions)
    assert len(rows(ask, "/v1/sessions", status="open", **acme)) == running
    for window, timezone, expected in case.parts:
        asked = {"from": format_time(instant(expected[0][0])), "to": format_time(instant(expected[-1][1]))}
        found = rows(ask, "/v1/usage", window=window, timezone=timezone, **acme, **asked)
        assert [(each["start"], each["end"], int(each["quantity"])) for each in found] == [
            (format_time(instant(begin)), format_time(instant(end)), quantity) for begin, end, quantity in expected
        ]
    assert not street.parked()


def check_bills(street: Street, case: Case) -> None:
    street.hour()
    found = [street.does("GET", f"/v1/invoices/{row['id']}") for row in street.does("GET", "/v1/invoices")["rows"]]
    status, draft = street.call("GET", "/v1/customers/acme/invoices/draft")
    assert quantities(found, draft["lines"] if status == 200 else []) == case.billed


WAYS: list[Callable[[Street, Case], None]] = [at_once, reversed_one_by_one, one_by_one]


def told_in_its_ways() -> Iterator[Any]:
    """Every row in every order, and as it came where that is written; in the quick suite each in one of the orders."""
    for number, case in enumerate(CASES):
        for kind, way in enumerate(WAYS):
            marks = [] if number % len(WAYS) == kind else [pytest.mark.deep]
            yield pytest.param(case, way, id=f"{case.name}, {way.__name__}", marks=marks)
    for case in CASES + LONG:
        if any("arrives" in each for each in case.edges):
            marks = [pytest.mark.deep] if case.lived else []
            yield pytest.param(case, as_they_came, id=f"{case.name}, {as_they_came.__name__}", marks=marks)


@pytest.mark.parametrize(("case", "way"), list(told_in_its_ways()))
def test_a_deployment_tells_a_case_in_whatever_order_its_edges_come(
    build: Callable[[Case], Street], case: Case, way: Callable[[Street, Case], None]
) -> None:
    street = build(case)
    way(street, case)
    check(street, case)
    if not case.lived:
        send(street, edges_of(case))
        check(street, case)
    if case.billed:
        check_bills(street, case)


@pytest.mark.deep
def test_ten_thousand_open_sessions_are_told_alike_by_all_three(build: Callable[[Case], Street]) -> None:
    case = many_open()
    test_pairing_its_edges_gives_the_sessions_of_a_case(case)
    test_simulating_a_case_gives_its_sessions_its_usage_and_its_bills(case)
    street = build(case)
    at_once(street, case)
    check(street, case)
