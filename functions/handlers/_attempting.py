"""Taking a top-up as far as it goes, from whatever state it is found in. Law 5.6.

Every state that names a call is stored before the call is made, with all that the call is made of. Whoever finds it
asks Stripe first what became of the call, so a crash, a lost answer, a second run and two runs at once end alike: one
charge at the most, and one credit for it.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from adapters.attempts import attempt_put
from adapters.items import Put
from adapters.ledger import grant_put
from adapters.outbox import outbox_item
from adapters.payments import Asked, Payment
from adapters.stripe import in_minor_units, is_chargeable
from adapters.stripe_pages import Page
from billing.attempts import PATIENCE, Attempt, State, moved
from billing.credits import CreditRequest
from billing.settlement import Announcement
from billing.top_ups import declined_before, finished
from billing.wallet import Wallet, balance, grant
from handlers._live import Live
from handlers._settling import View, settle_customer
from metering.decimals import text
from metering.errors import Conflict
from metering.times import DAY, format_time

Step = Callable[[Attempt], Attempt | None]

_RESTORED = 35 * DAY
"""How far back a table can be restored: what was paid since by somebody who asked for it under the same id is known."""


class Attempting:
    """One run of one attempt; it remembers between two steps what it has just learned, so as not to ask again."""

    def __init__(self, live: Live, now: int, cancel: str | None = None) -> None:
        """`cancel`: why it is to be ended if nothing was paid yet; None if it is not."""
        self._live = live
        self._now = now
        self._cancel = cancel
        self._calls_made: set[State] = set()
        self._payment: Payment | None = None
        self._steps: dict[State, Step] = {
            "requested": self._begin,
            "creating": self._create,
            "confirming": self._confirm,
            "linking": self._link,
            "action_required": self._look_at_page,
        }

    def go(self, customer: str, attempt_id: str) -> Attempt | None:
        """Take an attempt as far as it goes: to its end, or to where others have to act; None if there is none such.

        Raises:
            Unavailable: an answer of Stripe is unknown; the same again asks before it does anything.
            ConditionFailed: another run has moved it; the same again goes on from there.
        """
        before, attempt = None, self._live.attempts.find(customer, attempt_id)
        while attempt is not None and attempt.open and attempt != before:
            before, attempt = attempt, self._step(attempt)
        return attempt

    def _step(self, attempt: Attempt) -> Attempt | None:
        try:
            return self._steps[attempt.state](attempt)
        except Conflict as refused:
            if refused.code not in ("stripe_refused", "payment_differs"):
                raise
            return self._refused(attempt, refused.code)

    def _refused(self, attempt: Attempt, code: str) -> Attempt | None:
        """Stripe will never do what was asked; a payment that was made by then is cancelled first."""
        if attempt.state == "confirming":
            return self._decide(attempt, self._live.payments.read(str(attempt.payment_intent)), code)
        if attempt.state == "action_required":
            raise Conflict("Stripe does not know the page on which a top-up was to be paid", "top_up_page")
        return self._end(attempt, "failed", attempt.reason or code)

    def _begin(self, attempt: Attempt) -> Attempt | None:
        view = settle_customer(attempt.customer, self._live, self._now)
        if self._cancel:
            return self._end(attempt, "canceled", self._cancel)
        if attempt.automatic and not _still_low(view, attempt):
            return self._end(attempt, "canceled", "not_needed")
        holder = view.account.customer.stripe_customer
        method = self._live.stripe_customers.default_method(holder) if holder else None
        if method is None:
            return self._end(attempt, "failed", "no_payment_method")
        if not is_chargeable(attempt.charged, attempt.currency):
            return self._end(attempt, "failed", "amount_not_chargeable")
        known = {"card_holder": holder, "payment_method": method, "deployment": self._live.deployment_id}
        return self._move(attempt, "creating", **known)

    def _create(self, attempt: Attempt) -> Attempt | None:
        """Make the payment, or find the one that was made by who was here before and lost its id.

        What is asked for by the clock was never asked for before; what a person asks for may have been.
        """
        payments, fresh = self._live.payments, attempt.automatic and "creating" in self._calls_made
        since = attempt.requested_at - _RESTORED
        found = None if fresh else payments.find(_asked(attempt), since)
        if found is None and self._gives_up(attempt):
            # If it turns up after all it is unconfirmed, and nobody confirms it any more.
            return self._end(attempt, "canceled", self._why_given_up)
        self._payment = found or payments.create(_asked(attempt), attempt.idempotency_key("create"))
        return self._move(attempt, "confirming", payment_intent=self._payment.id)

    def _confirm(self, attempt: Attempt) -> Attempt | None:
        payment = self._payment or self._live.payments.read(str(attempt.payment_intent))
        if payment.outcome == "open" and not self._gives_up(attempt):
            payment = self._live.payments.confirm(payment.id, attempt.idempotency_key("confirm"))
        return self._decide(attempt, payment, None)

    def _decide(self, attempt: Attempt, payment: Payment, refused: str | None) -> Attempt | None:
        """Make of an attempt what Stripe says of its payment.

        Nothing may be charged later on a payment that was given up; nor may one be given up that was made after all.
        """
        if payment.outcome in ("open", "declined", "action_required") and not payment.cancelled:
            after = self._live.payments.cancel(payment.id)
            payment = payment if after.cancelled else after
            if not after.cancelled and after.outcome != "succeeded":
                return attempt  # a bank has it now, and will decide
        if payment.outcome == "succeeded":
            return self._end(attempt, "succeeded", None)
        if payment.outcome == "processing":
            return attempt
        if payment.cancelled and not payment.reason and self._gives_up(attempt):
            return self._end(attempt, "canceled", self._why_given_up)
        if payment.outcome == "action_required":
            return self._move(attempt, "linking", reason=payment.reason)
        if payment.outcome == "declined" or refused:
            return self._end(attempt, "failed", payment.reason or refused or "declined")
        return self._end(attempt, "canceled", self._why_given_up)

    def _link(self, attempt: Attempt) -> Attempt | None:
        """Make the page where the customer can pay in person, and tell of it."""
        pages, fresh = self._live.stripe_pages, "linking" in self._calls_made
        page = None if fresh else pages.find(str(attempt.card_holder), attempt.metadata)
        if page is None and self._gives_up(attempt):
            # If it turns up after all nobody was told where it is.
            return self._end(attempt, "failed", attempt.reason or "action_required")
        if page is None:
            return_url, expires_at = self._live.setting("RETURN_URL"), attempt.page_expires_at
            key = attempt.idempotency_key("link")
            page = pages.to_pay(_asked(attempt), "Credit", return_url, expires_at, key)
        after = moved(attempt, "action_required", self._now, page=page.id, url=page.url)
        news = Put(outbox_item(after.customer, _announcement(after, url=after.url), self._now))
        self._live.attempts.move(attempt, after, [news])
        return after

    def _look_at_page(self, attempt: Attempt) -> Attempt | None:
        page = self._live.stripe_pages.read(str(attempt.page))
        if page.status == "open" and (self._cancel or self._now >= attempt.stands_still_at):
            page = self._live.stripe_pages.expire(page.id)
        if page.payment and page.paid:
            self._pays_from_now_on(page)
            return self._end(replace(attempt, payment_intent=page.payment), "succeeded", None, attempt)
        if page.payment and page.status == "complete":
            paid = self._live.payments.read(page.payment)  # which took its time
            return self._end(attempt, "failed", paid.reason) if paid.outcome == "declined" else attempt
        if page.status != "expired":
            return attempt
        if self._cancel:
            return self._end(attempt, "canceled", self._cancel)
        return self._end(attempt, "failed", attempt.reason)

    def _pays_from_now_on(self, page: Page) -> None:
        """Have the card that a person has just paid with pay from now on, where it can: not every way to pay can."""
        if page.method and page.customer:
            with suppress(Conflict):
                self._live.stripe_customers.set_default_method(page.customer, page.method)

    def _gives_up(self, attempt: Attempt) -> bool:
        """Whether it is to be ended though an outcome is unknown, in a way after which nothing can be charged."""
        return self._cancel is not None or self._now - attempt.changed_at >= PATIENCE

    @property
    def _why_given_up(self) -> str:
        return self._cancel or "stripe_unavailable"

    def _move(self, before: Attempt, state: State, **known: Any) -> Attempt:  # noqa: ANN401 - fields of an attempt
        after = moved(before, state, self._now, **known)
        self._live.attempts.move(before, after)
        self._calls_made.add(state)
        return after

    def _end(self, known: Attempt, state: State, reason: str | None, before: Attempt | None = None) -> Attempt | None:
        """End an attempt: its state, the wallet's knowledge of it, the credit and the news in one transaction."""
        before = before or known
        after = moved(known, state, self._now, reason=reason)

        def change(view: View) -> tuple[Wallet, list[Put]] | None:
            credited = state == "succeeded" and self._live.ledger.grant_of(after.customer, str(after.payment_intent))
            current = self._live.attempts.find(before.customer, before.id)
            if current != before:
                return None  # another run has ended or moved it
            return _ended(view, before, after, credited=bool(credited))

        settle_customer(before.customer, self._live, self._now, change)
        return self._live.attempts.find(before.customer, before.id)


