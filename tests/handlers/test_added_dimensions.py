"""A dimension that is added to a meter with events counts from an hour on, and changes nothing before it. Law 4.9."""

from collections import defaultdict
from decimal import Decimal
from typing import Any

import pytest

from handlers import aggregate
from handlers._live import Live
from metering.meters import Meter
from metering.times import HOUR, MINUTE, format_time
from tests.handlers.street import METERS, NOW, PLAN, Street, edge, used

SINCE = NOW + HOUR
LATER = {"region": "2026-11-20T17:00:00Z"}


def add(street: Street, meter: int = 0, *names: str) -> dict[str, Any]:
    """Add dimensions to one of the sample meters, `region` unless told."""
    body = METERS[meter] | {"dimensions": ["provider", *(names or ("region",))]}
    told: dict[str, Any] = street.does("PUT", f"/v1/meters/{body['key']}", body)
    return told


def used_by(street: Street, meter: str, **query: str) -> dict[str, dict[str, Decimal]]:
    """The quantities by the start of their window and by region, `-` where there is none."""
    asked = {"customer": "acme", "meter": meter, "group_by": "region", "limit": "1000", **query}
    found: dict[str, dict[str, Decimal]] = defaultdict(dict)
    for row in street.does("GET", "/v1/usage", query=asked)["rows"]:
        found[row["start"][11:16]][row["dimensions"].get("region", "-")] = Decimal(row["quantity"])
    return dict(found)


@pytest.fixture
def narrow(street: Street) -> Street:
    """A street whose meters do not know regions yet, and have events."""
    plain = {"key": "requests", "aggregation": "sum", "dimensions": ["provider"]}
    street.does("PUT", "/v1/meters/requests", plain)
    street.post(used("first", 0, dimensions={"provider": "aws", "region": "eu"}), edge("start", 0, vm="0"))
    street.post(edge("stop", 0, vm="0"))
    street.flow()
    return street


@pytest.mark.parametrize(
    ("now", "since"),
    [
        (NOW, "2026-11-20T17:00:00Z"),
        (NOW + 54 * MINUTE + 45_000, "2026-11-20T17:00:00Z"),
        (NOW + 54 * MINUTE + 50_000, "2026-11-20T17:00:00Z"),
        (NOW + 54 * MINUTE + 50_001, "2026-11-20T18:00:00Z"),
        (NOW + 59 * MINUTE, "2026-11-20T18:00:00Z"),
    ],
)
def test_it_counts_from_an_hour_of_which_no_event_can_have_been_folded(narrow: Street, now: int, since: str) -> None:
    narrow.now = now
    assert add(narrow)["dimensions_since"] == {"region": since}
    assert narrow.does("GET", "/v1/meters/requests")["dimensions_since"] == {"region": since}


@pytest.mark.parametrize("late", [0, 9_999], ids=["at once", "as late as it may be written"])
def test_the_first_event_of_that_hour_is_folded_by_it_though_the_meter_was_remembered_just_before(
    narrow: Street, monkeypatch: pytest.MonkeyPatch, late: int
) -> None:
    narrow.remembered = vars(Live)["remembered"].func(narrow)  # as a deployment remembers
    narrow.now = SINCE - 5 * MINUTE - 10_000
    put = narrow.catalog.put_meter

    def slow(meter: Meter) -> None:
        narrow.now += late
        narrow.post(used("before", 1, dimensions={"provider": "aws", "region": "eu"}))
        narrow.flow()  # whoever folds remembers the meter as it was
        put(meter)

    monkeypatch.setattr(narrow.catalog, "put_meter", slow)
    assert add(narrow)["dimensions_since"] == LATER
    narrow.now = SINCE - 5 * MINUTE
    narrow.post(used("first-of-it", 120, "7", dimensions={"provider": "aws", "region": "eu"}))
    narrow.flow()
    assert used_by(narrow, "requests", window="hour") == {"15:00": {"-": 2}, "17:00": {"eu": 7}}


def test_the_instant_stays_whoever_writes_the_meter_again(narrow: Street) -> None:
    told = add(narrow)
    narrow.now = SINCE + HOUR
    assert add(narrow)["dimensions_since"] == LATER
    assert narrow.does("PUT", "/v1/meters/requests", told | {"name": "Requests"})["dimensions_since"] == LATER
    forged = told | {"dimensions_since": {"region": "2026-11-01T00:00:00Z"}}
    assert narrow.does("PUT", "/v1/meters/requests", forged)["dimensions_since"] == LATER
    both = add(narrow, 0, "region", "zone")["dimensions_since"]
    assert both == LATER | {"zone": "2026-11-20T19:00:00Z"}


