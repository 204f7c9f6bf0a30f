"""What a change of a customer means for billing: which plan holds from when, and what can no longer change."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

from billing.customers import Account, Customer, PlanChange
from billing.periods import Calendar, whole_period
from billing.plans import Plan, PlanVersion
from billing.wallet import Wallet
from metering.errors import Conflict, Fault, Invalid
from metering.faults import read_model
from metering.times import QUARTER, floor


@dataclass(frozen=True, slots=True)
class Standing:
    """What has happened with a customer, and so can no longer change.

    Attributes:
        running_start: of the running period, or the end of the last one where none runs: no plan changes before it.
        charged: whether anything was charged: start and currency are fixed.
        granted: whether there is a credit: the currency is fixed.
    """

    running_start: int | None = None
    charged: bool = False
    granted: bool = False


NOTHING_YET = Standing()
"""Of a customer with whom nothing has happened."""


def revise(
    account: Account | None,
    customer: Customer,
    plan: tuple[Plan, int] | None,
    now: int,
    effective_at: int | None = None,
    standing: Standing = NOTHING_YET,
) -> Account:
    """The account after a customer was written, which can be read again as it is.

    A first plan, or one in another currency, holds from `starts_at`, or from `effective_at` if that is later.

    Args:
        account: what is stored, if anything.
        customer: as written, whole.
        plan: the newest version of the plan that it names, if it names one.
        now: milliseconds.
        effective_at: from when the plan holds; a change of plan now by default.
        standing: what is fixed.

    Raises:
        Conflict: `currency_mismatch`, or `customer_in_use` for what can no longer change.
        Invalid: what contradicts itself once start and currency are known, or what has happened, with its pointer.
    """
    _check_end(account, customer, standing)
    keeps = effective_at is None and _keeps(account, plan)
    currency = _currency(account, customer, None if keeps else plan, standing)
    if plan is None:
        return _without_plan(account, _written_anew(customer, currency, customer.starts_at), effective_at)
    newest = PlanChange(floor(now if effective_at is None else effective_at, QUARTER), plan[0].key, plan[1])
    starts_at = _start(account, customer, plan[0], now, effective_at, standing)
    customer = _written_anew(customer, currency, starts_at)
    if account is None or not account.plans or currency != account.currency:
        begins = starts_at if effective_at is None else max(starts_at, newest.effective_at)
        return Account(customer, (replace(newest, effective_at=begins),))
    plans = _restarted(account, starts_at)
    if keeps or newest == plans[-1]:
        return Account(customer, plans)
    _check_change(newest, standing)
    return Account(customer, _changed(plans, newest, starts_at, now, said=effective_at is not None))


def _keeps(account: Account | None, plan: tuple[Plan, int] | None) -> bool:
    """Whether a plan is the one that an account has or is to have anyway, in whatever version."""
    last = account.plans[-1].plan if account and account.plans else None
    return plan is not None and last == plan[0].key


def _invalid(pointer: str, detail: str) -> Invalid:
    return Invalid(detail, faults=[Fault(pointer, detail)])


def _check_end(account: Account | None, customer: Customer, standing: Standing) -> None:
    if account is None or customer.ends_at is None or customer.ends_at == account.customer.ends_at:
        return
    if standing.running_start is not None and customer.ends_at <= standing.running_start:
        fault = "must lie after the start of the running period: void the invoices of those before"
        raise _invalid("/ends_at", fault)


def _check_change(newest: PlanChange, standing: Standing) -> None:
    if standing.running_start is not None and newest.effective_at < standing.running_start:
        raise _invalid("/plan_effective_at", "`plan_effective_at` must not lie before the running period")


def _without_plan(account: Account | None, customer: Customer, effective_at: int | None) -> Account:
    if account and account.plans:
        raise _invalid("/plan", "a plan can be changed, not taken away: set `ends_at` to end it")
    if effective_at is not None:
        raise _invalid("/plan_effective_at", "belongs to a `plan`, and there is none")
    return Account(customer)


def _currency(
    account: Account | None, customer: Customer, plan: tuple[Plan, int] | None, standing: Standing
) -> str | None:
    """The one currency of customer, plan and credits; a plan that is None is not taken now, or there is none."""
    before = account.customer.currency if account else None
    fixed = standing.charged or standing.granted
    currency = customer.currency or (before if fixed else None) or (plan[0].currency if plan else before)
    if plan and currency != plan[0].currency:
        raise Conflict(f"the plan is in {plan[0].currency}, the customer in {currency}", "currency_mismatch")
    if before is not None and currency != before and (fixed or (account and account.plans and not plan)):
        said = "the currency is fixed once there is a credit or a charge, and it is that of the plan"
        raise Conflict(said, "currency_mismatch")
    return currency


def _start(
    account: Account | None, customer: Customer, plan: Plan, now: int, effective_at: int | None, standing: Standing
) -> int:
    """From when there is something to charge.

    Without `starts_at` that is when the first plan is said to hold, or the start of the local period around now.
    """
    before = account.customer.starts_at if account and account.plans else None
    starts_at = before if customer.starts_at is None else customer.starts_at
    if before is not None and starts_at != before and standing.charged:
        raise Conflict("`starts_at` is fixed once anything was charged", "customer_in_use")
    if starts_at is not None:
        return starts_at
    if effective_at is not None:
        return floor(effective_at, QUARTER)
    return whole_period(Calendar(plan.period, customer.timezone, customer.anchor_day, now), now).start


def _written_anew(customer: Customer, currency: str | None, starts_at: int | None) -> Customer:
    """The customer with what was left out, checked like any that was written: it could not be read again else."""
    return read_model(Customer, {**customer.model_dump(mode="json"), "currency": currency, "starts_at": starts_at})


def _restarted(account: Account, starts_at: int) -> tuple[PlanChange, ...]:
    """The plans of a customer who starts at an instant: what holds there begins there.

    A first plan that was to hold only some time after the start still does.
    """
    plans, before = account.plans, account.customer.starts_at
    held = [change for change in plans if change.effective_at <= starts_at]
    if starts_at == before or (not held and plans[0].effective_at != before):
        return plans
    return replace((held or plans[:1])[-1], effective_at=starts_at), *plans[len(held) or 1 :]


def _changed(
    plans: Sequence[PlanChange], newest: PlanChange, starts_at: int, now: int, *, said: bool
) -> tuple[PlanChange, ...]:
    """At most one change lies ahead, and the next replaces it; the first plan is none, even while it lies ahead.

    Back to the plan that holds anyway, without an instant that was `said`, is no change: it takes back the one ahead.
    """
    at = max(newest.effective_at, starts_at)
    kept = [change for change in plans if change.effective_at <= (at if change == plans[0] else min(now, at))]
    holding = kept or [plans[0]]
    if not said and holding[-1].plan == newest.plan:
        return tuple(holding)
    return (*(change for change in kept if change.effective_at < at), replace(newest, effective_at=at))


def with_versions(account: Account, versions: Mapping[str, Sequence[PlanVersion]]) -> Account:
    """The account with the versions that its plans got later: each holds from the next period (api.md, Customer).

    One that came while the change to its plan still lay ahead holds from that change on, which opens a period. One in
    another currency than the customer's is never taken.

    `versions` gives each plan's, oldest first.
    """
    changes: list[PlanChange] = []
    ends = [change.effective_at for change in account.plans[1:]]
    for change, end in zip_longest(account.plans, ends):
        changes.append(change)
        changes += [
            PlanChange(max(each.effective_at, change.effective_at), change.plan, each.version, splits=False)
            for each in versions.get(change.plan, ())
            if each.version > change.version
            and each.currency == account.customer.currency
            and (end is None or max(each.effective_at, change.effective_at) < end)
        ]
    return replace(account, plans=tuple(changes))


def reached(wallet: Wallet) -> int | None:
    """The start of the running period, or the end of the last one where none runs: before it nothing changes."""
    return wallet.running.start if wallet.running else wallet.opened_until


def is_charged(wallet: Wallet) -> bool:
    """Whether anything is charged for the open periods of a wallet, or still to be for concluded ones."""
    return bool(wallet.debts or wallet.adjustments) or any(period.owed or period.drawn for period in wallet.periods)


def begun_anew(wallet: Wallet, account: Account) -> Wallet:
    """A wallet without its periods, which open anew where the account starts now, in the account's currency.

    Only for one in which nothing was charged.
    """
    return replace(wallet, currency=account.currency, periods=(), opened_until=None)
