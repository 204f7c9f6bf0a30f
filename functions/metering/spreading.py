"""Spreading a large window over several items by hash, so that a change rewrites a part of it. Law 4.3."""

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import replace

from metering.packing import canonical
from metering.sessions import Session
from metering.times import MINUTE
from metering.window_items import pack_sessions, pack_slots
from metering.windows import Slot, Slots, Tally

_CHARACTERS_KEPT_TOGETHER = 8 * 1024
"""Of the distinct values of one slot."""
_MOST_PARTS = 1024
"""Of one window. The names of so many are a tenth of an item; what is larger still has larger parts."""
_PAUSE_BYTES = 64 * 1024
"""Of a window for each freshness that passes between its refreshes; one that is less than twice that is not large."""
LONGEST_PAUSE = 5 * MINUTE
"""Between the refreshes of a window, however large."""


def _place(key: object, count: int) -> int:
    return zlib.crc32(canonical(key)) % count


def spread_slots(slots: Slots, count: int) -> list[bytes]:
    """Pack a window into `count` parts, by the hash of the dimension combination; their merge is the window.

    The distinct values of one combination are spread by their own hash where they are long, over no more parts than
    that takes, as its dimensions are repeated in each.
    """
    if count == 1:
        return [pack_slots(slots)]
    parts: list[dict[Slot, Tally]] = [{} for _ in range(count)]
    for slot, tally in slots.items():
        home = _place(slot[1], count)
        shares = _shares(tally.values, count)
        parts[home][slot] = tally if len(shares) == 1 else replace(tally, values=shares[0])
        for further, share in enumerate(shares[1:], 1):
            if share:
                parts[(home + further) % count][slot] = Tally(values=share)
    return [pack_slots(part) for part in parts]


def _shares(values: frozenset[str], most: int) -> list[frozenset[str]]:
    """Cut distinct values by their hash into shares, twice as many whenever they are twice as long."""
    count = min(most, 1 << (sum(map(len, values)) // _CHARACTERS_KEPT_TOGETHER).bit_length())
    if count == 1:
        return [values]
    shares: list[set[str]] = [set() for _ in range(count)]
    for value in values:
        shares[zlib.crc32(value.encode()) % count].add(value)
    return list(map(frozenset, shares))


def spread_sessions(sessions: Iterable[Session], tied_by: Sequence[str], count: int) -> list[bytes]:
    """Pack running sessions into `count` parts, by the hash of their resource; `tied_by` as in `pack_sessions`."""
    parts: list[list[Session]] = [[] for _ in range(count)]
    for session in sessions:
        parts[_place(session.resource, count)].append(session)
    return [pack_sessions(part, tied_by) for part in parts]


def parts_needed(sizes: Sequence[int], most_bytes: int) -> int:
    """How many parts a window needs that has parts of these sizes now.

    Doubled until the largest is small enough, or until the others are so small that it must be one combination which
    no further part makes smaller. One again, once all of it is small.
    """
    count, largest, whole = len(sizes), max(sizes), sum(sizes)
    if whole <= most_bytes // 4:
        return 1
    while largest > most_bytes and whole > count * most_bytes // 4 and count < _MOST_PARTS:
        count, largest = count * 2, -(-largest // 2)
    return count


def pause_between_refreshes(size_bytes: int, freshness: int, longest: int) -> int:
    """How long is between two refreshes of a window of this size, in milliseconds; 0 for one that is not large.

    It grows with the size in powers of two, so that the instants of a smaller window are among those of a larger one.

    Args:
        size_bytes: of the window's parts.
        freshness: how long consumers gather what happens, in milliseconds.
        longest: that usage may wait for, in milliseconds.
    """
    times = size_bytes // _PAUSE_BYTES
    return min(freshness << (times.bit_length() - 1), LONGEST_PAUSE, longest) if times > 1 else 0


def next_refresh(name: str, pause: int, now: int) -> int:
    """The first instant after `now` at which a large window is refreshed: one in each pause.

    It follows from the window's name and the clock, so that nobody has to remember when it was refreshed last, all that
    waits for one refresh waits for the same instant, and not every large window has the same ones.
    """
    return now + pause - (now - zlib.crc32(name.encode())) % pause
