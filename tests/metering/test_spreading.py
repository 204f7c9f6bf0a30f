"""A large window spread by hash: its parts merge to the whole, and a change touches only its part. Law 4.3."""

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.sessions import Session
from metering.spreading import (
    LONGEST_PAUSE,
    next_refresh,
    parts_needed,
    pause_between_refreshes,
    spread_sessions,
    spread_slots,
)
from metering.times import HOUR, MINUTE, QUARTER, SECOND
from metering.window_items import unpack_sessions, unpack_slots
from metering.windows import Slots, Tally, merge
from tests.metering.strategies import NOON, sessions, slots

MOST = 64 * 1024
counts = st.sampled_from([1, 2, 3, 8, 64])


def of_users(most: int, seed: int = 0) -> Slots:
    values = frozenset(
        str(UUID(int=(seed * 10**6 + number) * 0x9E3779B97F4A7C15F39CC0605CEDC834 % 2**128)) for number in range(most)
    )
    return {(NOON, (("region", "eu"),)): Tally(events=most, values=values)}


def joined(parts: list[bytes]) -> Slots:
    return merge(*map(unpack_slots, parts))


def spread_until_it_fits(whole: Slots) -> list[bytes]:
    parts = spread_slots(whole, 1)
    while (needed := parts_needed([len(part) for part in parts], MOST)) != len(parts):
        parts = spread_slots(whole, needed)
    return parts


@given(slots, counts)
def test_the_parts_of_a_window_merge_to_the_whole(whole: Slots, count: int) -> None:
    parts = spread_slots(whole, count)
    assert len(parts) == count
    assert joined(parts) == whole


@given(st.lists(sessions(), max_size=6), counts)
def test_the_parts_of_running_sessions_are_all_of_them(running: list[Session], count: int) -> None:
    parts = spread_sessions(running, ("region",), count)
    assert len(parts) == count
    found = [each for part in parts for each in unpack_sessions(part)]
    assert Counter(found) == Counter(running)


@given(slots, st.lists(sessions(), max_size=6), counts, st.randoms(use_true_random=False))
def test_the_same_usage_is_spread_the_same_way_whatever_its_order(
    whole: Slots, running: list[Session], count: int, random: object
) -> None:
    rows = list(whole.items())
    turned = running[:]
    random.shuffle(rows)  # type: ignore[attr-defined]  # a Random
    random.shuffle(turned)  # type: ignore[attr-defined]  # a Random
    assert spread_slots(dict(rows), count) == spread_slots(whole, count)
    assert spread_sessions(turned, (), count) == spread_sessions(running, (), count)


@given(slots, slots, counts)
def test_a_change_of_one_combination_touches_only_its_part(whole: Slots, others: Slots, count: int) -> None:
    changes = {slot: replace(tally, events=tally.events + 1) for slot, tally in others.items()}
    for dimensions in {dimensions for _, dimensions in changes}:
        changed = {**whole, **{slot: tally for slot, tally in changes.items() if slot[1] == dimensions}}
        pairs = zip(spread_slots(whole, count), spread_slots(changed, count), strict=True)
        assert sum(before != after for before, after in pairs) <= 1


@pytest.mark.parametrize("count", [1, 2, 16])
@pytest.mark.parametrize("values", [0, 1, 1_000, 1_001, 5_000])
def test_many_distinct_values_of_one_combination_are_spread_and_counted_once(values: int, count: int) -> None:
    whole = of_users(values)
    parts = spread_slots(whole, count)
    assert joined(parts) == whole
    if values == 5_000:
        assert max(map(len, parts)) < 2 * min(map(len, parts))


def test_a_new_value_of_many_touches_its_part_and_the_one_that_counts() -> None:
    before = of_users(5_000)
    (slot,) = before
    after = {slot: replace(before[slot], events=5_001, values=before[slot].values | {"a-new-one"})}
    pairs = zip(spread_slots(before, 16), spread_slots(after, 16), strict=True)
    assert sum(one != other for one, other in pairs) in {1, 2}


