"""Days that are over are kept as wholes; what comes late reaches them, and the wallet. Laws 4.3 and 5.4."""

import json
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from handlers import rate
from handlers._settling import look
from metering.errors import Unreadable
from metering.times import DAY, HOUR, floor
from tests.handlers.street import METERS, NOW, Street, used
from tests.rows import quick_of

TODAY = floor(NOW, DAY)


@pytest.fixture
def closed(build: Callable[[], Street]) -> Street:
    """A week of usage, one request an hour, whose days are kept as wholes; a second meter that was not used yet."""
    street = build()
    street.does("PUT", "/v1/meters/requests", METERS[0])
    street.does("PUT", "/v1/meters/other", {"key": "other", "aggregation": "sum"})
    items = [
        {"key": key, "meter": key, "price": {"model": "per_unit", "unit_price": "0.5"}} for key in ("requests", "other")
    ]
    street.does("PUT", "/v1/plans/both", {"key": "both", "currency": "USD", "items": items})
    street.does("PUT", "/v1/customers/acme", {"plan": "both"})
    street.does("POST", "/v1/customers/acme/credits", {"id": "c", "amount": "1000"})
    street.flow()
    for hour in range(7 * 24):
        street.now = NOW + hour * HOUR
        street.post(used(f"h{hour}", hour * 60))
        street.flow()
        street.minute()
    return street


def spent(street: Street) -> Decimal:
    """What the stored wallet has paid."""
    assert not look("acme", street, street.now).settlement.changed
    return 1000 - Decimal(street.does("GET", "/v1/customers/acme/balance")["balance"])


def days(street: Street) -> list[str]:
    return [str(item["sk"])[4:14] for item in street.items("Usage", "closed") if item["state"] == "closed"]


def test_past_days_are_kept_as_wholes_and_not_the_running_one(closed: Street) -> None:
    assert days(closed) == [f"2026-11-{day}" for day in range(20, 27)]
    assert spent(closed) == Decimal("0.5") * 7 * 24


@pytest.mark.parametrize("hour", quick_of([0, 1, 8, 9, 24, 100, 150], 0, 9, 100))
def test_what_comes_late_is_in_its_day_and_paid(closed: Street, hour: int) -> None:
    before = spent(closed)
    closed.post(used("late", hour * 60, value="10"))
    closed.flow()
    assert spent(closed) == before + 5
    closed.post(used("late", hour * 60, revision=1, void=True))
    closed.flow()
    assert spent(closed) == before


def test_what_comes_late_to_many_hours_reaches_each_day_once(closed: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    before, reached = spent(closed), Counter[int]()
    reach_day: Any = closed.usage.reach_day

    def counted(customer: str, day: int) -> None:
        reached[day] += 1
        reach_day(customer, day)

    monkeypatch.setattr(closed.usage, "reach_day", counted)
    closed.post(*(used(f"late{hour}", hour * 60, value="10") for hour in range(50)))
    closed.run("aggregate", closed.streams["aggregate"])
    assert set(reached.values()) == {1}
    assert len(reached) == 3
    closed.flow()
    assert spent(closed) == before + 5 * 50


def test_a_day_that_cannot_be_reached_is_parked_with_what_came_to_it(
    closed: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    reach_day: Any = closed.usage.reach_day

    def damaged(customer: str, day: int) -> None:
        if day == TODAY + 2 * DAY:
            raise Unreadable("the day is damaged")
        reach_day(customer, day)

    before = spent(closed)
    monkeypatch.setattr(closed.usage, "reach_day", damaged)
    closed.post(*(used(f"late{day}", day * 24 * 60, value="10") for day in range(4)))
    records = list(closed.streams["aggregate"])
    closed.flow()
    (parked,) = closed.parked()
    assert (parked["reason"], parked["function"]) == ("the day is damaged", "aggregate")
    assert json.loads(str(parked["record"])) in json.loads(json.dumps(records))
    monkeypatch.setattr(closed.usage, "reach_day", reach_day)
    closed.run("aggregate", [json.loads(str(parked["record"]))])
    closed.flow()
    assert spent(closed) == before + 5 * 4


@pytest.mark.parametrize("meter", ["requests", "other"])
def test_a_wallet_that_was_settled_before_the_day_was_reached_is_settled_again(
    closed: Street, monkeypatch: pytest.MonkeyPatch, meter: str
) -> None:
    # The other meter has no window in the day yet.
    before = spent(closed)
    reach_day: Any = closed.usage.reach_day

    def slow(customer: str, day: int) -> None:
        closed.run("rate", closed.streams["rate"])
        closed.streams["rate"].clear()
        reach_day(customer, day)

    monkeypatch.setattr(closed.usage, "reach_day", slow)
    closed.post(used("late", 100 * 60, value="10", meter=meter, dimensions={}))
    closed.flow()
    assert spent(closed) == before + 5


def test_settling_reads_days_and_closes_none_twice(closed: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    again: list[int] = []
    monkeypatch.setattr(closed.usage, "close_day", lambda _, day: again.append(day))
    rate.rate_customer("acme", (), closed, closed.now)
    assert again == []
    read = closed.usage.read("acme", TODAY + DAY, None, closed.now - HOUR)
    assert len(read.slots["requests"]) == 6 + 15
