"""Usage that changes after its period was invoiced: the next invoice carries the difference. Law 5.7."""

from decimal import Decimal
from random import Random
from typing import Any
from unittest.mock import Mock

import pytest

from adapters.items import ConditionFailed
from metering.times import parse_time
from tests.handlers.street import Street, used

NOVEMBER, DECEMBER = "acme:20261101T0000Z", "acme:20261201T0000Z"
JANUARY = "acme:20270101T0000Z"
IN_DECEMBER: dict[str, Any] = {"timestamp": "2026-12-05T00:00:00Z"}


@pytest.fixture
def invoiced(street: Street) -> Street:
    """A street on which acme was invoiced 10 dollars for November, and now it is the sixth of December."""
    street.post(used("a", value="20"))
    street.flow()
    street.advance("2026-12-01T01:00:00Z")
    street.advance("2026-12-06T00:00:00Z")
    return street


def shown(street: Street, name: str) -> Any:
    return street.does("GET", f"/v1/invoices/{name}")


def draft(street: Street) -> Any:
    return street.does("GET", "/v1/customers/acme/invoices/draft")


def adjustments(invoice: Any) -> list[tuple[str, str]]:
    return [(line["description"], line["amount"]) for line in invoice["lines"] if line["kind"] == "adjustment"]


def post(street: Street, *events: Any) -> None:
    street.post(*events)
    street.flow()


def test_late_usage_is_a_line_of_the_next_invoice_once_however_often_it_is_sent(invoiced: Street) -> None:
    november = shown(invoiced, NOVEMBER)
    for _ in range(2):
        post(invoiced, used("late", 1, value="3"), used("b", value="4", **IN_DECEMBER))
    (line,) = [line for line in draft(invoiced)["lines"] if line["kind"] == "adjustment"]
    assert (line["description"], line["amount"]) == ("Adjustment of 2026-11-01 to 2026-11-30", "1.5")
    assert line["period"] == {"start": "2026-11-01T00:00:00Z", "end": "2026-12-01T00:00:00Z"}
    assert (draft(invoiced)["subtotal"], shown(invoiced, NOVEMBER)) == ("3.5", november)
    invoiced.advance("2027-01-01T01:00:00Z")
    december = shown(invoiced, DECEMBER)
    assert (december["number"], december["total"], adjustments(december)) == (
        "TX-000002",
        "3.5",
        [("Adjustment of 2026-11-01 to 2026-11-30", "1.5")],
    )
    post(invoiced, used("later", 2, value="1", timestamp="2026-12-20T00:00:00Z"))
    assert adjustments(draft(invoiced)) == [("Adjustment of 2026-12-01 to 2026-12-31", "0.5")]


def test_credits_pay_adjustments_like_any_line(invoiced: Street) -> None:
    invoiced.does("POST", "/v1/customers/acme/credits", {"id": "c", "amount": "5"})
    post(invoiced, used("late", 1, value="3"))
    assert invoiced.does("GET", "/v1/customers/acme/balance")["balance"] == "3.5"
    assert (draft(invoiced)["credits_applied"], draft(invoiced)["amount_due"]) == ("1.5", "0")
    post(invoiced, used("late", 1, value="3", void=True, revision=1))
    assert invoiced.does("GET", "/v1/customers/acme/balance")["balance"] == "5"
    assert adjustments(draft(invoiced)) == []


def test_what_is_left_below_zero_is_granted_as_a_credit_that_refers_to_the_invoice(invoiced: Street) -> None:
    post(invoiced, used("b", value="4", **IN_DECEMBER), used("a", value="20", void=True, revision=1))
    assert [amount for _, amount in adjustments(draft(invoiced))] == ["-10", "8"]
    assert draft(invoiced)["subtotal"] == "0"
    invoiced.advance("2027-01-01T01:00:00Z")
    december = shown(invoiced, DECEMBER)
    assert (december["status"], december["total"], december["credit_granted"]) == ("paid", "0", "8")
    balance = invoiced.does("GET", "/v1/customers/acme/balance")
    (credit,) = balance["credits"]
    assert (balance["balance"], credit["reference"], credit["id"]) == ("8", december["number"], december["credit"])
    invoiced.advance("2027-01-02T01:00:00Z")
    assert invoiced.does("GET", "/v1/customers/acme/balance")["balance"] == "8"


