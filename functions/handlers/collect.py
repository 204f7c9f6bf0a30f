"""The collect queue: turn a finalised invoice into one Stripe invoice, and mirror what became of it. Law 5.7."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from adapters.stripe import in_minor_units
from adapters.stripe_invoices import StripeInvoice
from billing.customers import Customer
from billing.invoices import Invoice, moved
from billing.settlement import Announcement
from handlers import _live
from handlers._live import Live
from handlers._messages import take_each
from metering.decimals import text
from metering.errors import Conflict


def collect(invoice_id: str, live: Live, now: int) -> Invoice:
    """Bring an invoice to Stripe as its customer's `collection` says; every step is found done when it was.

    Raises:
        Conflict: `stripe_total` when Stripe's total is not ours: nothing is finalised there; `stripe_paid` when an
            invoice was paid that was voided here: a person has to refund it.
        Unavailable: an answer of Stripe is unknown; the same call again finds out.
    """
    invoice = live.invoices.whole(invoice_id)
    customer = live.catalog.account(invoice.customer).customer
    if invoice.status == "void" and invoice.stripe_invoice:
        _take_back(invoice, live)
    if invoice.status not in {"finalized", "past_due"} or not invoice.amount_due:
        return invoice
    if customer.collection == "none":
        live.invoices.leave_to_others(invoice)
        return invoice
    if customer.stripe_customer is None:
        return _unpaid(invoice, "no_payment_method", live, now)
    if invoice.stripe_invoice is None:
        made = live.stripe_invoices.create(
            customer.stripe_customer,
            invoice.currency,
            customer.days_until_due if customer.collection == "send_invoice" else None,
            {"taximeter_invoice": invoice.id},
            f"invoice:{invoice.id}:create",
        )
        invoice = _move(invoice, replace(invoice, stripe_invoice=made.id), [], live, now)
    return _complete(invoice, customer, live, now)


def _complete(invoice: Invoice, customer: Customer, live: Live, now: int) -> Invoice:
    """Fill, compare, close and pay (or send) a Stripe invoice, from wherever it stands."""
    stripe_id, key = str(invoice.stripe_invoice), f"invoice:{invoice.id}"
    theirs = live.stripe_invoices.read(stripe_id)
    if theirs.status == "draft":
        items = _items(invoice)
        live.stripe_invoices.add_items(str(customer.stripe_customer), stripe_id, invoice.currency, items, f"{key}:item")
        _compare(invoice, live.stripe_invoices.read(stripe_id))
        theirs = live.stripe_invoices.finalize(stripe_id, f"{key}:finalize")
    refused = None
    if theirs.status == "open" and customer.collection == "charge_automatically":
        theirs, refused = live.stripe_invoices.pay(stripe_id, f"{key}:pay")
    elif theirs.status == "open":
        theirs = live.stripe_invoices.send(stripe_id, f"{key}:send")
    return mirror(invoice, theirs, refused, live, now)


def _take_back(invoice: Invoice, live: Live) -> None:
    """Void at Stripe what is void here, so that nobody pays it."""
    theirs = live.stripe_invoices.void(str(invoice.stripe_invoice), f"invoice:{invoice.id}:void")
    if theirs.status == "paid":
        raise Conflict("the invoice was voided, and paid at Stripe before that was known there", "stripe_paid")


def _items(invoice: Invoice) -> list[tuple[str, int]]:
    """The invoice's lines, its tax, and what credits paid of it, in minor units."""
    rows = [
        (str(line["description"]), in_minor_units(Decimal(line["amount"]), invoice.currency)) for line in invoice.lines
    ]
    rows.append((f"Tax {text(invoice.tax_rate)}%", in_minor_units(invoice.tax, invoice.currency)))
    rows.append(("Paid from credits", -in_minor_units(invoice.credits_applied, invoice.currency)))
    return [row for row in rows if row[1]]


def _compare(invoice: Invoice, theirs: StripeInvoice) -> None:
    ours = in_minor_units(invoice.amount_due, invoice.currency)
    if theirs.amount_due != ours:
        raise Conflict(f"Stripe's total {theirs.amount_due} is not ours, {ours}", "stripe_total")


def mirror(invoice: Invoice, theirs: StripeInvoice, refused: str | None, live: Live, now: int) -> Invoice:
    """Give our invoice the state that Stripe's has."""
    linked = replace(invoice, hosted_invoice_url=theirs.hosted_invoice_url)
    if theirs.status == "paid" and invoice.status != "paid":
        news = Announcement(f"{invoice.id}:invoice.paid", "invoice.paid", _detail(invoice))
        return _move(invoice, moved(linked, "paid", now), [news], live, now)
    if refused:
        return _unpaid(invoice, refused, live, now, linked)
    return _move(invoice, linked, [], live, now) if linked != invoice else invoice


def _unpaid(invoice: Invoice, reason: str, live: Live, now: int, after: Invoice | None = None) -> Invoice:
    detail = {**_detail(invoice), "reason": reason}
    news = Announcement(f"{invoice.id}:invoice.payment_failed:{reason}", "invoice.payment_failed", detail)
    return _move(invoice, after or invoice, [news], live, now)


def _detail(invoice: Invoice) -> dict[str, Any]:
    return {
        "invoice": invoice.id,
        "number": invoice.number,
        "amount_due": text(invoice.amount_due),
        "currency": invoice.currency,
    }


def _move(before: Invoice, after: Invoice, news: list[Announcement], live: Live, now: int) -> Invoice:
    live.invoices.move(before, after, news, now)
    return after


def take(message: dict[str, Any], live: Live, now: int) -> None:
    """Handle one message: a bus event's or a sweep's invoice, or a webhook's Stripe invoice."""
    detail = message.get("detail", message)
    if "stripe_invoice" not in detail:
        collect(detail["invoice"], live, now)
        return
    theirs = live.stripe_invoices.read(detail["stripe_invoice"])
    ours = theirs.metadata.get("taximeter_invoice")
    if ours:
        mirror(live.invoices.head(ours), theirs, None, live, now)


def handler(event: dict[str, Any], _context: object) -> None:
    """SQS; a message that cannot be processed is parked, one whose outcome is unknown comes again later."""
    take_each(event, "collect", take, _live.live, "COLLECT")
