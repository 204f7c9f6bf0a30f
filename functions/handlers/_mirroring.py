"""What Stripe says of an invoice becomes of ours, and what was decided here is done there. Law 5.7.

Stripe's invoice is read anew whoever tells of it, and moves ours only along the table of its states: so messages may
come in any order and more than once.
"""

import json
from dataclasses import replace
from typing import Any

from adapters.items import ConditionFailed
from adapters.stripe import from_minor_units, in_minor_units
from adapters.stripe_invoices import StripeInvoice, Wanted
from billing.carrying import returned_parts, to_collect
from billing.collecting import failed, into, told
from billing.invoices import Invoice, moved
from billing.settlement import Announcement
from handlers._door import count, logger
from handlers._live import Live
from handlers._voiding import void_invoice
from metering.decimals import text
from metering.errors import Conflict
from metering.times import DAY

_UNPAID = {"finalized", "past_due", "uncollectible"}


def mirror(invoice: Invoice, theirs: StripeInvoice, live: Live, now: int) -> Invoice:
    """Give our invoice the state that Stripe's has, or Stripe's the one that was decided on here.

    Raises:
        Conflict: `stripe_total`, Stripe's is paid, and not with what is due of ours.
        Unavailable: an answer of Stripe is unknown; the same call again finds out.
    """
    if theirs.status == "paid" and invoice.status in _UNPAID and invoice.collecting.stage != "lost":
        return _paid(invoice, theirs, live, now)
    if theirs.status == "void" and invoice.status in _UNPAID:
        void_invoice(invoice, live, now, reissue=False)
        return end_there(live.invoices.head(invoice.id), live, now)
    if theirs.status == "uncollectible" and invoice.status in {"finalized", "past_due"}:
        closed = replace(invoice.collecting, look_at=None, closed="uncollectible")
        return move(invoice, moved(replace(invoice, collecting=closed), "uncollectible", now), [], live, now)
    if not invoice.payable:
        return end_there(invoice, live, now)
    return _note_last_try(invoice, live, now) if theirs.status == "open" else invoice


def carried_with(invoice: Invoice, live: Live) -> list[Invoice]:
    """The invoices whose sums stand on the Stripe invoice of this one.

    Raises:
        ConditionFailed: they have been let go since this one was read.
    """
    found = [live.invoices.head(each) for each in invoice.collecting.carries]
    if any(each.collecting.carried_by != invoice.id for each in found):
        raise ConditionFailed(f"{invoice.id} is no longer what was read")
    return found


def compare(invoice: Invoice, theirs: StripeInvoice, live: Live) -> None:
    """Hold Stripe's sum against ours.

    Raises:
        Conflict: `stripe_total`, it is another one, or Stripe would charge another one.
    """
    ours = in_minor_units(to_collect(invoice, carried_with(invoice, live)), invoice.currency)
    if (theirs.total, theirs.amount_due) != (ours, ours):
        said = f"Stripe's total {theirs.total}, of which {theirs.amount_due} is due, is not ours, {ours}"
        raise Conflict(said, "stripe_total")


def _paid(invoice: Invoice, theirs: StripeInvoice, live: Live, now: int) -> Invoice:
    """Everything that stands on a paid Stripe invoice is paid, at once; each is told."""
    compare(invoice, theirs, live)
    moves = [(invoice, _paid_by(invoice, theirs, now)), *_carried_paid(invoice, theirs, live, now)]
    live.invoices.move_all(moves, [_told_paid(after) for _, after in moves], now)
    return moves[0][1]


def _carried_paid(invoice: Invoice, theirs: StripeInvoice, live: Live, now: int) -> list[tuple[Invoice, Invoice]]:
    return [(each, _paid_by(each, theirs, now)) for each in carried_with(invoice, live) if each.status in _UNPAID]


def _paid_by(invoice: Invoice, theirs: StripeInvoice, now: int) -> Invoice:
    closed = replace(invoice.collecting, look_at=None, closed="paid")
    linked = replace(invoice, stripe_invoice=theirs.id, hosted_invoice_url=theirs.hosted_invoice_url, collecting=closed)
    return moved(linked, "paid", now, closed.carried_by)