def test_before_there_are_events_it_counts_at_once(street: Street) -> None:
    assert add(street, 1)["dimensions_since"] == {}
    forged = METERS[1] | {"dimensions_since": LATER}
    assert street.does("PUT", "/v1/meters/runtime", forged)["dimensions_since"] == {}


def test_usage_is_told_apart_from_that_hour_on(narrow: Street) -> None:
    add(narrow)
    narrow.now = SINCE + 2 * HOUR
    where = {"provider": "aws", "region": "eu"}
    narrow.post(*(used(f"e{minute}", minute, "2", dimensions=where) for minute in (0, 119, 120, 150)))
    narrow.flow()
    by_hour = {"15:00": {"-": 3}, "16:00": {"-": 2}, "17:00": {"eu": 4}}
    assert used_by(narrow, "requests", window="hour") == by_hour
    by_minute = used_by(narrow, "requests", window="minute")
    assert by_minute == {"15:00": {"-": 3}, "16:59": {"-": 2}, "17:00": {"eu": 2}, "17:30": {"eu": 2}}
    of_eu = used_by(narrow, "requests", window="hour", **{"where.region": "eu"})
    assert of_eu == {"17:00": {"eu": 4}}


def test_an_hour_folded_again_afterwards_is_what_it_was(narrow: Street) -> None:
    windows = narrow.items("Usage", "window")
    add(narrow)
    for now in (NOW, SINCE, SINCE + HOUR):
        narrow.now = now
        for meter in ("requests", "runtime"):
            assert aggregate.refresh(f"acme#{meter}#2026-11-20T15", ["00"], narrow) is False
    assert narrow.items("Usage", "window") == windows


@pytest.mark.parametrize("running", [False, True])
def test_the_parts_of_a_session_are_told_apart_from_that_hour_on(narrow: Street, *, running: bool) -> None:
    add(narrow, 1)
    narrow.now = SINCE + HOUR // 2
    where = {"vm": "1", "memory_gb": "2", "provider": "aws", "region": "eu"}
    narrow.post(edge("start", 90, dimensions=where))
    if not running:
        narrow.post(edge("stop", 150, dimensions=where))
    narrow.flow()
    half = HOUR // 2 * 2
    assert used_by(narrow, "runtime", window="hour") == {"15:00": {"-": 0}, "16:00": {"-": half}, "17:00": {"eu": half}}
    start = format_time(NOW)
    assert used_by(narrow, "runtime", **{"from": start}) == {"16:00": {"-": half, "eu": half}}
    assert used_by(narrow, "runtime", **{"from": start, "where.region": "eu"}) == {"16:00": {"eu": half}}
    minutes = used_by(narrow, "runtime", window="minute", **{"from": start, "to": format_time(narrow.now)})
    assert {minute: set(regions) for minute, regions in minutes.items() if minute[3:] in ("59", "00")} == {
        "16:59": {"-"},
        "17:00": {"eu"},
    }
    filled = used_by(narrow, "runtime", window="hour", fill="zero", **{"from": start, "to": format_time(narrow.now)})
    assert filled == {"16:00": {"-": half, "eu": 0}, "17:00": {"-": 0, "eu": half}}


def test_prices_by_a_dimension_hold_from_that_hour_on(narrow: Street) -> None:
    add(narrow)
    by_region = {
        "model": "matrix",
        "by": ["region"],
        "prices": [{"when": {"region": "eu"}, "price": {"model": "per_unit", "unit_price": "10"}}],
        "otherwise": {"model": "per_unit", "unit_price": "1"},
    }
    items = [{"key": "requests", "meter": "requests", "price": by_region}]
    narrow.does("PUT", "/v1/plans/regional", PLAN | {"key": "regional", "items": items})
    narrow.does("PUT", "/v1/customers/regional", {"plan": "regional"})
    narrow.now = SINCE + HOUR
    where = {"provider": "aws", "region": "eu"}
    rows = (used(f"e{minute}", minute, "1", dimensions=where, customer="regional") for minute in (70, 130))
    narrow.post(*rows)
    narrow.flow()
    assert narrow.does("GET", "/v1/customers/regional/invoices/draft")["subtotal"] == "11"
