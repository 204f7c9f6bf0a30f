"""GET /v1/events and /v1/sessions: what was sent and what was made of it, newest first, page by page."""

from typing import Any

import pytest

from billing.invoices import moved
from metering.times import DAY, MINUTE, format_time, parse_time
from tests.handlers.street import NOW, Street, edge, used


def pages(street: Street, path: str, meter: str, limit: int = 2, **query: str) -> list[dict[str, Any]]:
    """All rows, a few at a time."""
    rows: list[dict[str, Any]] = []
    following = ""
    for _ in range(100):
        asked = {"customer": "acme", "meter": meter, "limit": str(limit), **query}
        answer = street.does("GET", path, query=asked | ({"next": following} if following else {}))
        assert len(answer["rows"]) <= limit
        rows += answer["rows"]
        following = answer["next"]
        if not following:
            return rows
    raise AssertionError("it does not end")


def ids(rows: list[dict[str, Any]]) -> list[str]:
    return [row["id"] for row in rows]


def events(street: Street, meter: str = "requests", **query: Any) -> list[dict[str, Any]]:
    return pages(street, "/v1/events", meter, **query)


def test_events_are_listed_newest_first_whatever_the_size_of_a_page(street: Street) -> None:
    street.post(*(used(f"e{index}", minute) for index, minute in enumerate((50, -70, 50, 49, 3, -3000, 59))))
    street.flow()
    wanted = ["e6", "e2", "e0", "e3", "e4", "e1", "e5"]
    for limit in (1, 2, 3, 7, 8):
        assert ids(events(street, limit=limit)) == wanted
    assert ids(events(street, **{"from": format_time(NOW - 57 * MINUTE)})) == ["e6", "e2", "e0", "e3", "e4"]
    assert ids(events(street, to=format_time(NOW - 57 * MINUTE))) == ["e1", "e5"]


def test_an_event_is_listed_before_anything_is_folded(street: Street) -> None:
    street.post(used("a", 30))
    [row] = events(street)
    assert row == {
        "id": "a",
        "customer": "acme",
        "meter": "requests",
        "timestamp": "2026-11-20T15:30:00Z",
        "value": "1",
        "dimensions": {"provider": "aws"},
        "status": "live",
        "superseded": [],
    }


def test_an_event_that_was_revised_or_voided_is_one_row_with_what_it_replaced(street: Street) -> None:
    street.post(used("a", 1, "1"), used("a", 1, "2", revision=2), used("a", 1, "3", revision=1), used("a", 1, "1"))
    street.post(used("b", 2), used("b", 2, void=True, revision=1))
    gone, kept = events(street)
    assert (gone["id"], gone["status"], gone["void"], len(gone["superseded"])) == ("b", "void", True, 1)
    assert (kept["value"], kept["status"], [each["value"] for each in kept["superseded"]]) == ("2", "live", ["3", "1"])


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ({"where.provider": "aws"}, ["c", "a"]),
        ({"where.provider": "aws", "where.region": "eu"}, ["c"]),
        ({"where.provider": "aws", "without": "region"}, ["a"]),
        ({"without": "provider,region"}, ["d"]),
        ({"where.anything": "x"}, []),
    ],
)
def test_events_are_listed_by_the_dimensions_that_hold(
    street: Street, query: dict[str, str], wanted: list[str]
) -> None:
    street.post(used("a"), used("b", 1), used("c", 2, dimensions={"provider": "aws", "region": "eu"}))
    street.post(used("b", 1, revision=1, dimensions={"provider": "gcp", "region": "eu"}), used("d", 3, dimensions={}))
    street.flow()
    assert ids(events(street, limit=1, **query)) == wanted


def test_what_is_no_longer_kept_is_not_listed(street: Street) -> None:
    street.post(used("a", 0))
    street.flow()
    street.now += 50 * DAY + 2 * MINUTE * 60
    assert events(street) == []


def test_every_edge_is_found_through_what_pair_made_of_it(street: Street) -> None:
    street.post(
        edge("start", 0, "1"),
        edge("start", 10, "1"),  # closes the one before
        edge("stop", 60, "1"),  # at the first instant of an hour
        edge("stop", 30, "2"),  # ends nothing
        edge("start", -300, "3"),
        edge("stop", 20, "3"),
        edge("start", 40, "4", void=True),
        edge("start", 50, "5"),  # runs
        edge("start", -600, "6"),  # ended by its longest duration
    )
    street.flow()
    street.post(edge("stop", 20, "3", revision=1, void=True))
    street.flow()
    wanted = [
        *("1:stop:60", "5:start:50", "4:start:40", "2:stop:30", "3:stop:20", "1:start:10", "1:start:0"),
        *("3:start:-300", "6:start:-600"),
    ]
    for limit in (1, 2, 20):
        assert ids(events(street, "runtime", limit=limit)) == wanted
    [row] = [row for row in events(street, "runtime") if row["id"] == "3:stop:20"]
    assert (row["status"], row["superseded"][0]["type"]) == ("void", "stop")


def test_a_stop_ahead_of_the_clock_is_listed_however_long_ago_its_session_began(street: Street) -> None:
    street.post(edge("start", -120), edge("start", 30, "2"))
    street.flow()
    street.post(edge("stop", 64), edge("stop", 62, "2"))
    street.flow()
    wanted = ["1:stop:64", "2:stop:62", "2:start:30", "1:start:-120"]
    for _ in range(3):
        for limit in (1, 5):
            assert ids(events(street, "runtime", limit=limit)) == wanted
        street.now += 3 * MINUTE
        street.minute()


