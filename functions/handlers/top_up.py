"""The top-up queue: buy credit, at most once per attempt, whatever is lost on the way. Law 5.6.

A message names an attempt (from the bus, or a sweep) or a payment (from a webhook). Whichever comes first settles the
attempt; the others find it settled.
"""

from dataclasses import replace
from typing import Any

from adapters.items import Put
from adapters.ledger import attempt_put, grant_put
from adapters.outbox import outbox_item
from adapters.stripe import Payment, in_minor_units
from billing.credits import CreditRequest
from billing.settlement import Announcement
from billing.top_ups import Attempt, finished, moved
from billing.wallet import Wallet, balance, grant
from handlers import _live
from handlers._live import Live
from handlers._messages import take_each
from handlers._settling import View, settle_customer
from metering.decimals import text
from metering.errors import Conflict


def top_up(customer: str, attempt_id: str, live: Live, now: int) -> Attempt | None:
    """Take an attempt as far as it goes: to success, failure, or a person; None if there is none such.

    Raises:
        Unavailable: Stripe's answer is unknown; the same call again asks Stripe before it does anything.
    """
    attempt = live.ledger.attempt(customer, attempt_id)
    if attempt is None or not attempt.open:
        return attempt
    view = settle_customer(customer, live, now)
    rule = view.account.customer.top_up
    if attempt.state == "requested" and attempt.automatic and (rule is None or not _still_low(view, attempt)):
        return _finish(moved(attempt, "canceled", view.now, reason="not_needed"), attempt, live, now)
    card_holder = view.account.customer.stripe_customer
    if card_holder is None and attempt.payment_intent is None:
        return _fail(attempt, "failed", "no_payment_method", live, now)
    try:
        # A payment that there is already is asked for by its own id, whoever the customer's card belongs to now.
        return _pay(attempt, card_holder or "", live, now)
    except Conflict as refused:
        if refused.code != "stripe_refused":
            raise
        return _give_up(attempt.customer, attempt.id, live, now)


def _give_up(customer: str, attempt_id: str, live: Live, now: int) -> Attempt | None:
    """End an attempt whose call Stripe refused for good; a payment that was made by then is cancelled first."""
    attempt = live.ledger.attempt(customer, attempt_id)
    if attempt is None or not attempt.open:
        return attempt
    if attempt.payment_intent is None:
        return _fail(attempt, "failed", "stripe_refused", live, now)
    payment = live.payments.payment(attempt.payment_intent)
    decided = replace(payment, outcome="declined") if payment.outcome == "open" else payment
    return settle_attempt(attempt, decided, live, now)


def _still_low(view: View, attempt: Attempt) -> bool:
    rule = view.account.customer.top_up
    return (
        rule is not None
        and rule.enabled
        and balance(view.wallet) < rule.threshold
        and view.wallet.top_ups.open == attempt.id
    )


def _pay(attempt: Attempt, card_holder: str, live: Live, now: int) -> Attempt | None:
    metadata = {"taximeter_customer": attempt.customer, "taximeter_top_up": attempt.id}
    fresh = attempt.state == "requested"
    if fresh:
        attempt = _move(attempt, moved(attempt, "creating", now), live)
    if attempt.state == "creating":
        # Who was here before may have made the payment and lost its id.
        found = None if fresh else live.payments.find_payment(card_holder, metadata)
        payment = found or live.payments.create_payment(
            card_holder,
            in_minor_units(attempt.charged, attempt.currency),
            attempt.currency,
            metadata,
            attempt.idempotency_key("create"),
        )
        attempt = _move(attempt, moved(attempt, "confirming", now, payment_intent=payment.id), live)
    assert attempt.payment_intent is not None  # noqa: S101 - the table of states: confirming has one
    payment = live.payments.payment(attempt.payment_intent)
    if payment.outcome == "open":
        payment = live.payments.confirm_payment(payment.id, attempt.idempotency_key("confirm"))
    return settle_attempt(attempt, payment, live, now)


def _move(before: Attempt, after: Attempt, live: Live) -> Attempt:
    live.ledger.move_attempt(before, after)
    return after


