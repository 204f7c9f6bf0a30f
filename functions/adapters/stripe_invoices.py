"""Stripe's invoices: one for each of ours that is collected there. Law 5.7.

Three kinds of calls, by what makes them harmless to repeat:

- What makes something (an invoice, its lines) or may not be done twice (sending) has an idempotency key that the caller
  stored. Stripe keeps the answer of a key for a day, a failure too. So before a call is made again it is looked up
  whether it was carried out; and where Stripe says that a failure is all that a key has to answer, the next key in its
  row is used: `key`, `key:2`, `key:3`. All who call meet at the same one.
- What moves an invoice to a state (finalise, void, give up, pay elsewhere, delete) is refused when it is there already:
  then the invoice is read, and what it is now is the answer.
- Paying is in `adapters.stripe_invoice_payments`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import stripe

from adapters.stripe import Stripe, metadata_of
from metering.errors import Conflict, Unavailable

_MOST_LINES = 250
_LINES_AT_ONCE = 50
_MOST_KEYS = 10


@dataclass(frozen=True, slots=True)
class StripeInvoice:
    """What Stripe says of an invoice; amounts in the currency's minor unit.

    Attributes:
        status: `draft`, `open`, `paid`, `void` or `uncollectible`.
        total: the sum of its lines.
        amount_due: what is charged: with the customer's balance there, and 0 when that is too small to be charged.
        starting_balance: that balance: what the customer owes besides, below zero a credit.
        paid_elsewhere: how much of it was paid without Stripe.
        is_sent: whether it is sent to be paid, rather than charged.
    """

    id: str
    status: str
    total: int
    amount_due: int
    starting_balance: int
    paid_elsewhere: int
    is_sent: bool
    hosted_invoice_url: str | None
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an invoice is made of: the same again under the same key is the same invoice.

    Attributes:
        customer: Stripe's.
        currency: ISO 4217.
        days_until_due: of one that is sent; None for one that is charged.
        named: ids only; no other invoice of the customer has the same, but one that was voided.
        more: what else is written on it: ids only.
    """

    customer: str
    currency: str
    days_until_due: int | None
    named: Mapping[str, str]
    more: Mapping[str, str] = field(default_factory=dict)


class StripeInvoices:
    """Calls about invoices; each raises what `Stripe.call` does."""

    def __init__(self, stripe: Stripe) -> None:
        self._stripe = stripe

    def make(self, wanted: Wanted, key: str) -> tuple[StripeInvoice, bool]:
        """Make an empty draft, or find what was made before; returns whether it is new.

        It is looked for however sure its caller is that there is none: a table that was restored from a backup knows
        nothing of what was invoiced since.

        Raises:
            Conflict: `stripe_refused`, none was made and never will be.
        """
        params: Any = {
            "customer": wanted.customer,
            "currency": wanted.currency.lower(),
            "auto_advance": False,
            "pending_invoice_items_behavior": "exclude",
            "metadata": {**wanted.named, **wanted.more},
            **_terms(wanted.days_until_due),
        }

        def made(key: str) -> StripeInvoice:
            options: Any = {"idempotency_key": key}
            return read_invoice(self._stripe.call(lambda client: client.v1.invoices.create(params, options)))

        found = self._find(wanted)
        return (found, False) if found else (_once(made, lambda: self._find(wanted), key, is_new=True), True)

    def _find(self, wanted: Wanted) -> StripeInvoice | None:
        """Find an invoice whose id was lost by what was written on it."""

        def search(client: stripe.StripeClient) -> StripeInvoice | None:
            pages = client.v1.invoices.list({"customer": wanted.customer, "limit": 100})
            standing = (each for each in pages.auto_paging_iter() if each.status != "void")
            found = (each for each in standing if wanted.named.items() <= metadata_of(each).items())
            return next(map(read_invoice, found), None)

        return self._stripe.call(search)

    def read(self, invoice: str) -> StripeInvoice | None:
        """Ask what became of an invoice; None for a draft that was deleted."""
        try:
            return read_invoice(self._stripe.call(lambda client: client.v1.invoices.retrieve(invoice)))
        except Conflict as refused:
            if getattr(refused.__cause__, "http_status", None) != 404:
                raise
            return None

    def add_lines(
        self,
        invoice: StripeInvoice,
        lines: Sequence[tuple[str, int]],
        sums: Sequence[tuple[str, int]],
        key: str,
        *,
        is_new: bool,
    ) -> StripeInvoice:
        """Put lines (description, minor units) on a draft; returns it with its totals.

        Unless the draft `is_new`, those that are there already are left alone, however long ago a lost answer or a
        crash was. Where they are more than Stripe takes, the last of `lines` are summed up; `sums` never are.
        """
        rows = [*_at_most(lines, _MOST_LINES - len(sums)), *sums]
        for start in range(0, len(rows), _LINES_AT_ONCE):
            batch = [_line(number, *row) for number, row in enumerate(rows[start : start + _LINES_AT_ONCE], start)]
            invoice = self._add(invoice, batch, f"{key}:{start}", is_new=is_new)
        return invoice

    def _add(self, invoice: StripeInvoice, batch: list[Any], key: str, *, is_new: bool) -> StripeInvoice:
        """Put a few lines on a draft, all or none of them."""

        def known() -> StripeInvoice | None:
            return (
                self.read(invoice.id) if batch[0]["metadata"]["taximeter_line"] in self._present(invoice.id) else None
            )

        def added(key: str) -> StripeInvoice:
            options: Any = {"idempotency_key": key}
            params: Any = {"lines": batch}
            return read_invoice(
                self._stripe.call(lambda client: client.v1.invoices.add_lines(invoice.id, params, options))
            )

        return _once(added, known, key, is_new=is_new)

    def _present(self, invoice: str) -> set[str]:
        """Which of our lines a draft has already."""

        def read(client: stripe.StripeClient) -> set[str]:
            pages = client.v1.invoices.line_items.list(invoice, {"limit": 100})
            return {metadata_of(each).get("taximeter_line", "") for each in pages.auto_paging_iter()}

        return self._stripe.call(read)

    def change_terms(self, invoice: str, days_until_due: int | None) -> StripeInvoice:
        """Have a draft be sent with a due date or (None) be charged."""
        params: Any = _terms(days_until_due)
        return read_invoice(self._stripe.call(lambda client: client.v1.invoices.update(invoice, params)))

    def finalize(self, invoice: str) -> StripeInvoice:
        """Close a draft; one that is closed stays as it is."""
        params: Any = {"auto_advance": False}
        return self._moved(invoice, lambda client: client.v1.invoices.finalize_invoice(invoice, params), {"draft"})

    def void(self, invoice: str) -> StripeInvoice:
        """Take back an invoice that was finalised and not paid; one that is paid stays so."""
        collectable = {"open", "uncollectible"}
        return self._moved(invoice, lambda client: client.v1.invoices.void_invoice(invoice), collectable)

    def give_up(self, invoice: str) -> StripeInvoice:
        """Mark an open invoice as uncollectible; it can still be paid."""
        return self._moved(invoice, lambda client: client.v1.invoices.mark_uncollectible(invoice), {"open"})

    def pay_elsewhere(self, invoice: str) -> StripeInvoice:
        """Note that an invoice was paid another way, so that it is never charged."""
        params: Any = {"paid_out_of_band": True}
        return self._moved(invoice, lambda client: client.v1.invoices.pay(invoice, params), {"open", "uncollectible"})

    def _moved(
        self, invoice: str, call: Callable[[stripe.StripeClient], stripe.Invoice], before: set[str]
    ) -> StripeInvoice:
        """Make a call that is refused when it was made before; then the invoice is what it is."""
        try:
            return read_invoice(self._stripe.call(call))
        except Conflict:
            theirs = self.read(invoice)
            if theirs is None or theirs.status in before:
                raise
            return theirs

    def delete(self, invoice: str) -> StripeInvoice | None:
        """Delete a draft; returns what it is where it is none any more, None where it is gone."""
        try:
            self._stripe.call(lambda client: client.v1.invoices.delete(invoice))
        except Conflict:
            theirs = self.read(invoice)
            if theirs is not None and theirs.status == "draft":
                raise
            return theirs
        return None

    def send(self, invoice: str, key: str) -> StripeInvoice:
        """Let Stripe mail an invoice to its customer."""

        def sent(key: str) -> StripeInvoice:
            options: Any = {"idempotency_key": key}
            return read_invoice(self._stripe.call(lambda client: client.v1.invoices.send_invoice(invoice, {}, options)))

        return _once(sent, lambda: None, key, is_new=True)


