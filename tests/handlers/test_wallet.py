"""The routes of one wallet: what is taken back of a credit, and the ledger by window."""

from decimal import Decimal
from typing import Any

import pytest

from metering.times import DAY, HOUR, format_time
from tests.handlers.street import NOW, Street, used

CREDITS = "/v1/customers/acme/credits"
LEDGER = "/v1/customers/acme/ledger"


def revoke(street: Street, credit: str = "c", **body: Any) -> tuple[int, Any]:
    return street.call("POST", f"{CREDITS}/{credit}/revoke", {"id": "r", **body})


def balance(street: Street) -> str:
    return str(street.does("GET", "/v1/customers/acme/balance")["balance"])


def test_a_revocation_happens_once_however_often_it_is_sent(street: Street) -> None:
    street.does("POST", CREDITS, {"id": "c", "amount": "20"})
    status, first = revoke(street, amount="5")
    assert (status, first) == (
        201,
        {"id": "r", "credit": "c", "amount": "5", "revoked": "5", "remaining": "15", "at": format_time(NOW)},
    )
    street.now = NOW + HOUR
    assert revoke(street, amount=5.0) == (200, first)
    for body in ({}, {"amount": "6"}):
        status, told = revoke(street, **body)
        assert (status, told["code"]) == (409, "id_conflict")
    street.does("POST", CREDITS, {"id": "other", "amount": "1"})
    assert revoke(street, "other", amount="5")[1]["code"] == "id_conflict"
    assert balance(street) == "16"
    entry = street.does("GET", LEDGER)["rows"][1]
    assert (entry["kind"], entry["amount"], entry["credit"], entry["reference"]) == ("revoke", "-5", "c", "r")


def test_without_an_amount_all_that_remains_is_taken_and_what_was_drawn_stays_drawn(street: Street) -> None:
    street.does("POST", CREDITS, {"id": "c", "amount": "20"})
    street.post(used("a", value="8"))
    street.flow()
    assert revoke(street)[1]["revoked"] == "16"
    assert balance(street) == "0"
    assert revoke(street, id="again", amount="1")[1] | {"at": ""} == {
        "id": "again",
        "credit": "c",
        "amount": "1",
        "revoked": "0",
        "remaining": "0",
        "at": "",
    }
    draft = street.does("GET", "/v1/customers/acme/invoices/draft")
    assert (draft["credits_applied"], draft["amount_due"]) == ("4", "0")


@pytest.mark.parametrize(
    ("credit", "revoked", "left"),
    [
        ({"amount": "20", "effective_at": NOW + 5 * DAY}, "20", "0"),
        ({"amount": "20", "effective_at": NOW - DAY, "expires_at": NOW + DAY}, "0", "0"),
    ],
    ids=["one that lies ahead", "one that has ended and left the wallet"],
)
def test_a_credit_that_is_not_live_is_revoked_too_if_anything_is_left(
    street: Street, credit: dict[str, Any], revoked: str, left: str
) -> None:
    street.does("POST", CREDITS, {"id": "c", **credit})
    street.advance(format_time(NOW + 3 * DAY))
    status, told = revoke(street)
    assert (status, told["revoked"], told["remaining"]) == (201, revoked, left)
    street.advance(format_time(NOW + 9 * DAY))
    assert balance(street) == "0"
    [shown] = street.does("GET", CREDITS)["rows"]
    assert (shown["amount"], shown["remaining"]) == ("20", "0")
    assert revoke(street) == (200, told)


def test_the_prepaid_below_zero_have_nothing_to_revoke_and_go_on_owing(street: Street) -> None:
    street.does("PATCH", "/v1/customers/acme", {"prepaid_only": True})
    street.does("POST", CREDITS, {"id": "c", "amount": "1"})
    street.post(used("a", value="8"))
    street.flow()
    assert revoke(street)[1]["revoked"] == "0"
    assert balance(street) == "-3"


def test_what_is_no_revocation_is_refused_with_its_place(street: Street) -> None:
    street.does("POST", CREDITS, {"id": "c", "amount": "1"})
    for amount in ("0", "-1", "0.001", "x"):
        status, told = revoke(street, amount=amount)
        assert (status, [fault["pointer"] for fault in told["errors"]]) == (400, ["/amount"])
    assert street.call("POST", f"{CREDITS}/c/revoke", {"amount": "1"})[0] == 400
    assert balance(street) == "1"


@pytest.fixture
def busy(street: Street) -> Street:
    """A street on which acme drew on two credits in several hours, the last of them the running one."""
    street.does("POST", CREDITS, {"id": "a", "amount": "3", "priority": 1, "effective_at": NOW - 2 * DAY})
    street.does("POST", CREDITS, {"id": "b", "amount": "20"})
    for number in range(5):
        street.now = NOW + number * 5 * HOUR
        street.post(used(f"e{number}", 60 + 5 * 60 * number, "2.5"))
        street.flow()
    street.now += HOUR // 2
    return street


def timeline(street: Street, **query: str) -> list[tuple[str, ...]]:
    """The rows: when, of which credit, and what is not zero."""
    rows = street.does("GET", LEDGER, query=query)["rows"]
    sums = ("drawn", "returned", "granted", "expired", "revoked")
    return [
        (row["start"][5:16], str(row["credit"]), *(f"{name} {row[name]}" for name in sums if row[name] != "0"))
        for row in rows
    ]


