"""Spreading a large window over several items by hash, so that a change rewrites a part of it. Law 4.3."""

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import replace

from metering.packing import canonical
from metering.sessions import Session
from metering.window_items import pack_sessions, pack_slots
from metering.windows import Slot, Slots, Tally

_CHARACTERS_KEPT_TOGETHER = 8 * 1024
"""Of the distinct values of one slot."""


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
    while largest > most_bytes and whole > count * most_bytes // 4:
        count, largest = count * 2, -(-largest // 2)
    return count
