"""What a period would have cost on another plan: the same usage, cut as the other plan's calendar would have cut it."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.periods import PeriodUnit
from billing.plans import Plan
from billing.wallet import OpenPeriod
from billing.what_if import Comparison, Piece, WhatIfRequest, check_currency, pieces, side
from metering.errors import Conflict
from metering.times import DAY, HOUR
from metering.usage import Usage
from metering.windows import Tally
from tests.billing.histories import START, History, account, at, plan

NOW = at("12-10T00:00")
zones = st.sampled_from(["UTC", "Europe/Berlin", "America/Santiago", "Asia/Kathmandu"])
periods = st.sampled_from(get_args(PeriodUnit))
used = st.lists(
    st.tuples(st.integers(0, 60 * 24).map(lambda hour: START + hour * HOUR), st.integers(1, 99)), max_size=9
)


def usage_of(events: Sequence[tuple[int, int]]) -> Callable[[int, int], list[Usage]]:
    def usage(start: int, end: int) -> list[Usage]:
        counted = [Decimal(quantity) / 100 for time, quantity in events if start <= time < end]
        return [Usage("m", "sum", (), Tally(len(counted), sum(counted, Decimal(0))))] if counted else []

    return usage


def first_period(own: Plan, **customer: Any) -> OpenPeriod:
    history = History(account(**customer), plans=[own])
    history.look(START)
    return history.wallet.periods[0]


def compared(own: Plan, other: Plan, events: Sequence[tuple[int, int]], now: int = NOW) -> tuple[str, str]:
    """What November costs on both plans."""
    period, usage = first_period(own), usage_of(events)
    current = side(own, 1, [Piece(period.period, period.share)], usage, now)
    what_if = side(other, 2, list(pieces(period, account(), own, other)), usage, now)
    told = Comparison(period.period, "USD", current, what_if).as_json()
    assert Decimal(told["difference"]) == Decimal(told["what_if"]["subtotal"]) - Decimal(told["current"]["subtotal"])
    return told["current"]["subtotal"], told["what_if"]["subtotal"]


@pytest.mark.parametrize(
    ("other", "now", "expected"),
    [
        (plan(unit_price="2"), NOW, "3"),
        (plan(unit_price="0.5", minimum="7"), NOW, "7"),
        (plan(unit_price="0.5", minimum="7"), at("20T00:00"), "0.75"),
        (plan(fee={"amount": "365"}, period="year"), NOW, "31.5"),
        (plan(fee={"amount": "1"}, period="day"), NOW, "31.5"),
        (plan(fee={"amount": "1"}, period="day"), at("20T12:00"), "21.5"),
        (plan(fee={"amount": "1", "due": "arrears"}, period="day"), at("20T12:00"), "20.5"),
        (plan(minimum="1", period="day"), NOW, "30.5"),
        (plan(fee={"amount": "7"}, period="week"), NOW, "31.5"),
    ],
    ids=[
        "another price",
        "a minimum once it is over",
        "no minimum while it runs",
        "its share of a year",
        "each of its days",
        "the days that have begun",
        "the days that are over",
        "a minimum by the day",
        "weeks cut at its ends",
    ],
)
def test_a_month_is_rated_as_the_other_plan_would_have(other: Plan, now: int, expected: str) -> None:
    november = [(at("02T10:00"), 150)]
    assert compared(plan(), other, november, now) == ("1.5", expected)


@given(used, periods, zones, st.integers(0, 40))
def test_on_its_own_plan_a_period_costs_what_it_costs(
    events: list[tuple[int, int]], unit: PeriodUnit, timezone: str, days: int
) -> None:
    own = plan(period=unit, fee={"amount": "3"}, minimum="2", discounts=[{"percent": "10"}])
    period, usage, now = first_period(own, timezone=timezone), usage_of(events), START + days * DAY
    current = side(own, 1, [Piece(period.period, period.share)], usage, now)
    # The calendar of the account may have changed since: the period is as it was stored.
    moved = account(timezone="Asia/Tokyo", anchor_day=7)
    assert side(own, 1, list(pieces(period, moved, own, own)), usage, now) == current


@given(periods, periods, zones, st.integers(1, 31))
def test_the_pieces_of_a_period_follow_one_another_and_have_their_shares(
    own_unit: PeriodUnit, other_unit: PeriodUnit, timezone: str, anchor_day: int
) -> None:
    own, other = plan(period=own_unit), plan(period=other_unit)
    customer = account(timezone=timezone, anchor_day=anchor_day)
    period = first_period(own, timezone=timezone, anchor_day=anchor_day)
    cut = list(pieces(period, customer, own, other))
    assert (cut[0].period.start, cut[-1].period.end) == (period.start, period.end)
    assert all(before.period.end == after.period.start for before, after in pairwise(cut))
    assert all(0 < piece.share <= 1 for piece in cut)
    assert all(piece.share == 1 for piece in cut[1:-1])


def test_usage_without_fees_costs_the_same_however_the_calendar_cuts_it() -> None:
    events = [(at(f"{day:02}T{day % 24:02}:00"), day) for day in range(1, 31)]
    for unit in get_args(PeriodUnit):
        own, other = compared(plan(), plan(period=unit), events)
        assert own == other


def test_a_plan_in_another_currency_is_not_compared() -> None:
    check_currency(plan(), "USD")
    with pytest.raises(Conflict) as refused:
        check_currency(plan(), "EUR")
    assert refused.value.code == "currency_mismatch"


def test_a_plan_may_be_named_or_written_out_with_or_without_a_key() -> None:
    shown = plan().model_dump(mode="json")
    for written in (shown, {**shown, "version": 3}, {name: each for name, each in shown.items() if name != "key"}):
        read = WhatIfRequest.model_validate({"plan": written}).plan
        assert isinstance(read, Plan)
        assert read.items == plan().items
    assert WhatIfRequest.model_validate({"plan": "p"}).plan == "p"
