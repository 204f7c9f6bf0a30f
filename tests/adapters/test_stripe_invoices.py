"""Invoices at Stripe, through the real SDK: made once, filled once, and moved to a state however often it is said."""

from dataclasses import replace
from typing import Any

import pytest

from adapters.stripe import metadata_of
from adapters.stripe_invoice_payments import Returned, StripeInvoicePayments, Try
from adapters.stripe_invoices import StripeInvoice, StripeInvoices, Wanted
from metering.errors import Conflict, Unavailable
from tests.adapters.test_stripe import stripe_with
from tests.infra.local.stripe.in_process import InProcess
from tests.rows import deep

ROWS = [("Requests", 500), ("Refund", -100)]
SUMS = [("Tax 19%", 76)]
HOUR, DAY = 3600, 86_400


@pytest.fixture
def invoices(stripe_stand_in: InProcess) -> StripeInvoices:
    return StripeInvoices(stripe_with(stripe_stand_in, "sk_test_key"))


@pytest.fixture
def payments(stripe_stand_in: InProcess) -> StripeInvoicePayments:
    return StripeInvoicePayments(stripe_with(stripe_stand_in, "sk_test_key"))


def wanted(stand_in: InProcess, number: int = 1, days: int | None = None, card: str = "pm_card_visa") -> Wanted:
    return Wanted(stand_in.customer(card)[0], "USD", days, {"taximeter_invoice": f"acme:{number}"})


def filled(stand_in: InProcess, invoices: StripeInvoices, **fields: Any) -> StripeInvoice:
    asked = wanted(stand_in, **fields)
    draft, _ = invoices.make(asked, f"k:{asked.customer}")
    return invoices.add_lines(draft, ROWS, SUMS, f"l:{draft.id}", is_new=True)


def opened(stand_in: InProcess, invoices: StripeInvoices, **fields: Any) -> StripeInvoice:
    return invoices.finalize(filled(stand_in, invoices, **fields).id)


def fail(stand_in: InProcess, path: str, method: str = "POST", **fault: Any) -> None:
    stand_in.control("faults", {"path": path, "method": method, **fault})


def method_of(stand_in: InProcess, invoice: StripeInvoice) -> str:
    holder = str(stand_in.stripe.invoices.retrieve(invoice.id).customer)
    return str(stand_in.stripe.customers.payment_methods.list(holder).data[0].id)


@pytest.mark.parametrize("days", [None, 14])
def test_an_invoice_is_made_filled_and_closed(
    stripe_stand_in: InProcess, invoices: StripeInvoices, days: int | None
) -> None:
    draft = filled(stripe_stand_in, invoices, days=days)
    assert (draft.status, draft.total, draft.amount_due, draft.is_sent) == ("draft", 476, 476, days is not None)
    closed = invoices.finalize(draft.id)
    assert (closed.status, closed.hosted_invoice_url is None) == ("open", False)
    assert invoices.finalize(draft.id) == closed
    assert invoices.read(draft.id) == closed


FAULTS: list[dict[str, Any]] = [{"drop": True}, {"drop": True, "processed": True}, {"status": 500}]


@pytest.mark.parametrize(
    ("fault", "later", "others"),
    [
        *((fault, later, 2) for fault in FAULTS for later in (60, DAY + HOUR)),
        deep({"drop": True}, DAY + HOUR, 101),  # more than a page of what is looked through
    ],
    ids=str,
)
def test_one_whose_making_is_not_known_is_found_or_made_once(
    stripe_stand_in: InProcess, invoices: StripeInvoices, fault: dict[str, Any], later: int, others: int
) -> None:
    """Soon, and when the key has expired."""
    asked = wanted(stripe_stand_in)
    for number in range(others):  # of the same customer
        invoices.make(replace(asked, named={"taximeter_invoice": f"acme:1{number}"}), f"k{number}")
    fail(stripe_stand_in, "/v1/invoices", **fault)
    with pytest.raises(Unavailable):
        invoices.make(asked, "k")
    made = []
    for _ in range(3):
        stripe_stand_in.clock.forward(later)
        made.append(invoices.make(asked, "k")[0])
    assert len({each.id for each in made}) == 1
    pages = stripe_stand_in.stripe.invoices.list({"customer": asked.customer, "limit": 100})
    ours = [each for each in pages.auto_paging_iter() if metadata_of(each) == asked.named]
    assert len(ours) == 1


