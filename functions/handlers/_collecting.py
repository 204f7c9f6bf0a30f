"""Bringing an invoice to Stripe, from wherever it stands: made, filled, compared and finalised there.

Law 5.7. Before each call the stage that names it is stored with all that the call is made of; and whoever finds such a
stage asks what became of the call before it is made again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from adapters.stripe import in_minor_units
from adapters.stripe_invoices import StripeInvoice
from billing.carrying import lines_to_collect, sums_to_collect, to_collect
from billing.collecting import BY_ITSELF, MOST_CARRIED, NO_PAYMENT_METHOD, Asked, Stage, begun, into
from billing.customers import Customer
from billing.invoices import Invoice
from handlers._charging import charge_or_send
from handlers._live import Live
from handlers._mirroring import carried_with, compare, could_not_pay, end_there, held_again, move, wanted_of
from metering.errors import Conflict, Unavailable

_MOST_STEPS = 8
_Step = tuple[Invoice, StripeInvoice | None]


def collect(identity: str, live: Live, now: int, asked: Asked = BY_ITSELF) -> Invoice:
    """Take an invoice as far as it goes: to paid, to a reason why not, or to where others have to do something.

    Raises:
        Conflict: `stripe_total` when Stripe's total is not ours: nothing is finalised or charged there;
            `stripe_refused`, Stripe will never do what it was asked for; `stripe_customer_changed`.
        Unavailable: an answer of Stripe is unknown; the same call again finds out.
    """
    invoice = live.invoices.whole(identity)
    if invoice.number is None:
        return invoice  # the sweep gives one, and announces it then
    if not invoice.payable:
        return end_there(invoice, live, now)
    customer = live.catalog.account(invoice.customer).customer
    return _Bringing(live, now, customer, asked).go(invoice)


@dataclass(frozen=True, slots=True)
class _Bringing:
    """One run, for one customer at one moment."""

    live: Live
    now: int
    customer: Customer
    asked: Asked

    def go(self, invoice: Invoice) -> Invoice:
        theirs: StripeInvoice | None = None
        is_new = False
        for _ in range(_MOST_STEPS):
            match invoice.collecting.stage:
                case "waiting" | "others" | "held":
                    invoice = self._begin_first(invoice)
                    if invoice.collecting.stage != "making":
                        return invoice
                case "making":
                    invoice, theirs, is_new = self._make(invoice)
                case "filling":
                    invoice, theirs = self._fill(invoice, theirs, is_new=is_new)
                    is_new = False
                    if not invoice.collecting.at_stripe:
                        return invoice
                case "open" | "trying" | "processing":
                    return charge_or_send(invoice, theirs, self.customer, self.asked, self.live, self.now)
                case _:
                    return invoice  # another carries it, or it is lost
        raise Unavailable("its drafts at Stripe keep disappearing")

    def _begin_first(self, invoice: Invoice) -> Invoice:
        """Begin to make a Stripe invoice that carries what is held; or leave it as it is, and say why."""
        state = invoice.collecting
        if state.stage in {"held", "others"} and self.asked.after_try is None:
            return invoice  # only a person takes it up again
        if self.customer.collection == "none":
            left = into(state, "others") if state.stage == "waiting" else state
            return move(invoice, replace(invoice, collecting=left), [], self.live, self.now)
        if self.customer.stripe_customer is None:
            tells = state.stage == "waiting" and state.is_due(self.now)
            return could_not_pay(invoice, NO_PAYMENT_METHOD, self.live, self.now) if tells else invoice
        held = [each for each in self.live.invoices.of_customer(invoice.customer) if _can_carry(invoice, each)]
        return self._begin(invoice, held[::-1][:MOST_CARRIED])

    def _begin(self, invoice: Invoice, carried: Sequence[Invoice] | None = None) -> Invoice:
        """Store all that the Stripe invoice is made of, before it is; made anew it carries what it carried."""
        days = self.customer.days_until_due if self.customer.collection == "send_invoice" else None
        carries = invoice.collecting.carries if carried is None else tuple(each.id for each in carried)
        holder = self.customer.stripe_customer or str(invoice.collecting.card_holder)
        named = replace(invoice.collecting, deployment=self.live.deployment_id)
        state = begun(named, holder, days, carries, self.now)
        after = replace(invoice, stripe_invoice=None, hosted_invoice_url=None, collecting=state)
        carrying = [
            (each, replace(each, collecting=into(each.collecting, "carried", carried_by=invoice.id)))
            for each in carried or ()
        ]
        self.live.invoices.move_all([(invoice, after), *carrying], [], self.now)
        return after

    def _make(self, invoice: Invoice) -> tuple[Invoice, StripeInvoice | None, bool]:
        wanted, key = wanted_of(invoice)
        try:
            theirs, is_new = self.live.stripe_invoices.make(wanted, key)
        except Conflict:
            if not self._is_for_another(invoice):
                raise
            return self._begin(invoice), None, False
        state = into(invoice.collecting, "filling", invoice.collecting.look_at)
        after = replace(invoice, stripe_invoice=theirs.id, collecting=state)
        return move(invoice, after, [], self.live, self.now), theirs, is_new

    def _is_for_another(self, invoice: Invoice) -> bool:
        """Whether our customer has become another one of Stripe's since its Stripe invoice was begun."""
        return self.customer.stripe_customer not in {None, invoice.collecting.card_holder}

    def _fill(self, invoice: Invoice, theirs: StripeInvoice | None, *, is_new: bool) -> _Step:
        """Fill, compare and finalise a draft; one that is not to be any more is deleted."""
        theirs = theirs or self.live.stripe_invoices.read(str(invoice.stripe_invoice))
        if theirs is None:
            return self._begin(invoice), None  # somebody deleted the draft
        if theirs.status == "draft":
            if self.customer.collection == "none":
                return self._take_away(invoice, theirs, "others")
            if self._is_for_another(invoice):
                return self._take_away(invoice, theirs, "making")
            theirs = self._filled(invoice, theirs, is_new=is_new)
            if self._is_too_small(invoice, theirs):
                return self._take_away(invoice, theirs, "held")
            compare(invoice, theirs, self.live)
            theirs = self.live.stripe_invoices.finalize(theirs.id)
        days = invoice.collecting.days_until_due if theirs.is_sent else None
        state = into(invoice.collecting, "open", self.now, days_until_due=days)
        after = replace(invoice, hosted_invoice_url=theirs.hosted_invoice_url, collecting=state)
        return move(invoice, after, [], self.live, self.now), theirs

    def _filled(self, invoice: Invoice, theirs: StripeInvoice, *, is_new: bool) -> StripeInvoice:
        is_sent = self.customer.collection == "send_invoice"
        if theirs.is_sent != is_sent:
            days = self.customer.days_until_due if is_sent else None
            theirs = self.live.stripe_invoices.change_terms(theirs.id, days)
        sums = sums_to_collect(invoice, carried_with(invoice, self.live))
        lines, below = (
            [(what, in_minor_units(amount, invoice.currency)) for what, amount in rows]
            for rows in (lines_to_collect(invoice), sums)
        )
        key = invoice.idempotency_key("lines")
        return self.live.stripe_invoices.add_lines(theirs, lines, below, key, is_new=is_new)

    def _take_away(self, invoice: Invoice, theirs: StripeInvoice, stage: Stage) -> _Step:
        """Delete a draft; unless it is made anew, what it carried is held again."""
        left = self.live.stripe_invoices.delete(theirs.id)
        if left is not None:
            return invoice, left  # somebody finalised it
        if stage == "making":
            return self._begin(invoice), None
        state = into(invoice.collecting, stage, carries=())
        after = replace(invoice, stripe_invoice=None, collecting=state)
        released = [(each, held_again(each)) for each in carried_with(invoice, self.live)]
        self.live.invoices.move_all([(invoice, after), *released], [], self.now)
        return after, None

    def _is_too_small(self, invoice: Invoice, theirs: StripeInvoice) -> bool:
        """Whether Stripe would charge nothing of our sum, and put it onto the customer's balance there instead."""
        ours = in_minor_units(to_collect(invoice, carried_with(invoice, self.live)), invoice.currency)
        return (theirs.total, theirs.amount_due, theirs.starting_balance) == (ours, 0, 0)


def _can_carry(invoice: Invoice, other: Invoice) -> bool:
    is_held = other.collecting.stage == "held" and other.payable
    return is_held and other.id != invoice.id and other.currency == invoice.currency
