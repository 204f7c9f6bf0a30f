"""Customers: what may still change of them, and that none takes the others along."""

import json
import logging
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from adapters.items import ConditionFailed, Item, Put
from handlers import _reports, ingest
from metering.errors import Invalid
from metering.times import parse_time
from taximeter.scenario import read
from taximeter.simulate import simulate
from tests.handlers.street import METERS, NOW, PLAN, Street, http_event, used

PRICED: dict[str, Any] = {**PLAN, "items": PLAN["items"][:1]}
FEE: dict[str, Any] = {"key": "fee", "price": {"model": "flat", "amount": "31", "prorate": False}}
PLANS: list[dict[str, Any]] = [
    PRICED,
    {**PRICED, "key": "fees", "items": [*PRICED["items"], FEE]},
    {**PRICED, "key": "daily", "period": "day"},
    {**PRICED, "key": "euro", "currency": "EUR"},
]
DECEMBER = "2026-12-01T00:00:00Z"


@pytest.fixture
def open_street(build: Callable[[], Street]) -> Street:
    """A street with meters and plans, and nobody on it."""
    made = build()
    for meter in METERS:
        made.does("PUT", f"/v1/meters/{meter['key']}", meter)
    for plan in PLANS:
        made.does("PUT", f"/v1/plans/{plan['key']}", plan)
    return made


def draft(street: Street, customer: str = "acme") -> Any:
    return street.does("GET", f"/v1/customers/{customer}/invoices/draft")


def invoices(street: Street, customer: str = "acme") -> list[tuple[str, str, str]]:
    rows = street.does("GET", "/v1/invoices", query={"customer": customer})["rows"]
    return [(row["period"]["start"], row["period"]["end"], row["subtotal"]) for row in rows]


# What a customer is written with, one after the other, on the twentieth of November; what was used on the first of
# December and on the fifteenth of November; and the faults of what is refused, or the invoices by the eleventh.
HISTORIES: dict[str, tuple[list[dict[str, Any]], list[str] | list[tuple[str, str, str]]]] = {
    "a change ahead of a start that lies ahead": (
        [{"plan": "serverless", "starts_at": DECEMBER}, {"plan": "fees", "plan_effective_at": "2026-12-10T00:00:00Z"}],
        [(DECEMBER, "2026-12-10T00:00:00Z", "2")],
    ),
    "a change ahead that is taken back": (
        [
            {"plan": "fees", "starts_at": "2026-11-01T00:00:00Z"},
            {"plan": "serverless", "plan_effective_at": "2026-12-20T00:00:00Z"},
            {"plan": "fees"},
        ],
        [("2026-11-01T00:00:00Z", DECEMBER, "36")],
    ),
    "a change to the plan that holds": (
        [
            {"plan": "fees", "starts_at": "2026-11-01T00:00:00Z"},
            {"plan": "fees", "plan_effective_at": "2026-11-20T16:00:00Z"},
        ],
        [("2026-11-01T00:00:00Z", DECEMBER, "36")],
    ),
    "another start": (
        [{"plan": "serverless", "starts_at": "2026-11-01T00:00:00Z"}, {"starts_at": "2026-11-15T00:15:00Z"}],
        [],
    ),
    "an earlier start": (
        [{"plan": "serverless", "starts_at": "2026-11-18T00:00:00Z"}, {"starts_at": "2026-10-30T00:00:00Z"}],
        [("2026-11-01T00:00:00Z", DECEMBER, "5")],
    ),
    "a first plan that holds later": (
        [{"plan": "fees", "plan_effective_at": "2026-11-18T00:00:00Z"}],
        [("2026-11-18T00:00:00Z", DECEMBER, "31")],
    ),
    "another currency": (
        [{"plan": "serverless", "starts_at": "2026-11-01T00:00:00Z"}, {"plan": "euro", "currency": "EUR"}],
        [("2026-11-01T00:00:00Z", DECEMBER, "5")],
    ),
    "an end before the start": (
        [{"plan": "serverless", "starts_at": DECEMBER, "ends_at": "2026-11-30T00:00:00Z"}],
        ["/ends_at"],
    ),
    "an end before the start that nobody said": (
        [{"plan": "serverless", "ends_at": "2026-10-05T00:00:00Z"}],
        ["/ends_at"],
    ),
    "a first plan after the end": (
        [{"currency": "USD", "ends_at": "2026-10-05T00:00:00Z"}, {"plan": "serverless"}],
        ["/ends_at"],
    ),
    "an instant for no plan": ([{"currency": "USD", "plan_effective_at": DECEMBER}], ["/plan_effective_at"]),
}


