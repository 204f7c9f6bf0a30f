"""How windows, open sessions and facts are written down: nothing is lost, and equal things are equal bytes."""

import contextlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.decimals import EXACT
from metering.errors import Unreadable
from metering.minutes import Minutes
from metering.packing import MOST_BYTES, canonical, compress, unpack_json
from metering.segments import Segment
from metering.sessions import Session, resource_with
from metering.sightings import Sighting
from metering.times import HOUR, MINUTE
from metering.window_items import (
    facts_segments,
    fitting,
    minute_within,
    pack_minutes,
    pack_sessions,
    pack_slots,
    sightings_segments,
    unpack_facts,
    unpack_minutes,
    unpack_sessions,
    unpack_sightings,
    unpack_slots,
)
from metering.windows import Fact, Slots, Tally, merge
from tests.metering.strategies import NOON, facts, sessions, slots, tallies


@given(slots)
def test_a_window_is_read_back_the_same(window: Slots) -> None:
    assert unpack_slots(pack_slots(window)) == window


@pytest.mark.parametrize(
    "tally",
    [
        Tally(),
        Tally(events=1),
        Tally(events=1, least=Decimal(0)),
        Tally(events=1, most=Decimal(0)),
        Tally(events=1, least=Decimal(0), most=Decimal(0)),
        Tally(quantity=Decimal(0), amount=Decimal(1)),
        Tally(events=1, latest=(0, "", Decimal(0))),
        Tally(events=1, values=frozenset({""})),
        Tally(events=1, values=frozenset({"0"})),
    ],
)
def test_zero_is_a_value_and_not_the_same_as_none(tally: Tally) -> None:
    assert unpack_slots(pack_slots({(NOON, ()): tally})) == {(NOON, ()): tally}


def test_windows_that_are_read_together_share_their_distinct_values() -> None:
    written: list[Slots] = [{(NOON, ()): Tally(1, values=frozenset({"a value", each}))} for each in ("x y", "y z")]
    shared: dict[str, str] = {}
    read = [unpack_slots(pack_slots(window), shared) for window in written]
    assert read == written
    once = {id(value) for window in read for value in window[NOON, ()].values}
    assert len(once) == len(shared) == 3


@given(slots, st.randoms(use_true_random=False))
def test_the_same_usage_is_the_same_bytes(window: Slots, random: Any) -> None:
    pairs = list(window.items())
    random.shuffle(pairs)
    assert pack_slots(dict(pairs)) == pack_slots(window)


@given(slots, slots)
def test_other_usage_is_other_bytes(one: Slots, other: Slots) -> None:
    assert (pack_slots(one) == pack_slots(other)) == (one == other)


@given(slots, slots)
def test_merging_what_was_stored_is_merging_what_was_folded(one: Slots, other: Slots) -> None:
    assert merge(unpack_slots(pack_slots(one)), unpack_slots(pack_slots(other))) == merge(one, other)


@given(tallies, st.integers(0, 9))
def test_a_number_is_written_one_way_whatever_it_was_added_from(tally: Tally, zeros: int) -> None:
    longer = replace(tally, quantity=EXACT.add(tally.quantity, Decimal(f"0e-{zeros}")))
    assert pack_slots({(NOON, ()): longer}) == pack_slots({(NOON, ()): tally})


names_of_ties = st.sampled_from([(), ("region",), ("user", "region")])


def tied(session: Session, tied_by: tuple[str, ...]) -> Session:
    """As it is where its resource follows from its dimensions."""
    dimensions = tuple(sorted({**dict.fromkeys(tied_by, "x"), **dict(session.dimensions)}.items()))
    return replace(session, dimensions=dimensions, resource=resource_with(tied_by, dict(dimensions)))


@st.composite
def minutes_of_an_hour(draw: st.DrawFn) -> Minutes:
    """A sum, and some minutes after it."""
    names_ = draw(st.lists(st.integers(0, 59), max_size=4, unique=True))
    return Minutes(draw(slots), {f"{name:02d}": draw(slots) for name in names_})


@given(minutes_of_an_hour())
def test_an_hour_with_its_last_minutes_is_read_back_the_same_and_whole_by_who_does_not_ask(minutes: Minutes) -> None:
    packed = pack_minutes(minutes)
    assert unpack_minutes(packed) == minutes
    assert unpack_slots(packed) == minutes.whole
    assert pack_minutes(Minutes(minutes.sealed, dict(reversed(list(minutes.last.items()))))) == packed
    assert (packed == pack_slots(minutes.whole)) == (not minutes.last)


@given(minutes_of_an_hour(), st.integers(100, 500))
def test_as_few_minutes_are_sealed_as_it_takes_to_fit(minutes: Minutes, most_bytes: int) -> None:
    found = fitting(minutes, most_bytes)
    if found is None:
        assert len(minutes.last) <= 3 or len(pack_minutes(minutes)) > most_bytes
        return
    assert found.whole == minutes.whole
    assert len(pack_minutes(found)) <= most_bytes
    assert sorted(found.last) == sorted(minutes.last)[len(minutes.last) - len(found.last) :]
    if found != minutes:
        assert len(pack_minutes(minutes)) > most_bytes


@given(st.lists(sessions(), max_size=6), names_of_ties, st.booleans())
def test_open_sessions_are_read_back_the_same_and_their_order_does_not_matter(
    several: list[Session], tied_by: tuple[str, ...], follows: bool
) -> None:
    if follows:
        several = [tied(session, tied_by) for session in several]
    packed = pack_sessions(several, tied_by)
    read = unpack_sessions(packed)
    assert Counter(read) == Counter(several)
    assert pack_sessions(reversed(several), tied_by) == packed == pack_sessions(read, tied_by)


