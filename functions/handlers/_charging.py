"""Asking for the money of an invoice that is finalised at Stripe: charged on its schedule, or sent. Law 5.7.

A try to charge it has a number, stored before the call: it names its idempotency key. The next number is for when the
outcome of this one is known.
"""

from dataclasses import dataclass, replace

from adapters.stripe_invoice_payments import Try
from adapters.stripe_invoices import StripeInvoice
from billing.collecting import NO_PAYMENT_METHOD, Asked, into, trying, wants_try
from billing.customers import Customer
from billing.invoices import Invoice
from handlers._live import Live
from handlers._mirroring import compare, could_not_pay, mirror, move
from metering.errors import Conflict
from metering.times import DAY


def charge_or_send(
    invoice: Invoice, theirs: StripeInvoice | None, customer: Customer, asked: Asked, live: Live, now: int
) -> Invoice:
    """Ask for the money as the customer's `collection` says now; a try whose outcome is unknown is settled first.

    Raises:
        Conflict: `stripe_total`, Stripe's total is not ours; `stripe_customer_changed`, it is addressed to another one
            than our customer is by now.
        Unavailable: an answer of Stripe is unknown; the same call again finds out.
    """
    state = invoice.collecting
    wanted = state.is_due(now) or asked.card_added or asked.after_try == state.tries
    if state.stage == "open" and not wanted:
        return invoice
    return _Charging(live, now, customer, asked).go(invoice, theirs)


@dataclass(frozen=True, slots=True)
class _Charging:
    """One run, for one customer at one moment."""

    live: Live
    now: int
    customer: Customer
    asked: Asked

    def go(self, invoice: Invoice, theirs: StripeInvoice | None) -> Invoice:
        theirs = theirs or self._read(invoice)
        if theirs.status != "open":
            return mirror(invoice, theirs, self.live, self.now)
        if invoice.collecting.stage == "processing":
            return self._wait(mirror(invoice, theirs, self.live, self.now))
        if invoice.collecting.stage == "trying":
            return self._try(invoice)
        if self.customer.collection == "none":
            return self._rest(invoice)
        if self.customer.stripe_customer not in {None, invoice.collecting.card_holder}:
            said = f"{theirs.id} is addressed to {invoice.collecting.card_holder}, which our customer is no more"
            raise Conflict(said, "stripe_customer_changed")
        compare(invoice, theirs, self.live)
        if self.customer.collection == "send_invoice":
            return self._send(invoice, theirs)
        return self._charge(invoice)

    def _read(self, invoice: Invoice) -> StripeInvoice:
        theirs = self.live.stripe_invoices.read(str(invoice.stripe_invoice))
        if theirs is None:
            raise Conflict(f"{invoice.stripe_invoice} is gone from Stripe", "stripe_refused")
        return theirs

    def _wait(self, invoice: Invoice) -> Invoice:
        """Look again tomorrow at a payment that a bank has yet to decide."""
        state = invoice.collecting
        if state.stage != "processing" or not state.is_due(self.now):
            return invoice
        after = replace(invoice, collecting=replace(state, look_at=self.now + DAY))
        return move(invoice, after, [], self.live, self.now)

    def _rest(self, invoice: Invoice, *, sent: bool = False) -> Invoice:
        """Leave it to the customer, or to a person."""
        state = replace(invoice.collecting, look_at=None, sent=sent or invoice.collecting.sent)
        return move(invoice, replace(invoice, collecting=state), [], self.live, self.now)

    def _send(self, invoice: Invoice, theirs: StripeInvoice) -> Invoice:
        """Have Stripe mail it, once; one that was finalised to be charged cannot be: there is its page."""
        if theirs.is_sent and not invoice.collecting.sent:
            self.live.stripe_invoices.send(theirs.id, invoice.idempotency_key("send"))
        return self._rest(invoice, sent=theirs.is_sent)

    def _charge(self, invoice: Invoice) -> Invoice:
        method = self.live.stripe_customers.default_method(str(invoice.collecting.card_holder))
        if method is None:
            return could_not_pay(invoice, NO_PAYMENT_METHOD, self.live, self.now)
        if not wants_try(invoice.collecting, self.asked, method, self.now):
            return invoice
        after = replace(invoice, collecting=trying(invoice.collecting, method, self.now))
        return self._try(move(invoice, after, [], self.live, self.now))

    def _try(self, invoice: Invoice) -> Invoice:
        state, stripe_id = invoice.collecting, str(invoice.stripe_invoice)
        key = invoice.idempotency_key(f"pay:{state.tries}")
        try:
            tried = self.live.stripe_invoice_payments.pay(stripe_id, str(state.method), key)
        except Conflict:
            theirs = self._read(invoice)
            if theirs.status != "open":
                return mirror(invoice, theirs, self.live, self.now)
            # It cannot be charged with this card, or a payment is under way that somebody else began.
            tried = self.live.stripe_invoice_payments.last_try(stripe_id)
            if tried.outcome != "processing":
                tried = Try("failed", "stripe_refused")
        if tried.outcome == "failed":
            return could_not_pay(invoice, tried.reason, self.live, self.now)
        if tried.outcome == "processing":
            after = replace(invoice, collecting=into(state, "processing", self.now + DAY))
            return move(invoice, after, [], self.live, self.now)
        return mirror(invoice, tried.invoice or self._read(invoice), self.live, self.now)
