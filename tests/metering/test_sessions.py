"""Starts and stops become intervals. Laws 4.5, 4.6 and the fine print on sessions."""

import itertools
import re
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.events import Event
from metering.meters import Meter
from metering.sessions import (
    Session,
    at_home,
    billed_until,
    corrections_of,
    is_corrections,
    known_at,
    last_possible_end,
    pair,
    resource_of,
    without_explained,
)
from metering.times import HOUR
from metering.windows import part_of
from tests.metering.strategies import duration_meter, duration_meters

METER = duration_meter()
VM = (("vm", "i-1"),)


def edge(type_: Literal["start", "stop"], at: int, id_: str, revision: int = 0, *, void: bool = False) -> Event:
    return Event("acme", "runtime", id_, at, type=type_, revision=revision, void=void, dimensions=VM)


def edges(written: str) -> list[Event]:
    """Read edges from a picture: `+10a` is a start at 10 with the id a, `-20b` a stop, `!` behind it a void.

    A digit behind `~` is its revision.
    """
    found = re.findall(r"([+-])(\d+)([a-z])(?:~(\d))?(!?)", written)
    return [
        edge("start" if sign == "+" else "stop", int(at), id_, int(revision or 0), void=bool(void))
        for sign, at, id_, revision, void in found
    ]


def picture(several: list[Session]) -> str:
    """Draw sessions: `a 10-20 stop`."""
    return ", ".join(
        f"{each.id} {each.start}-{'' if each.end is None else each.end} {each.closed_by}" for each in several
    )


CASES = [
    # The plain ones.
    ("", ""),
    ("+10a", "a 10- open"),
    ("+10a -20b", "a 10-20 stop"),
    ("+10a -20b +30c -40d", "a 10-20 stop, c 30-40 stop"),
    ("+10a -20b +30c", "a 10-20 stop, c 30- open"),
    # A next start ends what runs.
    ("+10a +20b", "a 10-20 start, b 20- open"),
    ("+10a +20b -30c", "a 10-20 start, b 20-30 stop"),
    # A stop without a start.
    ("-10a", "a 10-10 orphan"),
    ("-10a -20b", "a 10-10 orphan, b 20-20 orphan"),
    ("-10a +20b -30c", "a 10-10 orphan, b 20-30 stop"),
    ("+10a -20b -30c", "a 10-20 stop, c 30-30 orphan"),
    # A restart within one millisecond.
    ("+10a -20b +20c -30d", "a 10-20 stop, c 20-30 stop"),
    ("+10a -20z +20a -30d", "a 10-20 stop, a 20-30 stop"),
    ("+10a -20b +20c -20d", "a 10-20 stop, c 20- open, d 20-20 orphan"),
    # A start with its own stop at the same instant.
    ("+10a -10b", "a 10-10 stop"),
    ("+10a -10b +20c", "a 10-10 stop, c 20- open"),
    ("+10a -10b -10c", "a 10-10 stop, c 10-10 orphan"),
    # Two starts at one instant are two sessions, by id.
    ("+10a +10b", "a 10-10 start, b 10- open"),
    ("+10a +10b -10c", "a 10-10 start, b 10-10 stop"),
    ("+10a +10b -20c", "a 10-10 start, b 10-20 stop"),
    ("+10a +20b +20c -20d", "a 10-20 stop, b 20-20 start, c 20- open"),
    ("+10a +20b +20c -30d", "a 10-20 start, b 20-20 start, c 20-30 stop"),
    # The same id at two instants is two edges; the same one twice is one.
    ("+10a +20a", "a 10-20 start, a 20- open"),
    ("+10a +10a -20b -20b", "a 10-20 stop"),
    # Voids: of a stop, of a start, of an orphan, of everything; and back.
    ("+10a -20b -20b~1!", "a 10- open, b 20-20 void"),
    ("+10a -20b -20b~1! -30c", "a 10-30 stop, b 20-20 void"),
    ("+10a +10a~1! -20b", "a 10-10 void, b 20-20 orphan"),
    ("+10a +20b +20b~1! -30c", "a 10-30 stop, b 20-20 void"),
    ("-20b -20b~1!", "b 20-20 void"),
    ("+10a +10a~1! -20b -20b~1!", "a 10-10 void, b 20-20 void"),
    ("+10a +10a~1! +10a~2 -20b", "a 10-20 stop"),
    ("+10a +10a! -20b", "a 10-10 void, b 20-20 orphan"),
    # A start that a revision turned into a stop takes back what was said of it; and the other way.
    ("+10a +20b -20b~1", "a 10-20 stop, b 20-20 void"),
    ("+20b -20b~1", "b 20-20 orphan"),
    ("-20b +20b~1 -30c", "b 20-30 stop"),
]
LIMITED = [
    # max_duration is 10.
    ("+10a -15b", "a 10-15 stop"),
    ("+10a -20b", "a 10-20 stop"),
    ("+10a -21b", "a 10-20 max_duration, b 21-21 orphan"),
    ("+10a +15b", "a 10-15 start, b 15-25 max_duration"),
    ("+10a +20b", "a 10-20 start, b 20-30 max_duration"),
    ("+10a +21b", "a 10-20 max_duration, b 21-31 max_duration"),
    ("+10a +21b -21c", "a 10-20 max_duration, b 21-21 stop"),
    ("+10a +20b -20c", "a 10-20 stop, b 20-30 max_duration"),
    ("+95a", "a 95- open"),
    ("+90a", "a 90-100 max_duration"),
    ("+91a", "a 91- open"),
]
ENDED = [
    # The customer ends at 50.
    ("+10a", "a 10-50 ends_at"),
    ("+10a -20b", "a 10-20 stop"),
    ("+10a -49b", "a 10-49 stop"),
    ("+10a -50b", "a 10-50 ends_at, b 50-50 void"),
    ("+10a -60b", "a 10-50 ends_at, b 60-60 void"),
    ("+10a +60b -70c", "a 10-50 ends_at, b 60-60 void, c 70-70 void"),
    ("+50a", "a 50-50 void"),
    ("-60a", "a 60-60 void"),
]
NOW = 100


