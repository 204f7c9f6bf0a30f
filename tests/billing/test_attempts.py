"""Law 5.6: an attempt moves along a table, and what it is charged and credited is exact."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.attempts import TRANSITIONS, Attempt, Call, attempt, credit_returned, moved
from billing.customers import Customer
from metering.decimals import text
from metering.errors import Conflict
from metering.times import HOUR, MINUTE

NOW = 1_795_000_000_000


def customer(**fields: Any) -> Customer:
    return Customer.model_validate({"id": "acme", "currency": "USD", **fields})


def made(state: str = "requested", **fields: Any) -> Attempt:
    return replace(attempt(customer(), "USD", Decimal(50), NOW), state=state, **fields)  # type: ignore[arg-type]  # from tables


@pytest.mark.parametrize(("tax_on", "tax", "charged"), [("rest", "9.5", "59.5"), ("subtotal", "0", "50")])
def test_credit_is_taxed_when_it_is_bought_or_usage_when_it_is_invoiced(tax_on: str, tax: str, charged: str) -> None:
    made = attempt(customer(tax_rate="19", tax_on=tax_on), "USD", Decimal(50), NOW)

    assert (text(made.amount), text(made.tax), text(made.charged)) == ("50", tax, charged)


def test_the_table_of_states_leads_to_an_end_from_everywhere() -> None:
    ends = {state for state, following in TRANSITIONS.items() if not following}
    reaching = set(ends)
    for _ in TRANSITIONS:
        reaching |= {state for state, following in TRANSITIONS.items() if following & reaching}

    assert ends == {"succeeded", "failed", "canceled"}
    assert reaching == set(TRANSITIONS)
    assert set().union(*TRANSITIONS.values()) | {"requested"} == set(TRANSITIONS)


def test_a_move_that_the_table_does_not_know_is_a_conflict_and_standing_still_is_none() -> None:
    confirming = moved(moved(made(), "creating", 1), "confirming", 2, payment_intent="pi_1")

    assert (confirming.payment_intent, confirming.changed_at, confirming.open) == ("pi_1", 2, True)
    assert moved(confirming, "confirming", 3) is confirming
    succeeded = moved(confirming, "succeeded", 4)
    assert (succeeded.payment_intent, succeeded.open) == ("pi_1", False)
    with pytest.raises(Conflict):
        moved(succeeded, "failed", 5)


def test_idempotency_keys_belong_to_the_attempt_and_the_call() -> None:
    calls: tuple[Call, ...] = ("create", "confirm", "link")
    several = (made(), made(id="x" * 128), made(customer="x" * 128), made(deployment="x"))
    keys = {each.idempotency_key(call) for each in several for call in calls}
    assert len(keys) == 12
    assert max(map(len, keys)) <= 255
    assert made().as_json()["status"] == "requested"


def test_it_is_looked_at_again_when_it_stood_still_or_its_page_ends() -> None:
    assert made("creating").stands_still_at == NOW + 15 * MINUTE
    assert made("action_required").stands_still_at == made("linking").page_expires_at == NOW + 23 * HOUR


@given(
    amount=st.integers(1, 10**6),
    tax=st.integers(0, 10**5),
    parts=st.lists(st.integers(0, 10**6), min_size=1, max_size=5),
)
def test_what_goes_back_takes_its_share_of_the_credit_and_all_of_it_takes_all(
    amount: int, tax: int, parts: list[int]
) -> None:
    bought = made(amount=Decimal(amount) / 100, tax=Decimal(tax) / 100)
    reached = [credit_returned(bought, min(Decimal(sum(parts[:n])) / 100, bought.charged)) for n in range(6)]
    assert reached == sorted(reached)
    assert all(0 <= each <= bought.amount for each in reached)
    assert credit_returned(bought, bought.charged) == bought.amount
