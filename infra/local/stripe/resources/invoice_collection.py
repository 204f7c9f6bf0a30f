"""Invoices from the moment they are finalised: paid, sent, voided or given up."""

from __future__ import annotations

from infra.local.stripe.account import Account
from infra.local.stripe.problems import Json, Problem, invalid, unsupported
from infra.local.stripe.resources import attempts, invoice_lines, invoice_payments, payment_intents, payment_methods
from infra.local.stripe.resources.payments import least
from infra.local.stripe.routes import route

_COLLECTABLE = {"open", "uncollectible"}


def finalize(account: Account, params: Json, identifier: str) -> Json:
    """Freezes a draft, gives it its number and opens its payment.

    What is due after the customer's balance but too small to charge is moved to that balance, and the invoice is paid.
    """
    if params.get("auto_advance"):
        raise unsupported("auto_advance=true: pay with a call of its own")
    invoice = invoice_lines.draft(account, identifier)
    customer = account.objects[invoice["customer"]]
    _number(account, invoice, customer)
    _settle_balance(invoice, customer)
    account.tell("invoice.finalized", invoice)
    if invoice["amount_due"] == 0:
        invoice_payments.mark_paid(account, invoice)
    else:
        wanted: Json = {
            "amount": invoice["amount_due"],
            "currency": invoice["currency"],
            "customer": customer["id"],
            "description": f"Payment for invoice {invoice['number']}",
        }
        intent = payment_intents.made(account, wanted, None)
        invoice_payments.create(account, invoice, intent)
    return invoice


def _number(account: Account, invoice: Json, customer: Json) -> None:
    now = account.now()
    number = f"{customer['invoice_prefix']}-{customer['next_invoice_sequence']:04}"
    customer["next_invoice_sequence"] += 1
    page = f"{account.url}/invoice/{invoice['id']}"
    invoice.update(
        effective_at=now,
        hosted_invoice_url=page,
        invoice_pdf=f"{page}/pdf",
        number=number,
        status="open",
    )
    invoice["status_transitions"]["finalized_at"] = now


def _settle_balance(invoice: Json, customer: Json) -> None:
    """Applies the customer's balance: below zero it is credit, above it is owed as well."""
    owed = invoice["total"] + customer["balance"]
    due = owed if owed >= least(invoice["currency"]) else 0
    invoice.update(
        amount_due=due,
        amount_remaining=due,
        ending_balance=owed - due,
        starting_balance=customer["balance"],
    )
    customer["balance"] = owed - due


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
    """Tries to pay an open invoice with a card; a decline leaves it open and is told."""
    payment = invoice_payments.opened(account, invoice)
    if payment is None:
        raise invalid("This invoice has no open payment.")
    intent = account.objects[payment["payment"]["payment_intent"]]
    invoice_payments.note_attempt(invoice)
    try:
        attempts.attempt(account, intent, method, off_session=off_session)
    except Problem:
        invoice_payments.tell_failure(account, invoice)
        raise
    if intent["status"] == "requires_action":
        invoice_payments.tell_failure(account, invoice)
        account.tell("invoice.payment_action_required", invoice)
        text = "This payment requires additional user action before it can be completed."
        code = "invoice_payment_intent_requires_action"
        raise Problem(402, "card_error", text, code=code, payment_intent=dict(intent))
    return invoice


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
        customer["balance"] += invoice["starting_balance"] - invoice["ending_balance"]
    invoice.update(amount_remaining=0, status="void")
    invoice["status_transitions"]["voided_at"] = account.now()
    account.tell("invoice.voided", invoice)
    return invoice


def mark_uncollectible(account: Account, _: Json, identifier: str) -> Json:
    """Gives an open invoice up; it can still be paid."""
    invoice = _collectable(account, identifier, "give up")
    invoice["status"] = "uncollectible"
    invoice["status_transitions"]["marked_uncollectible_at"] = account.now()
    account.tell("invoice.marked_uncollectible", invoice)
    return invoice


_PATH = "/v1/invoices/{}"
ROUTES = [
    route("POST", _PATH + "/finalize", "InvoiceFinalizeInvoiceParams", "auto_advance", finalize),
    route("POST", _PATH + "/pay", "InvoicePayParams", "off_session paid_out_of_band payment_method", pay),
    route("POST", _PATH + "/send", "InvoiceSendInvoiceParams", "", send),
    route("POST", _PATH + "/void", "InvoiceVoidInvoiceParams", "", void),
    route("POST", _PATH + "/mark_uncollectible", "InvoiceMarkUncollectibleParams", "", mark_uncollectible),
]
