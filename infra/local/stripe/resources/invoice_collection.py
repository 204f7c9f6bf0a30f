"""Invoices from the moment they are finalised: paid, sent, voided or given up."""

from __future__ import annotations

from infra.local.stripe.account import Account
from infra.local.stripe.problems import Json, Problem, invalid, unsupported
from infra.local.stripe.resources import (
    attempts,
    balances,
    customers,
    invoice_lines,
    invoice_payments,
    payment_intents,
    payment_methods,
)
from infra.local.stripe.routes import route

_COLLECTABLE = {"open", "uncollectible"}


def finalize(account: Account, params: Json, identifier: str) -> Json:
    """Freezes a draft, gives it its number and opens its payment.

    What is due after the customer's balance but too small to charge is moved to that balance, and the invoice is paid.
    """
    if params.get("auto_advance"):
        raise unsupported("auto_advance=true: pay with a call of its own")
    invoice = invoice_lines.draft(account, identifier)
    customer = customers.live(account, invoice["customer"], param="customer")
    invoice_lines.refresh(account, invoice)
    _open(account, invoice, customer)
    _settle_balance(account, invoice, customer)
    account.tell("invoice.finalized", invoice)
    if invoice["amount_due"] == 0:
        invoice_payments.mark_paid(account, invoice)
        return invoice
    wanted: Json = {
        "amount": invoice["amount_due"],
        "currency": invoice["currency"],
        "customer": customer["id"],
        "description": f"Payment for invoice {invoice['number']}",
    }
    invoice_payments.create(account, invoice, payment_intents.made(account, wanted, None))
    if invoice["due_date"] is not None:
        account.at(invoice["due_date"] * 1000, lambda: _fall_due(account, invoice))
    return invoice


def _open(account: Account, invoice: Json, customer: Json) -> None:
    now = account.now()
    number = f"{customer['invoice_prefix']}-{customer['next_invoice_sequence']:04}"
    customer["next_invoice_sequence"] += 1
    page = f"{account.url}/invoice/{invoice['id']}"
    account.change(
        invoice,
        "invoice.updated",
        effective_at=now,
        ending_balance=invoice["total"] + invoice["starting_balance"] - invoice["amount_due"],
        hosted_invoice_url=page,
        invoice_pdf=f"{page}/pdf",
        number=number,
        status="open",
        status_transitions={**invoice["status_transitions"], "finalized_at": now},
    )


def _settle_balance(account: Account, invoice: Json, customer: Json) -> None:
    """Applies the customer's balance: below zero it is credit, above it is owed as well."""
    moved = invoice["ending_balance"] - invoice["starting_balance"]
    too_small = invoice["ending_balance"] > 0
    kind = "invoice_too_small" if too_small else "applied_to_invoice"
    balances.move(account, customer, moved, kind, invoice["id"])


def _fall_due(account: Account, invoice: Json) -> None:
    """Tells, once its due date has come, of an invoice that nobody paid."""
    if invoice["status"] == "open":
        account.tell("invoice.overdue", invoice)
        invoice_payments.note_standing(account, invoice, delinquent=True)


def pay(account: Account, params: Json, identifier: str) -> Json:
    """Charges an open invoice to a saved card, or notes that it was paid elsewhere.

    Raises:
        Problem: 400 when it cannot be paid now, 402 when the bank declines or asks the customer.
    """
    invoice = _collectable(account, identifier, "pay")
    if params.get("paid_out_of_band"):
        _close_payment(account, invoice, None)
        invoice_payments.mark_paid(account, invoice, elsewhere=True)
        return invoice
    customer = account.objects[invoice["customer"]]
    wanted = (
        params.get("payment_method")
        or invoice["default_payment_method"]
        or customer.get("invoice_settings", {}).get("default_payment_method")
    )
    if not wanted:
        raise invalid(
            "There is no `default_payment_method` set on this Customer or Invoice. "
            "Please set a `default_payment_method` or pass a `payment_method`."
        )
    method = payment_methods.owned(account, wanted, customer["id"])
    return charge(account, invoice, method, off_session=params.get("off_session", True))


def charge(account: Account, invoice: Json, method: Json, *, off_session: bool = False) -> Json:
    """Tries to pay an open invoice with a card; a decline leaves it open and is told.

    Raises:
        Problem: 402 when the bank declines, or wants the card's holder to confirm: the invoice's intent waits for them.
    """
    intent = _attempted(account, invoice, method, off_session=off_session)
    if intent["status"] == "requires_action":
        invoice_payments.tell_failure(account, invoice)
        account.tell("invoice.payment_action_required", invoice)
        text = "This payment requires additional user action before it can be completed."
        code = "invoice_payment_intent_requires_action"
        raise Problem(402, "card_error", text, code=code, payment_intent=dict(intent))
    return invoice


