"""Stripe: the few calls that move money, each under an idempotency key that was stored before. Law 5.6.

The SDK's own retries are off: what a call did is unknown after a lost answer, and whoever called finds out by asking
(facts: a payment intent makes at most one successful charge, and can be retrieved at any age).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, TypeVar

import stripe

from adapters.secrets import Secret
from billing.money import minor_units
from metering.decimals import EXACT
from metering.errors import Conflict, TaximeterError, Unavailable

API_VERSION = "2026-10-28.endive"
_TIMEOUT_SECONDS = 20
_MOST_ITEMS = 250
# How many decimals Stripe counts in where that differs from the currency's own (docs.stripe.com/currencies).
_STRIPE_DIGITS = {"ISK": 2, "MGA": 0, "UGX": 2}

Result = TypeVar("Result")
Outcome = Literal["succeeded", "declined", "action_required", "open"]


@dataclass(frozen=True, slots=True)
class Payment:
    """What Stripe says of a payment.

    Attributes:
        outcome: `open` is a payment that nothing has decided yet: it can be confirmed or cancelled.
        reason: Stripe's code for a decline.
        metadata: what we wrote on it: ids only.
    """

    id: str
    outcome: Outcome
    reason: str | None
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class StripeInvoice:
    """What Stripe says of an invoice; amounts in the currency's minor unit."""

    id: str
    status: str
    amount_due: int
    hosted_invoice_url: str | None
    metadata: Mapping[str, str]


def in_minor_units(amount: Decimal, currency: str) -> int:
    """An amount as Stripe writes it: whole units of its own, which for a few currencies are not those of ISO 4217.

    Raises:
        Inexact: it has digits that Stripe cannot charge.
    """
    scaled = EXACT.scaleb(amount, _STRIPE_DIGITS.get(currency, minor_units(currency)))
    return int(scaled.to_integral_exact(context=EXACT))


