"""Thousands of customers cross their thresholds in one minute: each is topped up once, below Stripe's rate limit."""

import math
from collections import Counter

import pytest

from adapters.stripe import Pace, Stripe
from billing.customers import Account, Customer, PlanChange
from handlers._live import STRIPE_INTERVAL_SECONDS
from metering.times import DAY
from tests.handlers.street import NOW, Line, Street, queue_record, used
from tests.infra.local.stripe.in_process import URL, InProcess

WORKERS = 5
"""How many run at once, as the template says."""
LIMITS = {"overall": 100, "endpoint": 25}
"""Stripe's, a second."""
RULE = {"threshold": "10", "amount": "50", "daily_cap": "50", "monthly_cap": "50"}


def below(street: Street, stand_in: InProcess, count: int) -> list[str]:
    """So many customers with a card and 11 dollars, all of whom then use something for 2 in one minute."""
    names = [f"c{number}" for number in range(count)]
    for name in names:
        holder = stand_in.customer()[0]
        body = {"id": name, "plan": "serverless", "currency": "USD", "starts_at": NOW - DAY, "stripe_customer": holder}
        customer = Customer.model_validate({**body, "top_up": RULE})
        street.catalog.put_account(Account(customer, (PlanChange(NOW - DAY, "serverless", 1),)), None)
        street.does("POST", f"/v1/customers/{name}/credits", {"id": "first", "amount": "11"})
    for first in range(0, count, 500):
        street.post(*(used(name, value="4", customer=name) for name in names[first : first + 500]))
    street.flow()
    assert len(street.queues["TOP_UP"]) == count
    return names


def paced(street: Street, stand_in: InProcess) -> None:
    """Have Stripe called as often as all workers together may, by the street's clock."""

    def sleep(seconds: float) -> None:
        street.now += math.ceil(seconds * 1000)

    pace = Pace(STRIPE_INTERVAL_SECONDS / WORKERS, lambda: street.now / 1000, sleep)
    street.__dict__["stripe"] = Stripe(street.secret, URL, pace, Line(street, stand_in))


def work_off(street: Street) -> int:
    """Handle what is queued, and let the hour strike; returns the longest queue that there was meanwhile."""
    longest, next_hour = 0, NOW
    while street.queues["TOP_UP"]:
        longest = max(longest, len(street.queues["TOP_UP"]))
        message = street.queues["TOP_UP"].pop(0)
        street.run("TOP_UP", [queue_record(message)])
        if street.now >= next_hour:
            next_hour += 600_000
            street.hour()
    street.flow()
    return longest


def check(street: Street, stand_in: InProcess, names: list[str]) -> None:
    """Each has one top-up, one charge and one credit; nothing failed, was parked or is left."""
    told = stand_in.read("charges")
    assert (told["succeeded"], told["failed"], told["amount"]) == (len(names), 0, {"usd": 5000 * len(names)})
    assert len({charge["customer"] for charge in told["data"]}) == len(names)
    for name in names:
        (attempt,) = street.attempts.of_customer(name)
        assert attempt.state == "succeeded"
        assert not street.parked(name)
    assert street.does("GET", f"/v1/customers/{names[-1]}/balance")["balance"] == "59"
    assert len(street.announced("top_up.succeeded")) == len(names)
    assert street.attempts.due(street.now + DAY, 10) == []


def most_in_a_second(stand_in: InProcess) -> Counter[str]:
    """The most requests of a kind that came in one second, whenever it began."""
    by_kind: dict[str, list[int]] = {}
    for each in stand_in.read("requests")["data"]:
        by_kind.setdefault(f"{each['method']} {each['path'].split('/')[2]}", []).append(each["at_milliseconds"])
    most: Counter[str] = Counter()
    for kind, instants in by_kind.items():
        first = 0
        for last, at in enumerate(instants):
            while instants[first] <= at - 1000:
                first += 1
            most[kind] = max(most[kind], last - first + 1)
    return most


@pytest.mark.parametrize("count", [40, pytest.param(10_000, marks=pytest.mark.deep)])
def test_everybody_is_topped_up_once_below_the_rate_limit(street: Street, stand_in: InProcess, count: int) -> None:
    names = below(street, stand_in, count)
    stand_in.application.requests.clear()
    stand_in.control("limits", LIMITS)
    paced(street, stand_in)
    street.now += 1000
    assert work_off(street) >= count
    assert not [each for each in stand_in.read("requests")["data"] if each["status"] == 429]
    assert max(most_in_a_second(stand_in).values()) <= WORKERS / STRIPE_INTERVAL_SECONDS <= 25
    check(street, stand_in, names)


def test_who_is_over_the_limit_all_the_same_is_queued_and_not_failed(street: Street, stand_in: InProcess) -> None:
    names = below(street, stand_in, 60)
    stand_in.control("limits", {"endpoint": 7})
    for _ in range(60):
        street.deliver("TOP_UP")
        street.now += 1000
    refused = [each for each in stand_in.read("requests")["data"] if each["status"] == 429]
    assert len(refused) > 60
    street.flow()
    check(street, stand_in, names)