def lived(street: Street, bodies: list[dict[str, Any]], events: list[dict[str, Any]]) -> Any:
    """What a deployment says: invoices by the eleventh of December, or the pointers of the faults."""
    for method, body in zip(("PUT", *["PATCH"] * 9), bodies, strict=False):
        status, answer = street.call(method, "/v1/customers/acme", body)
        if status >= 300:
            assert status == 400
            return [fault["pointer"] for fault in answer["errors"]]
        street.minute()
    for event in sorted(events, key=lambda each: int(each["timestamp"])):
        street.now = max(street.now, int(event["timestamp"]))
        street.minute()
        street.post(event)
        street.flow()
    street.advance("2026-12-11T00:00:00Z")
    return invoices(street)


def computed(bodies: list[dict[str, Any]], events: list[dict[str, Any]]) -> Any:
    """The same of the pure function."""
    scenario = {"meters": METERS, "plans": PLANS, "events": events, "now": "2026-12-11T00:00:00Z"}
    scenario |= {"customers": [{"id": "acme", **body} for body in bodies]}
    try:
        told = simulate(read(json.dumps(scenario)))["customers"]["acme"]["invoices"]
    except Invalid as refused:
        return [fault.pointer.removeprefix(f"/customers/{len(bodies) - 1}") for fault in refused.faults]
    return [(each["period"]["start"], each["period"]["end"], each["subtotal"]) for each in reversed(told)]


@pytest.mark.parametrize("name", HISTORIES)
def test_a_customer_is_charged_or_refused_alike_in_a_deployment_and_computed(open_street: Street, name: str) -> None:
    bodies, expected = HISTORIES[name]
    events = [used("a", timestamp=parse_time("2026-11-15T00:00:00Z"), value="10")]
    events.append(used("b", timestamp=parse_time("2026-12-01T12:00:00Z"), value="4"))

    assert lived(open_street, bodies, events) == expected
    assert computed(bodies, events) == expected


def test_what_is_refused_is_not_stored_and_hinders_nobody(open_street: Street) -> None:
    street = open_street
    street.does("PUT", "/v1/customers/acme", {"plan": "serverless"})
    assert street.call("PUT", "/v1/customers/e", {"plan": "daily", "ends_at": "2026-11-19T00:00:00Z"})[0] == 400
    assert street.call("GET", "/v1/customers/e")[0] == 404
    assert [row["id"] for row in street.does("GET", "/v1/customers")["rows"]] == ["acme"]
    assert street.call("PUT", "/v1/customers/e", {"plan": "daily"})[0] == 201


def damage(street: Street, customer: str, **changes: Any) -> None:
    """Store something of a customer that no reader takes."""
    (item,) = (each for each in street.tables["Catalog"].all() if each["sk"] == customer and "body" in each)
    body = json.loads(str(item["body"]))
    body["customer"] |= changes or {"ends_at": "1999-01-01T00:00:00Z"}
    street.tables["Catalog"].put(Put({**item, "body": json.dumps(body)}))
    street.__dict__.pop("remembered", None)


def post(street: Street, *events: dict[str, Any]) -> tuple[int, Any]:
    answer = ingest.handler(http_event("POST", "/v1/events", json.dumps(events)), None)
    street.flow()
    return answer["statusCode"], json.loads(answer["body"])


