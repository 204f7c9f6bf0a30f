"""What time it is. On the local cloud one stored offset, moved by `taximeter advance`, is every function's clock."""

import time
from collections.abc import Callable

from adapters.items import Item, Put, Table, integer

REMEMBERED_SECONDS = 0.2
"""How long a function takes the offset for what it was."""


def real_now() -> int:
    """The machine's clock, in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class StoredClock:
    """A clock that is ahead of the machine's by an offset kept in the Catalog table (law 5.9)."""

    def __init__(self, table: Table, real: Callable[[], int] = real_now) -> None:
        self._table = table
        self._real = real
        self._offset, self._until = 0, 0.0

    def __call__(self) -> int:
        """Now, in milliseconds since 1970."""
        if time.monotonic() >= self._until:
            item = self._table.get("clock", "clock")
            self._offset = integer(item, "offset_milliseconds") if item else 0
            self._until = time.monotonic() + REMEMBERED_SECONDS
        return self._real() + self._offset

    def move_to(self, instant: int) -> None:
        """Set the offset so that now is this instant, for every function once none remembers another one."""
        item: Item = {"pk": "clock", "sk": "clock", "offset_milliseconds": instant - self._real()}
        self._table.put(Put(item))
