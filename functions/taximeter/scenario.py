"""A scenario: who uses what at which price, and what happened, as one JSON document (api.md, The command)."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator

from billing.accounts import revise
from billing.credits import CreditRequest
from billing.customers import Account, Customer
from billing.fields import Written, merge_patch
from billing.plans import Plan, check
from metering.arrival import event_from_json
from metering.decimals import JsonNumber
from metering.errors import Invalid
from metering.events import Event, Rejection, judge
from metering.meters import Meter
from metering.times import parse_time

_Keyed = TypeVar("_Keyed", Meter, Plan)


class Scenario(Written):
    """What `simulate` reads; a customer that occurs again is a later JSON merge patch.

    Attributes:
        events: in any order, repeats allowed; one that is not well is rejected alone.
        now: the instant at which the result is looked at.
    """

    meters: tuple[Meter, ...] = ()
    plans: tuple[Plan, ...] = ()
    customers: tuple[dict[str, Any], ...] = ()
    events: tuple[Any, ...] = ()
    now: Annotated[int, BeforeValidator(parse_time)]

    def meters_by_key(self) -> dict[str, Meter]:
        """The meters.

        Raises:
            Invalid: two have the same key.
        """
        return _by_key("meters", self.meters)

    def plans_by_key(self) -> dict[str, Plan]:
        """The plans, which fit the meters.

        Raises:
            Invalid: two have the same key, or one asks for what its meter does not have.
        """
        plans, meters = _by_key("plans", self.plans), self.meters_by_key()
        for plan in self.plans:
            faults = check(plan, meters)
            if faults:
                raise Invalid(f"plan {plan.key}: " + "; ".join(f"{each.pointer} {each.detail}" for each in faults))
        return plans


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A customer of a scenario, with its credits in the order in which they were written."""

    account: Account
    credits: tuple[CreditRequest, ...]


def read(written: str, now: str | None = None) -> Scenario:
    """Read a scenario from JSON; `now` replaces the one that it holds.

    Raises:
        Invalid: it is not JSON, or not a scenario.
    """
    try:
        body = json.loads(written, parse_float=JsonNumber)
    except (ValueError, RecursionError):
        raise Invalid("the scenario is not JSON") from None
    if not isinstance(body, dict):
        raise Invalid("a scenario is a JSON object")
    return Scenario.model_validate(body if now is None else body | {"now": now})


def _by_key(name: str, several: Sequence[_Keyed]) -> dict[str, _Keyed]:
    found = {each.key: each for each in several}
    if len(found) < len(several):
        raise Invalid(f"two {name} have the same key")
    return found


def accepted(scenario: Scenario) -> tuple[list[Event], list[Rejection]]:
    """The events that are taken, of any age, and why the others are refused."""
    meters = scenario.meters_by_key()
    ends = {each.id: each.ends_at for each in _last(_written(scenario))}
    taken: list[Event] = []
    refused: list[Rejection] = []
    for index, row in enumerate(scenario.events):
        try:
            event = event_from_json(row)
        except Invalid as fault:
            named = row.get("id") if isinstance(row, dict) else None
            refused.append(Rejection(index, named if isinstance(named, str) else None, fault.code, fault.detail))
            continue
        reason = judge(event, meters, ends, scenario.now, None)
        if reason:
            refused.append(Rejection(index, event.id, *reason))
        else:
            taken.append(event)
    return taken, refused


def subscribers(scenario: Scenario, events: Iterable[Event]) -> dict[str, Subscriber]:
    """The customers with their plans and credits; one without `starts_at` starts with the period of its first event.

    Raises:
        Invalid: a customer is not well, or names a plan that is not there.
        Conflict: a customer changes what cannot change.
    """
    plans = scenario.plans_by_key()
    firsts: dict[str, int] = {}
    for event in events:
        firsts[event.customer] = min(event.timestamp, firsts.get(event.customer, event.timestamp))
    found: dict[str, Subscriber] = {}
    for customer, effective_at, credits_ in _written(scenario):
        before = found.get(customer.id)
        begun = before is not None and bool(before.account.plans)
        account = revise(
            before.account if before else None,
            customer,
            _plan(customer, plans),
            scenario.now if begun else firsts.get(customer.id, scenario.now),
            effective_at,
        )
        found[customer.id] = Subscriber(account, (*(before.credits if before else ()), *credits_))
    return found


def _plan(customer: Customer, plans: Mapping[str, Plan]) -> tuple[Plan, int] | None:
    if customer.plan is None:
        return None
    if customer.plan not in plans:
        raise Invalid(f"customer {customer.id}: there is no plan {customer.plan!r}")
    return plans[customer.plan], 1


_Write = tuple[Customer, int | None, tuple[CreditRequest, ...]]


def _written(scenario: Scenario) -> list[_Write]:
    """Each write of a customer: the whole customer after it, from when its plan holds, and the credits it brings."""
    writes: list[_Write] = []
    whole: dict[str, Any] = {}
    for body in scenario.customers:
        patch: dict[str, Any] = dict(body)
        granted = patch.pop("credits", [])
        effective_at = patch.pop("plan_effective_at", None)
        if not isinstance(granted, list):
            raise Invalid("`credits` must be a list")
        name = str(patch.get("id"))
        whole[name] = merge_patch(whole.get(name), patch)
        writes.append(
            (
                Customer.model_validate(whole[name]),
                None if effective_at is None else parse_time(effective_at),
                tuple(CreditRequest.model_validate(each) for each in granted),
            )
        )
    return writes


def _last(writes: Iterable[_Write]) -> Iterable[Customer]:
    return {customer.id: customer for customer, _, _ in writes}.values()


def without_top_up(account: Account) -> Account:
    """The account as a simulation sees it: top-ups that were paid are among its credits, and none is made."""
    return replace(account, customer=account.customer.model_copy(update={"top_up": None}))