def test_edges_of_many_resources_at_one_instant_are_listed_once_each(street: Street) -> None:
    street.post(*(edge("start", 5, str(vm)) for vm in range(7)))
    street.flow()
    rows = events(street, "runtime", limit=3)
    assert sorted(ids(rows)) == [f"{vm}:start:5" for vm in range(7)]


def test_a_page_of_large_events_ends_before_it_is_too_large(street: Street) -> None:
    for index in range(100):
        street.post(used(str(index), index % 50, dimensions={"note": "x" * 60_000}))
    first = street.does("GET", "/v1/events", query={"customer": "acme", "meter": "requests"})
    assert 0 < len(first["rows"]) < 100
    assert first["next"]
    assert len(events(street, limit=1000)) == 100


@pytest.mark.parametrize(("query", "status"), [
    ({"customer": "nobody"}, 404), ({"meter": "nothing"}, 404), ({"customer": ""}, 400), ({"from": "today"}, 400),
    ({"from": format_time(NOW), "to": format_time(NOW)}, 400),
])  # fmt: skip
def test_what_makes_no_sense_is_refused(street: Street, query: dict[str, str], status: int) -> None:
    assert street.call("GET", "/v1/events", query={"customer": "acme", "meter": "requests", **query})[0] == status


def test_events_are_read_with_a_key_that_may_read(street: Street) -> None:
    query = {"customer": "acme", "meter": "requests"}
    assert street.call("GET", "/v1/events", query=query, scopes="ingest")[0] == 403
    assert street.call("GET", "/v1/events", query=query, scopes="read")[0] == 200


def test_sessions_are_listed_newest_first_whatever_the_size_of_a_page(street: Street) -> None:
    street.post(edge("start", 0), edge("stop", 5), edge("start", 7, "2"), edge("start", -200, "3"))
    street.post(edge("stop", 9, "4"), edge("start", -2000, "5"), edge("start", 6), edge("start", 8))
    street.flow()
    newest = ["4:stop:9", "1:start:8", "2:start:7", "1:start:6", "1:start:0", "3:start:-200", "5:start:-2000"]
    for limit in (1, 2, 7):
        assert ids(pages(street, "/v1/sessions", "runtime", limit)) == newest
    odd, closed = ["1:start:6", "5:start:-2000"], ["1:start:6", "1:start:0", "5:start:-2000"]
    assert ids(pages(street, "/v1/sessions", "runtime", status="anomalous")) == ["4:stop:9", *odd]
    assert ids(pages(street, "/v1/sessions", "runtime", status="closed")) == closed
    assert ids(pages(street, "/v1/sessions", "runtime", status="open")) == ["1:start:8", "2:start:7", "3:start:-200"]


LISTS = [
    "/v1/meters",
    "/v1/plans",
    "/v1/customers",
    "/v1/api_keys",
    "/v1/webhook_endpoints",
    "/v1/customers/c1/credits",
    "/v1/customers/c1/ledger",
]


@pytest.mark.parametrize("path", LISTS)
def test_every_list_is_paged_and_its_next_is_opaque(street: Street, path: str) -> None:
    for name in ("c1", "c2", "c3", "c4"):
        street.does("PUT", f"/v1/meters/{name}", {"aggregation": "sum"})
        street.does("PUT", f"/v1/plans/{name}", {"currency": "USD"})
        street.does("PUT", f"/v1/customers/{name}", {"plan": "c1"})
        street.does("POST", "/v1/api_keys", {"id": name, "scopes": ["read"]})
        street.does("POST", "/v1/webhook_endpoints", {"id": name, "url": "https://example.com/", "events": "*"})
        street.does("POST", "/v1/customers/c1/credits", {"id": name, "amount": "1"})
    whole = street.does("GET", path)
    assert len(whole["rows"]) >= 4
    for limit in (1, 2, 3):
        rows: list[Any] = []
        query = {"limit": str(limit)}
        while True:
            answer = street.does("GET", path, query=query)
            rows += answer["rows"]
            if not answer["next"]:
                break
            query["next"] = answer["next"]
            assert answer["next"] not in {row.get("id") for row in rows}
        assert rows == whole["rows"]
    assert street.call("GET", path, query={"next": "c1"})[0] == 400


def test_a_list_goes_on_after_a_row_that_is_no_longer_wanted(street: Street) -> None:
    for month in ("11", "12"):
        street.now = parse_time(f"2026-{month}-20T16:00:00Z")
        street.post(used("a", timestamp=street.now))
        street.flow()
        street.advance(format_time(street.now + 20 * DAY))
    query = {"customer": "acme", "limit": "1", "status": "finalized"}
    first = street.does("GET", "/v1/invoices", query=query)
    before = street.invoices.head(first["rows"][0]["id"])
    street.invoices.move(before, moved(before, "paid", street.now), [], street.now)
    second = street.does("GET", "/v1/invoices", query={**query, "next": first["next"]})
    assert [row["number"] for row in first["rows"] + second["rows"]] == ["TX-000002", "TX-000001"]
    assert second["next"] is None
