"""A dimension that is added to a meter with events counts from an hour on. Law 4.9."""

from dataclasses import replace
from functools import reduce
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from metering.events import Event
from metering.meters import Aggregation, Meter
from metering.sessions import Session
from metering.times import HOUR
from metering.usage import tallies_between
from metering.windows import (
    Fact,
    accrued_between,
    accrued_by_dimensions,
    fold,
    merge_tallies,
)
from tests.metering.strategies import NOON, duration_meter, events, facts, meters, sessions

aggregations = st.sampled_from([each for each in get_args(Aggregation) if each != "duration"])
hours = st.integers(0, 8).map(lambda number: NOON + number * HOUR)


def before_and_after(meter: Meter, since: int) -> tuple[Meter, Meter]:
    """A meter without its dimension `region`, and the one that adds it."""
    others = tuple(name for name in meter.dimensions if name != "region")
    before = meter.model_copy(update={"dimensions": others})
    return before, before.model_copy(update={"dimensions": (*others, "region")}).replacing(before, since)


@given(aggregations, st.lists(events()), st.lists(facts), hours, st.data())
def test_an_hour_before_it_is_folded_to_the_same_window_as_ever(
    aggregation: Aggregation, several: list[Event], told: list[Fact], since: int, data: st.DataObject
) -> None:
    hour = data.draw(st.integers(1, 8).map(lambda number: since - number * HOUR))
    for meter in (meters(aggregation), duration_meter()):
        before, after = before_and_after(meter, since)
        given_events = () if meter.is_duration else several
        given_facts = told if meter.is_duration else ()
        assert fold(after, given_events, given_facts, hour, hour + HOUR) == fold(
            before, given_events, given_facts, hour, hour + HOUR
        )


@given(aggregations, st.lists(events()), st.lists(facts), hours)
def test_an_hour_from_it_on_is_folded_as_if_it_had_always_been_there(
    aggregation: Aggregation, several: list[Event], told: list[Fact], since: int
) -> None:
    for meter in (meters(aggregation), duration_meter()):
        _, after = before_and_after(meter, since)
        always = after.model_copy(update={"dimensions_since": {}})
        given_events = () if meter.is_duration else several
        given_facts = told if meter.is_duration else ()
        assert fold(after, given_events, given_facts, since, since + HOUR) == fold(
            always, given_events, given_facts, since, since + HOUR
        )


@given(sessions(), hours, st.integers(NOON - HOUR, NOON + 9 * HOUR), st.integers(1, 9 * HOUR), st.integers(0, 9 * HOUR))
def test_what_a_running_session_uses_is_told_apart_there_and_sums_to_the_same(
    session: Session, since: int, start: int, length: int, ran: int
) -> None:
    running = replace(session, end=None, closed_by="open", counted_until=session.start)
    _, meter = before_and_after(duration_meter(), since)
    at = session.start + ran
    pieces = list(accrued_by_dimensions(running, meter, start, start + length, at))
    whole = accrued_between(running, meter, start, start + length, at)
    tallies = [tally for _, tally in pieces]
    assert (reduce(merge_tallies, tallies) if tallies else None) == whole
    named = {name for dimensions, _ in pieces[:-1] for name, _ in dimensions}
    assert "region" not in named, "only the last piece can lie behind it"


@given(sessions(), hours)
def test_a_session_closed_or_running_is_told_apart_in_the_same_way(session: Session, since: int) -> None:
    _, meter = before_and_after(duration_meter(), since)
    end = session.start + 5 * HOUR
    closed = replace(session, end=end, closed_by="stop", counted_until=None)
    running = replace(session, end=None, closed_by="open", counted_until=session.start)
    ever = (NOON - HOUR, NOON + 20 * HOUR)
    slots = fold(meter, facts=[Fact(closed, ("", 1))]).slots
    assert tallies_between(meter, slots, (), *ever, at=end) == tallies_between(meter, {}, [running], *ever, at=end)


def test_what_is_added_later_begins_later() -> None:
    first = Meter.model_validate({"key": "m", "aggregation": "sum", "dimensions": ["a"]})
    second = first.model_copy(update={"dimensions": ("a", "b")}).replacing(first, NOON)
    third = second.model_copy(update={"dimensions": ("c", "b", "a")}).replacing(second, NOON + HOUR)
    assert third.dimensions_since == {"b": NOON, "c": NOON + HOUR}
    everything = (("a", "1"), ("b", "2"), ("c", "3"), ("d", "4"))
    counted = [third.kept(everything, instant) for instant in (NOON - 1, NOON, NOON + HOUR - 1, NOON + HOUR)]
    assert [len(each) for each in counted] == [1, 2, 2, 3]
    assert third.stretches(NOON - 5, NOON + HOUR) == [(NOON - 5, NOON), (NOON, NOON + HOUR)]
    assert third.stretches(NOON, NOON) == third.stretches(NOON + 1, NOON) == []
    assert Meter.model_validate_json(third.model_dump_json()) == third
