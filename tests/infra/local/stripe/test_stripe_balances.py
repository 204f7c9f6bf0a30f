"""Sums too small to charge, the customer's balance that carries them, and how invoices end."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from infra.local.stripe.resources.payments import least
from tests.infra.local.stripe.in_process import InProcess


def _draft(in_process: InProcess, customer: str, *amounts: int, **more: Any) -> str:
    params: Any = {"customer": customer, "currency": "usd", "auto_advance": False, **more}
    invoice = in_process.stripe.invoices.create(params)
    if amounts:
        lines: Any = [{"amount": amount, "description": f"Line {amount}"} for amount in amounts]
        in_process.stripe.invoices.add_lines(invoice.id, {"lines": lines})
    return invoice.id


def _open(in_process: InProcess, customer: str, *amounts: int, **more: Any) -> str:
    return in_process.stripe.invoices.finalize_invoice(_draft(in_process, customer, *amounts, **more)).id


def _moves(in_process: InProcess, customer: str) -> list[tuple[str, int, int]]:
    rows = in_process.stripe.customers.balance_transactions.list(customer)
    return [(row.type, row.amount, row.ending_balance) for row in rows][::-1]


@pytest.mark.parametrize(
    ("currency", "least_amount"),
    [
        *(("usd", 50), ("eur", 50), ("gbp", 30), ("jpy", 50), ("chf", 50), ("dkk", 250), ("huf", 17500)),
        *(("aed", 200), ("mxn", 1000), ("hkd", 400), ("thb", 1000), ("nok", 300), ("pln", 200), ("czk", 1500)),
    ],
)
def test_each_currency_has_its_least_amount(in_process: InProcess, currency: str, least_amount: int) -> None:
    customer, method = in_process.customer()
    for amount, due in ((least_amount - 1, 0), (least_amount, least_amount)):
        other = in_process.stripe.customers.create().id
        assert (
            in_process.stripe.invoices.retrieve(_draft(in_process, other, amount, currency=currency)).amount_due == due
        )
    with pytest.raises(stripe.InvalidRequestError) as caught:
        in_process.stripe.payment_intents.create(
            {"amount": least(currency) - 1, "currency": currency, "customer": customer, "payment_method": method}
        )
    assert caught.value.code == "amount_too_small"


def test_small_sums_pile_up_until_they_can_be_charged(in_process: InProcess) -> None:
    customer, _ = in_process.customer()
    for number, (total, due, balance) in enumerate([(20, 0, 20), (25, 0, 45), (10, 55, 0), (60, 60, 0)]):
        draft = _draft(in_process, customer, total)
        shown = in_process.stripe.invoices.retrieve(draft)
        assert (shown.total, shown.amount_due) == (total, due), number
        invoice = in_process.stripe.invoices.finalize_invoice(draft)
        assert (invoice.amount_due, invoice.status) == (due, "open" if due else "paid"), number
        assert in_process.stripe.customers.retrieve(customer).balance == balance, number
        if due:
            assert in_process.stripe.invoices.pay(draft).amount_paid == due
    assert _moves(in_process, customer) == [
        ("invoice_too_small", 20, 20),
        ("invoice_too_small", 25, 45),
        ("applied_to_invoice", -45, 0),
    ]
    assert in_process.read("charges")["amount"] == {"usd": 115}


def test_a_draft_follows_its_customers_balance_until_it_is_finalised(in_process: InProcess) -> None:
    customer, _ = in_process.customer()
    draft = _draft(in_process, customer, 1000)
    for balance, due in [(0, 1000), (-300, 700), (-980, 0), (40, 1040), (-2000, 0)]:
        in_process.stripe.customers.update(customer, {"balance": balance})
        for shown in (
            in_process.stripe.invoices.retrieve(draft),
            in_process.stripe.invoices.list({"customer": customer}).data[0],
        ):
            assert (shown.starting_balance, shown.amount_due, shown.ending_balance) == (balance, due, None)
    invoice = in_process.stripe.invoices.finalize_invoice(draft)
    assert (invoice.starting_balance, invoice.ending_balance, invoice.status) == (-2000, -1000, "paid")
    in_process.stripe.customers.update(customer, {"balance": 0})
    assert in_process.stripe.invoices.retrieve(draft).starting_balance == -2000
    assert _moves(in_process, customer)[-2:] == [("applied_to_invoice", 1000, -1000), ("adjustment", 1000, 0)]


def test_a_balance_in_another_currency_is_left_alone(in_process: InProcess) -> None:
    customer, _ = in_process.customer()
    _open(in_process, customer, 1000)
    in_process.stripe.customers.update(customer, {"balance": -300})
    other = in_process.stripe.invoices.retrieve(_draft(in_process, customer, 1000, currency="eur"))
    assert (other.starting_balance, other.amount_due) == (0, 1000)


def test_voiding_puts_back_what_the_balance_had_paid(in_process: InProcess) -> None:
    customer, _ = in_process.customer()
    in_process.stripe.customers.update(customer, {"balance": -300, "metadata": {"a": "b"}})
    in_process.stripe.customers.update(customer, {"balance": -300})
    invoice = _open(in_process, customer, 1000)
    in_process.stripe.invoices.void_invoice(invoice)
    assert [kind for kind, _, _ in _moves(in_process, customer)] == [
        "adjustment",
        "applied_to_invoice",
        "unapplied_from_invoice",
    ]
    assert in_process.stripe.customers.retrieve(customer).balance == -300
    found = in_process.stripe.customers.balance_transactions.list(customer, {"invoice": invoice})
    assert [row.amount for row in found] == [-300, 300]


@pytest.mark.parametrize(
    ("change", "method", "due_days"),
    [
        ({"collection_method": "charge_automatically"}, "charge_automatically", None),
        ({"days_until_due": 5}, "send_invoice", 5),
        ({"description": "May"}, "send_invoice", 30),
    ],
)
def test_a_draft_changes_how_it_is_collected(
    in_process: InProcess, change: dict[str, Any], method: str, due_days: int | None
) -> None:
    customer, _ = in_process.customer()
    draft = _draft(in_process, customer, 1000, collection_method="send_invoice", days_until_due=30)
    changed = in_process.stripe.invoices.update(draft, change)  # type: ignore[arg-type]  # a plain dict is one
    due = None if due_days is None else int(in_process.clock.seconds) + due_days * 86_400
    assert (changed.collection_method, changed.due_date) == (method, due)
    back: Any = {"collection_method": "send_invoice", "days_until_due": 1}
    assert in_process.stripe.invoices.update(draft, back).collection_method == "send_invoice"


def test_how_a_finalised_invoice_is_collected_stays(in_process: InProcess) -> None:
    customer, method = in_process.customer()
    invoice = _open(in_process, customer, 1000)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        in_process.stripe.invoices.update(invoice, {"collection_method": "send_invoice", "days_until_due": 1})
    assert caught.value.code == "invoice_not_editable"
    changed = in_process.stripe.invoices.update(invoice, {"default_payment_method": method})
    assert changed.default_payment_method == method


def test_an_invoice_that_nobody_pays_falls_due_once(in_process: InProcess) -> None:
    customer, _ = in_process.customer()
    terms = {"collection_method": "send_invoice", "days_until_due": 30}
    late, paid, gone = (_open(in_process, customer, 1000, **terms) for _ in range(3))
    in_process.stripe.invoices.pay(paid)
    in_process.stripe.invoices.void_invoice(gone)
    in_process.clock.forward(30 * 86_400 - 1)
    assert in_process.told("invoice.overdue") == []
    assert not in_process.stripe.customers.retrieve(customer).delinquent
    in_process.clock.forward(1)
    assert in_process.told("invoice.overdue") == ["invoice.overdue"]
    assert in_process.stripe.customers.retrieve(customer).delinquent
    listed = in_process.stripe.invoices.list({"status": "open", "due_date": {"lt": int(in_process.clock.seconds) + 1}})
    assert [row.id for row in listed] == [late]
    in_process.control(f"invoices/{late}/pay")
    assert in_process.stripe.invoices.retrieve(late).status == "paid"
    assert not in_process.stripe.customers.retrieve(customer).delinquent


@pytest.mark.parametrize(
    ("body", "status", "failures"),
    [
        ({}, "paid", 0),
        ({"card": "4000000000000341"}, "open", 1),
        ({"card": "4000002760003184"}, "paid", 0),
        ({"card": "4000002760003184", "authenticates": False}, "open", 1),
        ({"slow": True}, "open", 0),
    ],
)
def test_an_invoice_is_paid_on_its_page_or_not(
    in_process: InProcess, body: dict[str, Any], status: str, failures: int
) -> None:
    customer = in_process.stripe.customers.create().id
    invoice = _open(in_process, customer, 1000, collection_method="send_invoice", days_until_due=30)
    if failures:
        with pytest.raises(AssertionError, match="_error"):
            in_process.control(f"invoices/{invoice}/pay", body)
    else:
        in_process.control(f"invoices/{invoice}/pay", body)
    found = in_process.stripe.invoices.retrieve(invoice)
    assert (found.status, found.attempted, found.attempt_count) == (status, True, 1)
    assert len(in_process.told("invoice.payment_failed")) == failures
    assert not in_process.stripe.customers.payment_methods.list(customer).data


@pytest.mark.parametrize(("succeeds", "status"), [(True, "paid"), (False, "open")])
def test_an_invoice_waits_for_a_payment_that_takes_days(in_process: InProcess, succeeds: bool, status: str) -> None:
    customer, method = in_process.customer()
    in_process.control(f"payment_methods/{method}/slow")
    invoice = _open(in_process, customer, 1000)
    assert in_process.stripe.invoices.pay(invoice).status == "open"
    with pytest.raises(stripe.InvalidRequestError, match="being processed"):
        in_process.stripe.invoices.pay(invoice)
    payment = in_process.stripe.invoice_payments.list({"invoice": invoice}).data[0].payment
    in_process.control(f"payment_intents/{payment.payment_intent}/settle", {"succeeds": succeeds})
    assert in_process.stripe.invoices.retrieve(invoice).status == status
    assert in_process.told("invoice.payment_failed") == ([] if succeeds else ["invoice.payment_failed"])


@pytest.mark.parametrize(("count", "fits"), [(250, True), (251, False)])
def test_a_draft_takes_250_lines_all_or_none(in_process: InProcess, count: int, fits: bool) -> None:
    customer, _ = in_process.customer()
    draft = _draft(in_process, customer)
    lines: Any = [{"amount": 1}] * count
    if fits:
        assert in_process.stripe.invoices.add_lines(draft, {"lines": lines}).total == count
    else:
        with pytest.raises(stripe.InvalidRequestError):
            in_process.stripe.invoices.add_lines(draft, {"lines": lines})
        assert in_process.stripe.invoices.retrieve(draft).total == 0


def test_a_deleted_draft_lets_its_pending_items_go_and_takes_its_own_along(in_process: InProcess) -> None:
    customer, _ = in_process.customer()
    items = in_process.stripe.invoice_items
    waiting = items.create({"customer": customer, "amount": 700, "currency": "usd"}).id
    draft = _draft(in_process, customer, pending_invoice_items_behavior="include")
    items.create({"customer": customer, "invoice": draft, "amount": 300})
    assert in_process.stripe.invoices.retrieve(draft).total == 1000
    in_process.stripe.invoices.delete(draft)
    assert [(row.id, row.invoice) for row in items.list({"customer": customer})] == [(waiting, None)]


def test_an_invoice_given_up_is_not_given_up_again_but_voided_or_paid(in_process: InProcess) -> None:
    customer, _ = in_process.customer()
    invoices = in_process.stripe.invoices
    first, second = _open(in_process, customer, 1000), _open(in_process, customer, 1000)
    for each in (first, second):
        assert invoices.mark_uncollectible(each).status == "uncollectible"
        with pytest.raises(stripe.InvalidRequestError):
            invoices.mark_uncollectible(each)
    assert invoices.void_invoice(first).status == "void"
    assert invoices.pay(second, {"paid_out_of_band": True}).status == "paid"


def test_an_invoice_of_a_deleted_customer_cannot_be_finalised(in_process: InProcess) -> None:
    customer, _ = in_process.customer()
    draft = _draft(in_process, customer, 1000)
    in_process.stripe.customers.delete(customer)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        in_process.stripe.invoices.finalize_invoice(draft)
    assert caught.value.code == "resource_missing"


@pytest.mark.parametrize(
    ("act", "events"),
    [
        (
            lambda invoices, each: invoices.pay(each),
            [
                *("charge.succeeded", "payment_intent.succeeded", "invoice_payment.paid"),
                *("invoice.updated", "invoice.updated", "invoice.paid", "invoice.payment_succeeded"),
            ],
        ),
        (
            lambda invoices, each: invoices.pay(each, {"paid_out_of_band": True}),
            ["payment_intent.canceled", "invoice.updated", "invoice.paid"],
        ),
        (
            lambda invoices, each: invoices.void_invoice(each),
            ["payment_intent.canceled", "invoice.updated", "invoice.voided"],
        ),
        (
            lambda invoices, each: invoices.mark_uncollectible(each),
            ["invoice.updated", "invoice.marked_uncollectible"],
        ),
    ],
)
def test_what_becomes_of_an_invoice_is_told(in_process: InProcess, act: Any, events: list[str]) -> None:
    customer, _ = in_process.customer()
    invoice = _open(in_process, customer, 1000)
    before = in_process.told()
    assert before[-3:] == ["invoice.updated", "invoice.finalized", "payment_intent.created"]
    act(in_process.stripe.invoices, invoice)
    assert in_process.told()[len(before) :] == events