def test_a_customer_that_cannot_be_read_takes_no_other_one_along(street: Street) -> None:
    for number in range(5):
        street.does("PUT", f"/v1/customers/c{number}", {"plan": "serverless"})
    damage(street, "c2")

    seen, query = [], {"limit": "2"}
    while True:
        page = street.does("GET", "/v1/customers", query=query)
        seen += [row["id"] for row in page["rows"]]
        if page["next"] is None:
            break
        query["next"] = page["next"]
    assert sorted(seen) == ["acme", "c0", "c1", "c3", "c4"]
    status, answer = post(street, used("a"), used("b", customer="c2"), used("c", customer="c3"))
    assert (status, answer["accepted"]) == (202, 2)
    assert [(each["index"], each["code"]) for each in answer["rejected"]] == [(1, "retry")]
    assert post(street, used("b", customer="c2"))[0] == 503
    assert post(street, used("x", customer="nobody"))[1]["rejected"][0]["code"] == "unknown_customer"
    street.advance(DECEMBER)
    street.advance("2026-12-01T01:00:00Z")
    assert invoices(street) == [("2026-11-01T00:00:00Z", DECEMBER, "0.5")]
    assert invoices(street, "c3") == [("2026-11-01T00:00:00Z", DECEMBER, "0.5")]
    assert {str(item["pk"]) for item in street.items("Ledger", "parked")} == {"c2"}