def charge_on_page(account: Account, invoice: Json, method: Json, *, authenticates: bool) -> Json:
    """Does what a customer does on an invoice's page, who confirms or not when the bank asks; raises a 402 likewise."""
    if invoice["status"] not in _COLLECTABLE:
        raise invalid(f"The invoice has a status of {invoice['status']}.")
    intent = _attempted(account, invoice, method, off_session=False)
    if intent["status"] == "requires_action":
        attempts.authenticated(account, intent, succeeds=authenticates)
    if intent["status"] == "requires_payment_method":
        raise Problem(402, intent["last_payment_error"]["type"], intent["last_payment_error"]["message"])
    return invoice


def _attempted(account: Account, invoice: Json, method: Json, *, off_session: bool) -> Json:
    """Returns the intent of an invoice after an attempt to charge it."""
    payment = invoice_payments.opened(account, invoice)
    if payment is None:
        raise invalid("This invoice has no open payment.")
    intent = account.objects[payment["payment"]["payment_intent"]]
    if intent["status"] == "processing":
        raise invalid("This invoice has a payment that is being processed.")
    try:
        attempts.attempt(account, intent, method, off_session=off_session)
    except Problem:
        invoice_payments.tell_failure(account, invoice)
        raise
    if intent["status"] == "processing":
        invoice_payments.note_attempt(account, invoice)
    return intent


def _collectable(account: Account, identifier: str, verb: str) -> Json:
    invoice = account.get("invoice", identifier)
    if invoice.get("status") == "paid":
        raise invalid("Invoice is already paid")
    if invoice.get("status") not in _COLLECTABLE:
        raise invalid(f"You cannot {verb} an invoice with a status of {invoice.get('status')}.")
    return invoice


def _close_payment(account: Account, invoice: Json, reason: str | None) -> None:
    """Cancels the payment of an invoice, so that it can never be charged."""
    payment = invoice_payments.opened(account, invoice)
    if payment is not None:
        payment["status"] = "canceled"
        payment["status_transitions"]["canceled_at"] = account.now()
        intent = account.objects[payment["payment"]["payment_intent"]]
        payment_intents.ended(account, intent, reason)


def send(account: Account, _: Json, identifier: str) -> Json:
    """Sends an invoice to its customer, finalising it first if need be."""
    invoice = account.get("invoice", identifier)
    if invoice.get("collection_method") != "send_invoice":
        text = "You can only manually send an invoice if its collection method is 'send_invoice'."
        raise invalid(text)
    if invoice["status"] == "draft":
        finalize(account, {}, identifier)
    if invoice["status"] == "open":
        account.tell("invoice.sent", invoice)
    return invoice


def void(account: Account, _: Json, identifier: str) -> Json:
    """Voids an invoice that was not paid and gives back what its customer's balance paid of it."""
    invoice = _collectable(account, identifier, "void")
    _close_payment(account, invoice, "void_invoice")
    customer = account.objects[invoice["customer"]]
    if not customer.get("deleted"):
        back = invoice["starting_balance"] - invoice["ending_balance"]
        balances.move(account, customer, back, "unapplied_from_invoice", invoice["id"])
    _end(account, invoice, "void", "voided_at", amount_remaining=0)
    account.tell("invoice.voided", invoice)
    return invoice


def mark_uncollectible(account: Account, _: Json, identifier: str) -> Json:
    """Gives an open invoice up; it can still be paid."""
    invoice = _collectable(account, identifier, "give up")
    if invoice["status"] != "open":
        raise invalid("This invoice is marked as uncollectible already.")
    _end(account, invoice, "uncollectible", "marked_uncollectible_at")
    account.tell("invoice.marked_uncollectible", invoice)
    invoice_payments.note_standing(account, invoice, delinquent=False)
    return invoice


def _end(account: Account, invoice: Json, status: str, transition: str, **changes: object) -> None:
    transitions = {**invoice["status_transitions"], transition: account.now()}
    account.change(invoice, "invoice.updated", status=status, status_transitions=transitions, **changes)


_PATH = "/v1/invoices/{}"
ROUTES = [
    route("POST", _PATH + "/finalize", "InvoiceFinalizeInvoiceParams", "auto_advance", finalize),
    route("POST", _PATH + "/pay", "InvoicePayParams", "off_session paid_out_of_band payment_method", pay),
    route("POST", _PATH + "/send", "InvoiceSendInvoiceParams", "", send),
    route("POST", _PATH + "/void", "InvoiceVoidInvoiceParams", "", void),
    route("POST", _PATH + "/mark_uncollectible", "InvoiceMarkUncollectibleParams", "", mark_uncollectible),
]
