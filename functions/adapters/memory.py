"""The in-memory twin of a table: the same contract (tests/adapters runs both), for tests and simulations."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator, Sequence

from adapters.items import Absent, Condition, ConditionFailed, Equals, Item, Key, Put, integer, string

_MOST_IN_A_TRANSACTION = 100


class MemoryTable:
    """A table in a dictionary.

    Attributes:
        changes: called with (old, new) after every put that changed something, as a stream would be.
    """

    def __init__(self, changes: Callable[[Item | None, Item], None] = lambda _old, _new: None) -> None:
        self._items: dict[Key, Item] = {}
        self._partitions: dict[str, list[str]] = {}  # the sort keys of each, in order
        self._due: dict[Key, tuple[str, int]] = {}  # the index: of what is due the shard and the instant
        self.changes = changes

    def all(self) -> list[Item]:
        """Everything that it holds, in the order of the keys."""
        return [dict(self._items[key]) for key in sorted(self._items)]

    def get(self, pk: str, sk: str) -> Item | None:
        """See `Table.get`."""
        item = self._items.get((pk, sk))
        return None if item is None else dict(item)

    def get_many(self, keys: Sequence[Key]) -> list[Item]:
        """See `Table.get_many`."""
        return [dict(self._items[key]) for key in sorted(set(keys)) if key in self._items]

    def query(
        self,
        pk: str,
        first: str = "",
        last: str = "\U0010ffff",
        *,
        newest_first: bool = False,
        page: int = 0,  # noqa: ARG002 - memory has no pages
    ) -> Iterator[Item]:
        """See `Table.query`."""
        sorts = self._partitions.get(pk, [])
        found = sorts[bisect_left(sorts, first) : bisect_right(sorts, last)]
        return iter([dict(self._items[pk, sort]) for sort in (reversed(found) if newest_first else found)])

    def due(self, shard: str, until: int, most: int) -> list[Key]:
        """See `Table.due`."""
        found = sorted((at, key) for key, (place, at) in self._due.items() if place == shard and at <= until)
        return [key for _, key in found[:most]]

    def listed(self, shard: str, after: tuple[int, Key] | None, most: int) -> list[tuple[int, Key]]:
        """See `Table.listed`."""
        found = sorted((at, key) for key, (place, at) in self._due.items() if place == shard)
        return [each for each in found if after is None or each > after][:most]

    def scan(self, kind: str, after: Key | None = None) -> Iterator[tuple[list[Key], Key | None]]:
        """See `DynamoTable.scan`; a partition is a page."""
        partitions = sorted(pk for pk in self._partitions if after is None or pk > after[0])
        for pk in partitions:
            keys = [(pk, sort) for sort in self._partitions[pk] if self._items[pk, sort].get("kind") == kind]
            yield keys, (pk, "") if pk != partitions[-1] else None

    def put(self, put: Put) -> None:
        """See `Table.put`."""
        self.transact([put])

    def put_many(self, items: Sequence[Item]) -> list[Item]:
        """See `Table.put_many`; memory takes everything."""
        _refuse_twice(items)
        for item in items:
            self.put(Put(item))
        return []

    def transact(self, puts: Sequence[Put]) -> None:
        """See `Table.transact`."""
        if len(puts) > _MOST_IN_A_TRANSACTION:
            raise ValueError(f"a transaction takes at most {_MOST_IN_A_TRANSACTION} items")
        _refuse_twice([put.item for put in puts])
        for put in puts:
            if not _holds(put.condition, self._items.get(_key(put.item))):
                raise ConditionFailed(f"{put.condition} does not hold for {_key(put.item)}")
        for put in puts:
            old = self._items.get(_key(put.item))
            if old != put.item:
                if old is None:
                    insort(self._partitions.setdefault(string(put.item, "pk"), []), string(put.item, "sk"))
                self._items[_key(put.item)] = dict(put.item)
                self._list(put.item)
                self.changes(old, dict(put.item))

    def _list(self, item: Item) -> None:
        if "due_shard" in item and "due_at" in item:
            self._due[_key(item)] = string(item, "due_shard"), integer(item, "due_at")
        else:
            self._due.pop(_key(item), None)

    def delete(self, pk: str, sk: str) -> None:
        """See `Table.delete`."""
        self._due.pop((pk, sk), None)
        if self._items.pop((pk, sk), None) is not None:
            self._partitions[pk].remove(sk)


def _key(item: Item) -> Key:
    return string(item, "pk"), string(item, "sk")


def _refuse_twice(items: Sequence[Item]) -> None:
    if len({_key(item) for item in items}) < len(items):
        raise ValueError("no batch and no transaction takes an item twice")


def _holds(condition: Condition | None, stored: Item | None) -> bool:
    match condition:
        case None:
            return True
        case Absent() | Equals(value=None):
            return stored is None
        case Equals(attribute, value):
            return stored is not None and stored.get(attribute) == value
