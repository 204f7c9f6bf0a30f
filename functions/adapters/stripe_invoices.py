"""Stripe's invoices: one for each of ours that is collected there, every call under a key of its own. Law 5.7."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import stripe

from adapters.stripe import Stripe, decline_reason, metadata_of

_MOST_ITEMS = 250


@dataclass(frozen=True, slots=True)
class StripeInvoice:
    """What Stripe says of an invoice; amounts in the currency's minor unit."""

    id: str
    status: str
    amount_due: int
    hosted_invoice_url: str | None
    metadata: Mapping[str, str]


class StripeInvoices:
    """Calls about invoices; each raises what `Stripe.call` does."""

    def __init__(self, stripe: Stripe) -> None:
        self._stripe = stripe

    def create(
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
        options: Any = {"idempotency_key": key}
        return _read(self._stripe.call(lambda client: client.v1.invoices.create(params, options)))

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
            self._stripe.call(lambda client, p=params, o=options: client.v1.invoice_items.create(p, o))  # type: ignore[misc]  # the defaults bind this round's values

    def _items_of(self, invoice: str) -> set[str]:
        """Which of our lines a draft has already."""

        def read(client: stripe.StripeClient) -> set[str]:
            pages = client.v1.invoice_items.list({"invoice": invoice, "limit": 100})
            return {metadata_of(each).get("taximeter_line", "") for each in pages.auto_paging_iter()}

        return self._stripe.call(read)

    def read(self, invoice: str) -> StripeInvoice:
        """Ask what became of an invoice."""
        return _read(self._stripe.call(lambda client: client.v1.invoices.retrieve(invoice)))

    def finalize(self, invoice: str, key: str) -> StripeInvoice:
        """Close a draft."""
        params: Any = {"auto_advance": False}
        options: Any = {"idempotency_key": key}
        return _read(self._stripe.call(lambda client: client.v1.invoices.finalize_invoice(invoice, params, options)))

    def void(self, invoice: str, key: str) -> StripeInvoice:
        """Take back an invoice that was finalised and not paid; one that is void already stays so."""
        theirs = self.read(invoice)
        if theirs.status not in {"open", "uncollectible"}:
            return theirs
        options: Any = {"idempotency_key": key}
        return _read(self._stripe.call(lambda client: client.v1.invoices.void_invoice(invoice, {}, options)))

    def send(self, invoice: str, key: str) -> StripeInvoice:
        """Let Stripe mail an invoice to its customer."""
        options: Any = {"idempotency_key": key}
        return _read(self._stripe.call(lambda client: client.v1.invoices.send_invoice(invoice, {}, options)))

    def pay(self, invoice: str, key: str) -> tuple[StripeInvoice, str | None]:
        """Charge an invoice to the saved card; returns why that was declined, None if it was paid."""
        params: Any = {"off_session": True}
        options: Any = {"idempotency_key": key}
        try:
            paid = self._stripe.call(lambda client: client.v1.invoices.pay(invoice, params, options))
        except stripe.CardError as error:
            return self.read(invoice), decline_reason(error)
        return _read(paid), None


def _at_most(items: Sequence[tuple[str, int]], most: int) -> list[tuple[str, int]]:
    if len(items) <= most:
        return list(items)
    rest = items[most - 1 :]
    return [*items[: most - 1], (f"{len(rest)} further lines", sum(amount for _, amount in rest))]


def _read(invoice: stripe.Invoice) -> StripeInvoice:
    return StripeInvoice(
        id=invoice.id,
        status=str(invoice.status),
        amount_due=invoice.amount_due,
        hosted_invoice_url=invoice.hosted_invoice_url,
        metadata=metadata_of(invoice),
    )