@pytest.mark.parametrize(
    "fault", [{"drop": True}, {"drop": True, "processed": True}, {"status": 500}, {"status": 500, "processed": True}]
)
@pytest.mark.parametrize("nth", [1, 2])
def test_lines_are_put_on_once_whatever_is_lost(
    stripe_stand_in: InProcess, invoices: StripeInvoices, fault: dict[str, Any], nth: int
) -> None:
    draft, _ = invoices.make(wanted(stripe_stand_in), "k")
    many = [(f"line {number}", 1) for number in range(70)]
    fail(stripe_stand_in, "*/add_lines", nth=nth, **fault)
    with pytest.raises(Unavailable):
        invoices.add_lines(draft, many, SUMS, "l", is_new=True)
    for _ in range(3):
        stripe_stand_in.clock.forward(60)
        after = invoices.add_lines(draft, many, SUMS, "l", is_new=False)
        assert after.total == 146
    assert len(list(stripe_stand_in.stripe.invoices.line_items.list(draft.id, {"limit": 100}).data)) == 71


def test_more_lines_than_stripe_takes_are_summed_up(stripe_stand_in: InProcess, invoices: StripeInvoices) -> None:
    draft, _ = invoices.make(wanted(stripe_stand_in), "k")
    many = [(f"line {number}", number) for number in range(300)]
    after = invoices.add_lines(draft, many, SUMS, "l", is_new=True)
    lines = list(stripe_stand_in.stripe.invoices.line_items.list(draft.id, {"limit": 100}).auto_paging_iter())
    assert (len(lines), after.total) == (250, sum(range(300)) + 76)
    assert [line.description for line in lines[-2:]] == ["52 further lines", "Tax 19%"]


def test_stripe_that_only_fails_is_unknown(stripe_stand_in: InProcess, invoices: StripeInvoices) -> None:
    asked = wanted(stripe_stand_in)
    fail(stripe_stand_in, "/v1/invoices", status=500, times=100)
    for _ in range(12):
        with pytest.raises(Unavailable):
            invoices.make(asked, "k")


def test_what_stripe_refuses_for_good_was_not_made(invoices: StripeInvoices) -> None:
    with pytest.raises(Conflict) as refused:
        invoices.make(Wanted("cus_unheard_of", "USD", None, {}), "k")
    assert refused.value.code == "stripe_refused"
    assert invoices.read("in_unheard_of") is None


def test_a_draft_changes_its_terms(stripe_stand_in: InProcess, invoices: StripeInvoices) -> None:
    draft = filled(stripe_stand_in, invoices)
    assert invoices.change_terms(draft.id, 14).is_sent
    assert not invoices.change_terms(draft.id, None).is_sent


def test_a_draft_is_deleted_and_what_is_none_any_more_is_told(
    stripe_stand_in: InProcess, invoices: StripeInvoices
) -> None:
    draft = filled(stripe_stand_in, invoices)
    for _ in range(2):
        assert invoices.delete(draft.id) is None
    assert invoices.read(draft.id) is None
    open_one = opened(stripe_stand_in, invoices, number=2, card="pm_card_mastercard")
    assert invoices.delete(open_one.id) == open_one


@pytest.mark.parametrize(
    ("move", "status"), [("void", "void"), ("give_up", "uncollectible"), ("pay_elsewhere", "paid")]
)
def test_an_open_one_is_moved_however_often_it_is_said_and_one_that_is_paid_stays_so(
    stripe_stand_in: InProcess, invoices: StripeInvoices, payments: StripeInvoicePayments, move: str, status: str
) -> None:
    one = opened(stripe_stand_in, invoices)
    for _ in range(2):
        assert getattr(invoices, move)(one.id).status == status
    other = opened(stripe_stand_in, invoices, number=2)
    payments.pay(other.id, method_of(stripe_stand_in, other), "p")
    after = getattr(invoices, move)(other.id)
    assert (after.status, after.paid_elsewhere) == ("paid", 0)


