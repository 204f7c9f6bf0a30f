"""Very many distinct values in a period: counted exactly, in no more memory than the functions have. Law 4.3."""

import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from adapters.hours import Hour, Stored
from infra.benchmark.costs import MEMORY_MEGABYTES
from metering.times import DAY, HOUR, hour_name, parse_time
from metering.windows import Slots, Tally
from tests.handlers.street import Street
from tests.handlers.test_heavy_hours import assert_items_fit, uuid

BEGIN = parse_time("2026-11-01T00:00:00Z")
DAYS = 15
MEGABYTE = 1024 * 1024
# The least that any function has that reads a period, without what it takes before it reads anything.
MOST = (MEMORY_MEGABYTES["rate"] - 120) * MEGABYTE


def lived(street: Street, distinct: int, daily: int) -> None:
    """Let so many people be active in an hour of each day, some of them again; in all they are so many."""
    street.now = BEGIN
    street.does("PUT", "/v1/meters/people", {"aggregation": "unique", "unique_by": "user"})
    item = {"key": "people", "meter": "people", "price": {"model": "per_unit", "unit_price": "0.01"}}
    street.does("PUT", "/v1/plans/active", {"currency": "USD", "items": [item]})
    street.does("PUT", "/v1/customers/acme", {"plan": "active"})
    street.does("POST", "/v1/customers/acme/credits", {"id": "c", "amount": "1000000"})
    people = [uuid(number) for number in range(distinct)]
    for day in range(DAYS):
        first = day * (-(-distinct // DAYS))
        active = frozenset(people[number % distinct] for number in range(first, first + daily))
        at = BEGIN + day * DAY + 10 * HOUR
        used: Slots = {(at, ()): Tally(events=daily, values=active)}
        street.usage.put(Hour("acme", "people", hour_name(at)), used, [], Stored(None, None), at)
    for stream in street.streams.values():
        stream.clear()  # nobody has drawn for any of it
    street.now = BEGIN + DAYS * DAY + 12 * HOUR


def most_bytes(work: Callable[[], Any]) -> tuple[Any, int]:
    """What some work gives, and how much memory was taken at a time meanwhile, beyond what was taken before."""
    tracemalloc.start()
    try:
        return work(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("distinct", "daily", "most"),
    [(10_000, 1_000, MOST // 100), pytest.param(1_000_000, 100_000, MOST, marks=pytest.mark.deep)],
)
def test_a_period_of_very_many_distinct_values_is_counted_in_the_memory_that_there_is(
    build: Callable[[], Street], distinct: int, daily: int, most: int
) -> None:
    street = build()
    lived(street, distinct, daily)
    assert_items_fit(street)

    def total() -> str:
        rows = street.does("GET", "/v1/usage", query={"customer": "acme", "meter": "people"})["rows"]
        assert [row["events"] for row in rows] == [daily * DAYS]
        return str(rows[0]["quantity"])

    counted, taken = most_bytes(total)
    assert counted == str(distinct)
    assert taken < most

    # One more comes; the wallet has all of the month to draw for, hour by hour.
    where = {"user": "one more"}
    street.post({"id": "x", "customer": "acme", "meter": "people", "timestamp": street.now - 1, "dimensions": where})
    _, taken = most_bytes(street.flow)
    assert taken < most
    assert street.does("GET", "/v1/customers/acme/balance")["balance"] == f"{1_000_000 - (distinct + 1) / 100:.2f}"
    drawn = [row for row in street.does("GET", "/v1/customers/acme/ledger")["rows"] if row["kind"] == "draw"]
    assert len(drawn) == DAYS + 1
