"""Windows are caches of a fold: cutting, shuffling, repeating and merging change nothing. Laws 4.3, 4.4, 4.6, 4.7."""

import itertools
from dataclasses import replace
from decimal import Decimal
from time import perf_counter
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.decimals import EXACT
from metering.events import Event, live, winners
from metering.meters import Aggregation, Meter
from metering.sessions import Session, billed_until, counted
from metering.times import DAY, HOUR, QUARTER, floor
from metering.usage import Usage, quantity, tallies_between, usage_between
from metering.windows import (
    Fact,
    Slot,
    Slots,
    Tally,
    accrued_between,
    add_slots,
    cover,
    fold,
    merge,
    merge_tallies,
)
from tests.metering.strategies import (
    NOON,
    duration_meter,
    duration_meters,
    events,
    facts,
    meters,
    sessions,
    slots,
    tallies,
)

aggregations = st.sampled_from([each for each in get_args(Aggregation) if each != "duration"])
EVER = (floor(NOON, DAY) - DAY, floor(NOON, DAY) + 2 * DAY)


def total(meter: Meter, given_slots: Slots) -> list[Usage]:
    return usage_between(meter, given_slots, (), *EVER, at=EVER[1])


# The fold.


@pytest.mark.parametrize(
    ("aggregation", "expected"),
    [("sum", "9"), ("count", "4"), ("min", "-2"), ("max", "7"), ("latest", "-2"), ("unique", "2")],
)
def test_each_aggregation_by_example(aggregation: Aggregation, expected: str) -> None:
    told = [(7, "ann", 0, "a"), (3, "bob", QUARTER, "b"), (1, "ann", HOUR, "c"), (-2, "bob", HOUR, "d")]
    several = [
        Event("acme", "requests", id_, NOON + after, value=Decimal(value), dimensions=(("user", user),))
        for value, user, after, id_ in told
    ]
    meter = meters(aggregation).model_copy(update={"dimensions": ()})
    folded = fold(meter, several)
    assert {quarter for quarter, _ in folded.slots} == {NOON, NOON + QUARTER, NOON + HOUR}
    (row,) = total(meter, folded.slots)
    assert (row.meter, row.dimensions, row.quantity, row.events) == ("requests", (), Decimal(expected), 4)


def test_usage_is_kept_apart_by_the_dimensions_of_the_meter_alone() -> None:
    def event(id_: str, **dimensions: str) -> Event:
        return Event("a", "requests", id_, NOON, value=Decimal(1), dimensions=tuple(sorted(dimensions.items())))

    several = [
        event("a", region="eu", other="x"),
        event("b", region="eu", other="y"),
        event("c", other="x"),
        event("d"),
    ]
    assert {row.dimensions: row.events for row in total(meters("sum"), fold(meters("sum"), several).slots)} == {
        (("region", "eu"),): 2,
        (): 2,
    }


def test_the_own_amounts_of_events_are_summed_whatever_the_aggregation() -> None:
    several = [
        Event("a", "requests", id_, NOON, value=Decimal(1), amount=Decimal(amount)) for id_, amount in ("a2", "b3")
    ]
    for aggregation in ("sum", "count", "min", "max", "latest"):
        (row,) = total(meters(aggregation), fold(meters(aggregation), several).slots)
        assert row.amount == 5


def test_where_nothing_was_seen_the_quantity_is_zero() -> None:
    for aggregation in get_args(Aggregation):
        meter = duration_meter() if aggregation == "duration" else meters(aggregation)
        assert quantity(aggregation, Tally()) == 0
        assert fold(meter).slots == {}
        assert total(meter, {}) == []


@given(aggregations, st.lists(events(), max_size=8), st.data())
def test_shuffling_and_repeating_events_changes_no_window(
    aggregation: Aggregation, several: list[Event], data: st.DataObject
) -> None:
    meter = meters(aggregation)
    repeated = several + (data.draw(st.lists(st.sampled_from(several))) if several else [])
    assert fold(meter, data.draw(st.permutations(repeated))) == fold(meter, several)


@given(st.lists(facts, max_size=8), duration_meters, st.data())
def test_shuffling_and_repeating_facts_changes_no_window(
    several: list[Fact], meter: Meter, data: st.DataObject
) -> None:
    repeated = several + (data.draw(st.lists(st.sampled_from(several))) if several else [])
    assert fold(meter, facts=data.draw(st.permutations(repeated))) == fold(meter, facts=several)


@given(aggregations, st.lists(events(), max_size=8), st.integers(1, 4))
def test_folding_pieces_and_merging_is_folding_the_whole(
    aggregation: Aggregation, several: list[Event], pieces: int
) -> None:
    """Pieces as windows are: every identity wholly in one of them."""
    meter = meters(aggregation)
    parts = [[each for each in several if hash_of(each) % pieces == number] for number in range(pieces)]
    assert merge(*(fold(meter, part).slots for part in parts)) == fold(meter, several).slots


