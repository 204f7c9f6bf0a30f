"""Spreading a large window over several items by hash, so that a change rewrites a part of it. Law 4.3."""

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import replace

from metering.packing import canonical
from metering.sessions import Session
from metering.window_items import pack_sessions, pack_slots
from metering.windows import Slot, Slots, Tally

_VALUES_KEPT_TOGETHER = 1_000


def _place(key: object, count: int) -> int:
    return zlib.crc32(canonical(key)) % count


def spread_slots(slots: Slots, count: int) -> list[bytes]:
    """Pack a window into `count` parts, by the hash of the dimension combination; their merge is the window.

    The distinct values of one combination are spread by their own hash where they are many.
    """
    if count == 1:
        return [pack_slots(slots)]
    parts: list[dict[Slot, Tally]] = [{} for _ in range(count)]
    for slot, tally in slots.items():
        home = parts[_place(slot[1], count)]
        if len(tally.values) <= _VALUES_KEPT_TOGETHER:
            home[slot] = tally
            continue
        shares: list[set[str]] = [set() for _ in range(count)]
        for value in tally.values:
            shares[zlib.crc32(value.encode()) % count].add(value)
        for part, share in zip(parts, shares, strict=True):
            if part is home:
                part[slot] = replace(tally, values=frozenset(share))
            elif share:
                part[slot] = Tally(values=frozenset(share))
    return [pack_slots(part) for part in parts]


def spread_sessions(sessions: Iterable[Session], count: int) -> list[bytes]:
    """Pack running sessions into `count` parts, by the hash of their resource."""
    parts: list[list[Session]] = [[] for _ in range(count)]
    for session in sessions:
        parts[_place(session.resource, count)].append(session)
    return [pack_sessions(part) for part in parts]


def parts_needed(sizes: Sequence[int], most_bytes: int) -> int:
    """How many parts a window needs that has parts of these sizes now: doubled until the largest is small enough."""
    count, largest = len(sizes), max(sizes)
    while largest > most_bytes:
        count, largest = count * 2, -(-largest // 2)
    return count
