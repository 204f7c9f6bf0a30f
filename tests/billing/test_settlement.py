"""Laws 5.4, 5.8 and 5.9: a wallet moves by differences, in the order of what happened, whoever looks when."""

from decimal import Decimal

import pytest

from billing.customers import PlanChange
from billing.settlement import plans_needed
from billing.wallet import balance, conclude, revoke
from metering.decimals import text
from metering.errors import Conflict, NotFound
from metering.times import format_time
from tests.billing.histories import START, History, account, at, plan


def test_draws_of_one_clock_hour_are_one_entry_and_credits_burn_in_their_order() -> None:
    history = History(events=[(at("02T10:05"), "3"), (at("02T10:35"), "4"), (at("02T11:05"), "5")])
    history.post(START, id="last", amount="20", priority=60)
    history.post(START, id="soon", amount="6", expires_at=at("09T00:00"))
    history.post(START, id="late", amount="2")
    history.look(at("02T11:30"))

    assert history.statement == [
        "11-01T00:00 grant 20 last",
        "11-01T00:00 grant 6 soon",
        "11-01T00:00 grant 2 late",
        "11-02T10:00 draw -6 soon 11-01",
        "11-02T10:00 draw -1 late 11-01",
        "11-02T11:00 draw -1 late 11-01",
        "11-02T11:00 draw -4 last 11-01",
    ]
    assert history.balance == "16"


def test_at_one_instant_earlier_usage_is_drawn_before_a_credit_ends_and_the_rest_after_one_begins() -> None:
    history = History(events=[(at("02T10:10"), "3"), (at("02T10:15"), "4")])
    history.post(START, id="old", amount="10", expires_at=at("02T10:15"))
    history.post(START, id="new", amount="10", effective_at=at("02T10:15"))
    history.look(at("02T10:30"))

    assert history.statement == [
        "11-01T00:00 grant 10 old",
        "11-02T10:00 draw -3 old 11-01",
        "11-02T10:15 expiry -7 old",
        "11-02T10:15 grant 10 new",
        "11-02T10:15 draw -4 new 11-01",
    ]
    assert history.announced == ["credit.granted", "credit.granted", "credit.expired"]


def test_a_credit_that_begins_inside_a_period_also_pays_what_is_unpaid_of_it() -> None:
    history = History(events=[(at("02T10:10"), "3")])
    history.look(at("02T12:00"))
    history.post(at("05T12:20"), id="c", amount="10")

    assert history.statement == ["11-05T12:20 grant 10 c", "11-05T12:20 draw -3 c 11-01"]


def test_a_credit_that_begins_as_a_period_ends_does_not_pay_for_it_but_for_the_next() -> None:
    history = History(events=[(at("02T10:10"), "3"), (at("12-01T00:00"), "4")])
    history.post(START, id="c", amount="10", effective_at=at("12-01T00:00"))
    made = history.look(at("12-01T00:30"))

    assert history.statement == ["12-01T00:00 grant 10 c", "12-01T00:00 draw -4 c 12-01"]
    assert [(text(p.owed), p.credits_applied) for p in made.closed_periods] == [("3", Decimal(0))]


def test_prepaid_usage_goes_below_zero_and_the_next_credit_pays_it_even_after_the_period() -> None:
    history = History(account(prepaid_only=True), events=[(at("02T10:10"), "3"), (at("28T10:10"), "4")])
    history.post(START, id="a", amount="5")
    history.look(at("12-01T01:00"))
    assert history.balance == "-2"
    history.wallet, closed = conclude(history.wallet, START)
    assert (text(closed.debt), history.balance) == ("2", "-2")

    history.post(at("12-02T00:10"), id="b", amount="5")
    assert history.balance == "3"
    assert history.statement[-5:] == [
        "11-28T10:00 draw -2 a 11-01",
        "11-28T10:00 draw -2 - 11-01",
        "12-02T00:10 grant 5 b",
        "12-02T00:10 return 2 - 11-01",
        "12-02T00:10 draw -2 b 11-01",
    ]


def test_what_was_owed_below_zero_is_invoiced_once_the_customer_is_no_longer_prepaid_only() -> None:
    history = History(account(prepaid_only=True), events=[(at("02T10:10"), "3")])
    history.look(at("02T11:00"))
    assert history.balance == "-3"
    history.account = account()
    history.look(at("02T12:00"))

    assert history.balance == "0"
    assert history.wallet.periods[0].owed == 3


