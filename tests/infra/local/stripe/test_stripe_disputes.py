"""Money that goes back: disputes won and lost, refunds in parts and refunds that fail."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.infra.local.stripe.in_process import InProcess


def _charge(in_process: InProcess, card: str = "pm_card_visa", amount: int = 2500) -> str:
    """Charges a new customer and returns the charge's id."""
    customer, method = in_process.customer(card)
    paid = in_process.stripe.payment_intents.create(
        {
            "amount": amount,
            "currency": "usd",
            "customer": customer,
            "payment_method": method,
            "confirm": True,
            "off_session": True,
        }
    )
    return str(paid.latest_charge)


def _invoice_charge(in_process: InProcess) -> tuple[str, str]:
    """Pays an invoice and returns its id and its charge's."""
    customer, _ = in_process.customer()
    invoice = in_process.stripe.invoices.create({"customer": customer, "currency": "usd"})
    in_process.stripe.invoices.add_lines(invoice.id, {"lines": [{"amount": 900}]})
    in_process.stripe.invoices.finalize_invoice(invoice.id)
    in_process.stripe.invoices.pay(invoice.id)
    payment = in_process.stripe.invoice_payments.list({"invoice": invoice.id}).data[0].payment
    intent = in_process.stripe.payment_intents.retrieve(str(payment.payment_intent))
    return invoice.id, str(intent.latest_charge)


def _sums(in_process: InProcess) -> tuple[int, ...]:
    """Returns what was charged, refunded and is disputed."""
    told = in_process.read("charges")
    return tuple(told[name].get("usd", 0) for name in ("amount", "amount_refunded", "amount_disputed"))


@pytest.mark.parametrize(
    ("decisions", "status", "disputed", "events"),
    [
        ([], "needs_response", 2500, []),
        (["under_review"], "under_review", 2500, ["updated"]),
        (["lost"], "lost", 2500, ["closed"]),
        (["won"], "won", 0, ["closed", "funds_reinstated"]),
        (["under_review", "won"], "won", 0, ["updated", "closed", "funds_reinstated"]),
    ],
)
def test_a_dispute_withdraws_the_money_until_it_is_won(
    in_process: InProcess, decisions: list[str], status: str, disputed: int, events: list[str]
) -> None:
    charge = _charge(in_process)
    dispute = in_process.control(f"charges/{charge}/dispute", {"reason": "product_not_received"})["id"]
    for decision in decisions:
        in_process.control(f"disputes/{dispute}", {"status": decision})
    found = in_process.stripe.disputes.retrieve(dispute)
    assert (found.status, found.reason, found.amount) == (status, "product_not_received", 2500)
    assert in_process.stripe.charges.retrieve(charge).disputed
    assert -sum(moved.amount for moved in found.balance_transactions) == disputed
    assert found.balance_transactions[0].fee == 1500
    assert _sums(in_process) == (2500, 0, disputed)
    told = in_process.told(*(f"charge.dispute.{each}" for each in ("created", "funds_withdrawn", *events)))
    assert told == [f"charge.dispute.{each}" for each in ("created", "funds_withdrawn", *events)]


def test_an_inquiry_moves_no_money_and_leaves_the_charge_refundable(in_process: InProcess) -> None:
    charge = _charge(in_process)
    dispute = in_process.control(f"charges/{charge}/dispute", {"inquiry": True})
    assert (dispute["status"], dispute["balance_transactions"]) == ("warning_needs_response", [])
    in_process.stripe.refunds.create({"charge": charge})
    in_process.control(f"disputes/{dispute['id']}", {"status": "warning_closed"})
    assert in_process.told("charge.dispute.funds_withdrawn", "charge.dispute.closed") == ["charge.dispute.closed"]
    assert _sums(in_process) == (2500, 2500, 0)


def test_what_a_bank_took_back_cannot_be_refunded_too(in_process: InProcess) -> None:
    charge = _charge(in_process)
    dispute = in_process.control(f"charges/{charge}/dispute")["id"]
    with pytest.raises(stripe.InvalidRequestError) as caught:
        in_process.stripe.refunds.create({"charge": charge})
    assert caught.value.code == "charge_disputed"
    in_process.control(f"disputes/{dispute}", {"status": "won"})
    assert in_process.stripe.refunds.create({"charge": charge}).amount == 2500


def test_only_what_is_left_of_a_charge_is_disputed(in_process: InProcess) -> None:
    charge = _charge(in_process)
    in_process.stripe.refunds.create({"charge": charge, "amount": 500})
    assert in_process.control(f"charges/{charge}/dispute")["amount"] == 2000
    with pytest.raises(AssertionError, match="cannot be disputed"):
        in_process.control(f"charges/{charge}/dispute")
    part = _charge(in_process)
    assert in_process.control(f"charges/{part}/dispute", {"amount": 300})["amount"] == 300
    assert _sums(in_process) == (5000, 500, 2300)


