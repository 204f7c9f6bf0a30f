"""Items and conditions: the few words in which every store speaks to its table."""

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

Value = str | int | bytes | list[str]
Item = dict[str, Value]
Key = tuple[str, str]
Read = TypeVar("Read")
UNREADABLE = (AssertionError, ValueError, LookupError, TypeError)
"""What reading a damaged item raises."""


class ConditionFailed(Exception):
    """A conditional write found something else than it was computed from: read again and start over."""


@dataclass(frozen=True, slots=True)
class Absent:
    """The item must not exist yet."""


@dataclass(frozen=True, slots=True)
class Equals:
    """An attribute of the stored item must have this value; None: the item must not exist."""

    attribute: str
    value: Value | None


Condition = Absent | Equals


@dataclass(frozen=True, slots=True)
class Put:
    """Write one item, whole, on a condition."""

    item: Item
    condition: Condition | None = None


class Table(Protocol):
    """What a store needs of its table; `adapters.dynamo` and `adapters.memory` are the two that there are.

    Every read is strongly consistent, but for the index.
    """

    def get(self, pk: str, sk: str) -> Item | None:
        """Read one item."""

    def get_many(self, keys: Sequence[Key]) -> list[Item]:
        """Read several items, in no particular order; missing ones are left out."""

    def query(
        self, pk: str, first: str = "", last: str = "\U0010ffff", *, newest_first: bool = False, page: int = 0
    ) -> Iterator[Item]:
        """Read a partition between two sort keys, both inclusive, page by page as far as it is consumed.

        A page is charged whole: `page` says how many items it holds, where few of many are wanted; else a megabyte.
        """

    def due(self, shard: str, until: int, most: int) -> list[Key]:
        """Read from the index `due` the keys that are due by an instant, earliest first; a moment behind."""

    def listed(self, shard: str, after: tuple[int, Key] | None, most: int) -> list[tuple[int, Key]]:
        """Read all that the index `due` lists of a shard, earliest first, after an instant and key; a moment behind.

        What is due at one instant comes in an order of the index's own, which stays.
        """

    def put(self, put: Put) -> None:
        """Write an item; raises ConditionFailed."""

    def put_many(self, items: Sequence[Item]) -> list[Item]:
        """Write items without conditions; returns those that the table would not take now."""

    def transact(self, puts: Sequence[Put]) -> None:
        """Write up to 100 items, all or none; raises ConditionFailed."""

    def delete(self, pk: str, sk: str) -> None:
        """Remove an item, if it is there."""


def to_wire(item: Mapping[str, Value]) -> dict[str, Any]:
    """Write an item with DynamoDB's type tags."""
    return {name: _tag(value) for name, value in item.items()}


def _tag(value: Value) -> dict[str, Any]:
    match value:
        case str():
            return {"S": value}
        case int():
            return {"N": str(value)}
        case bytes():
            return {"B": value}
        case _:
            return {"L": [{"S": each} for each in value]}


def from_wire(tagged: Mapping[str, Mapping[str, Any]]) -> Item:
    """Read an item with DynamoDB's type tags, from a response or from a stream record (whose bytes are base64)."""
    return {name: _untag(value) for name, value in tagged.items()}


def _untag(tagged: Mapping[str, Any]) -> Value:
    ((kind, value),) = tagged.items()
    if kind == "S":
        return str(value)
    if kind == "N":
        return int(value)
    if kind == "B":
        return base64.b64decode(value) if isinstance(value, str) else bytes(value)
    return [str(each["S"]) for each in value]


def readable(
    items: Iterable[Item], read: Callable[[Item], Read], report: Callable[[Item, Exception], None]
) -> Iterator[Read]:
    """What can be read of some items; one that is damaged is reported, and its neighbours go on."""
    for item in items:
        try:
            found = read(item)
        except UNREADABLE as error:
            report(item, error)
        else:
            yield found


def string(item: Item, name: str) -> str:
    """An attribute that is a string by construction."""
    value = item[name]
    assert isinstance(value, str), name  # noqa: S101 - another type is a mistake of ours, not of a user
    return value


def integer(item: Item, name: str) -> int:
    """An attribute that is a number by construction."""
    value = item[name]
    assert isinstance(value, int), name  # noqa: S101 - another type is a mistake of ours, not of a user
    return value


def binary(item: Item, name: str) -> bytes:
    """An attribute that is bytes by construction."""
    value = item[name]
    assert isinstance(value, bytes), name  # noqa: S101 - another type is a mistake of ours, not of a user
    return value
