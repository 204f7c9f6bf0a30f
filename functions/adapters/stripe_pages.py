"""Pages that Stripe hosts: where a customer pays what a card alone did not pay, and where one saves a card."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import stripe

from adapters.payments import Asked
from adapters.stripe import Stripe, metadata_of
from metering.errors import Conflict


@dataclass(frozen=True, slots=True)
class Page:
    """What Stripe says of a page.

    Attributes:
        url: where it is; None once it is done with.
        status: `open`, `expired`, or `complete`: somebody did there what was asked for.
        payment: the payment intent that was made there.
        paid: whether that has succeeded.
        method: the card that was saved there, or paid there.
        expires_at: milliseconds.
    """

    id: str
    url: str | None
    status: str
    payment: str | None
    paid: bool
    customer: str | None
    method: str | None
    expires_at: int
    metadata: Mapping[str, str]


class StripePages:
    """Calls about Checkout Sessions; each raises what `Stripe.call` does."""

    def __init__(self, stripe: Stripe) -> None:
        self._stripe = stripe

    def to_pay(self, asked: Asked, what: str, return_url: str, expires_at: int, key: str) -> Page:
        """Make a page where a customer pays, in person; the card is saved for later charges.

        Args:
            asked: what is to be paid; the card that did not pay is not used.
            what: is bought, in words.
            return_url: where the customer is sent afterwards.
            expires_at: milliseconds, 30 minutes to 24 hours ahead.
            key: the idempotency key.
        """
        price = {"currency": asked.currency, "unit_amount": asked.amount, "product_data": {"name": what}}
        params: Any = {
            "mode": "payment",
            "customer": asked.customer,
            "line_items": [{"quantity": 1, "price_data": price}],
            "metadata": dict(asked.metadata),
            "payment_intent_data": {"metadata": dict(asked.metadata), "setup_future_usage": "off_session"},
            "success_url": return_url,
            "expires_at": expires_at // 1000,
        }
        return self._made(params, key)

    def to_save_a_card(self, customer: str, currency: str | None, metadata: Mapping[str, str], return_url: str) -> Page:
        """Make a page where a customer saves a card for later charges. Several of them do no harm.

        Without a currency Stripe cannot say which ways to pay there are: then it is a card.
        """
        ways: Any = {"currency": currency.lower()} if currency else {"allowed_payment_method_types": ["card"]}
        params: Any = {
            "mode": "setup",
            "customer": customer,
            "metadata": dict(metadata),
            "success_url": return_url,
            **ways,
        }
        return self._made(params, None)

    def _made(self, params: Any, key: str | None) -> Page:  # noqa: ANN401 - a TypedDict that the SDK does not export
        options: Any = {"idempotency_key": key} if key else {}
        return _page(self._stripe.call(lambda client: client.v1.checkout.sessions.create(params, options)))

    def read(self, page: str) -> Page:
        """Ask what became of a page."""
        wanted: Any = {"expand": ["payment_intent", "setup_intent"]}
        return _page(self._stripe.call(lambda client: client.v1.checkout.sessions.retrieve(page, wanted)))

    def find(self, customer: str, metadata: Mapping[str, str]) -> Page | None:
        """Find a page whose id was lost by what was written on it; None if it was never made."""

        def search(client: stripe.StripeClient) -> Page | None:
            pages = client.v1.checkout.sessions.list({"customer": customer, "limit": 100})
            found = map(_page, pages.auto_paging_iter())
            return next((each for each in found if metadata.items() <= each.metadata.items()), None)

        return self._stripe.call(search)

    def expire(self, page: str) -> Page:
        """Close a page; returns what it is now: one on which somebody has paid stays what it is."""
        try:
            closed = self._stripe.call(lambda client: client.v1.checkout.sessions.expire(page))
        except Conflict:
            return self.read(page)
        return _page(closed)


def _page(session: stripe.checkout.Session) -> Page:
    payment = session.payment_intent
    method = getattr(session.setup_intent or payment, "payment_method", None)
    return Page(
        id=session.id,
        url=session.url,
        status=str(session.status),
        payment=_id(payment),
        paid=session.payment_status == "paid",
        customer=_id(session.customer),
        method=_id(method),
        expires_at=session.expires_at * 1000,
        metadata=metadata_of(session),
    )


def _id(named: Any) -> str | None:  # noqa: ANN401 - an id, or the object itself where it was expanded
    return named if named is None or isinstance(named, str) else str(named.id)
