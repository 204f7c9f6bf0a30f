"""What a change of a customer means: which plan holds from when, and what can no longer change."""

from dataclasses import replace
from typing import Any

import pytest

from billing.accounts import Standing, revise, with_versions
from billing.customers import Account, Customer, PlanChange
from billing.plans import Plan, PlanVersion
from metering.errors import Conflict, Invalid
from metering.times import DAY, MINUTE, QUARTER, parse_time

NOW = parse_time("2026-11-20T16:07:00Z")
MONTH = parse_time("2026-11-01T00:00:00Z")
CHARGED = Standing(charged=True)
RUNNING = Standing(running_start=MONTH)
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

    assert revise(account, customer(), (plan(), 1), NOW + DAY, standing=CHARGED) == account


def test_a_newer_version_is_taken_by_the_next_period_and_not_by_writing_the_customer() -> None:
    account = existing()

    assert revise(account, customer(), (plan(), 2), NOW).plans == account.plans
    later = with_versions(
        account, {"basic": [PlanVersion(MONTH - DAY, 1, "USD"), PlanVersion(NOW + QUARTER, 2, "USD")]}
    )
    assert later.plans == (*account.plans, PlanChange(NOW + QUARTER, "basic", 2, splits=False))


def test_a_version_that_comes_before_the_change_to_its_plan_holds_from_that_change_on() -> None:
    other = PlanChange(NOW + 5 * DAY, "other", 1)
    account = Account(customer(currency="USD"), (PlanChange(MONTH, "basic", 1), other))

    changed = with_versions(
        account,
        {
            "basic": [PlanVersion(MONTH, 1, "USD")],
            "other": [PlanVersion(MONTH, 1, "USD"), PlanVersion(NOW + QUARTER, 2, "USD")],
        },
    )

    assert changed.plans == (*account.plans, PlanChange(other.effective_at, "other", 2, splits=False))
    assert changed.plan_at(other.effective_at).version == 2


def test_versions_of_a_plan_end_with_the_plan() -> None:
    other = PlanChange(NOW, "other", 1)
    account = Account(customer(currency="USD"), (PlanChange(MONTH, "basic", 1), other))

    changed = with_versions(
        account,
        {
            "basic": [PlanVersion(MONTH, 1, "USD"), PlanVersion(NOW + 1, 2, "USD")],
            "other": [PlanVersion(MONTH, 1, "USD")],
        },
    )

    assert changed.plans == account.plans


def test_another_plan_holds_from_the_quarter_of_now() -> None:
    account = revise(
        existing(), customer(plan="other"), (plan("other"), 3), NOW, standing=replace(CHARGED, running_start=MONTH)
    )

    assert account.plans == (PlanChange(MONTH, "basic", 1), PlanChange(QUARTER_OF_NOW, "other", 3))


def test_at_most_one_change_lies_ahead_and_the_next_replaces_it() -> None:
    ahead = revise(existing(), customer(plan="other"), (plan("other"), 1), NOW, NOW + 5 * DAY, RUNNING)
    replaced = revise(ahead, customer(plan="third"), (plan("third"), 1), NOW, NOW + 9 * DAY, RUNNING)

    assert [change.plan for change in ahead.plans] == ["basic", "other"]
    assert [change.plan for change in replaced.plans] == ["basic", "third"]


def moved(account: Account, to: str, at: int | None = None, **given: Any) -> tuple[PlanChange, ...]:
    """The plans after a change to a plan in its first version, at the clock of these tests."""
    return revise(account, customer(plan=to, **given), (plan(to), 1), NOW, at, RUNNING).plans


DECEMBER = parse_time("2026-12-01T00:00:00Z")
FIRST = PlanChange(MONTH, "basic", 1)


