"""What slots add up to, up to many instants: as if each were joined alone, without touching every slot each time."""

from collections.abc import Iterator
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering import totals
from metering.times import HOUR, QUARTER
from metering.totals import First, Totals
from metering.windows import Slots, Tally, merge, merge_tallies
from tests.metering.strategies import NOON, slots

instants = st.integers(-2, 10).map(lambda quarters: NOON + quarters * QUARTER) | st.integers(NOON, NOON + 2 * HOUR)


def joined(given_slots: Slots, start: int, end: int) -> Slots:
    within = {slot: tally for slot, tally in given_slots.items() if start <= slot[0] < end}
    return merge(*({(start, dimensions): tally} for (_, dimensions), tally in within.items()))


@given(slots, st.lists(st.tuples(instants, instants), min_size=1, max_size=12))
def test_totals_asked_in_any_order_are_those_of_each_stretch_alone(
    given_slots: Slots, asked: list[tuple[int, int]]
) -> None:
    known = Totals(given_slots)
    for start, end in asked:
        assert known.between(start, end) == joined(given_slots, start, end)


def test_distinct_values_are_kept_once_however_many_totals_they_are_in() -> None:
    of = {hour: frozenset(f"{number}" for number in range(hour * 5, hour * 5 + 9)) for hour in range(20)}
    known = Totals({(hour * HOUR, ()): Tally(9, values=values) for hour, values in of.items()})
    found = [known.between(0, hour * HOUR)[0, ()].values for hour in halved(1, 20)]
    kept = {id(values._values) for values in found if isinstance(values, First)}
    assert len(kept) == 1
    assert {len(values) for values in found} == {hour * 5 + 4 for hour in range(2, 21)}


def test_the_first_of_some_values_are_a_set_like_any_other() -> None:
    values = [f"{number}" for number in range(9)]
    three = First(values, 3)
    assert (len(three), set(three), "2" in three, "3" in three) == (3, {"0", "1", "2"}, True, False)
    assert three == First(values, 3) == frozenset({"0", "1", "2"}) == First(["2", "1", "0"], 3)
    assert hash(three) == hash(First(values, 3))
    assert three not in (First(values, 4), First(["a", "b", "c"], 3), frozenset({"0", "1"}), 3)
    assert frozenset[str]().union(three, First(["x"], 1)) == {"0", "1", "2", "x"}


def halved(low: int, high: int) -> Iterator[int]:
    yield high
    if high - low > 1:
        middle = (low + high) // 2
        yield from halved(low, middle)
        yield from halved(middle, high)


def test_asking_for_the_ends_of_many_hours_by_halving_touches_a_slot_a_few_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hours, touched = 512, 0

    def counting(*several: Tally) -> Tally:
        nonlocal touched
        touched += len(several)
        return merge_tallies(*several)

    monkeypatch.setattr(totals, "merge_tallies", counting)
    known = Totals({(quarter * QUARTER, ()): Tally(1, Decimal(quarter)) for quarter in range(hours * 4)})
    for hour in halved(0, hours):
        assert known.between(0, hour * HOUR)[0, ()].events == hour * 4
    assert touched <= 6 * hours * 4
    known.between(0, 256 * HOUR)
    assert touched <= 6 * hours * 4
