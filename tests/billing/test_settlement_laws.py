"""The laws of the wallet over random histories."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from billing.packing import pack, unpack
from billing.wallet import balance, conclude, revoke
from metering.times import DAY, HOUR, MINUTE, QUARTER
from tests.billing.histories import START, History, account, plan
from tests.rows import deep

SPAN = 70 * DAY
quantities = st.integers(-300, 900).map(lambda cents: str(Decimal(cents) / 100))
# Mostly near each other, so that hours, ends and beginnings meet; on round minutes often enough to hit boundaries.
instants = st.one_of(
    st.integers(0, SPAN // QUARTER).map(lambda quarters: START + quarters * QUARTER),
    st.integers(0, 600).map(lambda minutes: START + minutes * MINUTE),
    st.integers(0, SPAN).map(lambda milliseconds: START + milliseconds),
)
events = st.lists(st.tuples(instants, quantities), max_size=12)
credits_posted = st.lists(
    st.fixed_dictionaries(
        {
            "amount": st.integers(1, 2000).map(lambda cents: str(Decimal(cents) / 100)),
            "priority": st.integers(49, 51),
            "effective_at": instants,
        },
        optional={
            "lasts": st.one_of(st.integers(1, 8).map(lambda n: n * HOUR), st.integers(1, 30).map(lambda n: n * DAY))
        },
    ),
    max_size=4,
)
plans = st.sampled_from(
    [
        plan(),
        plan(minimum="7", discounts=[{"percent": "10"}]),
        plan(fee={"amount": "3"}, maximum="12"),
        plan(period="day", unit_price="0.5", fee={"amount": "0.2", "due": "arrears"}),
    ]
)

# Weeks of a wallet take longer than Hypothesis expects of one example.
unhurried = settings(deadline=None)
slowest = pytest.mark.parametrize("examples", [10, deep(100)])


def history(posted: list[dict[str, Any]], events: list[tuple[int, str]], priced: Any, *, prepaid: bool) -> History:
    made = History(account(prepaid_only=prepaid, timezone="Europe/Berlin"), plans=[priced], events=events)
    for number, credit in enumerate(posted):
        request = {"id": f"c{number}", **credit}
        if lasts := request.pop("lasts", None):
            request["expires_at"] = request["effective_at"] // QUARTER * QUARTER + QUARTER + lasts
        made.post(START, **request)
    return made


@slowest
def test_the_ledger_does_not_depend_on_when_anyone_looked(examples: int) -> None:
    @settings(unhurried, max_examples=examples)
    @given(credits_posted, events, plans, st.booleans(), st.lists(instants, max_size=8))
    @example(  # a draw that comes to nothing, and to something again behind a grant
        [{"amount": "0.01", "priority": 50, "effective_at": START}] * 2,
        [(START, "0.01"), (START + MINUTE, "-0.01"), (START + QUARTER, "0.01")],
        plan(),
        False,
        [START + MINUTE],
    )
    def holds(
        posted: list[dict[str, Any]], used: list[tuple[int, str]], priced: Any, prepaid: bool, looks: list[int]
    ) -> None:
        once, often = (history(posted, used, priced, prepaid=prepaid) for _ in range(2))
        for now in sorted(looks):
            often.look(now)
        once.look(START + SPAN)
        often.look(START + SPAN)

        assert often.statement == once.statement
        assert [entry.balance_after for entry in often.entries] == [entry.balance_after for entry in once.entries]
        assert often.wallet.periods == once.wallet.periods
        assert often.balance == once.balance

    holds()


@slowest
def test_the_balance_is_the_sum_of_the_entries_however_late_usage_arrives(examples: int) -> None:
    @settings(unhurried, max_examples=examples)
    @given(credits_posted, events, plans, st.booleans(), st.lists(st.tuples(instants, st.integers(0, 12)), max_size=8))
    def holds(
        posted: list[dict[str, Any]],
        used: list[tuple[int, str]],
        priced: Any,
        prepaid: bool,
        looks: list[tuple[int, int]],
    ) -> None:
        made = history(posted, used, priced, prepaid=prepaid)
        for now, known in [*sorted(looks), (START + SPAN, len(used))]:
            made.look(now, known=[event for event in used[:known] if event[0] <= now])
            _holds_its_laws(made, prepaid=prepaid)
            for period in [period for period in made.wallet.periods if period.closed][:-2]:
                made.wallet, _ = conclude(made.wallet, period.start)
                _holds_its_laws(made, prepaid=prepaid)

    holds()


@slowest
def test_whatever_is_revoked_when_the_balance_is_the_sum_of_the_entries(examples: int) -> None:
    @settings(unhurried, max_examples=examples)
    @given(
        credits_posted,
        events,
        plans,
        st.booleans(),
        st.lists(st.tuples(instants, st.integers(0, 4), st.none() | st.integers(1, 900)), max_size=6),
    )
    def holds(
        posted: list[dict[str, Any]],
        used: list[tuple[int, str]],
        priced: Any,
        prepaid: bool,
        revocations: list[tuple[int, int, int | None]],
    ) -> None:
        made = history(posted, used, priced, prepaid=prepaid)
        for number, (now, credit, cents) in enumerate(sorted(revocations, key=lambda each: each[0])):
            made.look(now)
            if any(each.id == f"c{credit}" for each in made.wallet.credits):
                amount = None if cents is None else Decimal(cents) / 100
                made.wallet, _ = revoke(made.wallet, f"c{credit}", now, amount, f"r{number}")
            made.look(now)
            _holds_its_laws(made, prepaid=prepaid)
        made.look(START + SPAN)
        _holds_its_laws(made, prepaid=prepaid)

    holds()


def _holds_its_laws(made: History, *, prepaid: bool) -> None:
    running = Decimal(0)
    for entry in made.entries:
        running += entry.amount
        assert entry.balance_after == running
    assert balance(made.wallet) == running
    assert len({entry.id for entry in made.entries}) == len(made.entries)
    for credit in made.wallet.credits:
        assert 0 <= credit.remaining <= credit.amount
        assert 0 <= credit.lapsed <= credit.amount
    for period in made.wallet.periods:
        drawn = period.credits_applied + period.debt
        assert drawn == period.owed if prepaid else drawn <= period.owed
        assert prepaid or not period.debt
    assert prepaid or balance(made.wallet) >= 0
    assert unpack(pack(made.wallet)) == made.wallet


@unhurried
@given(credits_posted, events, plans, st.booleans(), instants)
def test_settling_twice_is_settling_once(
    posted: list[dict[str, Any]], used: list[tuple[int, str]], priced: Any, prepaid: bool, now: int
) -> None:
    made = history(posted, used, priced, prepaid=prepaid)
    made.look(now)
    again = made.look(now)

    assert not again.changed
    assert (again.entries, again.announcements, again.edges, again.closed_periods) == ({}, (), (), ())
