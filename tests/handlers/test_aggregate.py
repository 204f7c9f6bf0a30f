"""Windows are set from what is addressed to their hour, on the condition of what was read before it. Law 4.3."""

import json
from typing import Any

import pytest

from adapters.items import Put
from handlers import aggregate
from metering.errors import Unavailable
from tests.handlers.street import Street, stream_record, used


def quantity(street: Street) -> list[str]:
    rows = street.does("GET", "/v1/usage", query={"customer": "acme", "meter": "requests"})["rows"]
    return [row["quantity"] for row in rows]


def test_a_refresh_that_read_less_never_overwrites_one_that_read_more(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    street.post(used("a"))
    table: Any = street.table("Usage")
    put = table.put
    raced: list[bool] = []

    def slow(write: Put) -> None:
        # While this refresh computes, another event arrives and a whole other refresh passes it by.
        if not raced:
            raced.append(True)
            street.post(used("b", 7))
            written = street.items("Events", "usage")[0]
            aggregate.refresh(str(written["pk"]), {str(written["sk"])[:2]}, street)
        put(write)

    monkeypatch.setattr(table, "put", slow)
    street.run("aggregate", street.streams["aggregate"][:1])
    assert quantity(street) == ["2"]


def test_an_hour_that_others_keep_refreshing_comes_again(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    street.post(used("a"))
    street.flow()
    street.post(used("b", 7))
    table: Any = street.table("Usage")
    put = table.put

    def lost(write: Put) -> None:
        stored = table.get(write.item["pk"], write.item["sk"])
        put(Put({**stored, "version": stored["version"] + 1}))
        put(write)

    monkeypatch.setattr(table, "put", lost)
    with pytest.raises(Unavailable):
        street.run("aggregate", street.streams["aggregate"])
    assert not street.parked()


def test_revisions_voids_and_conflicts_are_decided_by_the_fold(street: Street) -> None:
    street.post(used("a", value="1"))
    street.flow()
    street.post(used("a", value="5", revision=2))
    street.post(used("a", value="3", revision=1))
    street.flow()
    assert quantity(street) == ["5"]
    assert street.announced("event.conflict") == []
    street.post(used("a", value="7", revision=2))
    street.flow()
    assert quantity(street) == ["7"]
    assert len(street.announced("event.conflict")) == 1
    street.post(used("a", revision=3, void=True))
    street.flow()
    assert quantity(street) in ([], ["0"])


def test_what_belongs_to_no_hour_or_to_an_unknown_meter_is_parked(street: Street) -> None:
    item: dict[str, Any] = {"pk": "acme#unheard-of#2026-11-20T15", "sk": "00#x", "kind": "usage", "data": b""}
    records = [stream_record("Events", "INSERT", {**item, "pk": pk}, 7) for pk in (item["pk"], "acme#requests#x", "x")]
    street.run("aggregate", records)
    assert sorted(str(each["reason"]) for each in [*street.parked(), *street.parked("x")]) == [
        "the partition is not that of an hour",
        "the partition is not that of an hour",
        "there is no meter 'unheard-of'",
    ]
    assert json.loads(str(street.parked("x")[0]["record"])) == json.loads(json.dumps(records[2]))


def test_a_batch_of_many_segments_of_one_hour_writes_its_window_once(street: Street) -> None:
    for number in range(20):
        street.post(used(f"e{number}", number))
    street.flow()
    (window,) = street.items("Usage", "window")
    assert window["version"] == 1
    assert quantity(street) == ["20"]