@pytest.mark.parametrize(("written", "expected"), CASES)
def test_edges_make_sessions(written: str, expected: str) -> None:
    assert picture(pair(edges(written), METER, NOW)) == expected
    assert picture(pair(list(reversed(edges(written))), METER, NOW)) == expected


@pytest.mark.parametrize(("written", "expected"), LIMITED)
def test_no_session_outlives_its_longest_duration(written: str, expected: str) -> None:
    assert picture(pair(edges(written), duration_meter(max_duration=10), NOW)) == expected


@pytest.mark.parametrize(("written", "expected"), ENDED)
def test_no_session_outlives_its_customer(written: str, expected: str) -> None:
    assert picture(pair(edges(written), METER, NOW, ends_at=50)) == expected


A, B = VM, (("vm", "i-2"),)
HOME = resource_of(METER, edge("start", 5, "x"))


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        ([("start", 0, False, A)], "x 5- open"),
        ([("start", 0, False, A), ("start", 1, False, B)], "x 5-5 void"),
        ([("start", 0, False, A), ("start", 1, False, B), ("start", 2, False, A)], "x 5- open"),
        ([("start", 2, False, A), ("start", 1, False, B)], "x 5- open"),
        ([("start", 0, False, A), (None, 0, True, ())], "x 5-5 void"),
        ([("start", 1, False, A), (None, 0, True, ())], "x 5- open"),
        ([("stop", 0, False, A), ("start", 1, False, B)], "x 5-5 void"),
        # At one revision the content decides, wherever it belongs: that of i-2 is the greater one.
        ([("start", 1, False, A), ("start", 1, False, B)], "x 5-5 void"),
        ([("start", 1, False, A), ("start", 1, False, B), ("stop", 1, False, A)], "x 5-5 void"),
        # What was never here leaves nothing here.
        ([("start", 0, False, B)], ""),
        ([(None, 1, True, ())], ""),
    ],
)
def test_an_edge_counts_with_the_resource_of_the_version_that_holds_and_with_no_other(
    versions: list[tuple[Any, int, bool, Any]], expected: str
) -> None:
    several = [
        Event("acme", "runtime", "x", 5, type=type_, revision=revision, void=void, dimensions=dimensions)
        for type_, revision, void, dimensions in versions
    ]
    for order in itertools.permutations(several):
        assert picture(pair(at_home(order, METER, HOME), METER, NOW)) == expected


