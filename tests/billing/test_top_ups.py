"""Law 5.6: top-ups are a level, and at most one attempt is open."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from billing.customers import Customer
from billing.top_ups import NO_TOP_UPS, TRANSITIONS, Attempt, Counted, TopUps, attempt, decide, finished, moved, opened
from metering.decimals import text
from metering.errors import Conflict
from metering.times import DAY, HOUR, parse_time

NOW = parse_time("2026-11-30T22:30:00Z")
DECEMBER = "2026-12-01T00:00:00Z"


def customer(**fields: Any) -> Customer:
    rule = {"threshold": "10", "amount": "50", **fields.pop("top_up", {})}
    return Customer.model_validate({"id": "acme", "currency": "USD", "top_up": rule, **fields})


def counted(*attempts: tuple[str, int]) -> tuple[Counted, ...]:
    return tuple(Counted(parse_time(f"2026-11-{at}:00:00Z"), Decimal(amount)) for at, amount in attempts)


@pytest.mark.parametrize(
    ("who", "state", "balance", "requested", "due_at"),
    [
        (customer(), NO_TOP_UPS, "9.99", True, None),
        (customer(), NO_TOP_UPS, "10", False, None),
        (customer(top_up={"enabled": False}), NO_TOP_UPS, "0", False, None),
        (customer(), TopUps(open="x"), "0", False, None),
        (customer(), TopUps(cool_off_until=NOW + 1), "0", False, NOW + 1),
        (customer(), TopUps(cool_off_until=NOW), "0", True, None),
        (customer(top_up={"daily_cap": "100"}), TopUps(counted=counted(("30T01", 50))), "0", True, None),
        (customer(top_up={"daily_cap": "99"}), TopUps(counted=counted(("30T01", 50))), "0", False, DECEMBER),
        (customer(top_up={"daily_cap": "99"}), TopUps(counted=counted(("29T01", 50))), "0", True, None),
        (customer(top_up={"monthly_cap": "99"}), TopUps(counted=counted(("29T01", 50))), "0", False, DECEMBER),
        (customer(top_up={"daily_cap": "49"}), NO_TOP_UPS, "0", False, None),
        # In Berlin the day and the month ended at 23:00 UTC.
        (customer(timezone="Europe/Berlin", top_up={"monthly_cap": "99"}), TopUps(counted=counted(("30T21", 50))), "0",
            False, "2026-11-30T23:00:00Z"),
    ],
)  # fmt: skip
def test_one_is_requested_when_the_level_and_the_caps_say_so(
    who: Customer, state: TopUps, balance: str, due_at: int | str | None, *, requested: bool
) -> None:
    decision = decide(who, "USD", state, Decimal(balance), NOW)

    assert (decision.attempt is not None) == requested
    assert decision.due_at == (parse_time(due_at) if due_at is not None else None)


@pytest.mark.parametrize(("tax_on", "tax", "charged"), [("rest", "9.5", "59.5"), ("subtotal", "0", "50")])
def test_credit_is_taxed_when_it_is_bought_or_usage_when_it_is_invoiced(tax_on: str, tax: str, charged: str) -> None:
    made = attempt(customer(tax_rate="19", tax_on=tax_on), "USD", Decimal(50), NOW)

    assert (text(made.amount), text(made.tax), text(made.charged)) == ("50", tax, charged)


def made(state: str = "requested", **fields: Any) -> Attempt:
    return replace(attempt(customer(), "USD", Decimal(50), NOW), state=state, **fields)  # type: ignore[arg-type]  # from tables


def test_while_one_is_open_none_is_requested_and_it_counts_against_the_caps() -> None:
    state = opened(TopUps(counted=(Counted(0, Decimal(5)), *counted(("02T00", 20)))), made(), "UTC")

    assert state.open == made().id
    assert state.counted == (*counted(("02T00", 20)), Counted(NOW, Decimal(50)))
    assert decide(customer(), "USD", state, Decimal(0), NOW).attempt is None


@pytest.mark.parametrize(
    ("ended", "counts", "cool_off"),
    [("succeeded", True, None), ("failed", False, HOUR), ("action_required", False, DAY), ("canceled", False, None)],
)
def test_an_end_frees_the_wallet_and_only_success_counts(ended: str, cool_off: int | None, *, counts: bool) -> None:
    done = made(ended, changed_at=NOW + 5)
    state = finished(opened(NO_TOP_UPS, made(), "UTC"), done)

    assert state.open is None
    assert bool(state.counted) == counts
    assert state.cool_off_until == (None if cool_off is None else NOW + 5 + cool_off)
    assert finished(state, done) == state


def test_the_table_of_states_leads_to_an_end_from_everywhere() -> None:
    ends = {state for state, following in TRANSITIONS.items() if not following}
    reaching = set(ends)
    for _ in TRANSITIONS:
        reaching |= {state for state, following in TRANSITIONS.items() if following & reaching}

    assert ends == {"succeeded", "failed", "action_required", "canceled"}
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
    assert made().idempotency_key("create") != made().idempotency_key("confirm")
    assert made().as_json()["status"] == "requested"
