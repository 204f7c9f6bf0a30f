"""The collect queue: invoices that are to be paid through Stripe, and what Stripe tells of them. Law 5.7.

| a message of | says |
|---|---|
| the bus, a sweep | `invoice`: take it as far as it goes |
| a person (`retry`) | `invoice` and `retry`, the number of tries there were when it was asked for |
| a saved card | `customer` and `card_added`: all that is unpaid is tried with it |
| a webhook, Stripe's list of events | `stripe_invoice`, or the `payment_intent` of which something went back |
"""

from typing import Any

from adapters.stripe_invoices import StripeInvoice
from billing.collecting import Asked
from handlers import _live
from handlers._collecting import collect
from handlers._live import Live
from handlers._messages import take_each
from handlers._mirroring import mirror, take_back
from metering.errors import Conflict


def take(message: dict[str, Any], live: Live, now: int) -> None:
    """Handle one message.

    Raises:
        Conflict: a person has to look at it; or what `collect` raises.
        Unavailable: an answer of Stripe is unknown; the same message again finds out.
    """
    detail = message.get("detail", message)
    if "stripe_invoice" in detail:
        _mirror_theirs(detail["stripe_invoice"], live, now)
    elif "payment_intent" in detail:
        for stripe_id in live.stripe_invoice_payments.invoices_of(detail["payment_intent"]):
            _mirror_theirs(stripe_id, live, now, takes_back=True)
    elif "invoice" in detail:
        asked = Asked(card_added=bool(detail.get("card_added")), after_try=detail.get("retry"))
        collect(detail["invoice"], live, now, asked)
    elif "card_added" in detail:
        _collect_all(detail["customer"], live)


def _collect_all(customer: str, live: Live) -> None:
    """Try all that a customer has not paid, each with a message of its own."""
    unpaid = [each for each in live.invoices.of_customer(customer) if each.payable and each.number is not None]
    live.queue("COLLECT").send([{"customer": customer, "invoice": each.id, "card_added": True} for each in unpaid])


def _mirror_theirs(stripe_id: str, live: Live, now: int, *, takes_back: bool = False) -> None:
    theirs = live.stripe_invoices.read(stripe_id)
    named = theirs.metadata.get("taximeter_invoice") if theirs else None
    invoice = live.invoices.find(named) if named else None
    if theirs is None or invoice is None:
        return  # none of ours, or a draft that is gone
    if invoice.stripe_invoice == theirs.id:
        mirror(invoice, theirs, live, now)
        if takes_back:
            take_back(live.invoices.head(invoice.id), live, now)
    elif theirs.status == "paid" and _is_stray(theirs, live):
        raise Conflict(f"{theirs.id} is paid, and is not the one that {invoice.id} is collected with", "stripe_stray")


def _is_stray(theirs: StripeInvoice, live: Live) -> bool:
    """Whether a paid one was made by this deployment, or copied from one, and is not refunded yet."""
    ours = theirs.metadata.get("taximeter_deployment") == live.deployment_id
    return ours and live.stripe_invoice_payments.returned(theirs.id).amount < theirs.total


def handler(event: dict[str, Any], _context: object) -> None:
    """SQS; a message that cannot be processed is parked, one whose outcome is unknown comes again later."""
    take_each(event, "collect", take, _live.live, "COLLECT")
