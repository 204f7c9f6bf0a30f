"""What ties an invoice to the PaymentIntent that pays it."""

from __future__ import annotations

from infra.local.stripe.account import Account
from infra.local.stripe.listing import PAGING, page
from infra.local.stripe.problems import Json
from infra.local.stripe.routes import retrieve, route


def create(account: Account, invoice: Json, intent: Json) -> Json:
    """Makes the open payment of a finalised invoice."""
    return account.add(
        "inpay",
        "invoice_payment",
        amount_paid=None,
        amount_requested=invoice["amount_due"],
        created=account.now(),
        currency=invoice["currency"],
        invoice=invoice["id"],
        is_default=True,
        livemode=False,
        payment={"payment_intent": intent["id"], "type": "payment_intent"},
        status="open",
        status_transitions={"canceled_at": None, "paid_at": None},
    )


def opened(account: Account, invoice: Json) -> Json | None:
    """Returns the open payment of an invoice, if it has one."""
    return next(account.tied("invoice_payment", invoice=invoice["id"], status="open"), None)


def settle(account: Account, intent: Json) -> None:
    """Marks the invoice that waits for this succeeded intent as paid, if there is one."""
    for payment in list(account.tied("invoice_payment", payment__payment_intent=intent["id"], status="open")):
        payment.update(amount_paid=intent["amount_received"], status="paid")
        payment["status_transitions"]["paid_at"] = account.now()
        account.tell("invoice_payment.paid", payment)
        invoice = account.objects[payment["invoice"]]
        note_attempt(account, invoice)
        mark_paid(account, invoice)


def failed(account: Account, intent: Json) -> None:
    """Notes on the invoice that waits for this intent, if there is one, that an attempt to pay it failed."""
    for payment in account.tied("invoice_payment", payment__payment_intent=intent["id"], status="open"):
        tell_failure(account, account.objects[payment["invoice"]])


def tell_failure(account: Account, invoice: Json) -> None:
    """Tells that an attempt to pay an invoice failed; it stays open."""
    note_attempt(account, invoice)
    account.tell("invoice.payment_failed", invoice)


def note_attempt(account: Account, invoice: Json) -> None:
    """Notes that somebody tried to pay an invoice: after the first, only retries by a schedule would be counted."""
    account.change(invoice, "invoice.updated", attempted=True, attempt_count=max(1, invoice["attempt_count"]))


def mark_paid(account: Account, invoice: Json, *, elsewhere: bool = False) -> None:
    """Marks an invoice as paid in full; ``elsewhere`` means that Stripe did not see the money."""
    account.change(
        invoice,
        "invoice.updated",
        amount_paid=invoice["amount_due"],
        amount_paid_off_stripe=invoice["amount_due"] if elsewhere else 0,
        amount_remaining=0,
        attempted=invoice["attempted"] or not elsewhere,
        auto_advance=False,
        status="paid",
        status_transitions={**invoice["status_transitions"], "paid_at": account.now()},
    )
    account.tell("invoice.paid", invoice)
    if not elsewhere:
        account.tell("invoice.payment_succeeded", invoice)
    note_standing(account, invoice, delinquent=False)


def note_standing(account: Account, invoice: Json, *, delinquent: bool) -> None:
    """Notes on a customer whether the last that became of one of its invoices was bad."""
    customer = account.objects[invoice["customer"]]
    if not customer.get("deleted"):
        account.change(customer, "customer.updated", delinquent=delinquent)


def listed(account: Account, params: Json) -> Json:
    """Returns the payments of an invoice, or those made with a PaymentIntent, newest first."""
    status, intent = params.get("status"), params.get("payment", {}).get("payment_intent")
    rows = account.newest("invoice_payment", invoice=params.get("invoice"), payment__payment_intent=intent)
    return page(rows, params, "/v1/invoice_payments", lambda row: status in {None, row["status"]})


_PATH = "/v1/invoice_payments"
_FILTERS = f"{PAGING} created invoice payment status"
ROUTES = [
    route("GET", _PATH, "InvoicePaymentListParams", _FILTERS, listed),
    retrieve(_PATH + "/{}", "invoice_payment", "InvoicePaymentRetrieveParams"),
]