def _told_paid(invoice: Invoice) -> Announcement:
    return Announcement(f"{invoice.id}:invoice.paid", "invoice.paid", _detail(invoice))


def _note_last_try(invoice: Invoice, live: Live, now: int) -> Invoice:
    """Tell that the customer could not pay on Stripe's page, and what became of a payment that took its time."""
    state = invoice.collecting
    if invoice.stripe_invoice is None or state.stage not in {"open", "processing"}:
        return invoice  # whoever makes a try now learns of it
    last = live.stripe_invoice_payments.last_try(invoice.stripe_invoice)
    if last.outcome == "processing" and state.stage == "open":
        return move(invoice, replace(invoice, collecting=into(state, "processing", now + DAY)), [], live, now)
    if last.outcome == "failed" and state.stage == "processing":
        return could_not_pay(invoice, last.reason, live, now)
    return tell_failure(invoice, invoice, last.reason, live, now) if last.outcome == "failed" else invoice


def could_not_pay(invoice: Invoice, reason: str, live: Live, now: int) -> Invoice:
    """After a try that failed: when there is to be another; a reason is told once."""
    after = replace(invoice, collecting=failed(invoice.collecting, reason, now))
    return tell_failure(invoice, after, reason, live, now)


def tell_failure(before: Invoice, after: Invoice, reason: str, live: Live, now: int) -> Invoice:
    """Write an invoice's next state with the news that it was not paid, unless that reason was told before."""
    shown = after.as_json()
    detail = {
        **_detail(after),
        "reason": reason,
        **{name: shown[name] for name in ("hosted_invoice_url", "attempt_count", "next_payment_attempt")},
    }
    news = Announcement(f"{after.id}:invoice.payment_failed:{reason}", "invoice.payment_failed", detail)
    known = reason in before.collecting.told
    after = replace(after, collecting=told(after.collecting, reason))
    return move(before, after, [] if known else [news], live, now)


def _detail(invoice: Invoice) -> dict[str, Any]:
    return {
        "invoice": invoice.id,
        "number": invoice.number,
        "amount_due": text(invoice.amount_due),
        "currency": invoice.currency,
    }


def move(before: Invoice, after: Invoice, news: list[Announcement], live: Live, now: int) -> Invoice:
    """Write an invoice's next state with its news; nothing where nothing changed.

    Raises:
        ConditionFailed: it is no longer what was read.
    """
    if after != before or news:
        live.invoices.move(before, after, news, now)
    return after


def wanted_of(invoice: Invoice) -> tuple[Wanted, str]:
    """What the Stripe invoice of one of ours is made of, and the key under which it is."""
    state = invoice.collecting
    named = {
        "taximeter_deployment": state.deployment,
        "taximeter_customer": invoice.customer,
        "taximeter_invoice": invoice.id,
    }
    more = {f"taximeter_carried_{count}": each for count, each in enumerate(state.carries, 1)}
    more |= {"taximeter_issue": str(state.issue)}
    wanted = Wanted(str(state.card_holder), invoice.currency, state.days_until_due, named, more)
    return wanted, invoice.idempotency_key("create")


def may_have_been_made(invoice: Invoice, live: Live) -> StripeInvoice | None:
    """The Stripe invoice of one of ours; None where there is none, and none can come of what was asked for.

    One whose making was asked for is made if it was not: so it is known, and can be deleted.
    """
    if invoice.stripe_invoice is not None:
        return live.stripe_invoices.read(invoice.stripe_invoice)
    if invoice.collecting.stage != "making":
        return None
    wanted, key = wanted_of(invoice)
    try:
        return live.stripe_invoices.make(wanted, key)[0]
    except Conflict:
        return None


