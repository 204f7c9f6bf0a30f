"""A scenario: who uses what at which price, and what happened, as one JSON document (api.md, The command)."""

from collections.abc import Iterable, Iterator, Mapping, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Annotated, Any

from pydantic import BeforeValidator, ValidationError

from billing.accounts import revise
from billing.credits import CreditRequest
from billing.customers import Account, Customer
from billing.fields import list_in, mapping_in, merge_patch
from billing.plans import Plan, misfits
from metering.arrival import event_from_json
from metering.bodies import loads
from metering.errors import Fault, Invalid
from metering.events import Event, Rejection, judge
from metering.faults import Contradiction, Written, faults_in, read_model
from metering.meters import Meter
from metering.times import parse_time


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

    @classmethod
    def contradictions(cls, written: Mapping[str, Any]) -> Iterator[Contradiction]:
        """Meters and plans are told apart by their keys, plans fit the meters, and customers are well."""
        for name in ("meters", "plans"):
            keys = [_key(each) for each in list_in(written.get(name))]
            for place, key in enumerate(keys):
                if key and key in keys[:place]:
                    yield (name, place, "key"), "two have the same key"
        meters = {_key(each): _readable(each) for each in list_in(written.get("meters"))}
        plans = list_in(written.get("plans"))
        for place, plan in enumerate(plans):
            yield from _within(("plans", place), misfits(plan, meters))
        for place, body in enumerate(_bodies(list_in(written.get("customers")))):
            yield from _within(("customers", place), _customer_faults(body, {_key(plan) for plan in plans}))

    def meters_by_key(self) -> dict[str, Meter]:
        """The meters."""
        return {meter.key: meter for meter in self.meters}

    def plans_by_key(self) -> dict[str, Plan]:
        """The plans, which fit the meters."""
        return {plan.key: plan for plan in self.plans}


def _key(written: object) -> str:
    key = getattr(written, "key", mapping_in(written).get("key"))
    return key if isinstance(key, str) else ""


def _readable(written: object) -> Meter | None:
    with suppress(ValidationError):
        return Meter.model_validate(written)
    return None


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A customer of a scenario, with its credits in the order in which they were written."""

    account: Account
    credits: tuple[CreditRequest, ...]


def read(written: str, now: str | None = None) -> Scenario:
    """Read a scenario from JSON; `now` replaces the one that it holds.

    Raises:
        Invalid: it is not JSON, or not a scenario, with every fault at once.
    """
    try:
        body = loads(written.encode())
    except ValueError:
        raise Invalid("the scenario is not JSON") from None
    if not isinstance(body, dict):
        raise Invalid("a scenario is a JSON object")
    return read_model(Scenario, body if now is None else body | {"now": now})


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
        Conflict: a customer changes what cannot change.
        Invalid: one contradicts itself once its start and currency are known.
    """
    plans = scenario.plans_by_key()
    firsts: dict[str, int] = {}
    for event in events:
        firsts[event.customer] = min(event.timestamp, firsts.get(event.customer, event.timestamp))
    found: dict[str, Subscriber] = {}
    for place, (customer, effective_at, credits_) in enumerate(_written(scenario)):
        before = found.get(customer.id)
        begun = before is not None and bool(before.account.plans)
        with _faults_at(f"/customers/{place}"):
            account = revise(
                before.account if before else None,
                customer,
                _plan(customer, plans),
                scenario.now if begun else firsts.get(customer.id, scenario.now),
                effective_at,
            )
        found[customer.id] = Subscriber(account, (*(before.credits if before else ()), *credits_))
    return found


@contextmanager
def _faults_at(place: str) -> Iterator[None]:
    """Say of faults within something where they are in the scenario."""
    try:
        yield
    except Invalid as error:
        faults = [Fault(f"{place}{fault.pointer}", fault.detail) for fault in error.faults]
        raise Invalid(error.detail, error.code, faults) from None


def _plan(customer: Customer, plans: Mapping[str, Plan]) -> tuple[Plan, int] | None:
    return None if customer.plan is None else (plans[customer.plan], 1)


@dataclass(frozen=True, slots=True)
class _Body:
    """One writing of a customer: the whole customer after it, and what came along."""

    customer: dict[str, Any]
    plan_effective_at: object
    credits: object


def _bodies(customers: Iterable[object]) -> Iterator[_Body]:
    whole: dict[str, Any] = {}
    for body in customers:
        patch = dict(mapping_in(body))
        granted, effective_at = patch.pop("credits", []), patch.pop("plan_effective_at", None)
        name = str(patch.get("id"))
        whole[name] = merge_patch(whole.get(name), patch)
        yield _Body(whole[name], effective_at, granted)


def _customer_faults(body: _Body, plans: Set[str]) -> Iterator[Contradiction]:
    yield from faults_in(Customer, body.customer)
    if isinstance(plan := body.customer.get("plan"), str) and plan not in plans:
        yield ("plan",), f"there is no plan {plan!r}"
    if body.plan_effective_at is not None:
        try:
            parse_time(body.plan_effective_at)
        except Invalid as fault:
            yield ("plan_effective_at",), fault.detail
    if not isinstance(body.credits, list | tuple):
        yield ("credits",), "must be a list"
    for place, credit in enumerate(list_in(body.credits)):
        yield from _within(("credits", place), faults_in(CreditRequest, credit))


def _within(where: tuple[str | int, ...], inner: Iterable[Contradiction]) -> Iterator[Contradiction]:
    return (((*where, *location), what) for location, what in inner)


_Write = tuple[Customer, int | None, tuple[CreditRequest, ...]]


def _written(scenario: Scenario) -> list[_Write]:
    """Each write of a customer: the whole customer after it, from when its plan holds, and the credits it brings."""
    return [
        (
            Customer.model_validate(body.customer),
            None if body.plan_effective_at is None else parse_time(body.plan_effective_at),
            tuple(CreditRequest.model_validate(each) for each in list_in(body.credits)),
        )
        for body in _bodies(scenario.customers)
    ]


def _last(writes: Iterable[_Write]) -> Iterable[Customer]:
    return {customer.id: customer for customer, _, _ in writes}.values()


def without_top_up(account: Account) -> Account:
    """The account as a simulation sees it: top-ups that were paid are among its credits, and none is made."""
    return replace(account, customer=account.customer.model_copy(update={"top_up": None}))
