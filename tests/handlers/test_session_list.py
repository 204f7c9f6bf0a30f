"""GET /v1/sessions: of one meter or of all, how far back, page by page."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handlers import _paging
from metering.times import DAY, HOUR, MINUTE, format_time
from tests.handlers.street import METERS, NOW, Street, edge, used

BUILDS = {**METERS[1], "key": "builds", "dimensions": [], "weight": None, "max_duration": None}


def sessions(street: Street, limit: int = 100, **query: str) -> list[dict[str, Any]]:
    """All rows, a few at a time."""
    rows: list[dict[str, Any]] = []
    asked = {"customer": "acme", "limit": str(limit), **query}
    while True:
        answer = street.does("GET", "/v1/sessions", query=asked)
        assert len(answer["rows"]) <= limit
        rows += answer["rows"]
        if answer["next"] is None:
            return rows
        asked["next"] = answer["next"]


def names(rows: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(row["meter"], row["id"]) for row in rows]


@pytest.fixture
def two(street: Street) -> Street:
    """A street with two meters of durations."""
    street.does("PUT", "/v1/meters/builds", BUILDS)
    return street


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["start", "stop"]),
            st.sampled_from([-3000, -61, -60, -1, 0, 0, 30, 59]),
            st.sampled_from("12"),
            st.sampled_from(["runtime", "builds"]),
        ),
        max_size=12,
    )
)
def test_the_sessions_of_all_meters_are_one_list_of_any_pages(build: Callable[[], Street], edges: list[Any]) -> None:
    street = build()
    street.prepare()
    street.does("PUT", "/v1/meters/builds", BUILDS)
    street.post(*(edge(kind, minutes, vm, meter=meter) for kind, minutes, vm, meter in edges))
    street.flow()
    for status in ("", "open", "closed", "anomalous"):
        each = [row for meter in ("runtime", "builds") for row in sessions(street, meter=meter, status=status)]
        every = sorted(each, key=lambda row: row["start"], reverse=True)
        for limit in (1, 2, 3, 100):
            rows = sessions(street, limit, status=status)
            assert sorted(map(repr, rows)) == sorted(map(repr, each)), "none is missing, and none comes twice"
            assert [row["start"] for row in rows] == [row["start"] for row in every]


def test_two_sessions_that_only_their_meters_tell_apart_are_two(two: Street) -> None:
    two.post(*(edge(kind, minute, meter=meter) for kind, minute, meter in [
        ("start", 5, "runtime"), ("stop", 9, "runtime"), ("start", 5, "builds"),
    ]))  # fmt: skip
    two.flow()
    for limit in (1, 2):
        assert names(sessions(two, limit)) == [("runtime", "1:start:5"), ("builds", "1:start:5")]
    assert names(sessions(two, status="open")) == [("builds", "1:start:5")]
    assert names(sessions(two, meter="runtime")) == [("runtime", "1:start:5")]


@pytest.mark.parametrize(("query", "status"), [
    ({"customer": ""}, 400), ({"customer": "nobody"}, 404), ({"meter": "nothing"}, 404), ({"status": "odd"}, 400),
])  # fmt: skip
def test_what_makes_no_sense_is_refused(street: Street, query: dict[str, str], status: int) -> None:
    assert street.call("GET", "/v1/sessions", query={"customer": "acme", **query})[0] == status


def test_a_meter_without_durations_has_no_sessions(street: Street) -> None:
    street.post(used("a"))
    street.flow()
    assert sessions(street, meter="requests") == sessions(street) == []


def test_without_an_interval_they_go_back_as_far_as_they_are_kept_and_what_runs_further(two: Street) -> None:
    for days in (52, 45, 30, 2):
        two.now = NOW - days * DAY
        start = two.now - 10 * MINUTE
        two.post(
            edge("start", vm=f"{days}", meter="builds", timestamp=start),
            edge("stop", vm=f"{days}", meter="builds", timestamp=start + MINUTE),
            edge("start", vm=f"{days}-runs", meter="builds", timestamp=start),
        )
        two.flow()
    two.now = NOW
    two.expire()
    closed = [f"{days}:start:0" for days in (2, 30, 45)]
    still = [f"{days}-runs:start:0" for days in (2, 30, 45, 52)]
    assert [row["id"] for row in sessions(two, status="closed")] == closed
    assert [row["id"] for row in sessions(two, status="open")] == still
    assert sorted(row["id"] for row in sessions(two, 2)) == sorted(closed + still)
    since = format_time(NOW - 31 * DAY)
    assert sorted(row["id"] for row in sessions(two, 100, **{"from": since})) == sorted(closed[:2] + still[:2])
    assert sorted(row["id"] for row in sessions(two, 1, to=since)) == sorted(closed[2:] + still[2:])


def test_a_list_goes_as_far_back_on_every_page(two: Street) -> None:
    two.now = NOW - 50 * DAY + HOUR
    two.post(edge("start", meter="builds", timestamp=two.now), edge("stop", meter="builds", timestamp=two.now + MINUTE))
    two.flow()
    two.now = NOW
    two.post(edge("start", 1), edge("stop", 2))
    two.flow()
    first = two.does("GET", "/v1/sessions", query={"customer": "acme", "limit": "1"})
    two.now += 2 * HOUR
    second = two.does("GET", "/v1/sessions", query={"customer": "acme", "limit": "1", "next": first["next"]})
    assert names(first["rows"] + second["rows"]) == [("runtime", "1:start:1"), ("builds", "1:start:0")]


def test_a_stop_that_ended_nothing_is_an_anomaly_and_no_closed_session(street: Street) -> None:
    street.post(edge("start", 1), edge("start", 2), edge("stop", 3), edge("stop", 4))
    street.flow()
    told = {status: names(sessions(street, status=status)) for status in ("closed", "anomalous", "")}
    stop, first, second = (("runtime", f"1:{each}") for each in ("stop:4", "start:1", "start:2"))
    assert told == {"closed": [second, first], "anomalous": [stop, first], "": [stop, second, first]}


def test_a_page_that_passes_over_very_many_ends_and_the_next_goes_on(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_paging, "_MOST_PASSED_OVER", 3)
    for vm in range(10):
        street.post(edge("start", vm, str(vm)), edge("stop", vm + 1, str(vm)))
    street.post(edge("stop", -30, "odd"))
    street.flow()
    asked = {"customer": "acme", "status": "anomalous"}
    counts = []
    for _ in range(10):
        answer = street.does("GET", "/v1/sessions", query=asked)
        counts.append(len(answer["rows"]))
        if answer["next"] is None:
            break
        asked["next"] = answer["next"]
    assert counts == [0, 0, 0, 1]
    assert [row["id"] for row in sessions(street, status="anomalous")] == ["odd:stop:-30"]


def test_a_page_reads_the_days_that_it_shows_and_none_that_cannot_be(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    for days in range(8):
        street.now = NOW - (7 - days) * DAY
        street.post(edge("start", timestamp=street.now - HOUR), edge("stop", timestamp=street.now - HOUR + 1))
        street.flow()
    table: Any = street.table("Usage")
    query, asked = table.query, list[Any]()

    def counting(*args: Any, **more: Any) -> Any:
        asked.append(args)
        return query(*args, **more)

    monkeypatch.setattr(table, "query", counting)
    street.does("GET", "/v1/sessions", query={"customer": "acme", "limit": "1"})
    assert len(asked) == 3, "what runs, today, and the day on which the following page begins"
    asked.clear()
    assert len(sessions(street, 1000, to="9998-12-31T00:00:00Z")) == 8
    assert len(asked) == 1 + 51, "what runs, and each day of which anything is kept"
