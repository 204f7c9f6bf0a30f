"""What was used: aggregations, and levels over time as sessions."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from metering.decimals import text
from taximeter.scenario import Scenario
from taximeter.simulate import simulate
from tests.billing.published.reading import Json, item, per, reads


def quantity_of(meter: Json, events: list[Json], now: str = "2026-12-15T00:00:00Z", **fields: Any) -> Decimal:
    """What an item of a simulated November is about."""
    plan = {"key": "p", "currency": "USD", "items": [item("i", per("1"), **fields)]}
    customer = {"id": "acme", "plan": "p", "starts_at": "2026-11-01T00:00:00Z"}
    world = {"meters": [{"key": "m", **meter}], "plans": [plan], "customers": [customer], "now": now}
    happened = [{"customer": "acme", "meter": "m", "timestamp": "2026-11-20T16:00:00Z"} | each for each in events]
    told = simulate(Scenario.model_validate(world | {"events": happened}))
    assert told["rejected"] == []
    ((line,),) = (invoice["lines"] for invoice in told["customers"]["acme"]["invoices"][:1])
    return Decimal(line["quantity"])


@reads("lago-max-by-group")
def _filtered(given: Json, expected: Json) -> None:
    events = [
        {"id": str(place), "value": each["v"], "dimensions": {"region": each["region"]}}
        for place, each in enumerate(given["events"])
    ]
    (region,) = given["filter"]["region"]
    meter = {"aggregation": "max", "dimensions": ["region"]}
    assert quantity_of(meter, events, where={"region": region}) == Decimal(expected["max"])


@reads("flexprice-sum-dedupe-last", "flexprice-sum-multiplier")
def _replaced(given: Json, expected: Json) -> None:
    """What replaces an event has its id and a higher revision."""
    events = [{"id": each["id"], "value": each["v"], "revision": place} for place, each in enumerate(given["events"])]
    divide_by = text(1 / Decimal(given.get("multiplier", "1")))
    quantity = quantity_of({"aggregation": "sum"}, events, divide_by=divide_by)
    assert quantity == Decimal(expected["result"] if "result" in expected else expected["sum"])


@reads("flexprice-count-unique")
def _unique(given: Json, expected: Json) -> None:
    events = [{"id": str(place), "dimensions": {"user": each}} for place, each in enumerate(given["values"])]
    assert quantity_of({"aggregation": "unique", "unique_by": "user"}, events) == Decimal(expected["unique"])


LEVELS = {"aggregation": "duration", "session": ["id"], "weight": "level"}


def weighted(period: str, days: int, sessions: Sequence[tuple[str, str, str | None]]) -> Decimal:
    """A level over time, as sessions: what adds to it starts one, what takes from it stops one."""
    seconds = days * 86_400
    events = [
        {"id": f"{place}-{kind}", "type": kind, "timestamp": at, "dimensions": {"id": str(place), "level": level}}
        for place, (level, start, end) in enumerate(sessions)
        for kind, at in (("start", start), ("stop", end))
        if at
    ]
    plan = {"key": "p", "currency": "USD", "items": [item("i", per("1"), divide_by=str(seconds * 1000))]}
    world = {
        "meters": [{"key": "m", **LEVELS}],
        "plans": [plan],
        "customers": [{"id": "acme", "plan": "p", "starts_at": f"{period}-01T00:00:00Z"}],
        "events": [{"customer": "acme", "meter": "m", **each} for each in events],
        "now": f"{period}-{days}T23:45:00Z",
    }
    month_end = Scenario.model_validate(world).now + 900_000
    told = simulate(Scenario.model_validate(world | {"now": month_end}))
    (line,) = told["customers"]["acme"]["invoices"][0]["lines"]
    return Decimal(line["quantity"])


@reads("lago-weighted-sum-docs")
def _level(given: Json, expected: Json) -> None:
    sessions = [(each["delta_gb"], each["ts"], None) for each in given["events"]]
    assert f"{weighted('2022-03', 31, sessions):.10f}" == expected["weighted_sum"]


@reads("lago-weighted-sum-7-events", "lago-weighted-sum-carry-in-1000")
def _changing_level(given: Json, expected: Json) -> None:
    running: list[tuple[str, str]] = []
    sessions: list[tuple[str, str, str | None]] = [(given["initial_level"], "2023-08-01T00:00:00Z", None)]
    for each in given["events"]:
        less = -Decimal(each["delta"])
        if less < 0:
            running.append((each["delta"], each["ts"]))
        while less > 0:
            level, start = running.pop()
            sessions.append((level, start, each["ts"]))
            less -= Decimal(level)
    assert f"{weighted('2023-08', 31, sessions):.5f}" == expected["weighted_sum"]