def test_a_change_ahead_of_a_start_that_lies_ahead_too_leaves_the_first_plan() -> None:
    account = existing(starts_at=DECEMBER)
    first, change = PlanChange(DECEMBER, "basic", 1), PlanChange(DECEMBER + 9 * DAY, "other", 1)

    ahead = revise(account, customer(plan="other"), (plan("other"), 1), NOW, change.effective_at)
    assert ahead.plans == (first, change)
    third = revise(ahead, customer(plan="third"), (plan("third"), 1), NOW, change.effective_at + DAY)
    assert third.plans == (first, PlanChange(change.effective_at + DAY, "third", 1))
    for at in (None, NOW, DECEMBER):  # before the start there is nothing that the first plan would be for
        replaced = revise(ahead, customer(plan="third"), (plan("third"), 1), NOW, at)
        assert replaced.plans == (PlanChange(DECEMBER, "third", 1),)


def test_setting_the_plan_that_holds_takes_back_the_change_ahead_and_is_none() -> None:
    ahead = Account(existing().customer, moved(existing(), "other", NOW + 5 * DAY))

    assert len(ahead.plans) == 2
    assert moved(ahead, "basic") == (FIRST,)
    newer = revise(ahead, customer(), (plan(), 2), NOW, None, RUNNING)  # that version holds from the next period
    assert newer.plans == (FIRST,)


def test_setting_the_plan_before_after_a_change_has_begun_is_a_change() -> None:
    changed = Account(existing().customer, moved(existing(), "other"))

    assert moved(changed, "basic") == (FIRST, PlanChange(QUARTER_OF_NOW, "basic", 1))


def test_a_change_may_hold_from_the_first_instant_of_the_running_period() -> None:
    assert moved(existing(), "other", MONTH) == (PlanChange(MONTH, "other", 1),)


def test_a_first_plan_holds_from_when_it_is_said_to_or_from_the_start_if_that_is_later() -> None:
    def first(at: int, **given: Any) -> tuple[int | None, int | None]:
        account = revise(None, customer(**given), (plan(), 1), NOW, at)
        return account.customer.starts_at, account.first_instant

    assert first(DECEMBER + 4 * DAY) == (DECEMBER + 4 * DAY, DECEMBER + 4 * DAY)
    assert first(NOW) == (QUARTER_OF_NOW, QUARTER_OF_NOW)
    assert first(DECEMBER, starts_at=MONTH) == (MONTH, DECEMBER)
    assert first(MONTH, starts_at=DECEMBER) == (DECEMBER, DECEMBER)


def test_another_start_takes_the_plan_that_holds_there_along() -> None:
    def started(account: Account, starts_at: int) -> tuple[PlanChange, ...]:
        last = account.plans[-1]
        return revise(account, customer(plan=last.plan, starts_at=starts_at), (plan(last.plan), 1), NOW).plans

    account = Account(existing().customer, (FIRST, PlanChange(NOW, "other", 1)))
    assert started(account, MONTH - DAY) == (PlanChange(MONTH - DAY, "basic", 1), account.plans[1])
    assert started(account, MONTH + DAY) == (PlanChange(MONTH + DAY, "basic", 1), account.plans[1])
    assert started(account, DECEMBER) == (PlanChange(DECEMBER, "other", 1),)
    later = revise(None, customer(starts_at=MONTH), (plan(), 1), NOW, DECEMBER)
    assert started(later, MONTH + DAY) == (PlanChange(DECEMBER, "basic", 1),)


def test_with_nothing_charged_another_currency_begins_anew_on_its_plan() -> None:
    account = Account(existing().customer, (FIRST, PlanChange(NOW, "other", 1)))

    euro = revise(account, customer(plan="euro"), (plan("euro", "EUR"), 4), NOW)

    assert euro.currency == "EUR"
    assert euro.plans == (PlanChange(MONTH, "euro", 4),)
    assert revise(euro, customer(plan="euro"), (plan("euro", "EUR"), 4), NOW, standing=CHARGED) == euro


