"""GET /v1/usage: windows of every length from the same events, gaps, filters and pages."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.spans import Grid
from metering.times import DAY, HOUR, MINUTE, format_time, parse_time
from tests.handlers.street import NOW, Street, edge, used

BEGAN = NOW - HOUR


def usage(street: Street, meter: str = "requests", **query: str) -> list[dict[str, Any]]:
    """All rows, a few at a time."""
    rows: list[dict[str, Any]] = []
    following = ""
    while True:
        asked = {
            "customer": "acme",
            "meter": meter,
            "limit": "3",
            **query,
            **({"next": following} if following else {}),
        }
        answer = street.does("GET", "/v1/usage", query=asked)
        assert len(answer["rows"]) <= int(asked["limit"])
        rows += answer["rows"]
        following = answer["next"]
        if not following:
            return rows


def cells(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(row["start"][11:16], *row["dimensions"].values(), row["quantity"], row["events"]) for row in rows]


def test_minutes_are_served_from_the_events_themselves(street: Street) -> None:
    street.post(used("a", 0, "1"), used("b", 0, "2"), used("c", 7, "4"), used("c", 7, "5", revision=1))
    street.post(used("d", 8, "9"), used("d", 8, void=True, revision=1))
    # Not folded yet, and there all the same.
    assert cells(usage(street, window="minute")) == [("15:00", "3", 2), ("15:07", "5", 1)]
    street.flow()
    assert cells(usage(street, window="minute")) == [("15:00", "3", 2), ("15:07", "5", 1)]


def test_a_session_is_cut_by_the_minute(street: Street) -> None:
    street.post(edge("start", 1), edge("stop", 3), edge("start", 58, "2"))
    street.flow()
    rows = usage(street, "runtime", window="minute", to=format_time(NOW))
    # Two GB for two minutes; then one that runs, up to now.
    assert cells(rows) == [
        ("15:01", "120000", 1),
        ("15:02", "120000", 0),
        ("15:58", "120000", 1),
        ("15:59", "120000", 0),
    ]


def test_a_session_that_just_ended_counts_once_though_its_window_is_behind(street: Street) -> None:
    street.post(edge("start", 1))
    street.flow()
    street.post(edge("stop", 3))
    records, street.streams["pair"] = street.streams["pair"], []
    street.run("pair", records)  # the facts are there, the window is not
    assert cells(usage(street, "runtime", window="minute")) == [("15:01", "120000", 1), ("15:02", "120000", 0)]


@pytest.mark.parametrize(("query", "starts"), [
    ({"from": "2026-11-20T15:07:30Z"}, ["15:07"]),
    ({"to": "2026-11-20T15:07:59Z"}, ["15:00"]),
    ({"where.provider": "gcp"}, ["15:07"]),
    ({"where.provider": "gcp", "where.region": "x"}, []),
    ({"where.provider": "gcp", "without": "region"}, ["15:07"]),
    ({"without": "provider"}, []),
])  # fmt: skip
def test_minutes_are_cut_and_filtered(street: Street, query: dict[str, str], starts: list[str]) -> None:
    street.post(used("a", 0), used("b", 7, dimensions={"provider": "gcp"}))
    assert [row["start"][11:16] for row in usage(street, window="minute", **query)] == starts


def test_minutes_older_than_the_events_are_refused_and_never_told_as_zero(street: Street) -> None:
    query = {"customer": "acme", "meter": "requests", "window": "minute", "from": format_time(NOW - 51 * DAY)}
    status, told = street.call("GET", "/v1/usage", query=query)
    assert (status, told["code"]) == (400, "invalid")
    assert "50 days" in told["detail"]


@pytest.mark.parametrize(("zone", "window", "starts"), [
    ("UTC", "hour", ["14:00", "15:00"]),
    ("Asia/Kathmandu", "hour", ["14:15", "15:15"]),
    ("UTC", "day", ["00:00"]),
    ("Asia/Kolkata", "day", ["18:30"]),
    ("UTC", "week", ["00:00"]),
    ("UTC", "year", ["00:00"]),
])  # fmt: skip
def test_windows_are_those_of_the_zone(street: Street, zone: str, window: str, starts: list[str]) -> None:
    street.post(used("a", -30), used("b", 20))
    street.flow()
    rows = usage(street, window=window, timezone=zone, **{"from": "2026-01-01T00:00:00Z"})
    assert [row["start"][11:16] for row in rows] == starts
    assert sum(int(row["quantity"]) for row in rows) == 2


def test_a_window_is_shown_as_far_as_it_was_asked_for(street: Street) -> None:
    street.post(used("a", 20))
    street.flow()
    query = {"from": "2026-11-20T15:15:00Z", "to": "2026-11-20T15:30:00Z"}
    [row] = usage(street, window="day", **query)
    assert (row["start"], row["end"]) == (query["from"], query["to"])


def test_gaps_are_filled_up_to_now_with_the_combinations_that_occur(street: Street) -> None:
    street.post(used("a", -60), used("b", 0, dimensions={"provider": "gcp"}))
    street.flow()
    query = {"window": "hour", "fill": "zero", "from": "2026-11-20T13:00:00Z", "to": "2026-11-21T00:00:00Z"}
    assert cells(usage(street, **query)) == [("13:00", "0", 0), ("14:00", "1", 1), ("15:00", "1", 1), ("16:00", "0", 0)]
    assert cells(usage(street, **query, group_by="provider")) == [
        *(("13:00", "aws", "0", 0), ("13:00", "gcp", "0", 0), ("14:00", "aws", "1", 1), ("14:00", "gcp", "0", 0)),
        *(("15:00", "aws", "0", 0), ("15:00", "gcp", "1", 1), ("16:00", "aws", "0", 0), ("16:00", "gcp", "0", 0)),
    ]


def test_minutes_are_filled_too(street: Street) -> None:
    street.post(used("a", 57), used("b", 59, dimensions={"provider": "gcp"}))
    street.flow()
    query = {"window": "minute", "fill": "zero", "from": format_time(NOW - 4 * MINUTE)}
    rows = [("15:56", "0"), ("15:57", "1"), ("15:58", "0"), ("15:59", "1"), ("16:00", "0")]
    assert [each[:2] for each in cells(usage(street, **query))] == rows
    assert len(usage(street, **query, group_by="provider")) == 10


@pytest.mark.parametrize(
    ("since", "until", "providers"),
    [
        ("15:09", "15:12", "gcp"),
        ("15:10", "15:11", "gcp"),
        ("15:11", "15:13", ""),
        ("15:05", "15:16", "gcp ibm"),
        ("15:16", "15:46", "new one"),
        ("15:00", "15:15", "aws gcp"),
        ("15:00", "16:01", "aws gcp ibm new one"),
    ],
)
def test_minutes_are_filled_with_the_combinations_of_the_interval_and_no_others(
    street: Street, since: str, until: str, providers: str
) -> None:
    at = {"aws": 0, "gcp": 10, "ibm": 15, "new": 16, "one": 45}
    street.post(*(used(name, minute, dimensions={"provider": name}) for name, minute in at.items()))
    street.flow()
    asked = {"from": f"2026-11-20T{since}:00Z", "to": f"2026-11-20T{until}:00Z", "group_by": "provider"}
    rows = usage(street, window="minute", fill="zero", limit="1000", **asked)
    minutes = {row["start"] for row in rows}
    assert {row["dimensions"]["provider"] for row in rows} == set(providers.split())
    assert len(rows) == len(minutes) * len(providers.split()), "each combination in each minute"
    assert sum(int(row["quantity"]) for row in rows) == len(providers.split())


def test_a_session_fills_the_minutes_of_the_interval_that_it_touches(street: Street) -> None:
    where = {"vm": "2", "memory_gb": "2", "provider": "gcp"}
    street.post(edge("start", 1), edge("stop", 4), edge("start", 12, "2", dimensions=where))
    street.flow()

    def told(since: str, until: str) -> set[str]:
        asked = {"from": f"2026-11-20T15:{since}:00Z", "to": f"2026-11-20T15:{until}:00Z", "group_by": "provider"}
        rows = usage(street, "runtime", window="minute", fill="zero", limit="1000", **asked)
        return {row["dimensions"]["provider"] for row in rows}

    assert told("02", "03") == told("01", "12") == {"aws"}
    assert told("04", "12") == set()
    assert told("05", "20") == told("31", "32") == {"gcp"}
    assert told("03", "20") == {"aws", "gcp"}


def test_where_no_combination_occurs_there_is_nothing_to_fill_and_nothing_to_walk_through(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    street.post(used("a", 0))
    street.flow()

    def walk(*_: object) -> None:
        raise AssertionError("half a million hours, one by one")

    monkeypatch.setattr(Grid, "windows", walk)
    whole = {"window": "hour", "fill": "zero", "from": "1970-01-01T00:00:00Z", "to": "9998-01-01T00:00:00Z"}
    assert usage(street, **whole, group_by="provider", **{"where.provider": "gcp"}) == []


def test_the_running_period_is_the_one_that_runs_whoever_has_settled_the_wallet(build: Callable[[], Street]) -> None:
    street = build()
    street.prepare(timezone="America/New_York", anchor_day=15, starts_at="2026-01-01T05:00:00Z")
    street.post(used("a", value="3"))
    street.flow()

    def told() -> list[tuple[str, str, str]]:
        asked = {"customer": "acme", "meter": "requests", "fill": "zero"}
        rows = street.does("GET", "/v1/usage", query=asked)["rows"]
        return [(row["start"], row["end"], row["quantity"]) for row in rows]

    boundaries = [f"2026-{month}-15T05:00:00Z" for month in (11, 12)] + ["2027-01-15T05:00:00Z", "2027-02-15T05:00:00Z"]
    for place, after in enumerate(["2026-12-15T04:59:59Z", "2026-12-15T05:00:00Z", "2027-02-15T04:59:59Z"]):
        street.now = parse_time(after)  # and no wallet is settled
        assert told() == [(*boundaries[place : place + 2], "0" if place else "3")]
        draft = street.does("GET", "/v1/customers/acme/invoices/draft")["period"]
        assert (draft["start"], draft["end"]) == tuple(boundaries[place : place + 2])
    street.advance("2027-02-15T04:59:59Z")
    assert told() == [(*boundaries[2:], "0")]


def test_without_a_running_period_it_is_the_calendar_month(street: Street) -> None:
    street.does("PUT", "/v1/customers/free", {"timezone": "America/New_York"})
    street.does("PUT", "/v1/customers/gone", {"plan": "serverless", "ends_at": format_time(NOW + HOUR)})
    street.now = NOW + 2 * HOUR
    for customer in ("free", "gone"):
        asked = {"customer": customer, "meter": "requests", "fill": "zero"}
        (row,) = street.does("GET", "/v1/usage", query=asked)["rows"]
        assert (row["start"], row["end"]) == ("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z")


def test_a_total_is_zero_where_nothing_was_used_and_zeros_are_asked_for(street: Street) -> None:
    assert usage(street) == []
    assert [row["quantity"] for row in usage(street, fill="zero")] == ["0"]


def test_rows_that_come_meanwhile_move_no_page(street: Street) -> None:
    street.post(*(used(str(minute), minute) for minute in range(6)))
    query = {"customer": "acme", "meter": "requests", "window": "minute", "limit": "2"}
    first = street.does("GET", "/v1/usage", query=query)
    street.post(used("late", -5))
    street.advance("2026-12-02T00:00:00Z")  # even the running period is another one by now
    second = street.does("GET", "/v1/usage", query={**query, "next": first["next"]})
    assert [row["start"][11:16] for row in first["rows"] + second["rows"]] == ["15:00", "15:01", "15:02", "15:03"]


@pytest.mark.parametrize("query", [
    {"window": "fortnight"}, {"timezone": "Mars/Olympus"}, {"timezone": "../etc"}, {"group_by": "vm"},
    {"where.vm": "1"}, {"without": "vm"}, {"fill": "null"}, {"next": "1"}, {"next": "W10"}, {"limit": "0"},
    {"from": "2027-01-01T00:00:00Z"},
])  # fmt: skip
def test_what_makes_no_sense_is_refused(street: Street, query: dict[str, str]) -> None:
    status, told = street.call("GET", "/v1/usage", query={"customer": "acme", "meter": "requests", **query})
    assert (status, told["code"]) == (400, "invalid"), told


def test_the_next_of_one_question_is_no_answer_to_another(street: Street) -> None:
    street.post(used("a", 0), used("b", 1))
    query = {"customer": "acme", "meter": "requests", "window": "minute", "limit": "1"}
    following = street.does("GET", "/v1/usage", query=query)["next"]
    assert street.call("GET", "/v1/usage", query={**query, "next": following, "limit": "5"})[0] == 200
    assert street.call("GET", "/v1/usage", query={**query, "next": following, "window": "hour"})[0] == 400
    assert street.call("GET", "/v1/events", query={**query, "next": following})[0] == 400


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    st.lists(st.tuples(st.sampled_from(["start", "stop"]), st.integers(-90, 59), st.sampled_from("12")), max_size=6),
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(-90, 59), st.sampled_from(["1", "2.5"])), max_size=6),
    st.sampled_from(["UTC", "Asia/Kathmandu", "Europe/Berlin"]),
)
def test_windows_of_every_length_add_up_to_the_same(
    build: Callable[[], Street], edges: list[Any], events: list[Any], zone: str
) -> None:
    street = build()
    street.prepare()
    street.post(*(edge(*each) for each in edges), *(used(*each) for each in events))
    street.flow()
    for meter in ("requests", "runtime"):
        sums = set()
        for unit in ("minute", "hour", "day", "week", "month", "year", "total"):
            rows = usage(street, meter, window=unit, timezone=zone, limit="1000", group_by="provider")
            sums.add((sum(Fraction(row["quantity"]) for row in rows), sum(row["events"] for row in rows)))
        assert len(sums) == 1, (meter, sums)
