"""The routes of one wallet: what is taken back of a credit, and the ledger by window."""

from typing import Any

import pytest

from metering.times import DAY, HOUR, format_time
from tests.handlers.street import NOW, Street, used

CREDITS = "/v1/customers/acme/credits"


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
    entry = street.does("GET", "/v1/customers/acme/ledger")["rows"][1]
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
