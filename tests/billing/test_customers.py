"""What users may write about a customer, and which plan holds when."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from billing.customers import Account, Customer, PlanChange
from metering.decimals import JsonNumber
from metering.errors import Invalid
from metering.faults import read_model
from metering.times import parse_time


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"id": "a b"}, "pattern"),
        ({"timezone": "Europe/Atlantis"}, "time zone"),
        ({"timezone": "../etc"}, "time zone"),
        ({"currency": "XAU"}, "ISO 4217"),
        ({"anchor_day": 0}, "from 1 to 31"),
        ({"anchor_day": "1"}, "integer"),
        ({"prepaid_only": "yes"}, "boolean"),
        ({"tax_rate": "101"}, "at most 100"),
        ({"tax_on": "everything"}, "rest"),
        ({"starts_at": "2026-12-01T00:00:00Z", "ends_at": "2026-12-01T00:14:00Z"}, "ends_at"),
        ({"alerts": [{"key": "a", "kind": "usage_above", "threshold": "1"}]}, "meter"),
        ({"alerts": [{"key": "a", "kind": "balance_below", "threshold": "1", "meter": "m"}]}, "meter"),
        ({"alerts": [{"key": "a", "kind": "balance_below", "threshold": "1"}] * 2}, "another alert has the key"),
        ({"top_up": {"threshold": "1", "amount": "0"}}, "above zero"),
        ({"currency": "JPY", "top_up": {"threshold": "1", "amount": "0.5"}}, "decimals in JPY"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_customer_that_cannot_be_meant_is_refused(fields: dict[str, Any], word: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Customer.model_validate({"id": "acme", **fields})
    assert word in str(refused.value)


def test_every_fault_of_a_customer_is_told_at_once_with_its_pointer() -> None:
    alert = {"key": "a", "kind": "usage_above", "threshold": "x"}
    body = {
        "id": "acme",
        "anchor_day": 40,
        "currency": "USD",
        "starts_at": "2026-12-01T00:00:00Z",
        "ends_at": "2026-11-01T00:00:00Z",
        "alerts": [alert, alert],
        "top_up": {"threshold": "1", "amount": "0.005"},
    }
    with pytest.raises(Invalid) as refused:
        read_model(Customer, body)
    assert [fault.pointer for fault in refused.value.faults] == [
        "/anchor_day",
        *(f"/alerts/{place}/{name}" for place in (0, 1) for name in ("threshold", "meter")),
        "/alerts/1/key",
        "/ends_at",
        "/top_up/amount",
    ]


def test_times_are_cut_to_quarters_and_shown_in_utc() -> None:
    customer = Customer.model_validate({"id": "acme", "starts_at": "2026-11-20T17:14:59+01:00", "tax_rate": "19.0"})
    shown = customer.model_dump(mode="json")

    assert shown["starts_at"] == "2026-11-20T16:00:00Z"
    assert shown["tax_rate"] == "19"
    assert Customer.model_validate(shown) == customer


def test_json_that_nobody_computes_with_comes_back_as_it_was_sent() -> None:
    sent = '{"id": "acme", "metadata": {"a": [1.5, {"b": 2, "c": 1e3}], "d": "1.50"}, "address": {"geo": [-0.25]}}'
    read = Customer.model_validate(json.loads(sent, parse_float=JsonNumber))

    assert read.model_dump(mode="json").items() >= json.loads(sent).items()
    assert Customer.model_validate(read.model_dump(mode="json")) == read


def test_a_number_that_json_would_not_keep_is_refused_where_it_is() -> None:
    written = {"x": [JsonNumber("0.12345678901234567"), JsonNumber("1e999")]}
    deep: Any = JsonNumber("0.5")
    for _ in range(5_000):
        deep = [deep]

    with pytest.raises(Invalid) as refused:
        read_model(Customer, {"id": "acme", "metadata": written, "address": {"deep": deep}})

    assert {fault.pointer for fault in refused.value.faults} == {"/metadata/x/0", "/metadata/x/1", "/address"}


ACCOUNT = Account(
    Customer.model_validate({"id": "acme", "starts_at": "2026-11-03T00:00:00Z", "ends_at": "2026-12-24T00:00:00Z"}),
    (
        PlanChange(parse_time("2026-11-01T00:00:00Z"), "basic", 1),
        PlanChange(parse_time("2026-11-10T00:00:00Z"), "basic", 2, splits=False),
        PlanChange(parse_time("2026-11-20T00:00:00Z"), "pro", 7),
    ),
)


@pytest.mark.parametrize(
    ("instant", "plan", "version"),
    [("2026-11-05T00:00:00Z", "basic", 1), ("2026-11-10T00:00:00Z", "basic", 2), ("2026-12-01T00:00:00Z", "pro", 7)],
)
def test_the_last_change_before_an_instant_holds_there(instant: str, plan: str, version: int) -> None:
    change = ACCOUNT.plan_at(parse_time(instant))

    assert (change.plan, change.version) == (plan, version)


def test_no_plan_holds_before_the_first() -> None:
    with pytest.raises(Invalid):
        ACCOUNT.plan_at(0)


def test_the_first_period_begins_when_both_the_customer_and_its_plan_do() -> None:
    assert ACCOUNT.first_instant == parse_time("2026-11-03T00:00:00Z")
    assert Account(ACCOUNT.customer).first_instant is None


def test_a_period_is_cut_by_changes_of_plan_and_by_ends_at_but_not_by_new_versions() -> None:
    november = parse_time("2026-11-03T00:00:00Z"), parse_time("2026-12-01T00:00:00Z")
    december = parse_time("2026-12-01T00:00:00Z"), parse_time("2027-01-01T00:00:00Z")

    assert ACCOUNT.first_split(*november, ("basic", 1)) == parse_time("2026-11-20T00:00:00Z")
    assert ACCOUNT.first_split(*december, ("pro", 7)) == parse_time("2026-12-24T00:00:00Z")
    assert ACCOUNT.first_split(december[0], december[0] + 1, ("pro", 7)) == december[0] + 1


def test_a_change_to_the_version_that_a_period_has_anyway_cuts_nothing() -> None:
    november = parse_time("2026-11-03T00:00:00Z"), parse_time("2026-12-01T00:00:00Z")

    assert ACCOUNT.first_split(*november, ("pro", 7)) == november[1]
    later = Account(
        ACCOUNT.customer, (*ACCOUNT.plans, PlanChange(ACCOUNT.plans[-1].effective_at, "pro", 8, splits=False))
    )
    # A newer version that holds from the same instant on is what the change brings.
    assert later.first_split(*november, ("pro", 7)) == ACCOUNT.plans[-1].effective_at
    assert later.first_split(*november, ("pro", 8)) == november[1]