class Payments:
    """Calls to Stripe. Every method raises Unavailable when it does not know what happened."""

    def __init__(self, secret: Secret, url: str | None = None) -> None:
        self._secret = secret
        self._url = url

    def _client(self) -> stripe.StripeClient:
        addresses: Any = {"api": self._url} if self._url else {}
        return stripe.StripeClient(
            self._secret.stripe_api_key(),
            stripe_version=API_VERSION,
            max_network_retries=0,
            base_addresses=addresses,
            http_client=stripe.RequestsClient(timeout=_TIMEOUT_SECONDS),
        )

    def _call(self, call: Callable[[stripe.StripeClient], Result]) -> Result:
        """Make a call; a key that was replaced meanwhile is fetched anew, once."""
        try:
            return call(self._client())
        except stripe.AuthenticationError:
            self._secret.forget()
        except stripe.CardError:
            raise
        except stripe.StripeError as error:
            raise _translated(error) from error
        try:
            return call(self._client())
        except stripe.CardError:
            raise
        except stripe.StripeError as error:
            raise _translated(error) from error

    def create_payment(
        self, customer: str, amount: int, currency: str, metadata: Mapping[str, str], key: str
    ) -> Payment:
        """Make a payment intent, unconfirmed: nothing is charged yet."""
        method = self._default_method(customer)
        params: Any = {
            "amount": amount,
            "currency": currency.lower(),
            "customer": customer,
            "metadata": dict(metadata),
            **({"payment_method": method} if method else {}),
        }
        made = self._call(lambda client: client.v1.payment_intents.create(params, {"idempotency_key": key}))
        return _payment(made)

    def _default_method(self, customer: str) -> str | None:
        """The card that the customer pays with: the default one, else the newest."""
        found = self._call(lambda client: client.v1.customers.retrieve(customer))
        settings = found.invoice_settings
        default = settings.default_payment_method if settings else None
        if default:
            return default if isinstance(default, str) else default.id
        methods = self._call(lambda client: client.v1.customers.payment_methods.list(customer, {"limit": 1}))
        return methods.data[0].id if methods.data else None

    def confirm_payment(self, payment: str, key: str) -> Payment:
        """Charge the saved card, off-session. A decline is an answer, not an error."""
        try:
            confirmed = self._call(
                lambda client: client.v1.payment_intents.confirm(
                    payment, {"off_session": True}, {"idempotency_key": key}
                )
            )
        except stripe.CardError as error:
            needs_person = error.code == "authentication_required"
            reason = str(getattr(error.error, "decline_code", None) or error.code)
            return Payment(payment, "action_required" if needs_person else "declined", reason, {})
        return _payment(confirmed)

    def payment(self, payment: str) -> Payment:
        """Ask what became of a payment."""
        return _payment(self._call(lambda client: client.v1.payment_intents.retrieve(payment)))

    def find_payment(self, customer: str, metadata: Mapping[str, str]) -> Payment | None:
        """Find a payment whose id was lost by what was written on it; None if it was never made."""

        def search(client: stripe.StripeClient) -> Payment | None:
            pages = client.v1.payment_intents.list({"customer": customer, "limit": 100})
            found = map(_payment, pages.auto_paging_iter())
            return next((each for each in found if metadata.items() <= each.metadata.items()), None)

        return self._call(search)

    def cancel_payment(self, payment: str, key: str) -> Payment:
        """Cancel a payment that was not made; returns what it is now: one that was decided already stays what it is."""
        try:
            cancelled = self._call(
                lambda client: client.v1.payment_intents.cancel(payment, {}, {"idempotency_key": key})
            )
        except Conflict:
            return self.payment(payment)
        return _payment(cancelled)

    def create_invoice(
        self, customer: str, currency: str, days_until_due: int | None, metadata: Mapping[str, str], key: str
    ) -> StripeInvoice:
        """Make an empty draft invoice: to be sent with a due date, or (None) to be charged."""
        collection: Any = (
            {"collection_method": "charge_automatically"}
            if days_until_due is None
            else {"collection_method": "send_invoice", "days_until_due": days_until_due}
        )
        params: Any = {
            "customer": customer,
            "currency": currency.lower(),
            "auto_advance": False,
            "pending_invoice_items_behavior": "exclude",
            "metadata": dict(metadata),
            **collection,
        }
        made = self._call(lambda client: client.v1.invoices.create(params, {"idempotency_key": key}))
        return _invoice(made)

    def add_items(self, customer: str, invoice: str, currency: str, items: Sequence[tuple[str, int]], key: str) -> None:
        """Put lines (description, minor units) on a draft; more than 250 are summed up in the last one.

        Those that are there already are left alone, however long ago a lost answer or a crash was.
        """
        present = self._items_of(invoice)
        for number, (description, amount) in enumerate(_at_most(items, _MOST_ITEMS)):
            if str(number) in present:
                continue
            params: Any = {
                "customer": customer,
                "invoice": invoice,
                "currency": currency.lower(),
                "amount": amount,
                "description": description[:500],
                "metadata": {"taximeter_line": str(number)},
            }
            options: Any = {"idempotency_key": f"{key}:{number}"}
            self._call(lambda client, p=params, o=options: client.v1.invoice_items.create(p, o))  # type: ignore[misc]  # the defaults bind this round's values

    def _items_of(self, invoice: str) -> set[str]:
        """Which of our lines a draft has already."""

        def read(client: stripe.StripeClient) -> set[str]:
            pages = client.v1.invoice_items.list({"invoice": invoice, "limit": 100})
            return {_metadata(each).get("taximeter_line", "") for each in pages.auto_paging_iter()}

        return self._call(read)

    def invoice(self, invoice: str) -> StripeInvoice:
        """Ask what became of an invoice."""
        return _invoice(self._call(lambda client: client.v1.invoices.retrieve(invoice)))

    def finalize_invoice(self, invoice: str, key: str) -> StripeInvoice:
        """Close a draft."""
        return _invoice(
            self._call(
                lambda client: client.v1.invoices.finalize_invoice(
                    invoice, {"auto_advance": False}, {"idempotency_key": key}
                )
            )
        )

    def void_invoice(self, invoice: str, key: str) -> StripeInvoice:
        """Take back an invoice that was finalised and not paid; one that is void already stays so."""
        theirs = self.invoice(invoice)
        if theirs.status not in {"open", "uncollectible"}:
            return theirs
        return _invoice(
            self._call(lambda client: client.v1.invoices.void_invoice(invoice, {}, {"idempotency_key": key}))
        )

    def send_invoice(self, invoice: str, key: str) -> StripeInvoice:
        """Let Stripe mail an invoice to its customer."""
        sent = self._call(lambda client: client.v1.invoices.send_invoice(invoice, {}, {"idempotency_key": key}))
        return _invoice(sent)

    def pay_invoice(self, invoice: str, key: str) -> tuple[StripeInvoice, str | None]:
        """Charge an invoice to the saved card; returns why that was declined, None if it was paid."""
        try:
            paid = self._call(
                lambda client: client.v1.invoices.pay(invoice, {"off_session": True}, {"idempotency_key": key})
            )
        except stripe.CardError as error:
            return self.invoice(invoice), str(getattr(error.error, "decline_code", None) or error.code)
        return _invoice(paid), None


def _at_most(items: Sequence[tuple[str, int]], most: int) -> list[tuple[str, int]]:
    if len(items) <= most:
        return list(items)
    rest = items[most - 1 :]
    return [*items[: most - 1], (f"{len(rest)} further lines", sum(amount for _, amount in rest))]


def _translated(error: stripe.StripeError) -> TaximeterError:
    """Unknown outcomes and passing trouble are Unavailable: ask or send again. The rest will not get better."""
    status = error.http_status
    passing = status is None or status in (401, 409, 429) or status >= 500
    detail = f"Stripe answered {status or 'nothing'}: {error.code or type(error).__name__}"
    return Unavailable(detail, "stripe_unavailable") if passing else Conflict(detail, "stripe_refused")


def _payment(intent: stripe.PaymentIntent) -> Payment:
    failure = intent.last_payment_error
    reason = str(failure.decline_code or failure.code) if failure else None
    outcomes: dict[str, Outcome] = {
        "succeeded": "succeeded",
        "canceled": "declined",
        "requires_action": "action_required",
    }
    outcome = outcomes.get(intent.status, "declined" if failure else "open")
    if failure and failure.code == "authentication_required":
        outcome = "action_required"
    return Payment(intent.id, outcome, reason, _metadata(intent))


def _metadata(thing: stripe.PaymentIntent | stripe.Invoice | stripe.InvoiceItem) -> dict[str, str]:
    return dict(thing.metadata.to_dict()) if thing.metadata else {}


def _invoice(invoice: stripe.Invoice) -> StripeInvoice:
    return StripeInvoice(
        id=invoice.id,
        status=str(invoice.status),
        amount_due=invoice.amount_due,
        hosted_invoice_url=invoice.hosted_invoice_url,
        metadata=_metadata(invoice),
    )