def test_the_timeline_tells_by_hour_and_credit_what_moved_newest_first(busy: Street) -> None:
    revoke(busy, "b", amount="1")
    assert timeline(busy, window="hour") == [
        ("11-21T12:00", "b", "revoked 1"),
        ("11-21T12:00", "b", "drawn 1.25"),
        ("11-21T07:00", "b", "drawn 1.25"),
        ("11-21T02:00", "a", "drawn 0.5"),
        ("11-21T02:00", "b", "drawn 0.75"),
        ("11-20T21:00", "a", "drawn 1.25"),
        ("11-20T16:00", "a", "granted 3"),
        ("11-20T16:00", "a", "drawn 1.25"),
        ("11-20T16:00", "b", "granted 20"),
    ]


@pytest.mark.parametrize(
    ("query", "days"),
    [
        ({"window": "day"}, ["11-21", "11-20"]),
        ({"window": "day", "timezone": "Europe/Berlin"}, ["11-20T23", "11-19T23"]),
        ({"window": "month", "timezone": "Asia/Kolkata"}, ["10-31T18:30"]),
    ],
)
def test_days_and_months_are_the_customers_or_those_of_the_zone_asked_for(
    busy: Street, query: dict[str, str], days: list[str]
) -> None:
    told = timeline(busy, **query)
    starts = list(dict.fromkeys(row[0] for row in told))
    assert [start.startswith(day) for start, day in zip(starts, days, strict=True)] == [True] * len(days)
    busy.does("PATCH", "/v1/customers/acme", {"timezone": query.get("timezone", "UTC")})
    assert timeline(busy, window=query["window"]) == told


@pytest.mark.parametrize("window", ["hour", "day", "month"])
@pytest.mark.parametrize("limit", ["1", "2", "100"])
def test_the_timeline_comes_in_pages_and_sums_to_the_balance(busy: Street, window: str, limit: str) -> None:
    query = {"window": window, "limit": limit, "timezone": "Asia/Kathmandu"}
    whole = busy.does("GET", LEDGER, query={**query, "limit": "1000"})["rows"]
    paged: list[Any] = []
    following: dict[str, str] = {}
    while True:
        page = busy.does("GET", LEDGER, query=query | following)
        paged += page["rows"]
        if page["next"] is None:
            break
        following = {"next": page["next"]}
    assert paged == whole
    assert [row["start"] for row in paged] == sorted((row["start"] for row in paged), reverse=True)
    assert sum(Decimal(row["amount"]) for row in paged) == Decimal(balance(busy))


@pytest.mark.parametrize("query", [{"window": "year"}, {"window": "x"}, {"window": "day", "timezone": "Moon/Base"}])
def test_a_timeline_that_makes_no_sense_is_refused(street: Street, query: dict[str, str]) -> None:
    assert street.call("GET", LEDGER, query=query)[0] == 400


@pytest.mark.parametrize("prepaid_only", [False, True])
@pytest.mark.parametrize(
    "customer", [{"plan": "serverless"}, {"currency": "EUR"}, {}], ids=["plan", "currency", "none"]
)
def test_before_there_is_any_credit_the_balance_is_zero_and_only_the_prepaid_are_kept_out(
    street: Street, customer: dict[str, Any], prepaid_only: bool
) -> None:
    street.does("PUT", "/v1/customers/new", {**customer, "prepaid_only": prepaid_only})
    told = street.does("GET", "/v1/customers/new/balance")
    currency = None if not customer else customer.get("currency", "USD")
    assert told == {
        "balance": "0",
        "balance_exact": "0",
        "currency": currency,
        "credits": [],
        "as_of": format_time(NOW),
        "runs_out_at": None,
    }
    assert street.does("GET", "/v1/customers/new/access") == {"allowed": not prepaid_only, "balance": "0"}
    for name in ("credits", "ledger", "top_ups"):
        assert street.does("GET", f"/v1/customers/new/{name}") == {"rows": [], "next": None}
    assert street.does("GET", "/v1/customers/new/ledger", query={"window": "day"}) == {"rows": [], "next": None}


def test_access_is_refused_only_to_the_prepaid_with_nothing_left(street: Street) -> None:
    access = "/v1/customers/acme/access"
    assert street.does("GET", access) == {"allowed": True, "balance": "0"}
    street.does("PATCH", "/v1/customers/acme", {"prepaid_only": True})
    assert street.does("GET", access) == {"allowed": False, "balance": "0"}
    street.does("POST", CREDITS, {"id": "c", "amount": "20"})
    assert street.does("GET", access) == {"allowed": True, "balance": "20"}
    for number, expected in enumerate(({"allowed": False, "balance": "0"}, {"allowed": False, "balance": "-0.5"})):
        street.post(used(f"e{number}", value=("40", "1")[number]))
        street.flow()
        assert street.does("GET", access) == expected
    street.does("PATCH", "/v1/customers/acme", {"prepaid_only": False})
    assert street.does("GET", access) == {"allowed": True, "balance": "0"}
