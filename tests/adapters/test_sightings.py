"""Edges that are noted in the minute in which they happened: kept beside its facts, and read with them. Law 4.1."""

import pytest

from adapters.events import Events
from adapters.items import Table, string
from adapters.memory import MemoryTable
from adapters.raw_events import RawEvents
from adapters.sightings import Sightings
from metering.errors import Unreadable
from metering.sightings import Sighting
from metering.times import DAY, MINUTE, hour_name, parse_time

NOON = parse_time("2026-11-20T12:00:00Z")
HOUR = hour_name(NOON)


def edge(at: int, mark: int = 1) -> Sighting:
    return Sighting(NOON + at, mark, "0123abcd")


def test_what_is_noted_in_a_minute_is_read_with_it_and_with_its_hour_and_nowhere_else(table: Table) -> None:
    noted = Sightings(table, 35 * DAY)
    noted.note("acme", "runtime", [edge(5 * MINUTE), edge(5 * MINUTE + 1)])
    noted.note("acme", "runtime", [edge(5 * MINUTE, 2)])
    noted.note("acme", "runtime", [edge(6 * MINUTE)])
    noted.note("acme", "runtime", [])
    here = {edge(5 * MINUTE), edge(5 * MINUTE + 1), edge(5 * MINUTE, 2)}
    events = Events(table, 35 * DAY)
    assert noted.noted("acme", "runtime", HOUR, "05") == events.hour("acme", "runtime", HOUR, "05").sightings == here
    assert noted.noted("acme", "runtime", HOUR, "07") == noted.noted("acme", "other", HOUR, "05") == set()
    whole = events.hour("acme", "runtime", HOUR)
    assert whole.sightings == here | {edge(6 * MINUTE)}
    assert not whole.facts
    assert not list(RawEvents(table, 35 * DAY).facts("acme", "runtime", NOON))


def test_it_is_kept_as_long_as_the_facts_of_its_minute() -> None:
    table = MemoryTable()
    Sightings(table, 35 * DAY).note("acme", "runtime", [edge(5 * MINUTE + 7)])
    (item,) = table.query(f"acme#runtime#{HOUR}")
    assert item["ttl"] == (NOON + 5 * MINUTE + 50 * DAY) // 1000


def test_what_is_damaged_is_unreadable() -> None:
    table = MemoryTable()
    noted = Sightings(table, 35 * DAY)
    noted.note("acme", "runtime", [edge(0)])
    (item,) = table.query(f"acme#runtime#{HOUR}")
    table.put_many([{**item, "data": b"x"}])
    for read in (noted.noted, Events(table, 35 * DAY).hour):
        with pytest.raises(Unreadable):
            read("acme", "runtime", HOUR, "00")
    assert string(item, "sk").startswith("00#seen#")
