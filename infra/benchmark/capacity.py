"""What DynamoDB charges for an item: its size by DynamoDB's own rule, and the units that follow from it."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from adapters.items import Item, Value

_WRITE_BYTES = 1024
_READ_BYTES = 4096


def item_bytes(item: Item) -> int:
    """The size of an item: attribute names and values, in UTF-8."""
    return sum(len(name.encode()) + _value_bytes(value) for name, value in item.items())


def _value_bytes(value: Value) -> int:
    match value:
        case str():
            return len(value.encode())
        case int():
            return _number_bytes(value)
        case bytes():
            return len(value)
        case _:
            return 3 + sum(1 + len(each.encode()) for each in value)


def _number_bytes(value: int) -> int:
    """One byte for every two significant digits and one more, and one for a sign; zeros at the end take nothing."""
    digits = str(abs(value)).rstrip("0")
    return -(-len(digits) // 2) + 1 + (value < 0)


def write_units(old: Item | None, new: Item | None) -> int:
    """Units of writing `new` over `old`: the larger of the two counts, also when nothing changes or nothing is there.

    A condition that fails costs what the stored item does: `write_units(stored, None)`.
    """
    largest = max((item_bytes(item) for item in (old, new) if item is not None), default=0)
    return max(1, -(-largest // _WRITE_BYTES))


def index_units(old: Item | None, new: Item | None, keys: tuple[str, ...]) -> int:
    """Units of keeping a sparse keys-only index up to date: one to put an entry, one to remove an entry.

    An entry moves (two units) when its keys change, and costs nothing while they stay as they are.
    """
    before, after = _entry(old, keys), _entry(new, keys)
    return 0 if before == after else (before is not None) + (after is not None)


def _entry(item: Item | None, keys: tuple[str, ...]) -> Mapping[str, Value] | None:
    return {key: item[key] for key in keys} if item is not None and all(key in item for key in keys) else None


def read_units(items: Iterable[Item], *, eventual: bool = False) -> Decimal:
    """Units of one Get, or of one page of a Query: the sum of its items, rounded up once; half if eventual."""
    units = Decimal(max(1, -(-sum(map(item_bytes, items)) // _READ_BYTES)))
    return units / 2 if eventual else units
