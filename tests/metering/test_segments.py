"""Segments: one item for what came together, under a key that its content alone decides. Law 4.2."""

import contextlib
import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.errors import Unreadable
from metering.events import Event, winners
from metering.packing import MOST_BYTES, canonical, compress, unpack_json
from metering.segments import Segment, pack, unpack
from metering.times import HOUR, MINUTE, floor
from tests.metering.strategies import NOON, events

several = st.lists(
    st.builds(
        replace,
        events(),
        customer=st.sampled_from(["acme", "b.corp"]),
        meter=st.sampled_from(["requests", "a:b@c|d"]),
        value=st.none() | events().map(lambda event: event.value),
        dimensions=st.just(()) | events().map(lambda event: event.dimensions),
    ),
    max_size=12,
)


def unpack_all(segments: list[Segment]) -> list[Event]:
    return [event for each in segments for event in unpack(each.partition, each.minute, each.data)]


@given(several)
def test_what_is_packed_is_read_back_the_same(given_events: list[Event]) -> None:
    read = unpack_all(pack(given_events))
    assert len(read) == len(set(given_events))
    assert set(read) == set(given_events)


@given(several, st.data())
def test_the_same_events_are_the_same_items_whatever_their_order_and_repetition(
    given_events: list[Event], data: st.DataObject
) -> None:
    repeated = given_events + (data.draw(st.lists(st.sampled_from(given_events))) if given_events else [])
    assert pack(data.draw(st.permutations(repeated))) == pack(given_events)


@given(several, several)
def test_segments_share_a_key_only_when_they_hold_the_same(one: list[Event], other: list[Event]) -> None:
    both = pack(one) + pack(other)
    by_key = {(each.partition, each.sort): each for each in both}
    assert all(by_key[each.partition, each.sort] == each for each in both)
    held = {frozenset(unpack_all([each])) for each in both}
    assert len(held) == len(by_key)


@given(several)
def test_an_item_lies_in_the_hour_and_minute_of_its_events(given_events: list[Event]) -> None:
    for segment in pack(given_events):
        for event in unpack_all([segment]):
            assert floor(event.timestamp, MINUTE) == segment.minute
            hour = unpack_all([segment])[0].as_json()["timestamp"]
            assert segment.partition == f"{event.customer}#{event.meter}#{str(hour)[:13]}"
        assert segment.sort.startswith(f"{segment.minute // MINUTE % 60:02d}#")


@given(several)
def test_folding_what_was_packed_is_folding_what_was_sent(given_events: list[Event]) -> None:
    for customer, meter in {(event.customer, event.meter) for event in given_events}:
        sent = [event for event in given_events if (event.customer, event.meter) == (customer, meter)]
        assert winners(unpack_all(pack(sent))) == winners(sent)


def test_events_of_a_minute_are_one_item_and_of_two_minutes_two() -> None:
    first = Event("acme", "requests", "a", NOON, value=Decimal(1))
    last = replace(first, id="b", timestamp=NOON + MINUTE - 1)
    assert len(pack([first, last])) == 1
    assert len(pack([first, replace(last, timestamp=NOON + MINUTE)])) == 2
    assert len(pack([first, replace(first, timestamp=NOON + HOUR)])) == 2
    assert pack([]) == []


def test_an_event_costs_about_thirty_bytes_in_company() -> None:
    import uuid

    many = [
        Event("acme", "requests", str(uuid.UUID(int=number * 2**70 + 7 * number)), NOON + number, value=Decimal(number))
        for number in range(1_000)
    ]
    (segment,) = pack(many)
    assert len(segment.data) < 35 * len(many)


@pytest.mark.parametrize("size", [60_000, 1_000, 10])
def test_a_large_group_is_cut_in_the_order_of_its_events(size: int) -> None:
    many = [
        Event(
            "acme", "requests", f"e-{number:04d}", NOON + number % 7, dimensions=(("d", f"{number:04d}" + "x" * size),)
        )
        for number in range(1_000 if size < 10_000 else 40)
    ]
    segments = pack(many)
    assert pack(reversed(many)) == segments
    assert all(len(canonical(unpack_json(each.data))) <= MOST_BYTES for each in segments)
    assert len({each.sort for each in segments}) == len(segments)
    total = sum(len(canonical(unpack_json(each.data))) for each in segments)
    assert len(segments) <= 2 * total // MOST_BYTES + 1, "cut no smaller than needed"
    assert unpack_all(segments) == sorted(many, key=lambda event: event.identity)


def test_an_event_whose_text_needs_escapes_fits_as_well() -> None:
    many = [
        Event("acme", "requests", f"e-{number}", NOON, dimensions=(("d", f"{number}" + '"\\\n\x01€' * 800),))
        for number in range(200)
    ]
    segments = pack(many)
    assert all(len(canonical(unpack_json(each.data))) <= MOST_BYTES for each in segments)
    assert set(unpack_all(segments)) == set(many)


GOOD: dict[str, Any] = {"id": ["a"], "dimensions": [{}]}


@pytest.mark.parametrize(
    "columns",
    [
        *(None, 1, "x", [], {}, {"id": 1}, {"id": ["a", "b"], "at": [0]}, {"id": ["a"], "dimensions": []}),
        *(GOOD | {"dimensions": [1]}, GOOD | {"which": [1]}, GOOD | {"value": ["much"]}, GOOD | {"at": ["x"]}),
    ],
)
def test_columns_that_do_not_fit_together_are_unreadable(columns: Any) -> None:
    with pytest.raises(Unreadable):
        unpack("acme#requests#2026-11-20T12", NOON, compress(json.dumps(columns).encode()))


@pytest.mark.parametrize("partition", ["", "acme", "acme#requests", "acme#requests#hour#more"])
def test_a_partition_of_another_form_is_unreadable(partition: str) -> None:
    with pytest.raises(Unreadable):
        unpack(partition, NOON, compress(json.dumps(GOOD).encode()))


@given(st.binary(max_size=50))
def test_bytes_that_nobody_packed_are_unreadable(data: bytes) -> None:
    with contextlib.suppress(Unreadable):
        unpack("acme#requests#2026-11-20T12", NOON, data)
