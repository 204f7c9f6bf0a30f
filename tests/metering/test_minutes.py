"""The last minutes of an hour and the sum before them: cut anywhere, they are the hour. Law 4.3."""

from hypothesis import given
from hypothesis import strategies as st

from metering.minutes import MOST_MINUTES, Minutes
from metering.windows import Slots, merge
from tests.metering.strategies import slots_of

names = st.integers(0, 14).map("{:02d}".format)
# There are many minutes: few slots of each show what more would.
refreshes = st.lists(st.dictionaries(names, slots_of(2), min_size=1, max_size=3), max_size=12)


@given(refreshes, st.data())
def test_minutes_folded_in_any_order_are_the_hour_unless_they_are_sealed(
    several: list[dict[str, Slots]], data: st.DataObject
) -> None:
    minutes, folded = Minutes(), dict[str, Slots]()
    for fresh in several:
        known = {minute: usage for minute, usage in fresh.items() if not minutes.has_sealed([minute])}
        minutes = minutes.replacing(known)
        folded |= known
        if data.draw(st.booleans()):
            minutes = minutes.sealing_one() or minutes
        assert minutes.whole == merge(*folded.values())
        assert len(minutes.last) <= MOST_MINUTES
        assert all(minutes.last[minute] == folded[minute] for minute in minutes.last)


@given(st.dictionaries(names, slots_of(2, least=1), min_size=9, max_size=15))
def test_the_newest_minutes_stay_apart_and_the_older_ones_are_sealed(folded: dict[str, Slots]) -> None:
    minutes = Minutes().replacing(folded)
    assert sorted(minutes.last) == sorted(folded)[-MOST_MINUTES:]
    assert not minutes.has_sealed(minutes.last)
    assert all(minutes.has_sealed([minute]) for minute in folded.keys() - minutes.last.keys())
    while (fewer := minutes.sealing_one()) is not None:
        assert fewer.whole == minutes.whole
        assert len(fewer.last) == len(minutes.last) - 1
        minutes = fewer
    assert len(minutes.last) == 3
