"""Days that are over are kept as wholes, and nobody can tell but by the number of items read. Laws 4.3 and 4.4."""

from decimal import Decimal
from typing import Any

import pytest

from metering.times import DAY, HOUR
from tests.handlers.street import NOW, Street, used

DAYS = range(2, 9)


def rows(street: Street, **query: str) -> list[dict[str, Any]]:
    given = {"customer": "acme", "meter": "requests", "limit": "1000", **query}
    told: list[dict[str, Any]] = street.does("GET", "/v1/usage", query=given)["rows"]
    return told


def read_items(street: Street, monkeypatch: pytest.MonkeyPatch, window: str) -> int:
    """How many items of the Usage table the month's windows of a length take."""
    table: Any = street.table("Usage")
    query, taken = table.query, []

    def counted(*args: Any, **options: Any) -> Any:
        for item in query(*args, **options):
            taken.append(item)
            yield item

    with monkeypatch.context() as patched:
        patched.setattr(table, "query", counted)
        rows(street, window=window)
    return len(taken)


def spend(street: Street) -> None:
    for day in DAYS:
        for hour in range(6):
            at = NOW - day * DAY + hour * HOUR
            street.post(used(f"{day}-{hour}", value=f"{day}.{hour}", timestamp=at))
    street.flow()


def test_days_that_are_over_are_closed_and_a_month_is_read_by_them(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    spend(street)
    street.minute()

    closed = [item for item in street.items("Usage", "closed") if item["state"] == "closed"]
    assert len(closed) == len(DAYS)
    assert read_items(street, monkeypatch, "total") < read_items(street, monkeypatch, "hour") / 2
    sums = {
        window: (sum(Decimal(row["quantity"]) for row in found), sum(row["events"] for row in found))
        for window in ("total", "day", "hour", "minute")
        for found in [rows(street, window=window)]
    }
    expected = (sum(Decimal(f"{day}.{hour}") for day in DAYS for hour in range(6)), 6 * len(DAYS))
    assert sums == dict.fromkeys(sums, expected)
    in_kolkata = rows(street, window="day", timezone="Asia/Kolkata")
    assert sum(Decimal(row["quantity"]) for row in in_kolkata) == expected[0]


def test_a_late_event_reaches_a_day_that_is_closed(street: Street) -> None:
    spend(street)
    for day in DAYS:
        street.usage.close_day("acme", (NOW - day * DAY) // DAY * DAY)
    (total,) = rows(street)

    street.post(used("late", value="1000", timestamp=NOW - 3 * DAY))
    street.flow()

    (again,) = rows(street)
    assert Decimal(again["quantity"]) == Decimal(total["quantity"]) + 1000
    assert again["events"] == total["events"] + 1
