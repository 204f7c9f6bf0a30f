"""Law 5.7: an invoice adds up, is frozen when finalised, and then moves only by its table."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from pydantic import JsonValue

from billing.customers import Account, Customer
from billing.invoices import TRANSITIONS, Invoice, draft, finalize, invoice_id, moved, numbered, start_in
from billing.periods import Period
from billing.plans import Plan
from billing.rating import rate
from metering.decimals import text
from metering.errors import Conflict
from metering.times import DAY, parse_time
from metering.usage import Usage
from metering.windows import Tally

PERIOD = Period(parse_time("2026-11-01T00:00:00Z"), parse_time("2026-12-01T00:00:00Z"))
PLAN = Plan.model_validate(
    {
        "key": "p",
        "currency": "USD",
        "items": [{"key": "calls", "meter": "m", "price": {"model": "per_unit", "unit_price": "1"}}],
    }
)
FIELDS = {
    *("id", "number", "customer", "status", "plan", "currency", "period", "issuer", "bill_to", "lines", "subtotal"),
    *("credits_applied", "tax_rate", "tax", "total", "amount_due", "amount_refunded", "finalized_at", "due_at"),
    *("paid_at", "stripe_invoice", "hosted_invoice_url", "credit_granted", "credit", "reissued_as"),
    *("held", "carried_by", "attempt_count", "payment_failure", "next_payment_attempt"),
}
ISSUER: dict[str, JsonValue] = {"name": "Us", "address": {"city": "Berlin"}, "tax_id": "DE1"}


def made(used: str = "100", credits_applied: str = "0", **fields: Any) -> tuple[Account, Invoice]:
    account = Account(Customer.model_validate({"id": "acme", "currency": "USD", **fields}))
    lines = rate(PLAN, [Usage("m", "sum", (), Tally(1, Decimal(used)))])
    return account, draft(account, ("p", 3), PERIOD, lines, Decimal(credits_applied), ISSUER)


@pytest.mark.parametrize(
    ("fields", "credits_applied", "tax", "total", "due"),
    [
        ({}, "0", "0", "100", "100"),
        ({"tax_rate": "19"}, "0", "19", "119", "119"),
        ({"tax_rate": "19"}, "40", "11.4", "111.4", "71.4"),
        ({"tax_rate": "19", "tax_on": "subtotal"}, "40", "19", "119", "79"),
        ({"tax_rate": "19"}, "100", "0", "100", "0"),
        ({"tax_rate": "19", "tax_on": "subtotal"}, "100", "19", "119", "19"),
        ({"tax_rate": "7.775"}, "0", "7.78", "107.78", "107.78"),
    ],
)
def test_credits_pay_lines_and_never_tax(
    fields: dict[str, str], credits_applied: str, tax: str, total: str, due: str
) -> None:
    _, invoice = made(credits_applied=credits_applied, **fields)

    assert [text(n) for n in (invoice.subtotal, invoice.tax, invoice.total, invoice.amount_due)] == [
        "100",
        tax,
        total,
        due,
    ]


def test_an_invoice_shows_every_field_of_the_contract() -> None:
    _, invoice = made(email="a@b.c")
    shown = invoice.as_json()

    assert shown["id"] == "acme:20261101T0000Z" == invoice_id("acme", PERIOD.start)
    assert shown["plan"] == {"key": "p", "version": 3}
    assert shown["period"] == {"start": "2026-11-01T00:00:00Z", "end": "2026-12-01T00:00:00Z"}
    assert shown["bill_to"] == {"name": "", "email": "a@b.c", "address": {}, "tax_id": None, "timezone": "UTC"}
    assert shown["lines"][0]["amount"] == "100"
    assert set(shown) == FIELDS


@pytest.mark.parametrize(("collection", "days"), [("none", 30), ("send_invoice", 30), ("charge_automatically", 0)])
def test_finalising_says_when_it_is_due(collection: str, days: int) -> None:
    account, invoice = made(collection=collection)
    final = finalize(invoice, account, PERIOD.end)

    assert (final.status, final.finalized_at, final.due_at) == ("finalized", PERIOD.end, PERIOD.end + days * DAY)


def test_with_nothing_due_it_is_paid_at_once() -> None:
    account, invoice = made(credits_applied="100")
    final = finalize(invoice, account, PERIOD.end)

    assert (final.status, final.paid_at) == ("paid", PERIOD.end)


def test_nothing_is_finalised_before_its_period_ends_nor_twice() -> None:
    account, invoice = made()
    with pytest.raises(Conflict) as early:
        finalize(invoice, account, PERIOD.end - 1)
    assert early.value.code == "period_open"
    with pytest.raises(Conflict):
        finalize(
            finalize(moved(finalize(invoice, account, PERIOD.end), "void", 1), account, PERIOD.end), account, PERIOD.end
        )


def test_a_number_is_put_on_once_and_only_on_what_is_finalised() -> None:
    account, invoice = made()
    with pytest.raises(Conflict):
        numbered(invoice, "TX-", 1)
    final = numbered(finalize(invoice, account, PERIOD.end), "TX-", 7)

    assert final.number == "TX-000007"
    with pytest.raises(Conflict):
        numbered(final, "TX-", 8)


@pytest.mark.parametrize("before", list(TRANSITIONS))
@pytest.mark.parametrize("after", list(TRANSITIONS))
def test_a_status_moves_only_along_the_table(before: Any, after: Any) -> None:
    invoice = replace(made()[1], status=before, number="TX-1")
    if after == before:
        assert moved(invoice, after, 1) is invoice
    elif after in TRANSITIONS[before]:
        assert moved(invoice, after, 1) == replace(invoice, status=after, paid_at=1 if after == "paid" else None)
    else:
        with pytest.raises(Conflict) as refused:
            moved(invoice, after, 1)
        assert refused.value.code == ("invoice_paid" if (before, after) == ("paid", "void") else "invoice_status")


@pytest.mark.parametrize("issue", [0, 1, 9])
def test_an_id_says_where_its_period_starts(issue: int) -> None:
    assert start_in(invoice_id("a:b", PERIOD.start, issue)) == PERIOD.start


@pytest.mark.parametrize(
    "name", ["", "acme", "acme:", "acme:20261301T0000Z", "acme:20261101T0000", "acme:2026١١01T0000Z"]
)
def test_what_is_no_id_says_nothing(name: str) -> None:
    assert start_in(name) is None
