"""Payments of top-ups at Stripe: a payment intent each, and the page where a person pays what a card alone did not.

A payment intent makes at most one successful charge, so whoever does not know what a call did asks for the payment by
its id or, when even that was lost, by what was written on it. Laws 5.6 and facts of Stripe.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import stripe

from adapters.stripe import Stripe, decline_reason, metadata_of
from metering.errors import Conflict

Outcome = Literal["open", "processing", "succeeded", "declined", "action_required"]


@dataclass(frozen=True, slots=True)
class Payment:
    """What Stripe says of a payment.

    Attributes:
        outcome: `open` is a payment that nothing has decided yet: it can be confirmed or cancelled; `processing` is one
            that a bank has yet to decide.
        reason: Stripe's code for a decline.
        metadata: what we wrote on it: ids only.
        cancelled: whether nothing can be charged on it any more.
    """

    id: str
    outcome: Outcome
    reason: str | None
    metadata: Mapping[str, str]
    cancelled: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """What a payment is asked for, whole: the same again under the same key is the same payment.

    Attributes:
        customer: Stripe's.
        method: the saved card.
        amount: in the currency's minor unit.
        currency: ISO 4217, lower case.
        metadata: ids only.
    """

    customer: str
    method: str
    amount: int
    currency: str
    metadata: Mapping[str, str]


class Payments:
    """Calls about payment intents; each raises what `Stripe.call` does."""

    def __init__(self, stripe: Stripe) -> None:
        self._stripe = stripe

    def create(self, asked: Asked, key: str) -> Payment:
        """Make a payment intent, unconfirmed: nothing is charged yet."""
        params: Any = {
            "amount": asked.amount,
            "currency": asked.currency,
            "customer": asked.customer,
            "payment_method": asked.method,
            "metadata": dict(asked.metadata),
            # Nobody is there who could be sent to another page.
            "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
        }
        options: Any = {"idempotency_key": key}
        return _payment(self._stripe.call(lambda client: client.v1.payment_intents.create(params, options)))

    def confirm(self, payment: str, key: str) -> Payment:
        """Charge the saved card, off-session. A decline is an answer, not an error."""
        options: Any = {"idempotency_key": key}
        try:
            confirmed = self._stripe.call(
                lambda client: client.v1.payment_intents.confirm(payment, {"off_session": True}, options)
            )
        except stripe.CardError as error:
            needs_person = error.code == "authentication_required"
            return Payment(payment, "action_required" if needs_person else "declined", decline_reason(error), {})
        return _payment(confirmed)

    def read(self, payment: str) -> Payment:
        """Ask what became of a payment."""
        return _payment(self._stripe.call(lambda client: client.v1.payment_intents.retrieve(payment)))

    def find(self, asked: Asked, since: int) -> Payment | None:
        """Find a payment whose id was lost by what was written on it; None if none was made since then.

        Raises:
            Conflict: `payment_differs`, there is one, of another amount.
        """

        def search(client: stripe.StripeClient) -> stripe.PaymentIntent | None:
            params: Any = {"customer": asked.customer, "created": {"gte": since // 1000}, "limit": 100}
            pages = client.v1.payment_intents.list(params)
            ours = (each for each in pages.auto_paging_iter() if asked.metadata.items() <= metadata_of(each).items())
            return next(ours, None)

        found = self._stripe.call(search)
        if found and (found.amount, found.currency) != (asked.amount, asked.currency):
            raise Conflict(f"{found.id} was made for the same, with another amount", "payment_differs")
        return _payment(found) if found else None

    def cancel(self, payment: str) -> Payment:
        """Cancel a payment that was not made; returns what it is now: one that was decided already stays what it is.

        It needs no key of its own: twice is once, and an error that is kept under a key would be its answer for a day.
        """
        try:
            cancelled = self._stripe.call(lambda client: client.v1.payment_intents.cancel(payment))
        except Conflict:
            return self.read(payment)
        return _payment(cancelled)

    def returned(self, payment: str) -> int:
        """How much of a payment went back, by refunds and lost disputes, in the currency's minor unit."""
        return self._kept_and_returned(payment)[1]

    def kept(self, payment: str) -> int:
        """How much of a payment was charged and did not go back, in the currency's minor unit."""
        return self._kept_and_returned(payment)[0]

    def _kept_and_returned(self, payment: str) -> tuple[int, int]:
        def read(client: stripe.StripeClient) -> tuple[int, int]:
            given = client.v1.payment_intents.retrieve(payment, {"expand": ["latest_charge"]}).latest_charge
            if not isinstance(given, stripe.Charge):
                return 0, 0
            lost = 0
            if given.disputed:
                disputes = client.v1.disputes.list({"payment_intent": payment, "limit": 100})
                lost = sum(each.amount for each in disputes.auto_paging_iter() if each.status == "lost")
            returned = min(given.amount_refunded + lost, given.amount)
            return given.amount - returned, returned

        return self._stripe.call(read)


def _payment(intent: stripe.PaymentIntent) -> Payment:
    failure = intent.last_payment_error
    reason = str(failure.decline_code or failure.code) if failure else None
    outcomes: dict[str, Outcome] = {
        "succeeded": "succeeded",
        "processing": "processing",
        "canceled": "declined",
        "requires_action": "action_required",
    }
    outcome = outcomes.get(intent.status, "declined" if failure else "open")
    if failure and failure.code == "authentication_required" and outcome == "declined":
        outcome = "action_required"
    return Payment(intent.id, outcome, reason, metadata_of(intent), cancelled=intent.status == "canceled")