def test_it_is_told_of_and_can_be_written_anew(
    street: Street, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    post(street, used("a", value="20"))
    damage(street, "acme", tax_rate="a secret")
    counted: list[str] = []
    monkeypatch.setattr(_reports, "count", counted.append)
    caplog.set_level(logging.ERROR)

    status, answer = street.call("GET", "/v1/customers/acme")
    assert (status, answer["code"]) == (500, "unreadable")
    assert "tax_rate" in answer["detail"]
    assert "a secret" not in answer["detail"]
    assert street.call("PATCH", "/v1/customers/acme", {"name": "x"})[0] == 500
    assert street.call("DELETE", "/v1/customers/acme")[1]["code"] == "customer_in_use"
    assert set(counted) == {"UnreadableCustomers"}
    # The wallet goes on where it was: its currency and its plans hold.
    assert street.call("PUT", "/v1/customers/acme", {"plan": "serverless", "currency": "EUR"})[0] == 409
    assert street.call("PUT", "/v1/customers/acme", {"plan": "serverless", "starts_at": DECEMBER})[0] == 409
    assert street.call("PUT", "/v1/customers/acme", {"plan": "serverless", "name": "Acme"})[0] == 200
    assert street.does("GET", "/v1/customers/acme")["starts_at"] == "2026-11-01T00:00:00Z"
    assert post(street, used("b", value="2"))[0] == 202
    assert draft(street)["subtotal"] == "11"


@pytest.mark.parametrize("body", ['{"customer": ', '{"customer": {"id": "c"}, "plans": [[1]]}', "[]", b"\x00", None])
def test_however_it_is_damaged_it_can_be_written_anew(street: Street, body: Any) -> None:
    post(street, used("a", value="20"))
    (item,) = (each for each in street.tables["Catalog"].all() if each["sk"] == "acme" and "body" in each)
    broken: Item = {**item, "body": body} if body is not None else {"pk": item["pk"], "sk": item["sk"]}
    street.tables["Catalog"].put(Put(broken))
    assert street.call("GET", "/v1/customers/acme")[1]["code"] == "unreadable"
    assert street.call("PUT", "/v1/customers/acme", {"plan": "serverless"})[0] == 200
    # The plan that the wallet has goes on, from where its first period began.
    assert street.does("GET", "/v1/customers/acme")["starts_at"] == "2026-11-01T00:00:00Z"
    assert (draft(street)["period"]["start"], draft(street)["subtotal"]) == ("2026-11-01T00:00:00Z", "10")


def test_a_customer_in_the_words_of_an_older_release_can_be_changed(street: Street) -> None:
    (item,) = (each for each in street.tables["Catalog"].all() if each["sk"] == "acme" and "body" in each)
    older = json.loads(str(item["body"]))
    del older["customer"]["top_up"]  # a field that came later
    street.tables["Catalog"].put(Put({**item, "body": json.dumps(older)}))
    assert street.call("PATCH", "/v1/customers/acme", {"name": "Acme"})[0] == 200


def test_a_start_moves_as_long_as_nothing_was_charged_though_periods_have_ended_and_there_is_a_credit(
    open_street: Street,
) -> None:
    street = open_street
    street.does("PUT", "/v1/customers/acme", {"plan": "serverless", "starts_at": "2026-10-05T00:00:00Z"})
    street.does("POST", "/v1/customers/acme/credits", {"id": "c", "amount": "5"})
    street.advance("2026-12-05T00:00:00Z")
    assert draft(street)["period"]["start"] == DECEMBER
    street.does("PATCH", "/v1/customers/acme", {"starts_at": "2026-11-10T00:00:00Z"})
    assert draft(street)["period"]["start"] == DECEMBER
    # What was used before the start that holds now is not charged, not even where a period was before.
    for number, day in enumerate(("2026-11-02", "2026-11-09", "2026-11-10", "2026-12-02")):
        post(street, used(f"e{number}", timestamp=parse_time(f"{day}T12:00:00Z"), value="2"))
    street.advance("2027-01-01T01:00:00Z")
    assert invoices(street) == [
        (DECEMBER, "2027-01-01T00:00:00Z", "1"),
        ("2026-11-10T00:00:00Z", DECEMBER, "1"),
    ]
    assert street.parked() == []
    assert len(street.items("Ledger", "invoice")) == 2
    assert street.call("PATCH", "/v1/customers/acme", {"name": "Acme"})[0] == 200
    assert street.does("GET", "/v1/customers/acme/balance")["balance"] == "3"
    status, answer = street.call("PATCH", "/v1/customers/acme", {"starts_at": DECEMBER})
    assert (status, answer["code"]) == (409, "customer_in_use")


def test_a_request_that_is_sent_again_finishes_what_a_crash_left(open_street: Street) -> None:
    street = open_street
    street.does("PUT", "/v1/customers/acme", {"plan": "serverless", "starts_at": "2026-11-01T00:00:00Z"})
    body = {"plan": "euro", "starts_at": "2026-11-10T00:00:00Z"}
    for writes in count():
        street.writes_left = writes
        try:
            street.does("PUT", "/v1/customers/acme", body)
        except AssertionError:
            street.writes_left = None
            street.does("PUT", "/v1/customers/acme", body)
            assert (draft(street)["period"]["start"], draft(street)["currency"]) == ("2026-11-10T00:00:00Z", "EUR")
            assert street.does("GET", "/v1/customers/acme/balance")["currency"] == "EUR"
            street.does("PUT", "/v1/customers/acme", {"plan": "serverless", "starts_at": "2026-11-01T00:00:00Z"})
        else:
            break
    assert writes > 3


def test_what_is_charged_meanwhile_is_not_begun_anew(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    before = street.does("GET", "/v1/customers/acme")
    put = street.catalog.put_account

    def raced(*args: Any) -> None:
        monkeypatch.setattr(street.catalog, "put_account", put)
        post(street, used("a", value="20"))
        put(*args)

    monkeypatch.setattr(street.catalog, "put_account", raced)
    status, answer = street.call("PATCH", "/v1/customers/acme", {"starts_at": "2026-11-10T00:00:00Z"})
    assert (status, answer["code"]) == (409, "customer_in_use")
    assert street.does("GET", "/v1/customers/acme") == before
    assert draft(street)["subtotal"] == "10"


def test_a_credit_that_is_granted_meanwhile_keeps_its_currency(
    open_street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    street = open_street
    street.does("PUT", "/v1/customers/acme", {"plan": "serverless"})
    put = street.catalog.put_account

    def raced(*args: Any) -> None:
        monkeypatch.setattr(street.catalog, "put_account", put)
        street.does("POST", "/v1/customers/acme/credits", {"id": "c", "amount": "5"})
        put(*args)

    monkeypatch.setattr(street.catalog, "put_account", raced)
    assert street.call("PUT", "/v1/customers/acme", {"plan": "euro"})[1]["code"] == "customer_in_use"
    assert street.does("GET", "/v1/customers/acme")["plan"] == "serverless"
    told = street.does("GET", "/v1/customers/acme/balance")
    assert (told["balance"], told["currency"]) == ("5", "USD")


def test_two_who_write_a_wallet_that_begins_anew_do_it_once(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    commit, failures = street.ledger.commit, [ConditionFailed("raced")] * 3

    def raced(*args: Any) -> None:
        if failures:
            raise failures.pop()
        commit(*args)

    monkeypatch.setattr(street.ledger, "commit", raced)
    street.does("PATCH", "/v1/customers/acme", {"starts_at": "2026-11-10T00:00:00Z"})
    assert draft(street)["period"]["start"] == "2026-11-10T00:00:00Z"


def test_the_end_of_a_customer_who_has_ended_does_not_move_back(street: Street) -> None:
    post(street, used("a", timestamp=NOW - 86_400_000))
    street.does("PATCH", "/v1/customers/acme", {"ends_at": "2026-11-20T16:15:00Z"})
    street.advance("2026-11-20T18:00:00Z")
    status, answer = street.call("PATCH", "/v1/customers/acme", {"ends_at": "2026-11-10T00:00:00Z"})
    assert (status, answer["errors"][0]["pointer"]) == (400, "/ends_at")
    assert street.call("PATCH", "/v1/customers/acme", {"ends_at": None})[0] == 200


def test_a_plan_that_somebody_has_keeps_its_currency(open_street: Street) -> None:
    street = open_street
    other = {**PRICED, "currency": "EUR"}
    assert street.call("PUT", "/v1/plans/serverless", other)[0] == 201  # nobody has it yet
    street.does("PUT", "/v1/plans/serverless", PRICED)
    street.does("PUT", "/v1/customers/acme", {"plan": "serverless"})
    status, answer = street.call("PUT", "/v1/plans/serverless", other)
    assert (status, answer["code"]) == (409, "plan_in_use")
    assert street.call("PUT", "/v1/plans/serverless", {**PRICED, "minimum": "5"})[0] == 201


def test_a_version_that_came_in_another_currency_all_the_same_is_taken_by_nobody(street: Street) -> None:
    raced = street.catalog.plan("serverless")[0].model_copy(update={"currency": "EUR"})
    street.catalog.put_plan(raced, NOW)
    street.advance(DECEMBER)
    post(street, used("a", value="4", timestamp=street.now))
    assert (draft(street)["currency"], draft(street)["plan"]["version"]) == ("USD", 1)
    assert street.call("PATCH", "/v1/customers/acme", {"name": "Acme"})[0] == 200


WATCHED = {"alerts": [{"key": "a", "kind": "usage_above", "threshold": "1", "meter": "requests"}]}


@pytest.mark.parametrize("held_by", ["a version before the newest", "the plan of nobody", "an alert"])
def test_a_meter_that_is_needed_stays_whole(build: Callable[[], Street], held_by: str) -> None:
    street = build()
    street.does("PUT", "/v1/meters/requests", METERS[0])
    plan = {"currency": "USD", "items": [{**PRICED["items"][0], "where": {"region": "eu"}}]}
    if held_by != "an alert":
        street.does("PUT", "/v1/plans/p", plan)
    if held_by != "the plan of nobody":
        body = {"plan": "p"} if held_by == "a version before the newest" else {"currency": "USD", **WATCHED}
        street.does("PUT", "/v1/customers/acme", body)
    if held_by == "a version before the newest":
        street.does("PUT", "/v1/plans/p", {"currency": "USD", "items": []})
    assert street.call("DELETE", "/v1/meters/requests")[1]["code"] == "meter_in_use"
    if held_by == "an alert":
        return
    status, answer = street.call("PUT", "/v1/meters/requests", {**METERS[0], "dimensions": ["provider"]})
    assert (status, answer["code"]) == (409, "meter_in_use")
    assert "no dimension region" in answer["detail"]
    assert street.call("PUT", "/v1/meters/requests", {**METERS[0], "dimensions": ["region", "zone"]})[0] == 200


def test_a_version_before_the_newest_that_nobody_has_keeps_no_meter(build: Callable[[], Street]) -> None:
    street = build()
    street.does("PUT", "/v1/meters/requests", METERS[0])
    street.does("PUT", "/v1/plans/p", {**PRICED, "key": "p"})
    street.does("PUT", "/v1/plans/p", {"currency": "USD", "items": []})
    assert street.call("DELETE", "/v1/meters/requests")[0] == 204


def test_a_meter_does_not_become_one_of_sessions_where_events_have_amounts(build: Callable[[], Street]) -> None:
    street = build()
    street.does("PUT", "/v1/meters/requests", METERS[0])
    item = {"key": "a", "meter": "requests", "price": {"model": "dynamic"}}
    street.does("PUT", "/v1/plans/p", {"currency": "USD", "items": [item]})
    sessions = {"aggregation": "duration", "session": ["vm"], "dimensions": METERS[0]["dimensions"]}
    assert street.call("PUT", "/v1/meters/requests", sessions)[1]["code"] == "meter_in_use"