@pytest.mark.parametrize("tax_on", ["rest", "subtotal"])
def test_who_was_asked_too_much_pays_as_much_in_all_as_who_was_not(street: Street, tax_on: str) -> None:
    for name in ("acme", "other"):
        street.does("PUT", f"/v1/customers/{name}", {"plan": "serverless", "tax_rate": "10", "tax_on": tax_on})
    post(street, used("a", value="20"))
    street.advance("2026-12-01T01:00:00Z")
    post(street, used("a", value="20", void=True, revision=1))
    for month in ("2026-12-05", "2027-01-05"):
        street.advance(f"{month}T00:00:00Z")
        for name in ("acme", "other"):
            post(street, used(month, customer=name, value="4" if month < "2027" else "101", timestamp=street.now))
    street.advance("2027-02-01T01:00:00Z")

    rows = {name: street.does("GET", "/v1/invoices", query={"customer": name})["rows"] for name in ("acme", "other")}
    december = rows["acme"][1]
    granted, tax = ("8", "0") if tax_on == "rest" else ("8.8", "-0.8")
    assert (december["credit_granted"], december["tax"], december["status"]) == (granted, tax, "paid")
    assert (december["total"], december["amount_due"]) == ("0", "0")
    paid = {name: sum(Decimal(row["amount_due"]) for row in several) for name, several in rows.items()}
    assert paid == {"acme": Decimal("57.75"), "other": Decimal("57.75")}
    told = street.does("GET", f"/v1/invoices/{december['id']}/explain")["tax"]
    assert (told["on"], told["taxed"], told["amount"]) == (tax_on, "0" if tax_on == "rest" else "-8", tax)


def test_a_prepaid_customer_gets_no_tax_back_that_was_never_asked_for(street: Street) -> None:
    body = {"plan": "serverless", "tax_rate": "10", "tax_on": "subtotal", "prepaid_only": True}
    street.does("PUT", "/v1/customers/acme", body)
    post(street, used("a", value="20"))
    street.advance("2026-12-01T01:00:00Z")
    post(street, used("a", value="20", void=True, revision=1))
    assert (draft(street)["total"], draft(street)["credit_granted"]) == ("0", "10")
    street.advance("2027-01-01T01:00:00Z")
    assert street.does("GET", "/v1/customers/acme/balance")["balance"] == "0"