def test_a_version_in_another_currency_is_never_taken() -> None:
    account = existing()
    versions = [PlanVersion(MONTH, 1, "USD"), PlanVersion(NOW, 2, "EUR"), PlanVersion(NOW + QUARTER, 3, "USD")]

    changed = with_versions(account, {"basic": versions})

    assert changed.plans == (*account.plans, PlanChange(NOW + QUARTER, "basic", 3, splits=False))
    # Nor does a customer run into it who writes something else.
    assert revise(account, customer(name="Acme"), (plan(currency="EUR"), 2), NOW).plans == account.plans


REFUSED: list[tuple[str, dict[str, Any], tuple[Plan, int] | None, dict[str, Any], type[Exception], str]] = [
    ("a plan is not taken away", {"plan": None}, None, {}, Invalid, "invalid"),
    (
        "a plan in another currency",
        {"plan": "other"},
        (plan("other", "EUR"), 1),
        {"standing": CHARGED},
        Conflict,
        "currency_mismatch",
    ),
    (
        "a plan in another currency once there is a credit",
        {"plan": "other", "currency": "EUR"},
        (plan("other", "EUR"), 1),
        {"standing": Standing(granted=True)},
        Conflict,
        "currency_mismatch",
    ),
    (
        "another currency on the same plan",
        {"currency": "EUR"},
        (plan(currency="EUR"), 2),
        {},
        Conflict,
        "currency_mismatch",
    ),
    ("another currency than the plan's", {"currency": "EUR"}, (plan(), 1), {}, Conflict, "currency_mismatch"),
    (
        "another start when charged",
        {"starts_at": MONTH + DAY},
        (plan(), 1),
        {"standing": CHARGED},
        Conflict,
        "customer_in_use",
    ),
    (
        "a change before the running period",
        {"plan": "other"},
        (plan("other"), 1),
        {"effective_at": MONTH - DAY, "standing": RUNNING},
        Invalid,
        "invalid",
    ),
    (
        "an end before the running period",
        {"ends_at": MONTH},
        (plan(), 1),
        {"standing": RUNNING},
        Invalid,
        "invalid",
    ),
    (
        "an end before the start of the plan's first period",
        {"ends_at": MONTH},
        (plan(), 1),
        {"account": None},
        Invalid,
        "invalid",
    ),
    (
        "a plan whose first period begins after the end",
        {"ends_at": MONTH},
        (plan(), 1),
        {"account": Account(customer(plan=None, ends_at=MONTH))},
        Invalid,
        "invalid",
    ),
    ("an instant for no plan", {"plan": None}, None, {"account": None, "effective_at": NOW}, Invalid, "invalid"),
    ("a top-up of half a cent", {"top_up": {"threshold": "1", "amount": "1.005"}}, (plan(), 1), {}, Invalid, "invalid"),
]


POINTERS = {
    "a plan is not taken away": "/plan",
    "a change before the running period": "/plan_effective_at",
    "an end before the running period": "/ends_at",
    "an end before the start of the plan's first period": "/ends_at",
    "a plan whose first period begins after the end": "/ends_at",
    "an instant for no plan": "/plan_effective_at",
    "a top-up of half a cent": "/top_up/amount",
}


@pytest.mark.parametrize(("what", "given", "named", "more", "error", "code"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_cannot_change_is_refused(
    what: str,
    given: dict[str, Any],
    named: tuple[Plan, int] | None,
    more: dict[str, Any],
    error: type[Exception],
    code: str,
) -> None:
    account = more["account"] if "account" in more else existing()
    more = {name: value for name, value in more.items() if name != "account"}

    with pytest.raises(error) as refused:
        revise(account, customer(**given), named, NOW, **more)

    assert getattr(refused.value, "code", what) == code
    pointers = [fault.pointer for fault in getattr(refused.value, "faults", ())]
    assert pointers == ([POINTERS[what]] if error is Invalid else [])