@pytest.mark.parametrize(
    ("act", "status"),
    [
        (lambda disputes, each: disputes.close(each), "lost"),
        (lambda disputes, each: disputes.update(each, {"evidence": {"uncategorized_text": "losing_evidence"}}), "lost"),
        (lambda disputes, each: disputes.update(each, {"evidence": {"uncategorized_text": "winning_evidence"}}), "won"),
        (lambda disputes, each: disputes.update(each, {"evidence": {"product_description": "x"}}), "under_review"),
        (
            lambda disputes, each: disputes.update(each, {"evidence": {"product_description": "x"}, "submit": False}),
            "needs_response",
        ),
    ],
)
def test_a_card_that_disputes_is_answered_as_in_test_mode(in_process: InProcess, act: Any, status: str) -> None:
    charge = _charge(in_process, "pm_card_createDispute")
    found = in_process.stripe.disputes.list({"charge": charge}).data
    assert [(each.reason, each.status) for each in found] == [("fraudulent", "needs_response")]
    assert act(in_process.stripe.disputes, found[0].id).status == status
    if status in {"won", "lost"}:
        with pytest.raises(stripe.InvalidRequestError):
            in_process.stripe.disputes.close(found[0].id)


def test_disputes_are_listed_by_charge_and_by_intent(in_process: InProcess) -> None:
    charges = [_charge(in_process) for _ in range(3)]
    ids = [in_process.control(f"charges/{each}/dispute")["id"] for each in charges]
    assert [each.id for each in in_process.stripe.disputes.list()] == ids[::-1]
    intent = in_process.stripe.charges.retrieve(charges[1]).payment_intent
    assert [each.id for each in in_process.stripe.disputes.list({"payment_intent": str(intent)})] == [ids[1]]


@pytest.mark.parametrize("parts", [[2500], [1000, 1500], [1, 2, 3]])
def test_a_charge_is_refunded_in_parts_and_never_beyond(in_process: InProcess, parts: list[int]) -> None:
    charge = _charge(in_process)
    for part in parts:
        in_process.stripe.refunds.create({"charge": charge, "amount": part})
    found = in_process.stripe.charges.retrieve(charge)
    assert (found.amount_refunded, found.refunded) == (sum(parts), sum(parts) == 2500)
    with pytest.raises(stripe.InvalidRequestError):
        in_process.stripe.refunds.create({"charge": charge, "amount": 2501 - sum(parts)})
    assert in_process.told("refund.created", "charge.refunded") == ["refund.created", "charge.refunded"] * len(parts)


def test_a_refund_that_fails_leaves_the_charge_unrefunded(in_process: InProcess) -> None:
    charge = _charge(in_process)
    in_process.stripe.refunds.create({"charge": charge, "amount": 500})
    refund = in_process.stripe.refunds.create({"charge": charge}).id
    in_process.control(f"refunds/{refund}/fail", {"reason": "lost_or_stolen_card"})
    failed = in_process.stripe.refunds.retrieve(refund, {"expand": ["failure_balance_transaction"]})
    assert (failed.status, failed.failure_reason) == ("failed", "lost_or_stolen_card")
    assert isinstance(failed.failure_balance_transaction, stripe.BalanceTransaction)
    assert failed.failure_balance_transaction.amount == 2000
    found = in_process.stripe.charges.retrieve(charge)
    assert (found.amount_refunded, found.refunded) == (500, False)
    assert in_process.told("refund.failed", "refund.updated", "charge.refund.updated") == [
        "refund.failed",
        "refund.updated",
        "charge.refund.updated",
    ]
    in_process.stripe.refunds.create({"charge": charge})
    assert _sums(in_process) == (2500, 2500, 0)


def test_the_payment_of_an_invoice_is_refunded_and_the_invoice_stays_paid(in_process: InProcess) -> None:
    invoice, charge = _invoice_charge(in_process)
    in_process.stripe.refunds.create({"charge": charge, "amount": 400})
    in_process.stripe.refunds.create({"charge": charge})
    found = in_process.stripe.invoices.retrieve(invoice)
    assert (found.status, found.amount_paid) == ("paid", 900)
    assert _sums(in_process) == (900, 900, 0)


def test_the_payment_of_an_invoice_is_disputed_and_found_through_its_intent(in_process: InProcess) -> None:
    invoice, charge = _invoice_charge(in_process)
    dispute = in_process.control(f"charges/{charge}/dispute")
    payment: Any = {"type": "payment_intent", "payment_intent": dispute["payment_intent"]}
    assert [each.invoice for each in in_process.stripe.invoice_payments.list({"payment": payment})] == [invoice]