def test_a_void_that_lacks_a_session_dimension_stands_with_the_corrections_of_its_hour() -> None:
    void = Event("acme", "runtime", "x", 5, void=True, dimensions=(("provider", "aws"),))
    assert resource_of(METER, void) == corrections_of(5) == "~1970-01-01T00"
    assert is_corrections(resource_of(METER, void))
    assert not is_corrections(HOME)


def test_a_session_ends_at_the_earlier_of_its_two_limits() -> None:
    limited = duration_meter(max_duration=10)
    assert picture(pair(edges("+10a"), limited, NOW, ends_at=15)) == "a 10-15 ends_at"
    assert picture(pair(edges("+10a"), limited, NOW, ends_at=25)) == "a 10-20 max_duration"
    assert picture(pair(edges("+10a"), limited, now=19, ends_at=25)) == "a 10- open"
    assert picture(pair(edges("+10a"), limited, now=20, ends_at=25)) == "a 10-20 max_duration"
    assert picture(pair(edges("+10a"), limited, now=20, ends_at=20)) == "a 10-20 max_duration"


@pytest.mark.parametrize(
    ("written", "now", "expected"),
    [
        ("+10a -20b", 19, "a 10- open"),
        ("+10a -20b", 20, "a 10-20 stop"),
        ("+10a +20b", 19, "a 10- open, b 20- open"),
        ("+10a", 39, "a 10- open"),
        ("+10a", 40, "a 10-40 max_duration"),
        ("+15a", 43, "a 15- open"),
        ("+15a", 44, "a 15-44 ends_at"),
    ],
)
def test_whoever_paired_before_an_end_came_can_tell_the_session_as_it_is_then(
    written: str, now: int, expected: str
) -> None:
    limited = duration_meter(max_duration=30)
    paired = pair(edges(written), limited, now=15)
    assert picture([known_at(session, limited, now, 44) for session in paired]) == expected


@pytest.mark.parametrize(
    ("longest", "ends_at", "expected"), [(None, None, None), (10, None, 20), (None, 15, 15), (10, 15, 15), (10, 25, 20)]
)
def test_the_last_possible_end_is_known_while_it_runs(
    longest: int | None, ends_at: int | None, expected: int | None
) -> None:
    meter = duration_meter(max_duration=longest)
    (session,) = pair(edges("+10a"), meter, now=10)
    assert last_possible_end(session, meter, ends_at) == expected


def naively_alive(several: list[Event]) -> list[Event]:
    """Which edges count, in order of time and id."""
    best: dict[tuple[int, str], Event] = {}
    for each in several:
        rival = best.get((each.timestamp, each.id))
        if rival is None or (each.revision, each.void, each.type or "") > (
            rival.revision,
            rival.void,
            rival.type or "",
        ):
            best[each.timestamp, each.id] = each
    return [each for _, each in sorted(best.items()) if not each.void]


def naive(several: list[Event], meter: Meter, now: int, ends_at: int | None) -> set[tuple[str, int, int | None, str]]:
    """An independent model: a clock that ticks through every millisecond, with lamps that are on or off."""
    alive = naively_alive(several)
    found: set[tuple[str, int, int | None, str]] = set()
    running: Event | None = None
    for tick in range(now + 1):
        if ends_at is not None and tick >= ends_at:
            break
        stops = [each for each in alive if each.timestamp == tick and each.type == "stop"]
        starts = [each for each in alive if each.timestamp == tick and each.type == "start"]
        if running:
            overdue = meter.max_duration is not None and tick - running.timestamp >= meter.max_duration
            reason = "stop" if stops else "start" if starts else "max_duration" if overdue else ""
            if reason:
                found.add((running.id, running.timestamp, tick, reason))
                running = None
                stops = stops[1:]
            orphans, closing = stops, None
        else:
            orphans, closing = (stops[1:], stops[:1]) if starts else (stops, None)
        found |= {(each.id, tick, tick, "orphan") for each in orphans}
        found |= {(each.id, tick, tick, "start") for each in starts[:-1]}
        if starts and closing:
            found.add((starts[-1].id, tick, tick, "stop"))
        elif starts:
            running = starts[-1]
    if running and ends_at is not None and ends_at <= now:
        due = running.timestamp + meter.max_duration if meter.max_duration is not None else None
        reason = "max_duration" if due is not None and due <= ends_at else "ends_at"
        found.add((running.id, running.timestamp, min(due or ends_at, ends_at), reason))
    elif running:
        found.add((running.id, running.timestamp, None, "open"))
    return found


