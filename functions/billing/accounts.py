"""What a change of a customer means for billing: which plan holds from when, and what can no longer change."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest

from billing.customers import Account, Customer, PlanChange
from billing.money import check_digits
from billing.periods import Calendar, whole_period
from billing.plans import Plan
from metering.errors import Conflict, Fault, Invalid
from metering.times import QUARTER, floor


def revise(
    account: Account | None,
    customer: Customer,
    plan: tuple[Plan, int] | None,
    now: int,
    effective_at: int | None = None,
    running_start: int | None = None,
    *,
    charged: bool = False,
) -> Account:
    """The account after a customer was written.

    Args:
        account: what is stored; None for a new customer.
        customer: as written, whole.
        plan: the newest version of the plan that it names; None where it names none.
        now: milliseconds.
        effective_at: from when a change of plan holds, now by default.
        running_start: of the running period, before which no plan can change.
        charged: whether there is a credit or anything was charged: then currency and start are fixed.

    Raises:
        Conflict: `currency_mismatch`, or `customer_in_use` for what can no longer change.
        Invalid: a plan taken away; a plan that changes, or an end that lies, before the running period.
    """
    _check_end(account, customer, running_start)
    customer = _with_currency(account, customer, plan, charged=charged)
    if plan is None:
        if account and account.plans:
            raise _invalid("/plan", "a plan can be changed, not taken away: set `ends_at` to end it")
        return Account(customer)
    if account is None or not account.plans:
        return _first_plan(customer, plan, now)
    customer = _with_start(account, customer, charged=charged)
    newest = PlanChange(floor(now if effective_at is None else effective_at, QUARTER), plan[0].key, plan[1])
    if newest == account.plans[-1] or (newest.plan == account.plans[-1].plan and effective_at is None):
        return Account(customer, account.plans)
    if running_start is not None and newest.effective_at < running_start:
        raise _invalid("/plan_effective_at", "`plan_effective_at` must not lie before the running period")
    return Account(customer, _changed(account.plans, newest, floor(now, QUARTER)))


def _invalid(pointer: str, detail: str) -> Invalid:
    return Invalid(detail, faults=[Fault(pointer, detail)])


def _check_end(account: Account | None, customer: Customer, running_start: int | None) -> None:
    if account is None or customer.ends_at is None or customer.ends_at == account.customer.ends_at:
        return
    if running_start is not None and customer.ends_at <= running_start:
        fault = "must lie after the start of the running period: void the invoices of those before"
        raise _invalid("/ends_at", fault)


def _changed(plans: Sequence[PlanChange], newest: PlanChange, now: int) -> tuple[PlanChange, ...]:
    """At most one change lies ahead, and the next replaces it."""
    return (*(change for change in plans if change.effective_at <= min(now, newest.effective_at - 1)), newest)


def _with_currency(
    account: Account | None, customer: Customer, plan: tuple[Plan, int] | None, *, charged: bool
) -> Customer:
    before = account.customer.currency if account else None
    currency = customer.currency or (before if charged else None) or (plan[0].currency if plan else before)
    if plan and currency != plan[0].currency:
        raise Conflict(f"the plan is in {plan[0].currency}, the customer in {currency}", "currency_mismatch")
    if charged and before is not None and currency != before:
        raise Conflict("the currency is fixed once there is a credit or an invoice", "currency_mismatch")
    if customer.top_up and currency:
        try:
            check_digits(customer.top_up.amount, currency)
        except Invalid as error:
            raise _invalid("/top_up/amount", error.detail) from None
    return customer.model_copy(update={"currency": currency})


def _first_plan(customer: Customer, plan: tuple[Plan, int], now: int) -> Account:
    """The first plan holds from `starts_at`; without one from the start of the local period around now."""
    starts_at = customer.starts_at
    if starts_at is None:
        calendar = Calendar(plan[0].period, customer.timezone, customer.anchor_day, now)
        starts_at = whole_period(calendar, now).start
    customer = customer.model_copy(update={"starts_at": starts_at})
    return Account(customer, (PlanChange(starts_at, plan[0].key, plan[1]),))


def _with_start(account: Account, customer: Customer, *, charged: bool) -> Customer:
    before = account.customer.starts_at
    starts_at = before if customer.starts_at is None else customer.starts_at
    if charged and starts_at != before:
        raise Conflict("`starts_at` is fixed once anything was charged", "customer_in_use")
    return customer.model_copy(update={"starts_at": starts_at})


def with_versions(account: Account, versions: Mapping[str, Sequence[tuple[int, int]]]) -> Account:
    """The account with the versions that its plans got later: each holds from the next period (api.md, Customer).

    One that came while the change to its plan still lay ahead holds from that change on, which opens a period.

    `versions` gives each plan's (effective_at, version), oldest first.
    """
    changes: list[PlanChange] = []
    ends = [change.effective_at for change in account.plans[1:]]
    for change, end in zip_longest(account.plans, ends):
        changes.append(change)
        changes += [
            PlanChange(max(effective_at, change.effective_at), change.plan, version, splits=False)
            for effective_at, version in versions.get(change.plan, ())
            if version > change.version and (end is None or max(effective_at, change.effective_at) < end)
        ]
    return replace(account, plans=tuple(changes))
