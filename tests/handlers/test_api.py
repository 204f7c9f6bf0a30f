"""The API: what the contract says of each route, and of what goes wrong."""

import json
from typing import Any

import pytest

from handlers import api
from metering.times import DAY, HOUR, MINUTE, format_time, parse_time
from tests.handlers.street import METERS, NOW, PLAN, Street, edge, http_event, used

CREDIT = {"id": "c", "amount": "20"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/nothing"),
        ("GET", "/v2/health"),
        ("DELETE", "/v1/usage"),
        ("GET", "/v1/meters/nothing"),
        ("DELETE", "/v1/meters/nothing"),
        ("GET", "/v1/plans/nothing"),
        ("DELETE", "/v1/plans/nothing"),
        ("GET", "/v1/customers/nobody"),
        ("DELETE", "/v1/customers/nobody"),
        ("PATCH", "/v1/customers/nobody"),
        ("GET", "/v1/customers/nobody/balance"),
        ("GET", "/v1/customers/nobody/ledger"),
        ("GET", "/v1/customers/nobody/top_ups"),
        ("GET", "/v1/customers/nobody/invoices/draft"),
        ("POST", "/v1/customers/nobody/credits"),
        ("POST", "/v1/customers/nobody/credits/c/revoke"),
        ("POST", "/v1/customers/acme/credits/unknown/revoke"),
        ("GET", "/v1/invoices/nothing"),
        ("GET", "/v1/invoices/acme:19990101T0000Z"),
        ("GET", "/v1/invoices/TX-000001"),
        ("POST", "/v1/invoices/nothing/finalize"),
        ("DELETE", "/v1/api_keys/nothing"),
        ("GET", f"/v1/customers/{'x' * 3000}"),
        ("GET", f"/v1/meters/{'x' * 3000}"),
    ],
)
def test_what_is_not_there_is_not_found(street: Street, method: str, path: str) -> None:
    status, answer = street.call(method, path, CREDIT if method == "POST" else {})
    assert (status, answer["code"], answer["status"]) == (404, "not_found", 404)


ADMIN = [
    ("PUT", "/v1/meters/m", METERS[0]),
    ("PUT", "/v1/plans/p", PLAN),
    ("PUT", "/v1/customers/acme", {}),
    ("PATCH", "/v1/customers/acme", {}),
    ("DELETE", "/v1/customers/acme", None),
    ("POST", "/v1/customers/acme/credits", CREDIT),
    ("POST", "/v1/customers/acme/credits/c/revoke", CREDIT),
    ("POST", "/v1/customers/acme/top_ups", CREDIT),
    ("POST", "/v1/api_keys", {"id": "k", "scopes": ["admin"]}),
    ("GET", "/v1/api_keys", None),
]


@pytest.mark.parametrize(("method", "path", "body"), ADMIN)
@pytest.mark.parametrize("scopes", ["read", "ingest", "", "administrator"])
def test_who_may_only_read_or_send_changes_nothing(
    street: Street, method: str, path: str, body: Any, scopes: str
) -> None:
    before = [table.all() for table in street.tables.values()]
    status, answer = street.call(method, path, body, scopes=scopes)
    assert (status, answer["code"]) == (403, "forbidden")
    assert [table.all() for table in street.tables.values()] == before


@pytest.mark.parametrize("scopes", ["ingest", ""])
def test_who_may_not_read_reads_nothing_but_that_the_api_answers(street: Street, scopes: str) -> None:
    for path in ("/v1/meters", "/v1/customers/acme/balance", "/v1/usage", "/v1/invoices"):
        assert street.call("GET", path, scopes=scopes)[0] == 403
    assert street.call("GET", "/v1/health", scopes=scopes) == (200, {"status": "ok"})