some_edges = st.lists(
    st.builds(
        edge,
        st.sampled_from(["start", "stop"]),
        st.integers(0, 12),
        st.sampled_from("abc"),
        st.sampled_from([0, 0, 0, 1]),
        void=st.sampled_from([False, False, False, True]),
    ),
    max_size=9,
)
limits = st.none() | st.integers(1, 14)


@given(some_edges, limits, limits, st.integers(12, 16))
def test_pairing_agrees_with_a_clock_that_ticks_through_every_millisecond(
    several: list[Event], longest: int | None, ends_at: int | None, now: int
) -> None:
    meter = duration_meter(max_duration=longest)
    paired = pair(several, meter, now, ends_at)
    told = {(each.id, each.start, each.end, each.closed_by) for each in paired if each.closed_by != "void"}
    assert told == naive(several, meter, now, ends_at)


@given(some_edges, limits, limits, st.data())
def test_the_order_and_repetition_of_edges_change_nothing(
    several: list[Event], longest: int | None, ends_at: int | None, data: st.DataObject
) -> None:
    meter = duration_meter(max_duration=longest)
    repeated = several + (data.draw(st.lists(st.sampled_from(several))) if several else [])
    assert pair(data.draw(st.permutations(repeated)), meter, 20, ends_at) == pair(several, meter, 20, ends_at)


@given(some_edges, limits)
def test_sessions_of_one_resource_never_overlap_and_each_is_told_once(
    several: list[Event], longest: int | None
) -> None:
    paired = pair(several, duration_meter(max_duration=longest), now=20)
    assert len({each.identity for each in paired}) == len(paired)
    counted = [each for each in paired if each.counts]
    for one, following in itertools.pairwise(counted):
        assert one.end is not None
        assert one.start <= one.end <= following.start


@given(some_edges, some_edges, limits)
def test_whatever_comes_later_every_start_that_was_told_of_is_told_of_again(
    earlier: list[Event], later: list[Event], longest: int | None
) -> None:
    """A later computation supersedes an earlier one by rank: it must speak of every session that counted then."""
    meter = duration_meter(max_duration=longest)
    before = {each.identity for each in pair(earlier, meter, 20) if each.counts}
    after = {each.identity for each in pair(earlier + later, meter, 20)}
    assert before <= after


def test_weight_and_dimensions_are_those_of_the_start() -> None:
    meter = duration_meter(weight="gb")
    start = replace(edge("start", 10, "a"), dimensions=(("gb", "1.5"), ("region", "eu"), *VM))
    stop = replace(edge("stop", 20, "b"), dimensions=(("gb", "9"), ("region", "us"), *VM))
    (session,) = pair([start, stop], meter, NOW)
    assert (session.weight, session.dimensions) == (Decimal("1.5"), start.dimensions)


def test_an_orphan_or_a_void_needs_no_weight() -> None:
    assert picture(pair(edges("-10a +20b +20b~1!"), duration_meter(weight="gb"), NOW)) == "a 10-10 orphan, b 20-20 void"


def test_a_resource_is_named_by_the_values_of_its_session_dimensions_alone() -> None:
    meter = Meter(key="m", aggregation="duration", session=("a", "b"))
    one = Event("acme", "m", "x", 1, type="start", dimensions=(("a", "1"), ("b", "2"), ("c", "3")))
    same = replace(one, id="y", type="stop", dimensions=(("a", "1"), ("b", "2")))
    other = replace(one, dimensions=(("a", "2"), ("b", "1")))
    joined = replace(one, dimensions=(("a", '1","2'), ("b", "")))
    assert resource_of(meter, one) == resource_of(meter, same)
    assert len({resource_of(meter, each) for each in (one, other, joined)}) == 3


