"""The usage up to many instants of one stretch of time, without joining all of it for each of them. Law 4.3."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Set
from dataclasses import dataclass, replace
from itertools import islice
from typing import cast

from metering.events import Dimensions
from metering.windows import Slots, Tally, merge_tallies


class Totals:
    """What slots add up to between a start and any end, each total made from the nearest earlier one that is known.

    Whoever asks for the ends of n hours by halving touches a slot about half of log n times, not n times; `merge` is
    associative, so the totals are the same. Distinct values are kept once, however many totals they are in.
    """

    def __init__(self, slots: Slots) -> None:
        self._slots = sorted(slots.items(), key=lambda found: found[0][0])
        self._quarters = [quarter for (quarter, _), _ in self._slots]
        # By start: how many slots were joined, ascending, and what each of these many add up to, but for their values.
        self._known: dict[int, tuple[list[int], list[Slots]]] = {}
        self._has_values = any(tally.values for tally in slots.values())
        # By the first slot, by combination.
        self._seen: dict[int, dict[Dimensions, _Seen]] = {}

    def between(self, start: int, end: int) -> Slots:
        """The usage of [start, end), each combination of dimensions in one slot that stands at `start`."""
        first = bisect_left(self._quarters, start)
        last = max(first, bisect_left(self._quarters, end))
        counts, totals = self._known.setdefault(start, ([first], [{}]))
        place = bisect_right(counts, last)
        if counts[place - 1] < last:
            counts.insert(place, last)
            totals.insert(place, self._joined(start, totals[place - 1], counts[place - 1], last))
            return self._with_values(totals[place], first, last)
        return self._with_values(totals[place - 1], first, last)

    def _joined(self, start: int, before: Slots, first: int, last: int) -> Slots:
        found: defaultdict[Dimensions, list[Tally]] = defaultdict(list)
        for (_, dimensions), tally in self._slots[first:last]:
            found[dimensions].append(replace(tally, values=frozenset()) if tally.values else tally)
        joined = dict(before)
        for dimensions, several in found.items():
            slot = start, dimensions
            joined[slot] = merge_tallies(joined.get(slot, Tally()), *several)
        return joined

    def _with_values(self, total: Slots, first: int, last: int) -> Slots:
        if not self._has_values:
            return total
        if first not in self._seen:
            self._seen[first] = self._first_seen(first)
        seen = self._seen[first]
        return {
            slot: replace(tally, values=seen[slot[1]].before(last)) if slot[1] in seen else tally
            for slot, tally in total.items()
        }

    def _first_seen(self, first: int) -> dict[Dimensions, "_Seen"]:
        values: defaultdict[Dimensions, dict[str, None]] = defaultdict(dict)
        places: defaultdict[Dimensions, list[tuple[int, int]]] = defaultdict(list)
        for place, ((_, dimensions), tally) in enumerate(self._slots[first:], first):
            if tally.values:
                values[dimensions] |= dict.fromkeys(tally.values)
                places[dimensions].append((place + 1, len(values[dimensions])))
        return {dimensions: _Seen(list(values.pop(dimensions)), places[dimensions]) for dimensions in list(values)}


@dataclass(frozen=True, slots=True)
class _Seen:
    """The distinct values of some slots.

    Attributes:
        values: in the order in which they are met.
        counts: how many have been met behind which slots, ascending.
    """

    values: list[str]
    counts: list[tuple[int, int]]

    def before(self, slot: int) -> frozenset[str]:
        place = bisect_right(self.counts, (slot, len(self.values)))
        # To who reads it, it is a set like any other.
        return cast("frozenset[str]", First(self.values, self.counts[place - 1][1])) if place else frozenset()


class First(Set[str]):
    """The first so many of some distinct values, as a set that takes no space of its own.

    Sets made from the same values are compared by how many they hold.
    """

    __slots__ = ("_count", "_values")

    def __init__(self, values: list[str], count: int) -> None:
        self._values = values
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[str]:
        return islice(self._values, self._count)

    def __contains__(self, value: object) -> bool:
        return any(each == value for each in self)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, First) and other._values is self._values:
            return other._count == self._count
        return isinstance(other, Set) and len(other) == self._count and frozenset(self) == frozenset(other)

    def __hash__(self) -> int:
        return hash(self._count)
