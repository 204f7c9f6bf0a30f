"""Paying Stripe's invoices: the tries to charge them, and what went back of what was paid. Law 5.7.

An invoice has payments, each with a payment intent of its own; an intent makes at most one successful charge.
"""

from dataclasses import dataclass
from typing import Any, Literal

import stripe

from adapters.stripe import Stripe, decline_reason
from adapters.stripe_invoices import StripeInvoice, read_invoice, used_up
from billing.collecting import AUTHENTICATION_REQUIRED
from metering.errors import Unavailable

_MOST_KEYS = 10
# Where a bank wants the card's holder to confirm, a try to pay an invoice says the first, and its intent the other.
_WANTS_HOLDER = {"invoice_payment_intent_requires_action", AUTHENTICATION_REQUIRED}


@dataclass(frozen=True, slots=True)
class Try:
    """What became of a try to charge an invoice.

    Attributes:
        outcome: `processing` is one that a bank has yet to decide; `none` that there was no try that says anything.
        reason: why it `failed`: Stripe's code.
        invoice: what the invoice is then, of one that was `paid` now.
    """

    outcome: Literal["none", "paid", "processing", "failed"]
    reason: str = ""
    invoice: StripeInvoice | None = None


@dataclass(frozen=True, slots=True)
class Returned:
    """What went back of what was paid for an invoice.

    Attributes:
        amount: refunds, and what disputes withdrew and did not bring back, in the currency's minor unit.
        is_lost: whether a dispute was lost.
    """

    amount: int
    is_lost: bool


class StripeInvoicePayments:
    """Calls about payments of invoices; each raises what `Stripe.call` does."""

    def __init__(self, stripe: Stripe) -> None:
        self._stripe = stripe

    def pay(self, invoice: str, method: str, key: str) -> Try:
        """Charge an open invoice to a saved card, once for a key; a decline is an answer, not an error.

        A try that Stripe failed to carry out is made again under the next key in its row (`adapters.stripe_invoices`):
        the invoice has to be open still, which whoever calls again has seen.

        Raises:
            Conflict: `stripe_refused`, it cannot be charged now: it is paid or taken back, or a payment is processing.
        """
        for name in [key, *(f"{key}:{number}" for number in range(2, _MOST_KEYS))]:
            try:
                return self._pay(invoice, method, name)
            except Unavailable as unknown:
                if not used_up(unknown):
                    raise
        raise Unavailable("Stripe fails however often it is asked", "stripe_unavailable")

    def _pay(self, invoice: str, method: str, key: str) -> Try:
        params: Any = {"off_session": True, "payment_method": method}
        options: Any = {"idempotency_key": key}
        try:
            paid = self._stripe.call(lambda client: client.v1.invoices.pay(invoice, params, options))
        except stripe.CardError as error:
            return Try("failed", _reason(decline_reason(error)))
        return Try("paid", invoice=read_invoice(paid)) if paid.status == "paid" else Try("processing")

    def last_try(self, invoice: str) -> Try:
        """Ask what became of the last try to pay an open invoice, whoever made it."""
        params: Any = {"invoice": invoice, "status": "open", "expand": ["data.payment.payment_intent"]}
        payments = self._stripe.call(lambda client: client.v1.invoice_payments.list(params)).data
        intents = [each.payment.payment_intent for each in payments]
        for intent in intents:
            if isinstance(intent, stripe.PaymentIntent):
                return _try(intent)
        return Try("none")

    def invoices_of(self, payment: str) -> list[str]:
        """The invoices that a payment intent pays; none where it belongs to something else."""
        params: Any = {"payment": {"type": "payment_intent", "payment_intent": payment}}
        found = self._stripe.call(lambda client: client.v1.invoice_payments.list(params)).data
        return [each.invoice if isinstance(each.invoice, str) else each.invoice.id for each in found]

    def returned(self, invoice: str) -> Returned:
        """Ask how much of what was paid for an invoice went back."""
        params: Any = {"invoice": invoice, "limit": 100}
        payments = self._stripe.call(lambda client: client.v1.invoice_payments.list(params)).data
        intents = [each.payment.payment_intent for each in payments]
        parts = [self._returned(each if isinstance(each, str) else each.id) for each in intents if each]
        return Returned(sum(each.amount for each in parts), any(each.is_lost for each in parts))

    def _returned(self, payment: str) -> Returned:
        def read(client: stripe.StripeClient) -> Returned:
            charge = client.v1.payment_intents.retrieve(payment, {"expand": ["latest_charge"]}).latest_charge
            if not isinstance(charge, stripe.Charge):
                return Returned(0, is_lost=False)
            if not charge.disputed:
                return Returned(charge.amount_refunded, is_lost=False)
            disputes = list(client.v1.disputes.list({"payment_intent": payment, "limit": 100}).auto_paging_iter())
            gone = charge.amount_refunded + sum(each.amount for each in disputes if _is_withdrawn(each))
            return Returned(min(gone, charge.amount), any(each.status == "lost" for each in disputes))

        return self._stripe.call(read)


def _is_withdrawn(dispute: stripe.Dispute) -> bool:
    """Whether a bank has the money: it took it, and has not brought it back. Their own currency may be another."""
    moved = [each.amount for each in dispute.balance_transactions]
    return sum(1 if amount < 0 else -1 for amount in moved) > 0


def _try(intent: stripe.PaymentIntent) -> Try:
    failure = intent.last_payment_error
    if intent.status == "succeeded":
        return Try("paid")
    if intent.status == "processing":
        return Try("processing")
    if intent.status == "requires_action":
        return Try("failed", AUTHENTICATION_REQUIRED)
    if failure:
        return Try("failed", _reason(str(failure.decline_code or failure.code)))
    return Try("none")


def _reason(code: str) -> str:
    return AUTHENTICATION_REQUIRED if code in _WANTS_HOLDER else code
