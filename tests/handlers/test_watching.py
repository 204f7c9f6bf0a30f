"""Usage is metered the same whether or not the customer has a plan. Laws 4.3, 4.5, 4.7 and 4.8."""

import json
from decimal import Decimal
from typing import Any

import pytest

from handlers import rate
from metering.times import DAY, HOUR, MINUTE, floor, format_time
from taximeter.scenario import read
from taximeter.simulate import simulate
from tests.handlers.street import METERS, NOW, PLAN, Street, edge, used
from tests.handlers.test_long_sessions import GB, KEPT, START, Watch, live_on
from tests.rows import deep

ENDLESS = {key: value for key, value in METERS[1].items() if key != "max_duration"}


@pytest.fixture(params=[{}, {"currency": "USD"}], ids=["nothing", "currency"])
def free(street: Street, request: pytest.FixtureRequest) -> Street:
    """A customer without a plan, whose machines may run for ever."""
    street.does("PUT", "/v1/meters/runtime", ENDLESS)
    street.does("PUT", "/v1/customers/free", request.param)
    return street


def post(street: Street, kind: str, at: int, vm: str = "1") -> dict[str, Any]:
    """Post a start or a stop of one of the customer's machines; returns it."""
    given = edge(kind, (at - NOW) // MINUTE + 60, vm, customer="free")
    street.post(given)
    street.flow()
    return given


def quantity(street: Street, start: int, end: int, meter: str = "runtime") -> Decimal:
    query = {"customer": "free", "meter": meter, "from": format_time(start), "to": format_time(end)}
    rows = street.does("GET", "/v1/usage", query=query)["rows"]
    return sum((Decimal(row["quantity"]) for row in rows), Decimal(0))


def watches(street: Street) -> list[str]:
    return [str(item["pk"]) for item in street.items("Ledger", "watch")]


def charged(street: Street, events: list[dict[str, Any]], starts_at: int) -> list[list[Any]]:
    """The running period's lines, as the street and as `simulate` say."""
    scenario = {
        "meters": [METERS[0], ENDLESS],
        "plans": [PLAN | {"period": "year"}],
        "customers": [{"id": "free", "plan": "serverless", "starts_at": starts_at}],
        "events": events,
        "now": street.now,
    }
    expected = simulate(read(json.dumps(scenario)))["customers"]["free"]["charges"]
    told = street.does("GET", "/v1/customers/free/invoices/draft")["lines"]
    parts = ("item", "quantity", "amount", "amount_exact", "dimensions")
    return [[{part: line[part] for part in parts} for line in lines] for lines in (told, expected)]


@pytest.mark.parametrize(
    ("free", "days"), [({}, 52), deep({}, 60), deep({"currency": "USD"}, 60)], ids=str, indirect=["free"]
)
def test_a_session_without_a_plan_is_metered_for_weeks_closed_and_charged_by_a_plan_set_later(
    free: Street, days: int
) -> None:
    watch = Watch(free)
    sent = [post(free, "start", START)]
    assert watches(free) == ["free"]
    for day in range(days):
        live_on(free, 1)
        midnight = floor(free.now, DAY)
        assert day % 9 or quantity(free, START, free.now + DAY) == GB * (free.now - START)
        assert quantity(free, midnight - DAY, midnight) == GB * min(DAY, midnight - START)
        (running,) = free.usage.open_sessions("free", "runtime")
        assert running.counted_until == midnight  # nothing is left for readers to accrue but today
    stop = floor(free.now, MINUTE) - 10 * HOUR
    sent.append(post(free, "stop", stop))
    assert quantity(free, START, free.now + DAY) == GB * (stop - START)
    assert free.usage.open_sessions("free", "runtime") == []
    live_on(free, 2)
    assert quantity(free, START, free.now + DAY) == GB * (stop - START)
    assert watches(free) == []
    closed = [item for item in free.items("Usage", "closed") if item["pk"] == "free" and item["state"] == "closed"]
    assert len(closed) == days + 1
    assert watch.oldest <= KEPT
    assert not free.parked("free")

    free.does("PUT", "/v1/plans/serverless", PLAN | {"period": "year"})
    starts_at = floor(START, DAY) - 5 * DAY
    free.does("PATCH", "/v1/customers/free", {"plan": "serverless", "starts_at": format_time(starts_at)})
    told, expected = charged(free, sent, starts_at)
    assert told == expected
    assert told


def test_a_plan_set_while_a_session_runs_takes_it_over(free: Street) -> None:
    sent = [post(free, "start", START)]
    live_on(free, 12)
    free.does("PUT", "/v1/plans/serverless", PLAN | {"period": "year"})
    starts_at = START + 3 * DAY
    free.does("PATCH", "/v1/customers/free", {"plan": "serverless", "starts_at": format_time(starts_at)})
    starts_at = floor(starts_at, 15 * MINUTE)
    for days in (0, 1, 2):
        live_on(free, days)
        told, expected = charged(free, sent, starts_at)
        assert told == expected
        assert told
        assert watches(free) == ([] if days else ["free"])  # it goes when it is due
    sent.append(post(free, "stop", floor(free.now, MINUTE) - 30 * HOUR))
    told, expected = charged(free, sent, starts_at)
    assert told == expected


def test_time_alone_ends_a_session_without_a_plan(free: Street) -> None:
    free.does("PUT", "/v1/meters/short", {**METERS[1], "key": "short", "max_duration": "30m"})
    free.post(edge("start", 50, customer="free", meter="short"))
    free.flow()
    for minutes, running in ((0, 1), (19, 1), (20, 0), (21, 0)):
        free.now = NOW + minutes * MINUTE
        free.minute()
        assert len(free.usage.open_sessions("free", "short")) == running
    free.minute()
    assert watches(free) == []


def test_the_end_of_a_customer_without_a_plan_ends_what_runs(free: Street) -> None:
    post(free, "start", START)
    free.does("PATCH", "/v1/customers/free", {"ends_at": format_time(NOW + HOUR)})
    free.minute()
    assert len(free.usage.open_sessions("free", "runtime")) == 1
    free.now = NOW + HOUR
    free.minute()
    assert free.usage.open_sessions("free", "runtime") == []
    assert quantity(free, START, NOW + DAY) == GB * (NOW + HOUR - START)


def test_days_without_a_plan_are_kept_as_wholes(free: Street) -> None:
    for day in range(4):
        free.now = NOW + day * DAY
        free.post(used(f"a{day}", value="2", timestamp=free.now, customer="free"))
        free.flow()
    closed = [item for item in free.items("Usage", "closed") if item["pk"] == "free" and item["state"] == "closed"]
    assert len(closed) == 3
    assert quantity(free, NOW - HOUR, free.now + DAY, "requests") == 8


def test_a_customer_without_a_plan_costs_nothing_while_nothing_runs(
    free: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    free.post(used("a", customer="free"))
    free.flow()
    before = free.tables["Ledger"].all()
    free.post(used("b", customer="free"))
    with monkeypatch.context() as patched:
        patched.setattr(rate, "watch", None)  # the hour is known: there is nothing to look at
        free.flow()
    free.now += 20 * DAY
    rate.tick(free, free.now)
    assert "free" not in str(free.queues["RATE"])
    assert free.tables["Ledger"].all() == before
    assert not watches(free)


def test_a_session_that_begins_while_a_watch_ends_is_watched(free: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    post(free, "start", START)
    post(free, "stop", START + MINUTE)
    free.now = NOW + DAY
    write = free.watches.watch

    def begin_before_it_is_written(customer: str, due_at: int | None) -> None:
        monkeypatch.setattr(free.watches, "watch", write)
        free.post(edge("start", 25 * 60, "2", customer="free"))
        for consumer in ("pair", "aggregate"):  # whoever is told of the session comes later, or never
            free.run(consumer, free.streams.pop(consumer))
        free.streams["rate"].clear()
        write(customer, due_at)

    monkeypatch.setattr(free.watches, "watch", begin_before_it_is_written)
    free.minute()
    assert len(free.usage.open_sessions("free", "runtime")) == 1
    assert watches(free) == ["free"]


def test_a_customer_that_has_no_currency_has_nothing_and_owes_nothing(street: Street) -> None:
    street.does("PUT", "/v1/customers/free", {})
    post(street, "start", START)
    account = "/v1/customers/free"
    told = street.does("GET", f"{account}/balance")
    assert (told["balance"], told["balance_exact"], told["currency"], told["credits"]) == ("0", "0", None, [])
    assert street.does("GET", f"{account}/access") == {"allowed": True, "balance": "0"}
    for rows in ("ledger", "credits", "top_ups"):
        assert street.does("GET", f"{account}/{rows}")["rows"] == []
    assert street.does("GET", "/v1/invoices", query={"customer": "free"})["rows"] == []
    assert street.call("GET", f"{account}/invoices/draft")[0] == 404
    status, problem = street.call("POST", f"{account}/credits", {"id": "c", "amount": "1"})
    assert (status, problem["code"]) == (400, "invalid")
    (session,) = street.does("GET", "/v1/sessions", query={"customer": "free", "meter": "runtime"})["rows"]
    assert session["status"] == "open"
    street.does("PATCH", account, {"prepaid_only": True})
    assert street.does("GET", f"{account}/access") == {"allowed": False, "balance": "0"}