def test_less_owed_than_drawn_is_given_back_the_last_draw_first() -> None:
    history = History(events=[(at("02T10:10"), "8"), (at("02T12:10"), "-5")])
    history.post(START, id="a", amount="4", priority=1)
    history.post(START, id="b", amount="9")
    history.look(at("02T12:20"))

    assert history.statement[2:] == [
        "11-02T10:00 draw -4 a 11-01",
        "11-02T10:00 draw -4 b 11-01",
        "11-02T12:00 return 4 b 11-01",
        "11-02T12:00 return 1 a 11-01",
    ]


def test_what_returns_to_an_ended_credit_is_held_for_its_period_drawn_first_and_lost_with_it() -> None:
    history = History(events=[(at("02T10:10"), "8"), (at("04T12:10"), "-5"), (at("05T12:10"), "2")])
    history.post(START, id="a", amount="8", priority=1, expires_at=at("03T00:00"))
    history.post(START, id="b", amount="9")
    history.look(at("04T12:20"))
    assert history.balance == "9"
    history.look(at("05T12:20"))

    assert history.statement[2:] == [
        "11-02T10:00 draw -8 a 11-01",
        "11-04T12:00 return 5 a 11-01",
        "11-04T12:00 expiry -5 a 11-01",
        "11-05T12:00 expiry 2 a 11-01",
        "11-05T12:00 draw -2 a 11-01",
    ]
    history.look(at("12-01T02:00"))
    history.wallet, closed = conclude(history.wallet, START)
    assert [text(draw.amount) for draw in closed.held] == ["3"]
    assert history.balance == "9"


@pytest.mark.parametrize(
    ("arrival", "payer", "left"), [("03T00:59", "a", "9"), ("03T01:00", "b", "6")], ids=["within", "after"]
)
def test_for_an_hour_an_ended_credit_pays_late_usage_from_before_its_end(arrival: str, payer: str, left: str) -> None:
    history = History()
    history.post(START, id="a", amount="8", expires_at=at("03T00:00"))
    history.post(START, id="b", amount="9")
    history.look(at("03T00:20"))
    assert history.statement[-1] == "11-03T00:00 expiry -8 a"
    history.look(at(arrival), known=[(at("02T23:59"), "3")])

    assert history.wallet.periods[0].drawn[0].credit == payer
    assert history.balance == left


def test_an_ended_credit_never_pays_usage_from_after_its_end() -> None:
    history = History(events=[(at("03T00:10"), "3")])
    history.post(START, id="a", amount="8", expires_at=at("03T00:00"))
    history.look(at("03T00:20"))
    history.look(at("03T00:30"), known=[(at("03T00:10"), "3"), (at("02T23:10"), "2"), (at("03T00:05"), "2")])

    assert [(draw.credit, text(draw.amount)) for draw in history.wallet.periods[0].drawn] == [("a", "2")]


def test_credits_leave_the_wallet_an_hour_after_their_end_or_when_used_up_by_concluded_periods() -> None:
    history = History(events=[(at("02T10:10"), "8")])
    history.post(START, id="ends", amount="1", expires_at=at("02T00:00"))
    history.post(START, id="used", amount="8")
    history.look(at("02T00:59"))
    assert history.gone == []
    history.look(at("12-01T00:00"))
    assert history.gone == ["ends"]
    history.wallet, _ = conclude(history.wallet, START)
    history.look(at("12-01T02:00"))
    assert history.gone == ["ends", "used"]


FEES = [("advance", "11-01T00:00 draw -20 c 11-01"), ("arrears", "11-30T23:00 draw -20 c 11-01")]


@pytest.mark.parametrize(("due", "entry"), FEES)
def test_a_fee_is_paid_at_the_first_instant_of_its_period_or_at_its_end(due: str, entry: str) -> None:
    history = History(plans=[plan(fee={"amount": "20", "due": due})])
    history.post(START, id="c", amount="20", expires_at=at("12-01T00:00"))
    history.look(at("12-01T00:30"))

    assert history.statement == ["11-01T00:00 grant 20 c", entry]


