"""Top-ups: buying credit when the balance is below a level, at most one attempt at a time. Law 5.6.

What one attempt is, and how it moves, stands in `attempts.py`.
"""

from dataclasses import dataclass, replace
from decimal import Decimal

from billing.attempts import Attempt, attempt
from billing.customers import Customer, TopUpRule
from billing.money import exact
from billing.periods import local_day, local_month
from metering.packing import canonical, digest
from metering.times import DAY, HOUR

# How long nothing is requested after the first, second and third time in a row that a customer could not be charged.
# After one more it waits for a person: another card, another rule, or a top-up by hand that succeeds.
COOL_OFFS = (HOUR, DAY, 3 * DAY)

_BETWEEN_ZONES = 2 * DAY  # and more: 26 hours lie between the first zone and the last

BY_A_PERSON = "canceled"
"""The reason of an attempt that a person has cancelled."""


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
        declines: how often in a row the customer could not be charged.
        declined_with: names the rule and the Stripe customer with which that was; others are tried anew.
    """

    open: str | None = None
    cool_off_until: int | None = None
    counted: tuple[Counted, ...] = ()
    declines: int = 0
    declined_with: str = ""


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
    if declined_before(customer, state):
        if waits_for_a_person(state):
            return Decision()
        if state.cool_off_until is not None and now < state.cool_off_until:
            return Decision(due_at=state.cool_off_until)
    full_until = _full_until(rule, customer.timezone, state, now)
    if full_until is not None:
        return Decision(due_at=full_until if _ever_fits(rule) else None)
    return Decision(attempt(customer, currency, rule.amount, now))


def declined_before(customer: Customer, state: TopUps) -> bool:
    """Whether the last attempts failed in a row, with the rule and Stripe customer of now."""
    return state.declines > 0 and state.declined_with == _means(customer)


def waits_for_a_person(state: TopUps) -> bool:
    """Whether nothing is tried any more by itself."""
    return state.declines > len(COOL_OFFS)


def _means(customer: Customer) -> str:
    rule = customer.top_up
    written = None if rule is None else rule.model_dump(mode="json")
    return digest(canonical([written, customer.stripe_customer]))[:12]


def opened(state: TopUps, made: Attempt, timezone: str) -> TopUps:
    """The wallet's knowledge once an attempt was made; what was counted in earlier months is dropped.

    But for what may be of this month again when the customer moves to another zone.
    """
    month = local_month(timezone, made.requested_at)
    kept = tuple(each for each in state.counted if each.requested_at >= month.start - _BETWEEN_ZONES)
    counted = (*kept, Counted(made.requested_at, made.amount))
    return replace(state, open=made.id, counted=counted)


def finished(state: TopUps, ended: Attempt, customer: Customer) -> TopUps:
    """The wallet's knowledge once an attempt ended; doing it twice is doing it once.

    Success ends a row of declines, whoever asked for it. What a person asked for and failed begins none. A page on
    which nobody paid is not made again by itself, as the customer was asked once; nor is what a person has cancelled.
    """
    if state.open != ended.id:
        return state
    if ended.state == "succeeded":
        return TopUps(counted=state.counted)
    mine = Counted(ended.requested_at, ended.amount)
    after = replace(state, open=None, counted=tuple(each for each in state.counted if each != mine))
    by_person = ended.state == "canceled" and ended.reason == BY_A_PERSON
    if not ended.automatic or not (ended.state == "failed" or by_person):
        return after
    declines = 1 + (state.declines if declined_before(customer, state) else 0)
    if ended.page is not None or by_person:
        declines = len(COOL_OFFS) + 1
    until = ended.changed_at + COOL_OFFS[declines - 1] if declines <= len(COOL_OFFS) else None
    return replace(after, cool_off_until=until, declines=declines, declined_with=_means(customer))


def tried_anew(state: TopUps) -> TopUps:
    """The wallet's knowledge once a customer has another card: what was declined before says nothing any more."""
    return TopUps(open=state.open, counted=state.counted)


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