def test_that_credit_waits_for_the_number_that_it_refers_to(invoiced: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    post(invoiced, used("a", value="20", void=True, revision=1))
    with monkeypatch.context() as contended:
        contended.setattr(invoiced.invoices, "give_numbers", Mock(side_effect=ConditionFailed))
        invoiced.advance("2027-01-01T01:00:00Z")
    assert invoiced.does("GET", "/v1/customers/acme/balance")["credits"] == []
    invoiced.hour()
    (credit,) = invoiced.does("GET", "/v1/customers/acme/balance")["credits"]
    assert credit["reference"] == "TX-000002"


@pytest.mark.parametrize("answer_lost", [False, True])
def test_a_crash_anywhere_on_the_way_to_that_credit_grants_it_once(invoiced: Street, answer_lost: bool) -> None:
    post(invoiced, used("a", value="20", void=True, revision=1))
    invoiced.now = invoiced.now + 27 * 86_400_000
    invoiced.answer_lost = answer_lost
    for left in range(40):
        invoiced.writes_left = left
        try:
            invoiced.minute()
            invoiced.hour()
        except Exception:  # noqa: BLE001, S110 - the crash, and whatever it looks like where it is met
            pass
    invoiced.writes_left = None
    invoiced.minute()
    invoiced.hour()
    balance = invoiced.does("GET", "/v1/customers/acme/balance")
    assert [(credit["amount"], credit["reference"]) for credit in balance["credits"]] == [("10", "TX-000002")]
    assert balance["balance"] == "10"
    assert [row["kind"] for row in invoiced.does("GET", "/v1/customers/acme/ledger")["rows"]] == ["grant"]


def test_a_customer_who_has_ended_gets_an_invoice_of_its_own_for_late_usage(invoiced: Street) -> None:
    invoiced.does("PATCH", "/v1/customers/acme", {"ends_at": "2026-12-06T06:00:00Z"})
    invoiced.advance("2026-12-06T08:00:00Z")
    post(invoiced, used("late", 1, value="3"))
    invoiced.advance("2026-12-06T10:00:00Z")
    newest = invoiced.does("GET", "/v1/invoices", query={"customer": "acme"})["rows"][0]
    assert (newest["number"], newest["total"], newest["period"]["start"]) == (
        "TX-000002",
        "1.5",
        "2026-12-06T08:01:00Z",
    )
    assert adjustments(shown(invoiced, newest["id"])) == [("Adjustment of 2026-11-01 to 2026-11-30", "1.5")]


def test_who_goes_on_after_the_end_is_invoiced_for_what_begins_at_the_instant_of_that_invoice(street: Street) -> None:
    street.does("PATCH", "/v1/customers/acme", {"ends_at": "2026-11-21T00:00:00Z"})
    post(street, used("a", value="20"))
    street.now = parse_time("2026-11-21T00:00:00Z")
    street.minute()
    street.does("POST", f"/v1/invoices/{NOVEMBER}/finalize")
    post(street, used("late", 1, value="3"))
    street.advance("2026-11-21T03:00:00Z")
    street.does("PATCH", "/v1/customers/acme", {"ends_at": None})
    post(street, used("b", value="4", timestamp=street.now))
    street.advance("2026-12-01T01:00:00Z")
    rows = street.does("GET", "/v1/invoices", query={"customer": "acme"})["rows"]
    assert [row["subtotal"] for row in rows] == ["1.5", "2", "10"]


def test_a_prepaid_wallet_pays_late_usage_and_gets_back_what_was_too_much(street: Street) -> None:
    street.does("PATCH", "/v1/customers/acme", {"prepaid_only": True})
    street.does("POST", "/v1/customers/acme/credits", {"id": "c", "amount": "50"})
    post(street, used("a", value="20"))
    street.advance("2026-12-06T00:00:00Z")
    post(street, used("late", 1, value="3"))
    assert street.does("GET", "/v1/customers/acme/balance")["balance"] == "38.5"
    post(street, used("a", value="20", void=True, revision=1))
    street.advance("2027-01-06T00:00:00Z")
    assert street.does("GET", "/v1/customers/acme/balance")["balance"] == "48.5"
    assert street.does("GET", "/v1/invoices", query={"customer": "acme"})["rows"] == []


def test_minimum_maximum_and_discounts_hold_for_the_closed_period_and_not_for_its_adjustment(street: Street) -> None:
    price = {"model": "per_unit", "unit_price": "1"}
    plan = {"currency": "USD", "items": [{"key": "r", "meter": "requests", "price": price}], "minimum": "20"}
    street.does("PUT", "/v1/plans/minimal", {**plan, "discounts": [{"percent": "10"}]})
    street.does("PUT", "/v1/customers/other", {"plan": "minimal", "starts_at": "2026-11-01T00:00:00Z"})
    post(street, used("a", value="10", customer="other"))
    street.advance("2026-12-06T00:00:00Z")
    assert shown(street, "other:20261101T0000Z")["total"] == "20"
    for value, expected in (("10", []), ("15", ["2.5"]), ("5", [])):
        post(street, used("late", 1, value=value, customer="other", revision=int(value)))
        running = street.does("GET", "/v1/customers/other/invoices/draft")
        shown_amounts = [line["amount"] for line in running["lines"] if line["kind"] == "adjustment"]
        assert shown_amounts == (expected if value != "5" else ["2.5"])


@pytest.mark.parametrize("seed", range(6))
def test_whatever_comes_late_and_in_whatever_order_invoices_sum_to_the_rating_of_the_whole(
    street: Street, seed: int
) -> None:
    """Of what was used and not voided, at half a dollar each: what invoices ask for, less what they grant."""
    random = Random(seed)  # noqa: S311 - a history, not a secret
    used_by_id: dict[str, int] = {}
    for month, day in (("11", 25), ("12", 3), ("12", 20), ("12", 29)):
        street.advance(f"2026-{month}-{day:02d}T00:00:00Z")
        for number in range(random.randint(1, 4)):
            name = f"{month}-{day}-{number}"
            age = random.randint(0, 33 if random.random() < 0.5 else 2)
            at = street.now - age * 86_400_000 - random.randrange(86_400_000)
            if at < 1_793_491_200_000:  # before November
                continue
            used_by_id[name] = random.randint(0, 9)
            event = used(name, value=str(used_by_id[name]), timestamp=at)
            street.post(event, event)
            if random.random() < 0.3:
                street.post({**event, "revision": 1, "void": True})
                used_by_id[name] = 0
        street.flow(random)
    street.advance("2027-01-05T00:00:00Z")
    street.advance("2027-02-05T00:00:00Z")
    street.advance("2027-03-05T00:00:00Z")
    rows = street.does("GET", "/v1/invoices", query={"customer": "acme"})["rows"]
    asked = sum((Decimal(row["subtotal"]) - Decimal(row["credit_granted"]) for row in rows), Decimal(0))
    assert asked == Decimal(sum(used_by_id.values())) / 2
    assert all(Decimal(row["subtotal"]) >= 0 for row in rows)
    assert sorted(row["number"] for row in rows) == [f"TX-{count:06d}" for count in range(1, len(rows) + 1)]