def test_what_cannot_be_moved_is_refused(stripe_stand_in: InProcess, invoices: StripeInvoices) -> None:
    draft = filled(stripe_stand_in, invoices)
    fail(stripe_stand_in, "/v1/invoices/*/finalize", status=400)
    with pytest.raises(Conflict):
        invoices.finalize(draft.id)


def test_one_that_is_sent_is_sent_once(stripe_stand_in: InProcess, invoices: StripeInvoices) -> None:
    one = opened(stripe_stand_in, invoices, days=14)
    fail(stripe_stand_in, "*/send", status=500)
    with pytest.raises(Unavailable):
        invoices.send(one.id, "s")
    for _ in range(2):
        invoices.send(one.id, "s")
    assert stripe_stand_in.told("invoice.sent") == ["invoice.sent"]


@pytest.mark.parametrize(
    ("card", "told"),
    [
        ("pm_card_chargeCustomerFail", Try("failed", "generic_decline")),
        ("pm_card_authenticationRequired", Try("failed", "authentication_required")),
        ("pm_card_authenticationRequiredOnSetup", Try("failed", "authentication_required")),
    ],
)
def test_a_decline_is_an_answer_told_by_the_call_and_by_asking(
    stripe_stand_in: InProcess, invoices: StripeInvoices, payments: StripeInvoicePayments, card: str, told: Try
) -> None:
    one = opened(stripe_stand_in, invoices, card=card)
    assert payments.last_try(one.id) == Try("none")
    method = method_of(stripe_stand_in, one)
    for _ in range(2):
        assert payments.pay(one.id, method, "p") == told
        assert payments.last_try(one.id) == told


def test_a_try_that_stripe_failed_to_carry_out_is_made_again(
    stripe_stand_in: InProcess, invoices: StripeInvoices, payments: StripeInvoicePayments
) -> None:
    one = opened(stripe_stand_in, invoices)
    fail(stripe_stand_in, "*/pay", status=500)
    with pytest.raises(Unavailable):
        payments.pay(one.id, method_of(stripe_stand_in, one), "p")
    for _ in range(2):
        tried = payments.pay(one.id, method_of(stripe_stand_in, one), "p")
        assert tried.invoice
        assert (tried.outcome, tried.invoice.status) == ("paid", "paid")
    assert stripe_stand_in.read("charges")["amount"] == {"usd": 476}


def test_a_payment_that_takes_days_is_processing_until_a_bank_decides(
    stripe_stand_in: InProcess, invoices: StripeInvoices, payments: StripeInvoicePayments
) -> None:
    one = opened(stripe_stand_in, invoices)
    method = method_of(stripe_stand_in, one)
    stripe_stand_in.control(f"payment_methods/{method}/slow")
    assert payments.pay(one.id, method, "p") == payments.last_try(one.id) == Try("processing")
    with pytest.raises(Conflict):
        payments.pay(one.id, method, "q")


def test_what_went_back_is_found_by_its_payment(
    stripe_stand_in: InProcess, invoices: StripeInvoices, payments: StripeInvoicePayments
) -> None:
    one = opened(stripe_stand_in, invoices)
    payments.pay(one.id, method_of(stripe_stand_in, one), "p")
    (intent,) = stripe_stand_in.stripe.payment_intents.list().data
    (charge,) = stripe_stand_in.stripe.charges.list().data
    assert payments.invoices_of(str(intent.id)) == [one.id]
    assert payments.returned(one.id) == Returned(0, is_lost=False)
    stripe_stand_in.stripe.refunds.create({"charge": charge.id, "amount": 76})
    assert payments.returned(one.id) == Returned(76, is_lost=False)
    named = stripe_stand_in.control(f"charges/{charge.id}/dispute", {})["id"]
    assert payments.returned(one.id) == Returned(476, is_lost=False)
    stripe_stand_in.control(f"disputes/{named}", {"status": "lost"})
    assert payments.returned(one.id) == Returned(476, is_lost=True)
    other = stripe_stand_in.stripe.payment_intents.create({"amount": 100, "currency": "usd"})
    assert payments.invoices_of(str(other.id)) == []