def _still_low(view: View, attempt: Attempt) -> bool:
    rule = view.account.customer.top_up
    return (
        rule is not None
        and rule.enabled
        and balance(view.wallet) < rule.threshold
        and view.wallet.top_ups.open == attempt.id
    )


def _asked(attempt: Attempt) -> Asked:
    return Asked(
        customer=str(attempt.card_holder),
        method=str(attempt.payment_method),
        amount=in_minor_units(attempt.charged, attempt.currency),
        currency=attempt.currency.lower(),
        metadata=attempt.metadata,
    )


def _ended(view: View, before: Attempt, after: Attempt, *, credited: bool) -> tuple[Wallet, list[Put]]:
    """The wallet after an attempt has ended, and what is written with it.

    It may be `credited` while the attempt is open: by a person, who has granted a credit with the payment's id.
    """
    customer, known = view.account.customer, view.wallet.top_ups
    wallet = replace(view.wallet, top_ups=finished(known, after, customer))
    puts = [attempt_put(before, after)]
    if after.state == "succeeded":
        request = CreditRequest.model_validate(
            {"id": after.payment_intent, "amount": text(after.amount), "kind": "paid", "reference": after.id}
        )
        if not credited:
            wallet = grant(wallet, request, view.now)
            puts.append(grant_put(after.customer, wallet.credits[-1], request))
    # Of several declines in a row the customer is told once; one that was asked to pay in person was told then, and
    # learns only that what was done there has not paid.
    unpaid = after.page is not None and after.reason == before.reason
    told_before = after.automatic and (unpaid or (after.page is None and declined_before(customer, known)))
    if after.state == "succeeded" or (after.state == "failed" and not told_before):
        again_at = wallet.top_ups.cool_off_until
        told = {} if after.state == "succeeded" else {"tried_again_at": again_at and format_time(again_at)}
        puts.append(Put(outbox_item(after.customer, _announcement(after, **told), view.now)))
    return wallet, puts


def _announcement(attempt: Attempt, **more: str | int | None) -> Announcement:
    detail = {
        "attempt": attempt.id,
        "amount": text(attempt.amount),
        "charged": text(attempt.charged),
        "currency": attempt.currency,
        "payment_intent": attempt.payment_intent,
        "reason": attempt.reason,
        **more,
    }
    name = f"top_up.{attempt.state}"
    return Announcement(f"{attempt.customer}:{name}:{attempt.id}", name, detail)
