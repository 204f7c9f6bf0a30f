"""Top-ups: buying credit when the balance is below a level, at most one attempt at a time. Law 5.6."""

from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal

from billing.customers import Customer, TopUpRule
from billing.money import exact, round_money
from billing.periods import local_day, local_month
from metering.decimals import text
from metering.errors import Conflict
from metering.times import DAY, HOUR, format_time

State = Literal["requested", "creating", "confirming", "succeeded", "failed", "action_required", "canceled"]

# Which state may follow which. `creating` and `confirming` are stored before the call that they name, so what a crash
# left open is found there; `action_required` means that its payment was canceled and the customer was asked to pay.
TRANSITIONS: dict[State, frozenset[State]] = {
    "requested": frozenset({"creating", "canceled"}),
    "creating": frozenset({"confirming", "failed", "canceled"}),
    "confirming": frozenset({"succeeded", "failed", "action_required", "canceled"}),
    "succeeded": frozenset(),
    "failed": frozenset(),
    "action_required": frozenset(),
    "canceled": frozenset(),
}

# How long nothing is requested after an attempt ended so. A card that was declined is not tried every minute.
COOL_OFFS: dict[State, int] = {"failed": HOUR, "action_required": DAY}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to buy credit.

    Attributes:
        id: stable; Stripe's idempotency keys are made of it.
        amount: what is credited, before tax.
        tax: what is charged on top.
        payment_intent: Stripe's payment, once it is known.
        requested_at: counts against the caps of that day and month.
        reason: why it failed, in the words of Stripe's code.
    """

    id: str
    customer: str
    currency: str
    amount: Decimal
    tax: Decimal
    state: State
    requested_at: int
    changed_at: int
    payment_intent: str | None = None
    reason: str | None = None
    automatic: bool = True

    @property
    def open(self) -> bool:
        """Whether its outcome is not known yet."""
        return bool(TRANSITIONS[self.state])

    @property
    @exact
    def charged(self) -> Decimal:
        """What the customer pays."""
        return self.amount + self.tax

    def idempotency_key(self, call: Literal["create", "confirm"]) -> str:
        """The key under which Stripe makes a call for this attempt at most once."""
        return f"top_up:{self.id}:{call}"

    def as_json(self) -> dict[str, Any]:
        """The attempt as the API lists it."""
        return {
            "id": self.id,
            "customer": self.customer,
            "currency": self.currency,
            "amount": text(self.amount),
            "tax": text(self.tax),
            "charged": text(self.charged),
            "status": self.state,
            "automatic": self.automatic,
            "requested_at": format_time(self.requested_at),
            "changed_at": format_time(self.changed_at),
            "payment_intent": self.payment_intent,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class Counted:
    """An attempt that counts against the caps of the calendar month in which it was requested."""

    requested_at: int
    amount: Decimal


@dataclass(frozen=True, slots=True)
class TopUps:
    """What a wallet knows of its top-ups.

    Attributes:
        open: id of the attempt whose outcome is not known yet.
        cool_off_until: nothing is requested before.
        counted: open and succeeded attempts of the current month.
    """

    open: str | None = None
    cool_off_until: int | None = None
    counted: tuple[Counted, ...] = ()


NO_TOP_UPS = TopUps()


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether to top up now; else the next instant at which the answer can change by itself."""

    attempt: Attempt | None = None
    due_at: int | None = None


@exact
def decide(customer: Customer, currency: str, state: TopUps, balance: Decimal, now: int) -> Decision:
    """Apply the level: below the threshold, none open, no cool-off, and room for the whole amount under the caps."""
    rule = customer.top_up
    if rule is None or not rule.enabled or balance >= rule.threshold or state.open is not None:
        return Decision()
    if state.cool_off_until is not None and now < state.cool_off_until:
        return Decision(due_at=state.cool_off_until)
    full_until = _full_until(rule, customer.timezone, state, now)
    if full_until is not None:
        return Decision(due_at=full_until if _ever_fits(rule) else None)
    return Decision(attempt(customer, currency, rule.amount, now))


def attempt(customer: Customer, currency: str, amount: Decimal, now: int, identity: str | None = None) -> Attempt:
    """A new attempt; one that a person asked for brings its own id.

    With `tax_on: rest` credit is bought with tax on top, rounded once; with `subtotal` the invoice taxes all usage, so
    buying credit is not taxed.
    """
    rate = customer.tax_rate if customer.tax_on == "rest" else Decimal(0)
    return Attempt(
        id=identity or f"{customer.id}:{now}",
        customer=customer.id,
        currency=currency,
        amount=amount,
        tax=round_money(Fraction(amount) * Fraction(rate) / 100, currency),
        state="requested",
        requested_at=now,
        changed_at=now,
        automatic=identity is None,
    )


def opened(state: TopUps, made: Attempt, timezone: str) -> TopUps:
    """The wallet's knowledge once an attempt was made; what was counted in earlier months is dropped."""
    month = local_month(timezone, made.requested_at)
    kept = tuple(each for each in state.counted if each.requested_at >= month.start)
    counted = (*kept, Counted(made.requested_at, made.amount))
    return replace(state, open=made.id, cool_off_until=None, counted=counted)


def finished(state: TopUps, ended: Attempt) -> TopUps:
    """The wallet's knowledge once an attempt ended; doing it twice is doing it once."""
    if state.open != ended.id:
        return state
    counted = state.counted
    if ended.state != "succeeded":
        mine = Counted(ended.requested_at, ended.amount)
        counted = tuple(each for each in counted if each != mine)
    cool_off = COOL_OFFS.get(ended.state) if ended.automatic else None
    until = None if cool_off is None else ended.changed_at + cool_off
    return TopUps(open=None, cool_off_until=until, counted=counted)


def moved(
    current: Attempt, state: State, now: int, payment_intent: str | None = None, reason: str | None = None
) -> Attempt:
    """The attempt in its next state; the state it is in already changes nothing.

    Raises:
        Conflict: `top_up_state`, the table does not allow it.
    """
    if state == current.state:
        return current
    if state not in TRANSITIONS[current.state]:
        raise Conflict(f"a top-up that is {current.state} cannot become {state}", "top_up_state")
    intent = payment_intent or current.payment_intent
    return replace(current, state=state, changed_at=now, payment_intent=intent, reason=reason)


def _full_until(rule: TopUpRule, timezone: str, state: TopUps, now: int) -> int | None:
    """Until when a cap leaves no room for the whole amount; None when there is room."""
    until = None
    for cap, span in (
        (rule.daily_cap, local_day(timezone, now)),
        (rule.monthly_cap, local_month(timezone, now)),
    ):
        used = sum((each.amount for each in state.counted if each.requested_at >= span.start), Decimal(0))
        if cap is not None and used + rule.amount > cap:
            until = max(until or 0, span.end)
    return until


def _ever_fits(rule: TopUpRule) -> bool:
    return all(cap is None or rule.amount <= cap for cap in (rule.daily_cap, rule.monthly_cap))
