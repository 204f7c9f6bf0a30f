"""The runway: when credits will be used up, by the mean of the last days."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.credits import Credit, burn_order
from billing.runway import WINDOW, mean_hourly_draw, runs_out_at, used_up_at
from billing.wallet import Entry
from metering.times import DAY, HOUR, QUARTER, format_time
from tests.billing.histories import START, History, at

NOW = at("20T00:00")


def hourly(days: int, value: str, until: int = NOW) -> list[tuple[int, str]]:
    """Usage of the same amount in every hour of some days."""
    return [(until - hour * HOUR + QUARTER, value) for hour in range(days * 24, 0, -1)]


@pytest.mark.parametrize(
    ("used", "credits_posted", "expected"),
    [
        (hourly(10, "1"), [{"amount": "264"}], "2026-11-21T00:00:00Z"),
        (hourly(2, "1"), [{"amount": "58"}], "2026-11-20T10:00:00Z"),
        ([(NOW - 12 * DAY, "5"), *hourly(1, "7")], [{"amount": "188"}], "2026-11-20T15:00:00Z"),
        (hourly(2, "1"), [{"amount": "148", "expires_at": NOW + 30 * HOUR}], "2026-11-21T06:00:00Z"),
        (
            hourly(2, "1"),
            [{"amount": "58"}, {"amount": "5", "effective_at": NOW + 10 * HOUR}],
            "2026-11-20T15:00:00Z",
        ),
        (hourly(2, "1"), [{"amount": "58"}, {"amount": "5", "effective_at": NOW + 11 * HOUR}], "2026-11-20T10:00:00Z"),
        (hourly(2, "1"), [{"amount": "48"}], None),
        (hourly(2, "1"), [{"amount": "9000"}], None),
        (hourly(2, "1", NOW - 8 * DAY), [{"amount": "100"}], None),
        ([(NOW + QUARTER, "1")], [{"amount": "100"}], None),
        ([], [{"amount": "100"}], None),
        (hourly(2, "1"), [], None),
        (hourly(2, "1"), [{"amount": "100", "effective_at": NOW + DAY}], None),
    ],
    ids=[
        "the mean of seven days",
        "since the first draw",
        "idle hours count for who paused",
        "what expires is lost",
        "what begins in the same moment is used next",
        "what begins later is too late",
        "nothing left",
        "a year ahead",
        "nothing drawn lately",
        "no whole hour yet",
        "never drawn",
        "no credits",
        "only one ahead",
    ],
)
def test_a_balance_runs_out_at_the_mean_of_the_last_days(
    used: list[tuple[int, str]], credits_posted: list[dict[str, Any]], expected: str | None
) -> None:
    history = History(events=used)
    for number, credit in enumerate(credits_posted):
        history.post(START, id=f"c{number}", **credit)
    history.look(NOW)
    instant = runs_out_at(history.wallet, history.entries, NOW)
    assert (instant and format_time(instant)) == expected


def test_what_was_given_back_is_no_consumption() -> None:
    entries = [Entry(NOW - HOUR, "draw", Decimal(-6), Decimal(0)), Entry(NOW - HOUR, "return", Decimal(2), Decimal(2))]
    assert mean_hourly_draw(entries, NOW) == 4
    assert mean_hourly_draw([*entries, Entry(NOW - HOUR, "grant", Decimal(9), Decimal(9))], NOW) == 4
    assert mean_hourly_draw([*entries, Entry(NOW - WINDOW - HOUR, "draw", Decimal(-9), Decimal(0))], NOW) == Fraction(
        4, 168
    )


hours = st.integers(-3, 40).map(lambda number: NOW + number * HOUR)
held = st.lists(
    st.tuples(st.integers(0, 12), st.integers(49, 51), st.none() | hours.filter(lambda each: each > NOW), hours),
    max_size=5,
).map(lambda found: [credit(number, *each) for number, each in enumerate(found)])
rates = st.integers(1, 4)


def credit(number: int, amount: int, priority: int, expires_at: int | None, effective_at: int) -> Credit:
    begun_at = effective_at if effective_at <= NOW else None
    whole = Decimal(amount)
    return Credit(f"c{number}", whole, whole, "paid", priority, effective_at, expires_at, begun_at=begun_at)


def ticked(credits_held: Sequence[Credit], rate: int) -> int | None:
    """The same by an hour that ticks: every amount is a multiple of what burns in one."""
    left = {each.id: each.remaining * rate for each in credits_held}
    for now in range(NOW, NOW + 365 * DAY, HOUR):
        live = [
            each
            for each in sorted(credits_held, key=burn_order)
            if left[each.id] and each.effective_at <= now and (each.expires_at is None or now < each.expires_at)
        ]
        if not live:
            return now
        left[live[0].id] -= rate
    return None


@given(held, rates)
def test_credits_burn_in_their_order_while_each_is_there(credits_held: list[Credit], rate: int) -> None:
    multiples = [replace(each, remaining=each.remaining * rate) for each in credits_held]
    assert used_up_at(multiples, Fraction(rate, HOUR), NOW) == ticked(credits_held, rate)


def later(first: int | None, second: int | None) -> bool:
    """Whether the second is not earlier than the first; None is never."""
    return second is None or (first is not None and first <= second)


@given(held, rates, st.integers(0, 4), st.integers(1, 5), hours)
def test_more_to_burn_lasts_no_less_long(
    credits_held: list[Credit], rate: int, place: int, more: int, effective_at: int
) -> None:
    before = used_up_at(credits_held, Fraction(rate, HOUR), NOW)
    raised = [
        replace(each, remaining=each.remaining + more) if number == place else each
        for number, each in enumerate(credits_held)
    ]
    another = [*credits_held, credit(9, more, 50, None, effective_at)]
    without_ends = [replace(each, expires_at=None) for each in credits_held]
    for changed in (raised, another, without_ends):
        assert later(before, used_up_at(changed, Fraction(rate, HOUR), NOW))


@given(held, rates, st.integers(2, 7))
def test_who_uses_and_has_more_by_the_same_factor_is_as_far_and_who_uses_more_alone_no_further(
    credits_held: list[Credit], rate: int, factor: int
) -> None:
    before = used_up_at(credits_held, Fraction(rate, HOUR), NOW)
    scaled = [replace(each, remaining=each.remaining * factor) for each in credits_held]
    assert used_up_at(scaled, Fraction(rate * factor, HOUR), NOW) == before
    assert later(used_up_at(credits_held, Fraction(rate * factor, HOUR), NOW), before)