def settle_attempt(attempt: Attempt, payment: Payment, live: Live, now: int) -> Attempt | None:
    """Make of an attempt what Stripe says of its payment: credit granted exactly once, keyed by the payment."""
    if payment.outcome == "succeeded":
        return _finish(moved(attempt, "succeeded", now), attempt, live, now)
    if payment.outcome == "open":
        return attempt
    # Nothing may be charged later on a payment that we gave up; nor may one be given up that was made after all.
    given_up = live.payments.cancel_payment(payment.id, f"top_up:{attempt.id}:cancel")
    if given_up.outcome == "succeeded":
        return _finish(moved(attempt, "succeeded", now), attempt, live, now)
    state = "action_required" if payment.outcome == "action_required" else "failed"
    return _fail(attempt, state, payment.reason or "declined", live, now)


def _fail(attempt: Attempt, state: Any, reason: str, live: Live, now: int) -> Attempt | None:  # noqa: ANN401 - a State
    if attempt.state == "requested":
        attempt = _move(attempt, moved(attempt, "creating", now), live)
    if attempt.state == "creating" and state == "action_required":
        attempt = _move(attempt, moved(attempt, "confirming", now), live)
    return _finish(moved(attempt, state, now, reason=reason), attempt, live, now)


def _finish(after: Attempt, before: Attempt, live: Live, now: int) -> Attempt | None:
    """End an attempt: its state, the wallet's knowledge of it, the credit and the news in one transaction."""

    def change(view: View) -> tuple[Wallet, list[Put]] | None:
        current = live.ledger.attempt(before.customer, before.id)
        if current != before:
            return None  # another message has ended or moved it
        wallet = replace(view.wallet, top_ups=finished(view.wallet.top_ups, after))
        news = [Put(outbox_item(after.customer, each, now)) for each in _announcements(after)]
        puts = [attempt_put(before, after), *news]
        if after.state == "succeeded":
            request = CreditRequest.model_validate(
                {"id": after.payment_intent, "amount": text(after.amount), "kind": "paid", "reference": after.id}
            )
            wallet = grant(wallet, request, view.now)
            puts.append(grant_put(after.customer, wallet.credits[-1], request))
        return wallet, puts

    settle_customer(before.customer, live, now, change)
    return live.ledger.attempt(before.customer, before.id)


def _announcements(attempt: Attempt) -> list[Announcement]:
    if attempt.state == "canceled":
        return []
    detail = {
        "attempt": attempt.id,
        "amount": text(attempt.amount),
        "charged": text(attempt.charged),
        "currency": attempt.currency,
        "payment_intent": attempt.payment_intent,
        "reason": attempt.reason,
    }
    name = f"top_up.{attempt.state}"
    return [Announcement(f"{attempt.customer}:{name}:{attempt.id}", name, detail)]


def take(message: dict[str, Any], live: Live, now: int) -> None:
    """Handle one message: an attempt's, a bus event's, or a payment's."""
    detail = message.get("detail", message)
    if "payment_intent" in detail and "attempt" not in detail:
        payment = live.payments.payment(detail["payment_intent"])
        customer, attempt_id = (payment.metadata.get(f"taximeter_{name}") for name in ("customer", "top_up"))
        if customer and attempt_id and payment.outcome != "open":
            _take_payment(customer, attempt_id, payment, live, now)
        return
    top_up(detail["customer"], detail["attempt"], live, now)


def _take_payment(customer: str, attempt_id: str, payment: Payment, live: Live, now: int) -> None:
    attempt = live.ledger.attempt(customer, attempt_id)
    if attempt and attempt.state == "creating":
        attempt = _move(attempt, moved(attempt, "confirming", now, payment_intent=payment.id), live)
    if attempt and attempt.open and attempt.payment_intent == payment.id:
        settle_attempt(attempt, payment, live, now)


def handler(event: dict[str, Any], _context: object) -> None:
    """SQS; a message that cannot be processed is parked, one whose outcome is unknown comes again."""
    take_each(event, "top_up", take, _live.live)
