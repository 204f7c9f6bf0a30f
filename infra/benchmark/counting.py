"""Tables that count: every request, and the units that DynamoDB would charge for it."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal

from adapters.items import ConditionFailed, Item, Key, Put, string
from adapters.memory import MemoryTable
from infra.benchmark.capacity import index_units, item_bytes, read_units, write_units

_PAGE_BYTES = 1024 * 1024
_READ_BATCH, _WRITE_BATCH = 100, 25
_INDEX = ("due_shard", "due_at")


@dataclass
class Tally:
    """What was charged for, by function.

    Attributes:
        counts: by (function, what): `invocations`, `table requests`, `log bytes`, `write Events`, `read Usage`, …
        processor_nanoseconds: of the handlers' own code, by function, without the tables' twins.
        function: who is running now; None while nothing is to be counted.
        table_nanoseconds: spent in the tables' twins, which is not the handlers' time.
    """

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    processor_nanoseconds: Counter[str] = field(default_factory=Counter)
    function: str | None = None
    table_nanoseconds: int = 0

    def start(self) -> None:
        """Begin with nothing."""
        self.counts, self.processor_nanoseconds = Counter(), Counter()

    def add(self, what: str, number: int | Decimal = 1) -> None:
        """Count something for the function that is running."""
        if self.function is not None:
            self.counts[self.function, what] += number  # type: ignore[assignment]  # read units come in halves

    @contextmanager
    def aside(self) -> Iterator[None]:
        """What happens in here is not the handler's processor time."""
        began = time.process_time_ns()
        try:
            yield
        finally:
            self.table_nanoseconds += time.process_time_ns() - began


class CountingTable:
    """A table in memory (`adapters.memory`) whose every request is counted as DynamoDB would charge it."""

    def __init__(self, name: str, inner: MemoryTable, tally: Tally) -> None:
        self.name = name
        self.inner = inner
        self._tally = tally

    def get(self, pk: str, sk: str) -> Item | None:
        """See `Table.get`."""
        with self._tally.aside():
            item = self.inner.get(pk, sk)
            self._read([item] if item else [])
            return item

    def get_many(self, keys: Sequence[Key]) -> list[Item]:
        """See `Table.get_many`. Each item is rounded up alone, also one that is not there."""
        with self._tally.aside():
            wanted = sorted(set(keys))
            items = self.inner.get_many(wanted)
            for item in items:
                self._tally.add(f"read {self.name}", read_units([item]))
            self._tally.add(f"read {self.name}", len(wanted) - len(items))
            self._tally.add("table requests", -(-len(wanted) // _READ_BATCH))
            return items

    def query(
        self, pk: str, first: str = "", last: str = "\U0010ffff", *, newest_first: bool = False, page: int = 0
    ) -> Iterator[Item]:
        """See `Table.query`. A page is charged whole, and read only when its first item is asked for."""
        with self._tally.aside():
            items = list(self.inner.query(pk, first, last, newest_first=newest_first))
            pages = list(_pages(items, page))
        for each in pages:
            with self._tally.aside():
                self._read(each)
            yield from each

    def due(self, shard: str, until: int, most: int) -> list[Key]:
        """See `Table.due`. The index is read eventually consistent, for half the units."""
        with self._tally.aside():
            keys = self.inner.due(shard, until, most)
            entries: list[Item] = [{"pk": pk, "sk": sk, "due_shard": shard, "due_at": until} for pk, sk in keys]
            self._read(entries, eventual=True)
            return keys

    def listed(self, shard: str, after: tuple[int, Key] | None, most: int) -> list[tuple[int, Key]]:
        """See `Table.listed`. Read like `due`."""
        with self._tally.aside():
            found = self.inner.listed(shard, after, most)
            entries: list[Item] = [{"pk": pk, "sk": sk, "due_shard": shard, "due_at": at} for at, (pk, sk) in found]
            self._read(entries, eventual=True)
            return found

    def put(self, put: Put) -> None:
        """See `Table.put`."""
        with self._tally.aside():
            self._write([put], 1)

    def put_many(self, items: Sequence[Item]) -> list[Item]:
        """See `Table.put_many`. A batch is no cheaper than its items, only fewer requests."""
        with self._tally.aside():
            for start in range(0, len(items), _WRITE_BATCH):
                self._tally.add("table requests")
                for item in items[start : start + _WRITE_BATCH]:
                    self._charge(item, 1)
                    self.inner.put(Put(item))
            return []

    def transact(self, puts: Sequence[Put]) -> None:
        """See `Table.transact`. Everything in it costs twice."""
        with self._tally.aside():
            self._write(puts, 2)

    def delete(self, pk: str, sk: str) -> None:
        """See `Table.delete`."""
        with self._tally.aside():
            old = self.inner.get(pk, sk)
            self._tally.add("table requests")
            self._tally.add(f"write {self.name}", write_units(old, None) + index_units(old, None, _INDEX))
            self.inner.delete(pk, sk)

    def _read(self, items: Sequence[Item], *, eventual: bool = False) -> None:
        self._tally.add("table requests")
        self._tally.add(f"read {self.name}", read_units(items, eventual=eventual))

    def _write(self, puts: Sequence[Put], factor: int) -> None:
        self._tally.add("table requests")
        old = [self.inner.get(string(put.item, "pk"), string(put.item, "sk")) for put in puts]
        units = sum(write_units(before, put.item) for before, put in zip(old, puts, strict=True))
        index = sum(index_units(before, put.item, _INDEX) for before, put in zip(old, puts, strict=True))
        try:
            self.inner.transact(puts)
        except ConditionFailed:
            # What is stored is charged, and the index not touched; a cancelled transaction is charged as if made.
            refused = write_units(old[0], None) if factor == 1 else units * factor
            self._tally.add(f"write {self.name}", refused)
            raise
        self._tally.add(f"write {self.name}", units * factor + index)

    def _charge(self, item: Item, factor: int) -> None:
        old = self.inner.get(string(item, "pk"), string(item, "sk"))
        self._tally.add(f"write {self.name}", write_units(old, item) * factor + index_units(old, item, _INDEX))


def _pages(items: Sequence[Item], most: int) -> Iterator[list[Item]]:
    """A Query's pages of a megabyte, or of so many items; the last may be empty, as it is on DynamoDB."""
    page: list[Item] = []
    size = 0
    for item in items:
        weight = item_bytes(item)
        if page and size + weight > _PAGE_BYTES:
            yield page
            page, size = [], 0
        page.append(item)
        size += weight
        if len(page) == most:
            yield page
            page, size = [], 0
    yield page