def _once(
    call: Callable[[str], StripeInvoice], known: Callable[[], StripeInvoice | None], key: str, *, is_new: bool
) -> StripeInvoice:
    """Make a call unless what it makes is `known`: under the first key in its row that may still be carried out."""
    found = None if is_new else known()
    for name in _keys(key):
        if found:
            return found
        try:
            return call(name)
        except Unavailable as unknown:
            if not used_up(unknown):
                raise
        found = known()
    raise Unavailable("Stripe fails however often it is asked", "stripe_unavailable")


def _keys(key: str) -> Iterator[str]:
    yield key
    yield from (f"{key}:{number}" for number in range(2, _MOST_KEYS))


def used_up(unknown: Unavailable) -> bool:
    """Whether Stripe failed to carry out what was asked for under a key, and answers that from now on."""
    cause = unknown.__cause__
    if not isinstance(cause, stripe.StripeError) or (cause.http_status or 0) < 500:
        return False
    return "idempotent-replayed" in {name.lower() for name in cause.headers or {}}


def _terms(days_until_due: int | None) -> dict[str, Any]:
    if days_until_due is None:
        return {"collection_method": "charge_automatically"}
    return {"collection_method": "send_invoice", "days_until_due": days_until_due}


def _line(number: int, description: str, amount: int) -> Any:  # noqa: ANN401 - the SDK's own parameters
    return {"amount": amount, "description": description[:500], "metadata": {"taximeter_line": str(number)}}


def _at_most(rows: Sequence[tuple[str, int]], most: int) -> list[tuple[str, int]]:
    if len(rows) <= most:
        return list(rows)
    rest = rows[most - 1 :]
    return [*rows[: most - 1], (f"{len(rest)} further lines", sum(amount for _, amount in rest))]


def read_invoice(invoice: stripe.Invoice) -> StripeInvoice:
    """What matters of Stripe's answer."""
    return StripeInvoice(
        id=invoice.id,
        status=str(invoice.status),
        total=invoice.total,
        amount_due=invoice.amount_due,
        starting_balance=invoice.starting_balance,
        paid_elsewhere=invoice.amount_paid_off_stripe or 0,
        is_sent=invoice.collection_method == "send_invoice",
        hosted_invoice_url=invoice.hosted_invoice_url,
        metadata=metadata_of(invoice),
    )