@pytest.mark.parametrize(
    ("path", "body", "pointers"),
    [
        ("/v1/meters/m", {"aggregation": "sum", "unheard_of": 1, "dimensions": "x"}, {"/unheard_of", "/dimensions"}),
        ("/v1/meters/m", {"key": "other", "aggregation": "sum"}, {"/key"}),
        ("/v1/plans/p", {"currency": "XXX", "items": [], "x": 1}, {"/currency", "/x"}),
        (
            "/v1/plans/p",
            {**PLAN, "key": "p", "items": [{"key": "a", "meter": "unheard-of", "price": {"model": "flat"}}]},
            None,
        ),
        ("/v1/customers/x", {"timezone": "Moon/Base", "anchor_day": 0}, {"/timezone", "/anchor_day"}),
        ("/v1/customers/x", {"plan": "unheard-of"}, {"/plan"}),
        (
            "/v1/customers/x",
            {
                "plan": "unheard-of",
                "plan_effective_at": "soon",
                "timezone": "Moon/Base",
                "alerts": [{"key": "a", "kind": "usage_above", "meter": "unheard-of", "threshold": "1"}],
            },
            {"/plan", "/plan_effective_at", "/timezone", "/alerts/0/meter"},
        ),
        ("/v1/customers/acme", {"plan": None}, {"/plan"}),
        ("/v1/customers/x", {"plan": "\ud800"}, {"/plan"}),
        (
            "/v1/customers/x",
            {"plan": "serverless", "top_up": {"threshold": "1", "amount": "0.005"}},
            {"/top_up/amount"},
        ),
        ("/v1/customers/x", {"plan": "serverless", "plan_effective_at": "soon"}, {"/plan_effective_at"}),
    ],
)
def test_every_fault_of_a_body_is_told_at_once_with_its_place(
    street: Street, path: str, body: Any, pointers: set[str] | None
) -> None:
    status, answer = street.call("PUT", path, body)
    assert (status, answer["code"]) == (400, "invalid")
    if pointers is not None:
        assert {error["pointer"] for error in answer["errors"]} == pointers


@pytest.mark.parametrize(
    ("more", "pointer"), [({"amount": "0.001"}, "/amount"), ({"expires_at": "2026-11-01T00:00:00Z"}, "/expires_at")]
)
def test_a_credit_that_cannot_be_granted_is_refused_with_its_place(
    street: Street, more: dict[str, str], pointer: str
) -> None:
    status, answer = street.call("POST", "/v1/customers/acme/credits", {"id": "c", "amount": "1", **more})
    assert (status, [error["pointer"] for error in answer["errors"]]) == (400, [pointer])
    assert street.does("GET", "/v1/customers/acme/credits")["rows"] == []


@pytest.mark.parametrize("body", ["{", "[]", "1", "NaN", "[" * 100_000, '{"a": Infinity}'])
def test_a_body_that_is_no_json_object_is_refused(street: Street, body: str) -> None:
    answer = api.handler(http_event("PUT", "/v1/customers/acme", body), None)
    assert answer["statusCode"] == 400
    assert street.call("PUT", "/v1/meters/m", {"x": "y" * 2_000_000})[0] == 413


