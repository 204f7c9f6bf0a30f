"""What sessions tell of their edges, and which of these may be one event of several resources. Law 4.1."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.events import Event
from metering.sessions import Session, mark_of, pair
from metering.sightings import met, sightings
from metering.times import HOUR
from tests.metering.strategies import NOON, duration_meter

ENDED = Session("r" * 32, "a", NOON, NOON + 5, "stop", Decimal(1), (), None, mark_of("z"))


def orphan(instant: int) -> Session:
    return Session("o" * 32, "z", instant, instant, "orphan", Decimal(1), ())


@pytest.mark.parametrize(
    ("session", "told"),
    [
        (ENDED, {(0, "a"), (5, "z")}),
        (replace(ENDED, closed_by="start", ended_by=None), {(0, "a")}),
        (replace(ENDED, end=None, closed_by="open", ended_by=None, counted_until=NOON), {(0, "a")}),
        (replace(ENDED, counted_until=NOON), {(0, "a"), (5, "z")}),  # which is to end
        (replace(ENDED, closed_by="void", ended_by=None), set()),
        (replace(ENDED, end=NOON + HOUR), {(0, "a")}),  # the next hour begins there
        (replace(ENDED, start=NOON - 1), {(5, "z")}),
        (orphan(NOON + 7), {(7, "z")}),
    ],
)
def test_a_session_tells_of_its_start_and_of_the_stop_that_ended_it(
    session: Session, told: set[tuple[int, str]]
) -> None:
    found = {(NOON + at, mark_of(id_), session.resource[:8]) for at, id_ in told}
    assert sightings([session], NOON, NOON + HOUR) == found


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ([], False),
        ([orphan(NOON + 5)], True),
        ([orphan(NOON + 6)], False),
        ([replace(ENDED, resource="s" * 32, start=NOON - HOUR, id="b")], True),
        ([replace(ENDED, resource="s" * 32, start=NOON - HOUR, id="b", ended_by=mark_of("y"))], False),
        ([replace(ENDED, start=NOON + 1, id="b")], False),  # of the same resource: its edges are known together
        ([replace(ENDED, resource="s" * 32, start=NOON + 5, id="z", end=None, closed_by="open", ended_by=None)], True),
        ([replace(orphan(NOON + 5), closed_by="void")], False),
    ],
)
def test_what_shares_an_instant_and_a_mark_across_resources_is_met(others: list[Session], expected: bool) -> None:
    found = met(sightings([ENDED, *others], NOON - HOUR, NOON + HOUR))
    assert found.keys() == ({(NOON + 5, mark_of("z"))} if expected else set())
    assert all(len(resources) == 2 for resources in found.values())


def edges(kinds: str) -> list[Event]:
    return [
        Event("acme", "runtime", f"{kind}{at}", NOON + at // 2, type="start" if kind == "a" else "stop")
        for at, kind in enumerate(kinds)
    ]


@given(st.text("ao", max_size=9), st.sampled_from([None, 1, 3]))
def test_every_live_edge_is_told_of_by_a_session_of_its_resource(kinds: str, longest: int | None) -> None:
    sent = [replace(each, dimensions=(("vm", "1"),)) for each in edges(kinds)]
    sessions = pair(sent, duration_meter(max_duration=longest), NOON + HOUR)
    told = sightings(sessions, NOON, NOON + HOUR)
    assert {(each.instant, each.mark) for each in told} == {(each.timestamp, mark_of(each.id)) for each in sent}
