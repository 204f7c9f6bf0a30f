"""Starts and stops become sessions, whatever comes when; what cannot be paired is parked alone. Law 4.5."""

import json
from typing import Any

import pytest

from adapters.remembered import Remembered
from adapters.usage import Usage
from handlers import pair
from metering.errors import Unavailable
from metering.times import DAY, HOUR, MINUTE, format_time
from tests.handlers.street import NOW, Street, edge, used


def sessions(street: Street, **query: str) -> list[tuple[str, str | None, str, str]]:
    given = {"customer": "acme", "meter": "runtime", **query}
    rows = street.does("GET", "/v1/sessions", query=given)["rows"]
    return [(row["start"][11:16], row["end"] and row["end"][11:16], row["closed_by"], row["quantity"]) for row in rows]


@pytest.mark.parametrize(
    ("edges", "expected"),
    [
        ([edge("start", 5), edge("stop", 35)], [("15:05", "15:35", "stop", "3600000")]),
        ([edge("stop", 35), edge("start", 5)], [("15:05", "15:35", "stop", "3600000")]),
        ([edge("start", 5)], [("15:05", None, "open", "6600000")]),
        ([edge("stop", 35)], [("15:35", "15:35", "orphan", "0")]),
        (
            [edge("start", 5), edge("start", 20), edge("stop", 35)],
            [("15:20", "15:35", "stop", "1800000"), ("15:05", "15:20", "start", "1800000")],
        ),
        ([edge("start", 5), edge("stop", 5)], [("15:05", "15:05", "stop", "0")]),
        ([edge("start", -420)], [("08:00", "14:00", "max_duration", "43200000")]),
        ([edge("start", 5), edge("start", 5, revision=1, void=True)], []),
    ],
)
def test_edges_become_sessions_all_at_once_or_one_by_one(
    street: Street, edges: list[dict[str, Any]], expected: list[Any]
) -> None:
    for each in edges:
        street.post(each)
        street.flow()
    assert sessions(street) == expected
    street.post(*edges)
    street.flow()
    assert sessions(street) == expected


def test_a_session_is_billed_while_it_runs_and_by_its_stop_once_it_came(street: Street) -> None:
    street.does("POST", "/v1/customers/acme/credits", {"id": "c", "amount": "10"})
    street.post(edge("start", 0))
    street.flow()
    balances = []
    for minutes in (0, 30, 60):
        street.now = NOW + minutes * MINUTE
        street.minute()
        balances.append(street.does("GET", "/v1/customers/acme/balance")["balance"])
    street.post(edge("stop", 90))
    street.flow()
    balances.append(street.does("GET", "/v1/customers/acme/balance")["balance"])
    assert balances == ["7.5", "6.25", "5", "6.25"]


def test_time_alone_closes_a_session_that_ran_as_long_as_it_may(street: Street) -> None:
    street.post(edge("start", 0))
    street.flow()
    street.now = NOW + 5 * HOUR
    street.minute()
    assert sessions(street) == [("15:00", "21:00", "max_duration", "43200000")]
    assert street.usage.open_sessions("acme", "runtime") == []
    street.now += MINUTE
    street.minute()
    (news,) = street.announced("session.anomaly")
    assert (news["closed_by"], news["event"]) == ("max_duration", "1:start:0")


def test_the_end_of_a_customer_ends_what_runs(street: Street) -> None:
    street.post(edge("start", 0))
    street.flow()
    street.does("PATCH", "/v1/customers/acme", {"ends_at": format_time(NOW + HOUR)})
    street.now = NOW + 2 * HOUR
    street.minute()
    assert sessions(street) == [("15:00", "17:00", "ends_at", "14400000")]


def test_a_poke_is_computed_from_the_customer_as_it_is_and_not_as_it_is_remembered(street: Street) -> None:
    street.remembered = Remembered(street.catalog, life_seconds=1000)
    street.post(edge("start", 0))
    street.flow()
    street.does("PATCH", "/v1/customers/acme", {"ends_at": format_time(NOW + HOUR)})
    street.now = NOW + 2 * HOUR
    street.minute()
    assert sessions(street) == [("15:00", "17:00", "ends_at", "14400000")]


def test_a_session_over_midnight_is_in_every_hour_that_it_touches(street: Street) -> None:
    street.now = NOW + DAY
    street.post(edge("start", 9 * 60 - 90, vm="night"), edge("stop", 9 * 60 + 90, vm="night"))
    street.flow()
    rows = street.does(
        "GET",
        "/v1/usage",
        query={"customer": "acme", "meter": "runtime", "window": "hour", "group_by": "provider"},
    )["rows"]
    assert [(row["start"][8:13], row["quantity"], row["events"]) for row in rows] == [
        ("20T22", "3600000", 1),
        ("20T23", "7200000", 0),
        ("21T00", "7200000", 0),
        ("21T01", "3600000", 0),
    ]
    street.post(edge("stop", 9 * 60 - 60, vm="night"))
    street.flow()
    answer = street.does("GET", "/v1/usage", query={"customer": "acme", "meter": "runtime"})
    assert [row["quantity"] for row in answer["rows"]] == ["3600000"]


def test_two_contents_of_one_edge_are_told_as_a_conflict(street: Street) -> None:
    street.post(edge("start", 5))
    street.flow()
    street.post(edge("start", 5, dimensions={"vm": "1", "memory_gb": "4"}), edge("stop", 35))
    street.flow()
    assert len(street.announced("event.conflict")) == 1
    assert sessions(street)[0][3] == "7200000"


def test_a_resource_that_cannot_be_paired_is_parked_and_its_neighbours_go_on(street: Street) -> None:
    street.post(edge("start", 5, "good"), edge("start", 6, "bad"), edge("stop", 35, "good"))
    table = street.tables["Events"]
    (item,) = [each for each in street.items("Events", "edge") if "bad:" in str(each["sk"])]
    table.put_many([{**item, "body": "{"}])
    street.flow()
    assert [row[:3] for row in sessions(street)] == [("15:05", "15:35", "stop")]
    parked = street.parked()
    assert {each["function"] for each in parked} == {"pair"}
    assert all("bad:" in json.loads(str(each["record"]))["dynamodb"]["Keys"]["sk"]["S"] for each in parked)
    # Once it is repaired, the parked record, given to pair again, finds everything.
    table.put_many([item])
    street.run("pair", [json.loads(str(parked[0]["record"]))])
    street.flow()
    assert len(sessions(street)) == 2


def test_edges_of_a_meter_that_is_gone_are_parked(street: Street) -> None:
    street.post(edge("start", 5))
    street.catalog.delete_meter("runtime")
    street.flow()
    assert [each["function"] for each in street.parked()] == ["pair"]


def test_what_the_table_does_not_take_brings_the_batch_again(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    street.post(edge("start", 5), edge("stop", 35))
    monkeypatch.setattr(street.tables["Events"], "put_many", list)  # gives all of them back
    with pytest.raises(Unavailable):
        pair.handler({"Records": street.streams["pair"]}, None)
    monkeypatch.undo()


def test_usage_and_sessions_of_one_hour_live_beside_each_other(street: Street) -> None:
    street.post(used("a"), edge("start", 5), edge("stop", 35))
    street.flow()
    measured = Usage(street.tables["Usage"]).read("acme", NOW - HOUR, NOW)
    assert measured.slots.keys() == {"requests", "runtime"}