def end_there(invoice: Invoice, live: Live, now: int) -> Invoice:
    """Do at Stripe what was decided here of an invoice that is over, so that nobody is charged for it any more.

    What it carried is held again, unless Stripe was paid first: then that is paid, and a person is told of what is
    paid twice, or was paid though it is void.

    Raises:
        Unavailable: an answer of Stripe is unknown; the same call again finds out.
    """
    state = invoice.collecting
    if not state.at_stripe or state.closed == invoice.status:
        return invoice
    theirs = _ended(invoice, may_have_been_made(invoice, live), live)
    if theirs and theirs.status == "paid" and invoice.status == "uncollectible":
        return _paid(invoice, theirs, live, now)
    closed = replace(state, look_at=None, closed=invoice.status)
    if theirs and theirs.status == "paid" and theirs.paid_elsewhere < theirs.amount_due:
        _tell_paid_besides(invoice, theirs, live, now)
        closed = into(closed, "lost")
    after = replace(invoice, collecting=closed, stripe_invoice=theirs.id if theirs else None)
    moves, news = [(invoice, after)], []
    if theirs and theirs.status == "paid":
        paid = _carried_paid(invoice, theirs, live, now)
        moves, news = [*moves, *paid], [_told_paid(each) for _, each in paid]
    elif theirs is None or theirs.status == "void":
        after = replace(after, collecting=replace(closed, carries=()))
        moves = [(invoice, after), *((each, held_again(each)) for each in carried_with(invoice, live))]
    live.invoices.move_all(moves, news, now)
    return after


def held_again(invoice: Invoice) -> Invoice:
    """An invoice that is carried by none any more: the next one that is collected carries it."""
    return replace(invoice, collecting=into(invoice.collecting, "held", carried_by=None))


def _ended(invoice: Invoice, theirs: StripeInvoice | None, live: Live) -> StripeInvoice | None:
    """Bring Stripe's invoice to where ours is; returns what it is then, None where it is gone."""
    if theirs and theirs.status == "draft":
        theirs = live.stripe_invoices.delete(theirs.id)
    if theirs is None or theirs.status not in {"open", "uncollectible"}:
        return theirs
    if invoice.status == "uncollectible":
        return live.stripe_invoices.give_up(theirs.id) if theirs.status == "open" else theirs
    if invoice.status == "paid" and not invoice.collecting.carries:
        return live.stripe_invoices.pay_elsewhere(theirs.id)
    return live.stripe_invoices.void(theirs.id)  # the sums that it carries were not paid elsewhere


def _tell_paid_besides(invoice: Invoice, theirs: StripeInvoice, live: Live, now: int) -> None:
    """Park what a person has to refund, before it is written that this is done."""
    decided = "voided" if invoice.status == "void" else "marked as paid"
    reason = f"{invoice.number} was {decided} here, and charged at Stripe meanwhile: refund {theirs.id} there"
    logger.error("charged besides", extra={"invoice": invoice.id, "stripe_invoice": theirs.id})
    count("ParkedRecords")
    message = {"customer": invoice.customer, "invoice": invoice.id}
    live.outbox.park(invoice.customer, "collect", {"body": json.dumps(message)}, reason, now)


def take_back(invoice: Invoice, live: Live, now: int) -> None:
    """Show how much of what was paid went back; a lost dispute makes what it paid past due. It is SET, not added."""
    returned = live.stripe_invoice_payments.returned(str(invoice.stripe_invoice))
    paid = [invoice, *carried_with(invoice, live)]
    moves, news = [], []
    for each, part in zip(paid, returned_parts(from_minor_units(returned.amount, invoice.currency), paid), strict=True):
        after = replace(each, amount_refunded=part)
        if returned.is_lost and each.status == "paid" and each.collecting.stage != "lost":
            after = moved(replace(after, collecting=into(each.collecting, "lost")), "past_due", now)
            detail = {**_detail(each), "reason": "dispute_lost"}
            news.append(
                Announcement(f"{each.id}:invoice.payment_failed:dispute_lost", "invoice.payment_failed", detail)
            )
        moves += [(each, after)] if after != each else []
    if moves:
        live.invoices.move_all(moves, news, now)
