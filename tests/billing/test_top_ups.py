"""Law 5.6: top-ups are a level, and at most one attempt is open."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from billing.attempts import Attempt, attempt
from billing.customers import Customer
from billing.top_ups import COOL_OFFS, NO_TOP_UPS, Counted, TopUps, decide, finished, opened, tried_anew
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


def made(state: str = "requested", **fields: Any) -> Attempt:
    return replace(attempt(customer(), "USD", Decimal(50), NOW), state=state, **fields)  # type: ignore[arg-type]  # from tables


def test_while_one_is_open_none_is_requested_and_it_counts_against_the_caps() -> None:
    state = opened(TopUps(counted=(Counted(0, Decimal(5)), *counted(("02T00", 20)))), made(), "UTC")

    assert state.open == made().id
    assert state.counted == (*counted(("02T00", 20)), Counted(NOW, Decimal(50)))
    assert decide(customer(), "USD", state, Decimal(0), NOW).attempt is None


def test_what_was_counted_counts_again_where_it_is_still_last_month() -> None:
    first, second, third = (parse_time(at) for at in ("2026-11-30T23:30:00Z", DECEMBER, "2026-12-01T01:00:00Z"))
    state = NO_TOP_UPS
    for at in (first, second):
        state = replace(opened(state, attempt(customer(), "USD", Decimal(50), at), "UTC"), open=None)
    capped = {"monthly_cap": "149"}
    assert decide(customer(top_up=capped), "USD", state, Decimal(0), third).attempt is not None
    moved = customer(top_up=capped, timezone="America/New_York")
    assert decide(moved, "USD", state, Decimal(0), third).attempt is None


@pytest.mark.parametrize(
    ("ended", "counts", "cool_off"),
    [
        (made("succeeded"), True, None),
        (made("failed"), False, HOUR),
        (made("failed", automatic=False), False, None),
        (made("canceled", reason="not_needed"), False, None),
        (made("canceled", reason="canceled"), False, "a person"),
        (made("failed", page="cs_1"), False, "a person"),
    ],
    ids=["succeeded", "failed", "by hand", "not needed", "by a person", "on a page"],
)
def test_an_end_frees_the_wallet_and_only_success_counts(
    ended: Attempt, cool_off: int | str | None, *, counts: bool
) -> None:
    done = replace(ended, changed_at=NOW + 5)
    state = finished(opened(NO_TOP_UPS, made(), "UTC"), done, customer())

    assert state.open is None
    assert bool(state.counted) == counts
    decision = decide(customer(), "USD", state, Decimal(0), NOW + 6)
    assert (decision.attempt is None) == (cool_off is not None)
    assert decision.due_at == (NOW + 5 + cool_off if isinstance(cool_off, int) else None)
    assert finished(state, done, customer()) == state


def declined(times: int, who: Customer, state: TopUps = NO_TOP_UPS) -> tuple[TopUps, int]:
    """What a wallet knows after so many declines in a row, each tried as soon as it may be; and when the last was."""
    now = NOW
    for _ in range(times):
        decision = decide(who, "USD", state, Decimal(0), now)
        now = decision.due_at or now
        again = replace(attempt(who, "USD", Decimal(50), now), state="failed", changed_at=now)
        state = finished(opened(state, again, "UTC"), again, who)
    return state, now


def test_a_row_of_declines_is_tried_ever_later_and_then_waits_for_a_person() -> None:
    instants = [declined(times, customer())[1] for times in range(1, 5)]
    assert [later - earlier for earlier, later in pairwise(instants)] == list(COOL_OFFS)
    state, now = declined(4, customer())
    assert decide(customer(), "USD", state, Decimal(0), now + 99 * DAY) == decide(
        customer(top_up={"enabled": False}), "USD", NO_TOP_UPS, Decimal(0), now
    )


@pytest.mark.parametrize(
    ("who", "change"),
    [
        (customer(top_up={"amount": "60"}), lambda state: state),
        (customer(stripe_customer="cus_2"), lambda state: state),
        (customer(), tried_anew),
    ],
    ids=["another rule", "another Stripe customer", "another card"],
)
def test_what_a_person_has_changed_is_tried_at_once(who: Customer, change: Callable[[TopUps], TopUps]) -> None:
    state, now = declined(4, customer())
    assert decide(who, "USD", change(state), Decimal(0), now + 1).attempt is not None


def test_success_ends_a_row_of_declines_whoever_asked_for_it() -> None:
    state, now = declined(3, customer())
    mine = replace(attempt(customer(), "USD", Decimal(5), now, "mine"), state="succeeded")
    after = finished(opened(state, mine, "UTC"), mine, customer())
    assert (after.declines, decide(customer(), "USD", after, Decimal(0), now).attempt is None) == (0, False)


def test_what_a_person_asks_for_in_vain_leaves_the_cool_off_as_it_is() -> None:
    state, now = declined(1, customer())
    mine = replace(attempt(customer(), "USD", Decimal(5), now, "mine"), state="failed")
    assert finished(opened(state, mine, "UTC"), mine, customer()) == state