def test_a_minimum_is_drawn_when_the_period_is_over() -> None:
    history = History(plans=[plan(minimum="5")], events=[(at("02T10:10"), "2")])
    history.post(START, id="c", amount="20")
    history.look(at("30T23:59"))
    assert history.balance == "18"
    made = history.look(at("12-01T00:00"))

    assert history.balance == "15"
    assert [period.closed for period in made.wallet.periods] == [True, False]


CHANGED = (PlanChange(START, "p", 1), PlanChange(at("16T00:00"), "q", 1))


@pytest.mark.parametrize("known_at", ["02T00:00", "20T00:00"], ids=["ahead", "behind"])
def test_a_plan_change_splits_the_period_at_its_instant_known_before_or_after(known_at: str) -> None:
    history = History(plans=[plan(), plan("q", "10")], events=[(at("15T23:59"), "3"), (at("16T00:00"), "4")])
    history.post(START, id="c", amount="100")
    history.look(at(known_at))
    history.account = account(CHANGED)
    history.look(at("21T00:00"))

    periods = [
        (p.plan, format_time(p.start)[5:10], format_time(p.end)[5:10], text(p.share)) for p in history.wallet.periods
    ]
    assert periods == [("p", "11-01", "11-16", "0.5"), ("q", "11-16", "12-01", "0.5")]
    assert history.balance == "57"


def test_a_change_of_plan_that_is_taken_back_gives_the_period_its_end_again() -> None:
    history = History(account(CHANGED), plans=[plan(), plan("q", "10")])
    history.look(at("02T00:00"))
    history.account = account()
    history.look(at("03T00:00"))

    assert history.wallet.periods[0].period.end == at("12-01T00:00")


def test_a_change_of_plan_from_the_start_of_the_running_period_replaces_its_plan() -> None:
    history = History(plans=[plan(), plan("q", "10")], events=[(at("02T10:10"), "2")])
    history.post(START, id="c", amount="100")
    history.look(at("02T11:00"))
    history.account = account((PlanChange(START, "q", 1),))
    history.look(at("02T12:00"))

    assert [period.plan for period in history.wallet.periods] == ["q"]
    assert history.balance == "80"


def test_ends_at_closes_the_last_period_and_opens_none() -> None:
    history = History(account(ends_at=at("10T00:00")), events=[(at("09T10:10"), "2")])
    made = history.look(at("20T00:00"))

    assert [(format_time(p.end)[5:10], p.closed) for p in made.wallet.periods] == [("11-10", True)]
    assert made.due_at is None


def test_a_customer_without_a_plan_has_a_wallet_all_the_same() -> None:
    history = History(account((), starts_at=None))
    history.post(at("05T12:20"), id="c", amount="10")

    assert history.balance == "10"
    assert history.last is not None
    assert history.last.due_at is None


def test_a_wallet_that_was_not_looked_at_for_months_closes_every_period_in_order() -> None:
    history = History(events=[(at("02T10:10"), "2"), (at("12-02T10:10"), "3")])
    history.post(START, id="c", amount="4")
    made = history.look(at("12-31T23:00") + 86_400_000)

    assert [text(period.owed) for period in made.closed_periods] == ["2", "3"]
    assert [text(period.credits_applied) for period in made.closed_periods] == ["2", "2"]


def test_the_clock_never_runs_backwards() -> None:
    history = History(events=[(at("02T10:10"), "2")])
    history.look(at("05T00:00"))
    made = history.look(at("03T00:00"))

    assert made.wallet.settled_at == at("05T00:00")
    assert not made.changed


@pytest.mark.parametrize(
    ("credit", "due"),
    [
        ({}, "12-01T00:00"),
        ({"effective_at": at("09T00:00")}, "11-09T00:00"),
        ({"expires_at": at("10T00:00")}, "11-10T00:00"),
    ],
)
def test_it_is_due_when_something_happens_without_new_usage(credit: dict[str, int], due: str) -> None:
    history = History()
    history.post(at("02T00:10"), id="c", amount="10", **credit)

    assert history.last is not None
    assert history.last.due_at is not None
    assert format_time(history.last.due_at)[5:16] == due