# How much a session is billed.


def running(start: int, end: int | None, weight: str = "1") -> Session:
    return Session("r", "a", start, end, "open" if end is None else "stop", Decimal(weight), VM)


@pytest.mark.parametrize(
    ("length", "round_up", "minimum", "weight", "billed"),
    [
        (0, 1, 0, "1", 0),
        (1, 1, 0, "1", 1),
        (1_500, 1, 0, "1", 1_500),
        (1_500, 1_000, 0, "1", 2_000),
        (2_000, 1_000, 0, "1", 2_000),
        (1, 1_000, 0, "1", 1_000),
        (0, 1_000, 0, "1", 0),
        (10, 1, 60_000, "1", 60_000),
        (0, 1, 60_000, "1", 60_000),
        (60_001, 1, 60_000, "1", 60_001),
        (10, 1_000, 1_500, "1", 2_000),
        (1_500, 1_000, 0, "0.5", 1_000),
        (10, 1_000, 1_500, "1.25", 2_500),
        (1_500, 1_000, 60_000, "0", 0),
    ],
)
def test_a_session_is_billed_its_minimum_then_rounded_up_then_weighed(
    length: int, round_up: int, minimum: int, weight: str, billed: int
) -> None:
    meter = duration_meter(round_up=round_up, minimum=minimum)
    assert billed_until(running(1_000, 1_000 + length, weight), meter, HOUR) == billed
    assert billed_until(running(1_000, 1_000 + length, weight), meter, 1_000) == 0, "nothing up to its start"


spans = st.tuples(st.integers(0, 3 * HOUR), st.one_of(st.sampled_from([0, 1]), st.integers(0, 3 * HOUR)))
weights = st.sampled_from(["1", "0", "0.5", "1.333333333333333333333333333333", "123456789012345678901234567890"])


@given(spans, duration_meters, weights, st.lists(st.integers(0, 12 * HOUR), max_size=6))
def test_the_parts_of_a_session_sum_to_the_whole_however_it_is_cut(
    span: tuple[int, int], meter: Meter, weight: str, cuts: list[int]
) -> None:
    session = running(span[0], span[0] + span[1], weight)
    bounds = [0, *sorted(cuts), 12 * HOUR]
    parts = [part_of(session, meter, one, other) for one, other in itertools.pairwise(bounds)]
    length = max(span[1], meter.minimum)
    whole = Fraction(weight) * meter.round_up * -(-length // meter.round_up)
    assert sum(map(Fraction, parts)) == whole
    assert all(part >= 0 for part in parts)


@given(spans, duration_meters, st.integers(0, 3 * HOUR), st.integers(0, 6 * HOUR))
def test_no_part_depends_on_what_comes_later(span: tuple[int, int], meter: Meter, longer: int, instant: int) -> None:
    session = running(span[0], span[0] + span[1])
    if instant <= span[0] + span[1]:
        for later in (replace(session, end=span[0] + span[1] + longer), replace(session, end=None)):
            assert billed_until(later, meter, instant) == billed_until(session, meter, instant)


@pytest.mark.parametrize("closed_by", ["orphan", "void"])
def test_what_is_no_session_is_billed_nothing(closed_by: Literal["orphan", "void"]) -> None:
    meter = duration_meter(minimum=HOUR)
    assert billed_until(replace(running(0, 0), closed_by=closed_by), meter, HOUR) == 0


def test_an_orphan_that_ended_a_session_after_all_is_none() -> None:
    late = pair(edges("-20b -30c"), METER, 60)
    assert without_explained(late) == late
    both = [*late, *pair(edges("+10a -20b"), METER, 60)]
    assert picture(without_explained(both)) == "c 30-30 orphan, a 10-20 stop"
    elsewhere = [replace(each, resource="other") for each in late]
    assert without_explained([*elsewhere, *both[2:]]) == [*elsewhere, *both[2:]]
