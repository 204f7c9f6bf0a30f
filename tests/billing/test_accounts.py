"""What a change of a customer means: which plan holds from when, and what can no longer change."""

from typing import Any

import pytest

from billing.accounts import revise, with_versions
from billing.customers import Account, Customer, PlanChange
from billing.plans import Plan
from metering.errors import Conflict, Invalid
from metering.times import DAY, MINUTE, QUARTER, parse_time

NOW = parse_time("2026-11-20T16:07:00Z")
MONTH = parse_time("2026-11-01T00:00:00Z")
QUARTER_OF_NOW = parse_time("2026-11-20T16:00:00Z")


def plan(key: str = "basic", currency: str = "USD") -> Plan:
    return Plan.model_validate({"key": key, "currency": currency})


def customer(**given: Any) -> Customer:
    return Customer.model_validate({"id": "acme", "plan": "basic", **given})


def existing(**given: Any) -> Account:
    return revise(None, customer(**given), (plan(), 1), NOW)


def test_the_first_plan_holds_from_the_start_of_the_local_period() -> None:
    assert existing().plans == (PlanChange(MONTH, "basic", 1),)
    berlin = existing(timezone="Europe/Berlin")
    assert berlin.customer.starts_at == MONTH - 60 * MINUTE


def test_a_given_start_holds_and_the_currency_is_the_plans() -> None:
    account = existing(starts_at="2026-11-10T00:00:00Z")

    assert account.plans[0].effective_at == parse_time("2026-11-10T00:00:00Z")
    assert account.currency == "USD"


def test_without_a_plan_there_is_a_customer_all_the_same() -> None:
    assert revise(None, customer(plan=None), None, NOW).plans == ()


def test_writing_a_customer_again_changes_nothing() -> None:
    account = existing()

    assert revise(account, customer(), (plan(), 1), NOW + DAY, charged=True) == account


def test_a_newer_version_is_taken_by_the_next_period_and_not_by_writing_the_customer() -> None:
    account = existing()

    assert revise(account, customer(), (plan(), 2), NOW).plans == account.plans
    later = with_versions(account, {"basic": [(MONTH - DAY, 1), (NOW + QUARTER, 2)]})
    assert later.plans == (*account.plans, PlanChange(NOW + QUARTER, "basic", 2, splits=False))


def test_a_version_that_comes_before_the_change_to_its_plan_holds_from_that_change_on() -> None:
    other = PlanChange(NOW + 5 * DAY, "other", 1)
    account = Account(customer(), (PlanChange(MONTH, "basic", 1), other))

    changed = with_versions(account, {"basic": [(MONTH, 1)], "other": [(MONTH, 1), (NOW + QUARTER, 2)]})

    assert changed.plans == (*account.plans, PlanChange(other.effective_at, "other", 2, splits=False))
    assert changed.plan_at(other.effective_at).version == 2


def test_versions_of_a_plan_end_with_the_plan() -> None:
    other = PlanChange(NOW, "other", 1)
    account = Account(customer(), (PlanChange(MONTH, "basic", 1), other))

    changed = with_versions(account, {"basic": [(MONTH, 1), (NOW + 1, 2)], "other": [(MONTH, 1)]})

    assert changed.plans == account.plans


def test_another_plan_holds_from_the_quarter_of_now() -> None:
    account = revise(existing(), customer(plan="other"), (plan("other"), 3), NOW, running_start=MONTH, charged=True)

    assert account.plans == (PlanChange(MONTH, "basic", 1), PlanChange(QUARTER_OF_NOW, "other", 3))


def test_at_most_one_change_lies_ahead_and_the_next_replaces_it() -> None:
    ahead = revise(existing(), customer(plan="other"), (plan("other"), 1), NOW, NOW + 5 * DAY, MONTH)
    replaced = revise(ahead, customer(plan="third"), (plan("third"), 1), NOW, NOW + 9 * DAY, MONTH)

    assert [change.plan for change in ahead.plans] == ["basic", "other"]
    assert [change.plan for change in replaced.plans] == ["basic", "third"]


REFUSED: list[tuple[str, dict[str, Any], tuple[Plan, int] | None, dict[str, Any], type[Exception], str]] = [
    ("a plan is not taken away", {"plan": None}, None, {}, Invalid, "invalid"),
    ("a plan in another currency", {}, (plan(currency="EUR"), 1), {"charged": True}, Conflict, "currency_mismatch"),
    ("another currency than the plan's", {"currency": "EUR"}, (plan(), 1), {}, Conflict, "currency_mismatch"),
    (
        "another start when charged",
        {"starts_at": MONTH + DAY},
        (plan(), 1),
        {"charged": True},
        Conflict,
        "customer_in_use",
    ),
    (
        "a change before the running period",
        {"plan": "other"},
        (plan("other"), 1),
        {"effective_at": MONTH - DAY, "running_start": MONTH},
        Invalid,
        "invalid",
    ),
    (
        "an end before the running period",
        {"ends_at": MONTH},
        (plan(), 1),
        {"running_start": MONTH},
        Invalid,
        "invalid",
    ),
    ("a top-up of half a cent", {"top_up": {"threshold": "1", "amount": "1.005"}}, (plan(), 1), {}, Invalid, "invalid"),
]


@pytest.mark.parametrize(("what", "given", "named", "more", "error", "code"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_cannot_change_is_refused(
    what: str,
    given: dict[str, Any],
    named: tuple[Plan, int] | None,
    more: dict[str, Any],
    error: type[Exception],
    code: str,
) -> None:
    with pytest.raises(error) as refused:
        revise(existing(), customer(**given), named, NOW, **more)

    assert getattr(refused.value, "code", what) == code