def test_alerts_are_told_at_the_instant_they_were_crossed() -> None:
    alerts = [
        {"key": "low", "kind": "balance_below", "threshold": "5"},
        {"key": "spend", "kind": "spend_above", "threshold": "6"},
        {"key": "calls", "kind": "usage_above", "threshold": "9", "meter": "m"},
    ]
    history = History(account(alerts=alerts), events=[(at("02T10:10"), "6"), (at("02T12:10"), "4")])
    history.post(START, id="c", amount="10", expires_at=at("04T00:00"))
    history.look(at("02T10:10"))
    history.look(at("02T12:10"))
    history.post(at("03T00:00"), id="d", amount="10")
    history.look(at("12-01T00:00"))

    assert history.edges == [
        ("11-02T10:10", "low", "fired"),
        ("11-02T12:10", "spend", "fired"),
        ("11-02T12:10", "calls", "fired"),
        ("11-02T12:10", "", "fired"),
        ("11-03T00:00", "low", "armed"),
        ("11-03T00:00", "", "armed"),
        ("12-01T00:00", "spend", "armed"),
        ("12-01T00:00", "calls", "armed"),
    ]
    assert [name for name in history.announced if name != "credit.granted"] == [
        "balance.low", "spend.above", "usage.above", "balance.depleted", "balance.recovered",
    ]  # fmt: skip


def test_a_top_up_is_requested_with_the_wallet_and_only_once() -> None:
    history = History(account(top_up={"threshold": "5", "amount": "50"}))
    first = history.look(at("02T00:10"))
    second = history.look(at("02T00:20"))

    assert first.top_up is not None
    assert first.wallet.top_ups.open == first.top_up.id
    assert history.announced == ["top_up.requested"]
    assert (second.top_up, second.changed) == (None, False)


def test_revoking_takes_back_what_remains_and_no_more() -> None:
    history = History(events=[(at("02T10:10"), "4")])
    history.post(START, id="c", amount="10")
    history.look(at("03T00:10"))
    history.wallet, taken = revoke(history.wallet, "c", at("03T00:10"), Decimal(2))
    history.wallet, rest = revoke(history.wallet, "c", at("03T00:10"))

    assert (text(taken), text(rest), history.balance) == ("2", "4", "0")
    assert history.statement[-2:] == ["11-03T00:10 revoke -2 c", "11-03T00:10 revoke -4 c"]
    with pytest.raises(NotFound):
        revoke(history.wallet, "unknown", at("03T00:10"))


def test_a_revoked_future_credit_is_granted_with_what_is_left_of_it() -> None:
    history = History()
    history.post(START, id="c", amount="10", effective_at=at("02T00:00"))
    history.wallet, _ = revoke(history.wallet, "c", START, Decimal(4))
    history.look(at("03T00:00"))

    assert history.statement == ["11-02T00:00 grant 6 c"]


def test_a_future_credit_that_is_revoked_whole_never_begins() -> None:
    history = History()
    history.post(START, id="c", amount="10", effective_at=at("02T00:00"))
    history.wallet, taken = revoke(history.wallet, "c", START)
    made = history.look(at("03T00:00"))

    assert (text(taken), history.statement, history.announced) == ("10", [], [])
    assert (history.wallet.credits, history.wallet.funded, made.due_at) == ((), False, at("12-01T00:00"))


@pytest.mark.parametrize(
    ("now", "taken"),
    [("02T09:59", "6"), ("02T10:15", "2"), ("02T10:30", "0"), ("02T11:15", "0")],
    ids=["before anything was drawn", "after a draw", "ended within the hour", "used up below zero"],
)
def test_revoking_takes_no_more_than_is_left_and_leaves_what_is_owed(now: str, taken: str) -> None:
    history = History(account(prepaid_only=True), events=[(at("02T10:05"), "4"), (at("02T11:05"), "5")])
    history.post(START, id="c", amount="6", expires_at=at("02T10:30"))
    history.look(at(now))
    before = balance(history.wallet)
    history.wallet, revoked = revoke(history.wallet, "c", at(now))
    history.look(at(now))

    assert text(revoked) == taken
    assert balance(history.wallet) == before - revoked


def test_only_a_period_that_has_ended_is_concluded() -> None:
    history = History()
    history.look(at("03T00:00"))
    with pytest.raises(Conflict):
        conclude(history.wallet, START)
    with pytest.raises(NotFound):
        conclude(history.wallet, START + 1)


def test_the_plans_to_read_are_those_of_the_account_and_of_open_periods() -> None:
    history = History()
    history.look(at("03T00:00"))

    assert plans_needed(history.wallet, account(CHANGED)) == {("p", 1), ("q", 1)}
    assert balance(history.wallet) == 0
