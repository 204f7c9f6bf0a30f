"""The usage up to many instants of one stretch of time, without joining all of it for each of them. Law 4.3."""

from bisect import bisect_left, bisect_right
from collections import defaultdict

from metering.events import Dimensions
from metering.windows import Slots, Tally, merge_tallies


class Totals:
    """What slots add up to between a start and any end, each total made from the nearest earlier one that is known.

    Whoever asks for the ends of n hours by halving touches a slot about half of log n times, not n times; `merge` is
    associative, so the totals are the same.
    """

    def __init__(self, slots: Slots) -> None:
        self._slots = sorted(slots.items(), key=lambda found: found[0][0])
        self._quarters = [quarter for (quarter, _), _ in self._slots]
        # By start: how many slots were joined, ascending, and what each of these many add up to.
        self._known: dict[int, tuple[list[int], list[Slots]]] = {}

    def between(self, start: int, end: int) -> Slots:
        """The usage of [start, end), each combination of dimensions in one slot that stands at `start`."""
        first = bisect_left(self._quarters, start)
        last = max(first, bisect_left(self._quarters, end))
        counts, totals = self._known.setdefault(start, ([first], [{}]))
        place = bisect_right(counts, last)
        if counts[place - 1] < last:
            counts.insert(place, last)
            totals.insert(place, self._joined(start, totals[place - 1], counts[place - 1], last))
            return totals[place]
        return totals[place - 1]

    def _joined(self, start: int, before: Slots, first: int, last: int) -> Slots:
        found: defaultdict[Dimensions, list[Tally]] = defaultdict(list)
        for (_, dimensions), tally in self._slots[first:last]:
            found[dimensions].append(tally)
        joined = dict(before)
        for dimensions, several in found.items():
            slot = start, dimensions
            joined[slot] = merge_tallies(joined.get(slot, Tally()), *several)
        return joined
