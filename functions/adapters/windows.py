"""Windows as items: a small one is one item, a large one a head that names its chunks. Law 4.3.

A chunk is immutable: its sort key is its head's, its place, and the version and digest that it was written under. A
writer puts the chunks that changed, then the head naming all, on the condition of the version that it read; then it
removes what is named no longer. A reader that finds a named chunk missing has met a writer, and reads again.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from adapters.items import Equals, Item, Key, Put, Table, binary, integer, string
from metering.errors import Unavailable
from metering.packing import digest
from metering.spreading import parts_needed

MOST_BYTES = 64 * 1024
"""Of a part: about what a change of one dimension combination rewrites at the most."""

_READINGS = 8


@dataclass(frozen=True, slots=True)
class Window:
    """A window as it is stored.

    Attributes:
        sort: the sort key of its head.
        head: the head's item.
        chunks: the items of its chunks by their sort keys, those that are no longer named among them.
    """

    sort: str
    head: Item
    chunks: dict[str, Item]

    @property
    def version(self) -> int:
        """Raised by every write; the condition of the next one."""
        return integer(self.head, "version")

    @property
    def names(self) -> list[str]:
        """The sort keys of the chunks that make it up; none for a window that is its head alone."""
        names = self.head.get("chunks", [])
        return names if isinstance(names, list) else []

    @property
    def is_whole(self) -> bool:
        """Whether every chunk that the head names was read too."""
        return all(name in self.chunks for name in self.names)

    @property
    def parts(self) -> list[bytes]:
        """The packed parts, in the order of their places."""
        return [binary(self.chunks[name], "data") for name in self.names] or [binary(self.head, "data")]


def assemble(items: Iterable[Item]) -> Iterator[Window]:
    """Put the items of a Query together: each head is followed by its chunks."""
    for sort, together in groupby(items, key=lambda item: "#".join(string(item, "sk").split("#", 3)[:3])):
        group = list(together)
        heads = [item for item in group if item["sk"] == sort]
        if heads:
            yield Window(sort, heads[0], {string(item, "sk"): item for item in group if item["sk"] != sort})


def read_windows(table: Table, pk: str, first: str, last: str) -> list[Window]:
    """Read the windows between two sort keys, in order.

    Raises:
        Unavailable: they were being rewritten all the time.
    """
    for _ in range(_READINGS):
        windows = list(assemble(table.query(pk, first, last)))
        if all(window.is_whole for window in windows):
            return windows
    raise Unavailable("the windows are being rewritten by others")


def read_window(table: Table, pk: str, sort: str) -> Window | None:
    """Read one window; None if there is none."""
    found = read_windows(table, pk, sort, f"{sort}#\U0010ffff")
    return found[0] if found else None


def read_many(table: Table, keys: Sequence[Key]) -> dict[Key, Window]:
    """Read several windows by their partitions and sort keys, a hundred a request; a large one by itself.

    Of one that is its head alone nothing else is read: chunks that a crash left behind it are found by `read_window`.

    Raises:
        Unavailable: one was being rewritten all the time.
    """
    windows: dict[Key, Window] = {}
    for head in table.get_many(keys):
        key = string(head, "pk"), string(head, "sk")
        window = Window(key[1], head, {})
        found = read_window(table, *key) if window.names else window
        if found:
            windows[key] = found
    return windows


def write_window(
    table: Table, pk: str, sort: str, kind: str, spread: Callable[[int], list[bytes]], read: Window | None, extra: Item
) -> bool:
    """Write a window where it changed; says whether it did.

    Args:
        table: where.
        pk: its partition.
        sort: the sort key of its head.
        kind: of the head; chunks are of the kind `chunk`.
        spread: packs it into so many parts, or always into one.
        read: what was stored before its inputs were read.
        extra: further attributes of the head.

    Raises:
        ConditionFailed: somebody else wrote it meanwhile.
        Unavailable: the table did not take everything.
    """
    parts = spread(max(1, len(read.names)) if read else 1)
    while (needed := parts_needed([len(part) for part in parts], MOST_BYTES)) != (had := len(parts)):
        parts = spread(needed)
        if len(parts) == had:  # it is kept as one, whatever its size
            break
    if read and read.parts == parts and all(read.head.get(name) == value for name, value in extra.items()):
        return False
    version = read.version + 1 if read else 1
    names = _write_chunks(table, pk, sort, parts, version, read) if len(parts) > 1 else []
    content: Item = {"chunks": names} if names else {"data": parts[0]}
    head: Item = {"pk": pk, "sk": sort, "kind": kind, "version": version, **extra, **content}
    table.put(Put(head, Equals("version", read.version if read else None)))
    for name in (read.chunks if read else {}).keys() - set(names):
        table.delete(pk, name)
    return True


def _write_chunks(
    table: Table, pk: str, sort: str, parts: Sequence[bytes], version: int, read: Window | None
) -> list[str]:
    """Write the parts that changed, each under a key that nobody has used; returns the keys of all."""
    stored = read.names if read and len(read.names) == len(parts) else []
    names: list[str] = []
    fresh: list[Item] = []
    for place, part in enumerate(parts):
        if stored and read and binary(read.chunks[stored[place]], "data") == part:
            names.append(stored[place])
            continue
        names.append(f"{sort}#{place:04x}#{version:08d}-{digest(part)[:16]}")
        fresh.append({"pk": pk, "sk": names[-1], "kind": "chunk", "data": part})
    if table.put_many(fresh):
        raise Unavailable("the table did not take every chunk")
    return names