def test_a_resource_that_follows_from_the_dimensions_takes_no_space() -> None:
    plain = Session("r", "a", NOON, None, "open", Decimal(1), (("region", "eu"),), NOON)
    row = unpack_json(pack_sessions([plain], ("region",)))["rows"][0]
    assert row == unpack_json(pack_sessions([tied(plain, ("region",))], ("region",)))["rows"][0] + ["r"]


@pytest.mark.parametrize(
    ("start", "minute"), [(-HOUR, "00"), (0, "00"), (59_999, "00"), (60_000, "01"), (HOUR - 1, "59")]
)
def test_a_session_stands_in_the_minute_of_its_start_and_an_earlier_one_in_the_first(start: int, minute: str) -> None:
    plain = Session("r", "a", NOON + start, None, "open", Decimal(1), (), NOON)
    (segment,) = written([Fact(plain, ("label", 1))])
    assert segment.sort[:2] == minute == minute_within(NOON, plain.start)


def written(several: Iterable[Fact], tied_by: tuple[str, ...] = ("region",)) -> list[Segment]:
    return facts_segments("acme", "runtime", tied_by, NOON, several)


@given(st.lists(facts, max_size=6), st.lists(facts, max_size=6), st.booleans())
def test_facts_are_read_back_the_same_under_a_key_of_their_content(
    one: list[Fact], other: list[Fact], follows: bool
) -> None:
    if follows:
        one = [replace(fact, session=tied(fact.session, ("region",))) for fact in one]
    segments = written(one)
    assert {(each.partition, each.minute) for each in segments} <= {("acme#runtime#2026-11-20T12", NOON)}
    assert Counter(each for segment in segments for each in unpack_facts(segment.data)) == Counter(set(one))
    assert written([*reversed(one), *one]) == segments
    assert (written(other) == segments) == (set(one) == set(other))


def test_many_facts_are_cut_into_items_that_a_table_takes() -> None:
    plain = Session("r", "a", NOON, NOON + 1, "stop", Decimal(1), ())
    several = [
        Fact(replace(plain, id=f"s-{number}", dimensions=(("d", f"{number}" + "x" * 60_000),)), ("stream", number))
        for number in range(20)
    ]
    segments = written(several)
    assert written(reversed(several)) == segments
    assert 5 <= len(segments) == len({each.sort for each in segments})
    assert all(len(canonical(unpack_json(each.data))) <= MOST_BYTES for each in segments)
    assert {each for segment in segments for each in unpack_facts(segment.data)} == set(several)


def seen(minute: int) -> st.SearchStrategy[set[Sighting]]:
    edge = st.builds(
        Sighting, st.integers(minute, minute + MINUTE - 1), st.integers(0, 99), st.sampled_from(["r", "s"])
    )
    return st.sets(edge, max_size=5)


@given(st.sampled_from([NOON, NOON + 7 * MINUTE]).flatmap(lambda minute: st.tuples(st.just(minute), seen(minute))))
def test_edges_that_are_noted_are_read_back_the_same_under_a_key_of_their_content(
    noted: tuple[int, set[Sighting]],
) -> None:
    minute, found = noted
    segments = sightings_segments("acme", "runtime", found)
    name = minute_within(NOON, minute)
    assert {(each.partition, each.sort[:8], each.minute) for each in segments} == (
        {("acme#runtime#2026-11-20T12", f"{name}#seen#", minute)} if found else set()
    )
    assert {each for segment in segments for each in unpack_sightings(segment.data)} == found
    assert sightings_segments("acme", "runtime", sorted(found, reverse=True)) == segments


def test_many_edges_that_are_noted_are_cut_into_items_that_a_table_takes() -> None:
    found = {Sighting(NOON + number % MINUTE, number, f"{number:08x}") for number in range(20_000)}
    segments = sightings_segments("acme", "runtime", found)
    assert 2 <= len(segments) == len({each.sort for each in segments})
    assert all(len(canonical(unpack_json(each.data))) <= MOST_BYTES + 100 for each in segments)
    assert {each for segment in segments for each in unpack_sightings(segment.data)} == found


DAMAGED: list[Any] = [
    *(None, 1, "x", [1], [[]], [[1]], [{}]),
    *(
        {"by": 1, "rows": [[1]]},
        {"by": ["vm"], "rows": [[0, "a", None, "open", "1", {}, 0]]},
    ),
    *({"dimensions": [{}], "rows": [], "minutes": each} for each in (1, {"05": [[1]]}, {"05": 1})),
    *({"rows": [[1]]}, {"dimensions": [1], "rows": []}, {"dimensions": [{}]}),
    *({"minute": each, "rows": [[0]]} for each in (0, "0")),
]


@pytest.mark.parametrize("content", DAMAGED)
@pytest.mark.parametrize("read", [unpack_slots, unpack_facts, unpack_sessions, unpack_sightings])
def test_what_has_another_shape_is_unreadable(read: Any, content: Any) -> None:
    with pytest.raises(Unreadable):
        read(compress(json.dumps(content).encode()))


@pytest.mark.parametrize("row", [[], [0], [0, 1], [0, 0, 1, "much"], [0, 0, 1, "0", "0", None, None, [1]], [0] * 10])
def test_a_damaged_row_makes_the_window_unreadable(row: list[object]) -> None:
    with pytest.raises(Unreadable):
        unpack_slots(compress(json.dumps({"dimensions": [{}], "rows": [row]}).encode()))


@given(st.binary(max_size=50))
def test_bytes_that_nobody_packed_are_unreadable(data: bytes) -> None:
    for read in (unpack_slots, unpack_facts, unpack_sessions, unpack_sightings):
        with contextlib.suppress(Unreadable):
            read(data)