def hash_of(event: Event) -> int:
    return event.timestamp + ord(event.id)


@given(aggregations, st.lists(events(), max_size=8), st.lists(facts, max_size=6), duration_meters, st.data())
def test_cutting_the_time_and_merging_is_folding_the_whole(
    aggregation: Aggregation, several: list[Event], told: list[Fact], timed: Meter, data: st.DataObject
) -> None:
    first, last = EVER
    cuts = data.draw(st.lists(st.integers(first // QUARTER, last // QUARTER).map(lambda each: each * QUARTER)))
    bounds = [first, *sorted(cuts), last]
    spans = list(itertools.pairwise(bounds))
    for meter, given_events, given_facts in ((meters(aggregation), several, []), (timed, [], told)):
        whole = fold(meter, given_events, given_facts)
        parts = [fold(meter, given_events, given_facts, start, end) for start, end in spans]
        assert merge(*(part.slots for part in parts)) == whole.slots
        assert sorted((each for part in parts for each in part.open), key=lambda each: each.identity) == list(
            whole.open
        )


@given(st.lists(events(), max_size=8))
def test_the_fold_agrees_with_plain_python(several: list[Event]) -> None:
    counted = live(several)
    values = [each.value for each in counted if each.value is not None]
    expected = {
        "sum": EXACT.add(Decimal(0), sum(values, Decimal(0))) if not values else _exact_sum(values),
        "count": Decimal(len(counted)),
        "min": min(values, default=Decimal(0)),
        "max": max(values, default=Decimal(0)),
        "latest": max(((each.timestamp, each.id, each.value) for each in counted), default=(0, "", Decimal(0)))[2],
        "unique": Decimal(len({dict(each.dimensions)["user"] for each in counted})),
    }
    for aggregation, value in expected.items():
        meter = meters(aggregation).model_copy(update={"dimensions": ()})  # type: ignore[arg-type]  # names of a dict
        rows = total(meter, fold(meter, several).slots)
        assert [row.quantity for row in rows] == ([value] if counted else [])
        assert fold(meter, several).conflicts == tuple(winners(several)[1])


def _exact_sum(values: list[Decimal]) -> Decimal:
    whole = Decimal(0)
    for value in values:
        whole = EXACT.add(whole, value)
    return whole


# The merge.


@given(tallies, tallies, tallies)
def test_merge_is_associative_and_commutative_and_has_an_identity(one: Tally, other: Tally, third: Tally) -> None:
    assert merge_tallies(one, other) == merge_tallies(other, one)
    assert merge_tallies(merge_tallies(one, other), third) == merge_tallies(one, merge_tallies(other, third))
    assert merge_tallies(one, Tally()) == one == merge_tallies(Tally(), one)


@given(st.lists(slots, max_size=4))
def test_adding_windows_one_by_one_is_merging_them(several: list[Slots]) -> None:
    before = [dict(each) for each in several]
    whole: dict[Slot, Tally] = {}
    for each in several:
        add_slots(whole, each)
    assert whole == merge(*several)
    assert several == before


@given(slots, slots, slots)
def test_merge_of_windows_is_associative_and_commutative_and_has_an_identity(
    one: Slots, other: Slots, third: Slots
) -> None:
    assert merge(one, other) == merge(other, one)
    assert merge(merge(one, other), third) == merge(one, merge(other, third)) == merge(one, other, third)
    assert merge(one, {}) == merge(one) == one
    assert merge() == {}


@given(st.lists(slots, max_size=4), st.sampled_from(get_args(Aggregation)))
def test_every_aggregation_can_be_read_from_merged_windows(several: list[Slots], aggregation: Aggregation) -> None:
    """Quantities of the merged window, against the tallies laid side by side."""
    for key, tally in merge(*several).items():
        met = [each[key] for each in several if key in each]
        least = [each.least for each in met if each.least is not None]
        most = [each.most for each in met if each.most is not None]
        latest = [each.latest for each in met if each.latest is not None]
        total_quantity = _exact_sum([each.quantity for each in met])
        expected: dict[str, Decimal] = {
            "sum": total_quantity,
            "duration": total_quantity,
            "count": Decimal(sum(each.events for each in met)),
            "min": min(least, default=Decimal(0)),
            "max": max(most, default=Decimal(0)),
            "latest": max(latest, default=(0, "", Decimal(0)))[2],
            "unique": Decimal(len(frozenset().union(*(each.values for each in met)))),
        }
        assert quantity(aggregation, tally) == expected[aggregation]


# Sessions.


def session(start: int, end: int | None, **fields: Any) -> Session:
    opened = Session("r", "a", NOON + start, None, "open", Decimal(1), (), NOON + start)
    ended = replace(opened, end=NOON + (end or 0), closed_by="stop", counted_until=None)
    return replace(opened if end is None else ended, **fields)


def fact(told: Session, *rank: Any) -> Fact:
    return Fact(told, rank or ("stream", 1))


OPEN, CLOSED, LONGER = session(0, None), session(0, QUARTER), session(0, HOUR)


@pytest.mark.parametrize(
    ("told", "holds"),
    [
        ([fact(OPEN, "s", 1), fact(CLOSED, "s", 2)], CLOSED),
        ([fact(CLOSED, "s", 2), fact(LONGER, "s", 10)], LONGER),
        ([fact(LONGER, "s", 2), fact(CLOSED, "s", 10)], CLOSED),
        ([fact(CLOSED, "s", 9), fact(OPEN, "s", 10)], OPEN),
        ([fact(CLOSED, "2026-11-01", 99), fact(LONGER, "2026-11-02", 1)], LONGER),
        ([fact(LONGER, "s", 1), fact(session(0, 0, closed_by="void"), "s", 2)], None),
        ([fact(OPEN, "s", 1), fact(session(0, 0, closed_by="orphan"), "s", 2)], None),
        ([fact(OPEN, "s", 1), fact(CLOSED, "s", 2), fact(LONGER, "s", 3)], LONGER),
        # At one rank: the closed one, the longer one.
        ([fact(OPEN), fact(CLOSED)], CLOSED),
        ([fact(CLOSED), fact(LONGER)], LONGER),
    ],
)
def test_the_fact_of_the_highest_rank_holds_in_whatever_order_they_come(
    told: list[Fact], holds: Session | None
) -> None:
    alone = fold(duration_meter(), facts=[fact(holds)] if holds else [])
    for arrived in (told, told[::-1], told + told, told[::-1] + told):
        assert fold(duration_meter(), facts=arrived) == alone


@given(st.lists(facts, max_size=8), duration_meters)
def test_a_fact_that_is_superseded_leaves_no_trace(several: list[Fact], meter: Meter) -> None:
    last = [Fact(each.session, ("9999", 10**9)) for each in several]
    unique = {each.session.identity: each for each in last}
    assert fold(meter, facts=several + list(unique.values())) == fold(meter, facts=unique.values())


@given(sessions(), duration_meters)
def test_the_windows_of_a_session_sum_to_what_it_is_billed(told: Session, meter: Meter) -> None:
    folded = fold(meter, facts=[fact(told)])
    rows = total(meter, folded.slots)
    if told.end is None:
        assert (folded.open, rows) == ((told,), [])
    elif not told.counts:
        assert rows == []
    else:
        declared = tuple(each for each in told.dimensions if each[0] in meter.dimensions)
        assert rows == [Usage(meter.key, "duration", declared, Tally(1, billed_until(told, meter, EVER[1])))]


def test_a_session_lies_in_every_quarter_that_it_touches_and_starts_in_one() -> None:
    folded = fold(duration_meter(), facts=[fact(session(1, 2 * QUARTER + 1))])
    assert {quarter - NOON: (each.events, int(each.quantity)) for (quarter, _), each in folded.slots.items()} == {
        0: (1, QUARTER - 1),
        QUARTER: (0, QUARTER),
        2 * QUARTER: (0, 1),
    }


def test_an_increment_is_charged_where_it_begins() -> None:
    meter = duration_meter(round_up=HOUR)
    folded = fold(meter, facts=[fact(session(0, HOUR + 1))])
    assert {quarter - NOON: each.quantity for (quarter, _), each in folded.slots.items()} == {0: HOUR, HOUR: HOUR}


@given(sessions().filter(lambda each: each.end is None), duration_meters, st.integers(0, 12 * HOUR), st.data())
def test_an_open_session_is_measured_as_if_it_stopped_now(
    told: Session, meter: Meter, later: int, data: st.DataObject
) -> None:
    at = NOON + later
    start, end = sorted(data.draw(st.tuples(*[st.integers(-8, 60).map(lambda each: NOON + each * QUARTER)] * 2)))
    ends = [at] if meter.max_duration is None else [at, told.start + meter.max_duration]
    stopped = replace(told, end=min(ends), closed_by="stop", counted_until=None)
    closed = fold(meter, facts=[fact(stopped)]).slots if told.start <= at else {}
    expected = tallies_between(meter, closed, (), start, end, at)
    assert tallies_between(meter, {}, [told], start, end, at) == expected


@pytest.mark.parametrize(
    ("told", "at", "ends_at", "expected"),
    [
        (session(0, None), -1, None, None),
        (session(0, None), 0, None, (1, 0)),
        (session(0, None), 100, None, (1, 100)),
        (session(-QUARTER, None), 100, None, (0, 100)),
        (session(0, None), 3 * HOUR, None, (1, QUARTER)),
        (session(QUARTER, None), 3 * HOUR, None, None),
        (session(0, None), 100, 50, (1, 50)),
        (session(0, None), 100, 0, (1, 0)),
        (session(0, None), 100, -1, None),
        (session(-QUARTER, None), 100, 0, None),
    ],
)
def test_what_an_open_session_has_used_in_a_quarter(
    told: Session, at: int, ends_at: int | None, expected: tuple[int, int] | None
) -> None:
    until = None if ends_at is None else NOON + ends_at
    accrued = accrued_between(told, duration_meter(), NOON, NOON + QUARTER, NOON + at, until)
    assert (None if accrued is None else (accrued.events, int(accrued.quantity))) == expected


def test_open_and_closed_usage_of_one_combination_is_one_row() -> None:
    meter = duration_meter()
    folded = fold(meter, facts=[fact(session(0, 10)), fact(session(0, None, id="b"))])
    (row,) = usage_between(meter, folded.slots, folded.open, NOON, NOON + HOUR, at=NOON + 100)
    assert (row.events, int(row.quantity)) == (2, 110)


# The cover.


@given(st.integers(0, 5 * 96), st.integers(0, 4 * 96), st.integers(0, QUARTER - 1))
def test_a_cover_is_an_exact_partition(offset: int, length: int, crumb: int) -> None:
    start = floor(NOON, DAY) + offset * QUARTER
    days, hours, quarters = cover(start + crumb, start + length * QUARTER + crumb)
    pieces = sorted(
        [(each, DAY) for each in days] + [(each, HOUR) for each in hours] + [(each, QUARTER) for each in quarters]
    )
    assert all(each % unit == 0 for each, unit in pieces)
    reached = start
    for each, unit in pieces:
        assert each == reached
        reached += unit
    assert reached == start + length * QUARTER


@given(st.integers(0, 96), st.integers(0, 3 * 96))
def test_no_cover_has_fewer_pieces(offset: int, length: int) -> None:
    start = floor(NOON, DAY) + offset * QUARTER
    fewest = [0]
    for reached in range(1, length + 1):
        units = (1, 4, 96)
        fits = [unit for unit in units if unit <= reached and (offset + reached) % unit == 0]
        fewest.append(1 + min(fewest[reached - unit] for unit in fits))
    assert sum(map(len, cover(start, start + length * QUARTER))) == fewest[length]


def test_reading_a_month_or_a_year_takes_few_items() -> None:
    start = floor(NOON, DAY)
    assert sum(map(len, cover(start, start + 30 * DAY))) == 30
    assert sum(map(len, cover(start + 5 * HOUR + 3 * QUARTER, start + 365 * DAY + 5 * HOUR))) < 500
    assert cover(NOON, NOON) == cover(NOON + DAY, NOON) == ([], [], [])


@given(
    st.integers(0, 3 * HOUR),
    st.none() | st.integers(0, 40 * HOUR),
    duration_meters,
    st.integers(0, 3),
    st.integers(0, 50 * HOUR),
)
def test_a_day_that_is_counted_and_the_rest_that_accrues_are_the_whole(
    start: int, length: int | None, meter: Meter, days: int, seen: int
) -> None:
    """Law 4.7: counting the past days of a running session into windows changes nothing that anybody reads."""
    told = session(start, None if length is None else start + length)
    now = NOON + start + seen
    midnight = floor(NOON, DAY) + days * DAY
    if midnight <= now:
        rolled = counted(replace(told, counted_until=None), midnight, now)
        plain = counted(replace(told, counted_until=None), told.start, now)

        folds = [fold(meter, facts=[fact(each)]) for each in (rolled, plain)]

        span = (floor(NOON, DAY) - DAY, floor(NOON, DAY) + 5 * DAY)
        whole = [usage_between(meter, each.slots, each.open, *span, now) for each in folds]
        assert whole[0] == whole[1]
        parts = [usage_between(meter, each.slots, each.open, span[0], midnight, now) for each in folds]
        assert parts[0] == parts[1]


def test_very_many_distinct_values_are_joined_in_one_go() -> None:
    values = [f"user-{number}" for number in range(30_000)]
    began = perf_counter()
    joined = merge_tallies(*(Tally(events=1, values=frozenset({value})) for value in values))
    # Two by two it would copy 450 million.
    assert perf_counter() - began < 5
    assert (joined.events, joined.values) == (30_000, frozenset(values))
