"""Rows in an order that gives a deployment the least to do: what belongs to one hour is sent together.

A deployment folds an hour again whenever something comes to it. The rows of a shuffled file come to a thousand hours a
request, each of which is then folded a thousand times; in order they come to a few, and each is folded a few times.
What is metered is the same whatever the order (law 4.1), so where order is unknown any will do.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from taximeter.importing.sources import Damaged

Line = bytes | Damaged

_MOST_ROWS, _MOST_BYTES = 100_000, 32 * 1024 * 1024
"""Of a window: what is held in memory at once."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the file: its number, counted from one, and what is to be sent of it."""

    number: int
    line: Line

    @property
    def weight(self) -> int:
        """How many bytes it adds to a request."""
        return len(self.line) + 1 if isinstance(self.line, bytes) else 0


def windows(lines: Iterable[Line], known: int) -> Iterator[list[Row]]:
    """The rows of a file, window by window, each window in the order of customers, meters and times.

    The same file always gives the same windows, so that what was interrupted goes on inside one. Who takes a window
    empties it before the next one is read, so that there is never more than one in memory.

    Args:
        lines: what follows the rows before.
        known: how many rows that are.
    """
    window: list[Row] = []
    size = 0
    for number, line in enumerate(lines, known + 1):
        window.append(Row(number, line))
        size += window[-1].weight
        if len(window) == _MOST_ROWS or size >= _MOST_BYTES:
            window.sort(key=_place)
            yield window
            window, size = [], 0
    if window:
        window.sort(key=_place)
        yield window


def _place(row: Row) -> tuple[str, str, str]:
    """Where a row belongs, as it is written; what cannot be read is refused wherever it stands."""
    if isinstance(row.line, Damaged):
        return "", "", ""
    try:
        event = json.loads(row.line)
        return str(event.get("customer")), str(event.get("meter")), str(event.get("timestamp"))
    except (ValueError, AttributeError, RecursionError):
        return "", "", ""