@pytest.mark.parametrize(
    ("sizes", "needed"),
    [
        ([0], 1),
        ([MOST], 1),
        ([MOST + 1], 2),
        ([4 * MOST], 4),
        ([MOST, MOST], 2),
        ([MOST, MOST + 2], 4),
        ([9, 9], 1),
        ([0, MOST], 2),
        ([8 * MOST, 0, 0, 0, 0, 0, 0, 0], 32),
        ([MOST + 1] * 1024, 1024),
    ],
)
def test_parts_are_doubled_until_they_are_small_enough(sizes: list[int], needed: int) -> None:
    assert parts_needed(sizes, MOST) == needed


def test_parts_that_are_large_when_they_are_empty_are_not_doubled_for_ever() -> None:
    count, rounds = 1, 0
    while (needed := parts_needed([MOST + 1] + [MOST // 3] * (count - 1), MOST)) != count:
        count, rounds = needed, rounds + 1
    assert (count, rounds) == (1024, 10)


@pytest.mark.parametrize("values", [900, 1_000, 1_500, 20_000])
def test_what_spreading_cannot_make_smaller_does_not_spread_for_ever(values: int) -> None:
    one = of_users(values)
    quarters = {
        (NOON + number * QUARTER, dimensions): tally for number in range(4) for (_, dimensions), tally in one.items()
    }
    parts = spread_until_it_fits(quarters)
    assert joined(parts) == quarters
    assert len(parts) <= 64
    assert max(map(len, parts)) <= 2 * MOST


def test_combinations_longer_than_a_part_do_not_spread_for_ever() -> None:
    long = "".join(str(UUID(int=number * 0x9E3779B97F4A7C15F39CC0605CEDC834 % 2**128)) for number in range(1_700))
    whole: Slots = {
        (NOON + n * QUARTER, (("path", f"{long[k:]}{k}"),)): Tally(events=1, quantity=Decimal(k))
        for n in range(4)
        for k in range(2)
    }
    parts = spread_until_it_fits(whole)
    assert joined(parts) == whole
    assert len(parts) <= 8


@pytest.mark.parametrize(
    ("kilobytes", "freshness_seconds", "longest", "pause_seconds"),
    [
        (0, 5, HOUR, 0),
        (127, 5, HOUR, 0),
        (128, 5, HOUR, 10),
        (255, 5, HOUR, 10),
        (256, 5, HOUR, 20),
        (2_600, 5, HOUR, 160),
        (2_600, 1, HOUR, 32),
        (2_600, 0, HOUR, 0),
        (2_600, 5, MINUTE, 60),
        (2_600, 5, 0, 0),
        (1_000_000, 300, HOUR, 300),
    ],
)
def test_the_larger_a_window_the_longer_between_its_refreshes_and_never_too_long(
    kilobytes: int, freshness_seconds: int, longest: int, pause_seconds: int
) -> None:
    assert pause_between_refreshes(kilobytes * 1024, freshness_seconds * SECOND, longest) == pause_seconds * SECOND


@given(st.integers(0, 1 << 40), st.integers(0, 300 * SECOND), st.integers(0, 30 * HOUR))
def test_no_pause_is_longer_than_usage_may_wait(size_bytes: int, freshness: int, longest: int) -> None:
    assert 0 <= pause_between_refreshes(size_bytes, freshness, longest) <= min(LONGEST_PAUSE, longest)


@given(st.text(max_size=9), st.integers(1, LONGEST_PAUSE), st.integers(0, 1 << 42))
def test_a_large_window_is_refreshed_once_in_each_pause(name: str, pause: int, now: int) -> None:
    instant = next_refresh(name, pause, now)
    assert now < instant <= now + pause
    assert {next_refresh(name, pause, each) for each in (now, (now + instant) // 2, instant - 1)} == {instant}
    assert next_refresh(name, pause, instant) == instant + pause
    # While a window grows its refreshes become fewer, and are none that it had not before.
    assert next_refresh(name, pause, next_refresh(name, 2 * pause, now) - 1) == next_refresh(name, 2 * pause, now)