def test_a_fault_of_ours_is_told_without_its_inside(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(street.catalog, "meters", broken)
    status, answer = street.call("GET", "/v1/meters")
    assert (status, answer["code"]) == (500, "internal")
    assert "secret" not in json.dumps(answer)


def test_what_is_written_is_read_and_what_is_written_again_is_no_change(street: Street) -> None:
    meter = {"key": "m", "aggregation": "count", "dimensions": ["a"]}
    status, shown = street.call("PUT", "/v1/meters/m", meter)
    assert status == 201
    assert shown.items() >= meter.items()
    assert street.call("PUT", "/v1/meters/m", shown) == (200, shown)
    assert street.does("GET", "/v1/meters/m") == shown
    assert street.call("PUT", "/v1/plans/p", {**PLAN, "key": "p"})[0] == 201
    plan = street.does("GET", "/v1/plans/p")
    assert plan["version"] == 1
    assert street.call("PUT", "/v1/plans/p", plan) == (200, plan)
    changed = street.does("PUT", "/v1/plans/p", {**plan, "name": "new"})
    assert changed["version"] == 2
    assert street.does("GET", "/v1/plans/p", query={"version": "1"}) == plan
    customer = street.does("GET", "/v1/customers/acme")
    assert street.call("PUT", "/v1/customers/acme", customer) == (200, customer)
    assert {row["key"] for row in street.does("GET", "/v1/meters")["rows"]} == {"m", "requests", "runtime"}
    assert {row["key"] for row in street.does("GET", "/v1/plans")["rows"]} == {"p", "serverless"}


def test_what_is_in_use_stays(street: Street) -> None:
    assert street.call("DELETE", "/v1/meters/requests")[1]["code"] == "meter_in_use"
    assert street.call("DELETE", "/v1/plans/serverless")[1]["code"] == "plan_in_use"
    street.post(used("a"))
    street.flow()
    assert street.call("DELETE", "/v1/customers/acme")[1]["code"] == "customer_in_use"
    changed = {**METERS[0], "aggregation": "max"}
    assert street.call("PUT", "/v1/meters/requests", changed)[1]["code"] == "meter_in_use"
    assert street.call("PUT", "/v1/meters/requests", {**METERS[0], "dimensions": ["region"]})[0] == 409
    added = {**METERS[0], "dimensions": ["provider", "region", "new"]}
    assert street.call("PUT", "/v1/meters/requests", added)[0] == 200
    assert street.call("PUT", "/v1/customers/acme", {"plan": "serverless", "currency": "EUR"})[0] == 409


def test_what_was_never_used_can_go(street: Street) -> None:
    street.does("PUT", "/v1/meters/m", {"aggregation": "count"})
    street.does("PUT", "/v1/plans/p", {**PLAN, "key": "p"})
    street.does("PUT", "/v1/customers/x", {"currency": "USD"})
    for path in ("/v1/meters/m", "/v1/plans/p", "/v1/customers/x"):
        assert street.call("DELETE", path) == (204, "")
        assert street.call("GET", path)[0] == 404


def test_customers_are_listed_page_by_page(street: Street) -> None:
    for number in range(7):
        street.does("PUT", f"/v1/customers/c{number}", {})
    seen: list[str] = []
    query = {"limit": "3"}
    while True:
        page = street.does("GET", "/v1/customers", query=query)
        seen += [row["id"] for row in page["rows"]]
        if page["next"] is None:
            break
        query["next"] = page["next"]
    assert sorted(seen) == ["acme", *(f"c{number}" for number in range(7))]
    for limit in ("0", "1001", "x", "-1", "²"):
        assert street.call("GET", "/v1/customers", query={"limit": limit})[0] == 400


def test_a_credit_that_is_posted_again_answers_what_the_first_did(street: Street) -> None:
    status, first = street.call("POST", "/v1/customers/acme/credits", CREDIT)
    assert (status, first["remaining"]) == (201, "20")
    street.post(used("a"))
    street.flow()
    assert street.call("POST", "/v1/customers/acme/credits", {"id": "c", "amount": 20.0}) == (200, first)
    status, answer = street.call("POST", "/v1/customers/acme/credits", {"id": "c", "amount": "21"})
    assert (status, answer["code"]) == (409, "id_conflict")
    assert street.does("GET", "/v1/customers/acme/balance")["balance"] == "19.5"
    for amount in ("0", "-1", "0.001", "x", None):
        assert street.call("POST", "/v1/customers/acme/credits", {"id": "d", "amount": amount})[0] == 400


def test_a_balance_tells_its_credits_and_what_is_not_rounded_yet(street: Street) -> None:
    street.does("POST", "/v1/customers/acme/credits", CREDIT)
    street.does(
        "POST",
        "/v1/customers/acme/credits",
        {"id": "later", "amount": "5", "effective_at": NOW + DAY, "kind": "promotional"},
    )
    street.post(used("a", value="0.0111"))
    street.flow()
    told = street.does("GET", "/v1/customers/acme/balance")
    assert (told["balance"], told["balance_exact"]) == ("19.99", "19.99445")
    assert [(credit["id"], credit["remaining"], credit["kind"]) for credit in told["credits"]] == [
        ("c", "19.99", "paid"),
        ("later", "5", "promotional"),
    ]


def test_the_ledger_is_listed_newest_first_page_by_page(street: Street) -> None:
    for number in range(5):
        street.does("POST", "/v1/customers/acme/credits", {"id": f"c{number}", "amount": "1"})
    rows = street.does("GET", "/v1/customers/acme/ledger")["rows"]
    assert [row["balance_after"] for row in rows] == ["5", "4", "3", "2", "1"]
    page = street.does("GET", "/v1/customers/acme/ledger", query={"limit": "2"})
    rest = street.does("GET", "/v1/customers/acme/ledger", query={"limit": "9", "next": page["next"]})
    assert page["rows"] + rest["rows"] == rows
    assert rest["next"] is None
    assert street.call("GET", "/v1/customers/acme/ledger", query={"next": "nothing"})[0] == 400


def test_the_ledger_sums_to_the_balance_also_when_nobody_wrote_since_the_hour_of_the_last_draw(street: Street) -> None:
    street.does("POST", "/v1/customers/acme/credits", CREDIT)
    street.post(used("a", 59, "4"))
    street.flow()
    for hours in range(3):
        street.now = NOW + hours * HOUR
        rows = street.does("GET", "/v1/customers/acme/ledger")["rows"]
        assert [row["amount"] for row in rows] == ["-2", "20"]
        assert rows[0]["balance_after"] == street.does("GET", "/v1/customers/acme/balance")["balance"]


def usage(street: Street, **query: str) -> list[tuple[str, dict[str, str], str, int]]:
    given = {"customer": "acme", "meter": "requests", **query}
    rows = street.does("GET", "/v1/usage", query=given)["rows"]
    return [(row["start"], row["dimensions"], row["quantity"], row["events"]) for row in rows]


def test_usage_is_read_by_window_and_dimension(street: Street) -> None:
    street.post(
        used("a", 0, "1", dimensions={"provider": "aws", "region": "eu"}),
        used("b", 59, "2", dimensions={"provider": "aws", "region": "us"}),
        used("c", -1, "4", dimensions={"provider": "azure"}),
        used("d", -16 * 60, "8", dimensions={}),
    )
    street.flow()
    assert usage(street) == [("2026-11-01T00:00:00Z", {}, "15", 4)]
    assert [row[1:] for row in usage(street, group_by="provider")] == [
        ({}, "8", 1),
        ({"provider": "aws"}, "3", 2),
        ({"provider": "azure"}, "4", 1),
    ]
    assert [(row[0][8:13], row[2]) for row in usage(street, window="hour")] == [
        ("19T23", "8"),
        ("20T14", "4"),
        ("20T15", "3"),
    ]
    assert [(row[0], row[2]) for row in usage(street, window="day", timezone="Asia/Kolkata")] == [
        ("2026-11-19T18:30:00Z", "15"),
    ]
    assert [row[2] for row in usage(street, **{"where.provider": "aws", "where.region": "us"})] == ["2"]
    assert [row[2] for row in usage(street, **{"from": format_time(NOW - HOUR), "to": format_time(NOW)})] == ["3"]
    asked = {"customer": "acme", "meter": "requests", "window": "hour", "limit": "2"}
    page = street.does("GET", "/v1/usage", query=asked)
    rest = street.does("GET", "/v1/usage", query={**asked, "next": page["next"]})
    assert [row["quantity"] for row in page["rows"] + rest["rows"]] == ["8", "4", "3"]
    assert rest["next"] is None


@pytest.mark.parametrize(
    "query",
    [
        {"customer": ""},
        {"meter": ""},
        {"from": "yesterday"},
        {"from": format_time(NOW), "to": format_time(NOW)},
        {"window": "fortnight"},
        {"timezone": "Moon/Base"},
        {"group_by": "unheard_of"},
        {"where.unheard_of": "x"},
        {"next": "x"},
    ],
)
def test_a_question_about_usage_that_makes_no_sense_is_refused(street: Street, query: dict[str, str]) -> None:
    given = {"customer": "acme", "meter": "requests", **query}
    assert street.call("GET", "/v1/usage", query=given)[0] == 400


def test_sessions_are_read_by_status_and_interval(street: Street) -> None:
    street.post(edge("start", 5, "a"), edge("stop", 35, "a"), edge("start", 10, "b"), edge("stop", 20, "c"))
    street.flow()

    def ids(**query: str) -> list[str]:
        rows = street.does("GET", "/v1/sessions", query={"customer": "acme", "meter": "runtime", **query})["rows"]
        return [row["id"][0] for row in rows]

    assert ids() == ["c", "b", "a"]
    assert ids(status="open") == ["b"]
    assert "a" in ids(status="closed")
    assert "b" not in ids(status="closed")
    assert ids(status="anomalous") == ["c"]
    assert ids(**{"from": format_time(parse_time("2026-11-20T15:08:00Z"))}) == ["c", "b"]
    for query in ({"status": "x"}, {"from": format_time(NOW), "to": format_time(NOW - DAY)}):
        assert street.call("GET", "/v1/sessions", query={"customer": "acme", "meter": "runtime", **query})[0] == 400


def test_a_session_ends_by_time_in_the_moment_it_does_and_by_an_edge_ahead_when_its_time_comes(street: Street) -> None:
    street.does("PATCH", "/v1/customers/acme", {"ends_at": format_time(NOW + 7 * HOUR)})
    street.post(
        edge("start", 60, "long"), edge("start", 61, "last"), edge("start", 0, "short"), edge("stop", 63, "short")
    )
    street.flow()

    def told(minutes: int) -> list[tuple[str, str | None, str, str]]:
        street.now = NOW + minutes * MINUTE
        rows = street.does("GET", "/v1/sessions", query={"customer": "acme", "meter": "runtime"})["rows"]
        return [(row["key"]["vm"], row["end"] and row["end"][11:16], row["closed_by"], row["quantity"]) for row in rows]

    assert told(0) == [("long", None, "open", "0"), ("short", None, "open", "7200000")]
    assert told(2) == [
        ("last", None, "open", "120000"),
        ("long", None, "open", "240000"),
        ("short", None, "open", "7440000"),
    ]
    assert told(360) == [
        ("last", None, "open", "43080000"),
        ("long", "22:00", "max_duration", "43200000"),
        ("short", "16:03", "stop", "7560000"),
    ]


def test_a_change_of_customer_that_raced_another_is_a_conflict(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    stale = street.catalog.account("acme")
    street.does("PATCH", "/v1/customers/acme", {"name": "first"})
    monkeypatch.setattr(street.catalog, "account", lambda _: stale)
    status, answer = street.call("PATCH", "/v1/customers/acme", {"name": "second"})
    assert (status, answer["code"]) == (409, "conflict")
