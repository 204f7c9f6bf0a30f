"""Windows as items: one while they are small, a head and its chunks once they are large. Law 4.3."""

from collections.abc import Iterator
from functools import cache, partial
from typing import Any

import pytest

from adapters import windows
from adapters.items import ConditionFailed, Item, Put, Table, string
from adapters.memory import MemoryTable
from adapters.windows import MOST_BYTES, Window, read_many, read_window, read_windows, write_window
from metering.errors import Unavailable
from metering.packing import digest
from metering.spreading import spread_sessions, spread_slots
from metering.times import QUARTER
from metering.window_items import unpack_slots
from metering.windows import Slots, Tally, merge
from tests.adapters.conftest import Bench
from tests.metering.strategies import NOON

HEAD = "hour#2026-11-20T12#m"
MOST_BYTES_OF_AN_ITEM = 400 * 1024
SMALL_BYTES = 16 * 1024


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts are small, so that a window of few slots has several."""
    monkeypatch.setattr(windows, "MOST_BYTES", SMALL_BYTES)


@cache
def slots(combinations: int, events: int = 1) -> Slots:
    return {(NOON, (("vm", digest(str(number).encode())),)): Tally(events=events) for number in range(combinations)}


def write(table: Table, whole: Slots, read: Window | None = None, sort: str = HEAD, **extra: Any) -> bool:
    return write_window(table, "acme", sort, "window", partial(spread_slots, whole), read, extra)


def update(table: Table, whole: Slots, sort: str = HEAD) -> bool:
    return write(table, whole, read_window(table, "acme", sort), sort)


def found(window: Window | None) -> Slots:
    assert window
    return merge(*map(unpack_slots, window.parts))


def keys(table: Table) -> list[str]:
    return [string(item, "sk") for item in table.query("acme")]


def test_a_small_window_is_one_item(table: Table) -> None:
    assert read_window(table, "acme", HEAD) is None
    assert write(table, slots(3))
    window = read_window(table, "acme", HEAD)
    assert found(window) == slots(3)
    assert window
    assert (window.version, window.names, keys(table)) == (1, [], [HEAD])
    assert update(table, {})
    assert found(read_window(table, "acme", HEAD)) == {}


def test_what_is_always_packed_as_one_stays_one_however_large(table: Table) -> None:
    packed = b"x" * (2 * SMALL_BYTES)
    assert write_window(table, "acme", HEAD, "window", lambda _: [packed], None, {})
    window = read_window(table, "acme", HEAD)
    assert window
    assert (window.names, window.parts) == ([], [packed])


def test_a_large_window_is_spread_and_read_back_among_its_neighbours(table: Table) -> None:
    neighbours = ["hour#2026-11-20T12#l", "hour#2026-11-20T12#m+", "hour#2026-11-20T12#m1", "hour#2026-11-20T13#a"]
    for sort in neighbours:
        assert write(table, slots(2), sort=sort)
    assert write(table, slots(1_000))
    window = read_window(table, "acme", HEAD)
    assert found(window) == slots(1_000)
    assert window
    assert len(window.names) > 1
    assert all(len(part) <= SMALL_BYTES for part in window.parts)
    read = read_windows(table, "acme", "hour#", "hour#\U0010ffff")
    assert [each.sort for each in read] == sorted([HEAD, *neighbours])
    assert [len(found(each)) for each in read] == [1_000 if each.sort == HEAD else 2 for each in read]


def test_only_the_chunks_that_changed_are_written(bench: Bench) -> None:
    write(bench.table, slots(1_000))
    before, written = read_window(bench.table, "acme", HEAD), bench.changes()
    assert before
    changed = {**slots(1_000), (NOON + QUARTER, next(iter(slots(1)))[1]): Tally(events=7)}
    assert update(bench.table, changed)
    after = read_window(bench.table, "acme", HEAD)
    assert after
    assert found(after) == changed
    assert len(set(after.names) - set(before.names)) == 1
    assert bench.changes() - written <= 3  # a chunk, the head, and the chunk that is named no longer
    assert set(keys(bench.table)) == {HEAD, *after.names}


def test_an_unchanged_window_is_not_written(bench: Bench) -> None:
    for size in (2, 1_000):
        write(bench.table, slots(size), read_window(bench.table, "acme", HEAD))
        written = bench.changes()
        for _ in range(3):
            assert not update(bench.table, dict(list(slots(size).items())[::-1]))
        assert bench.changes() == written


def test_a_mark_on_the_head_is_a_change(table: Table) -> None:
    write(table, slots(2))
    assert write(table, slots(2), read_window(table, "acme", HEAD), minutes="inside")
    window = read_window(table, "acme", HEAD)
    assert window
    assert (window.version, window.head["minutes"]) == (2, "inside")
    assert not write(table, slots(2), window, minutes="inside")


@pytest.mark.parametrize(("first", "second"), [(2, 3), (2, 1_000), (1_000, 1_001), (1_000, 2), (1_000, 1)])
def test_a_window_is_written_on_the_condition_of_what_was_read(table: Table, first: int, second: int) -> None:
    write(table, slots(first))
    read = read_window(table, "acme", HEAD)
    write(table, slots(second), read)
    for lost in (slots(first, 9), slots(1), slots(925)):
        with pytest.raises(ConditionFailed):
            write(table, lost, read)
        with pytest.raises(ConditionFailed):
            write(table, lost)
        assert found(read_window(table, "acme", HEAD)) == slots(second)
    # What the losers left is removed by the next who wins.
    assert update(table, slots(second, 2))
    window = read_window(table, "acme", HEAD)
    assert window
    assert found(window) == slots(second, 2)
    assert keys(table) == [HEAD, *window.names]


def test_a_window_that_shrank_is_one_item_again(table: Table) -> None:
    for small in (3, 0):
        update(table, slots(1_000))
        assert update(table, slots(small))
        assert keys(table) == [HEAD]
        assert found(read_window(table, "acme", HEAD)) == slots(small)
    write_window(table, "acme", "open#x#m", "open", partial(spread_sessions, [], ()), None, {"ttl": 1})
    assert keys(table) == [HEAD, "open#x#m"]


def test_a_window_that_grows_and_shrinks_a_little_stays_as_it_is(table: Table) -> None:
    update(table, slots(1_000))
    before = read_window(table, "acme", HEAD)
    for size in (925, 500, 1_000):
        update(table, slots(size))
        after = read_window(table, "acme", HEAD)
        assert before
        assert after
        assert len(after.names) == len(before.names)
        assert found(after) == slots(size)


class Torn(MemoryTable):
    """A table whose every reading is overtaken by a writer, after the head and before its chunks."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times
        self.size = 1_000

    def query(
        self, pk: str, first: str = "", last: str = "\U0010ffff", *, newest_first: bool = False, page: int = 0
    ) -> Iterator[Item]:
        """Read page by page: the head is the first page."""
        items = super().query(pk, first, last, newest_first=newest_first, page=page)
        if not self.times:
            yield from items
            return
        head = next(items)
        yield head
        self.times -= 1
        times, self.times = self.times, 0
        self.size += 1
        update(self, slots(self.size))
        self.times = times
        yield from super().query(pk, f"{string(head, 'sk')}#", last)


@pytest.mark.parametrize("times", [1, 2, 7])
def test_a_torn_reading_is_read_again(times: int) -> None:
    table = Torn(0)
    write(table, slots(table.size))
    table.times = times
    assert found(read_window(table, "acme", HEAD)) == slots(1_000 + times)


def test_a_window_that_is_rewritten_all_the_time_is_unavailable() -> None:
    table = Torn(0)
    write(table, slots(table.size))
    table.times = 100
    with pytest.raises(Unavailable):
        read_window(table, "acme", HEAD)


@pytest.mark.parametrize("times", [0, 2])
def test_several_windows_are_read_at_once_and_a_large_one_by_itself(times: int) -> None:
    table = Torn(0)
    write(table, slots(table.size))
    write(table, slots(3), sort="hour#2026-11-20T13#m")
    write_window(table, "other", HEAD, "window", partial(spread_slots, slots(2)), None, {})
    table.times = times
    small, missing, strange = ("acme", "hour#2026-11-20T13#m"), ("acme", "hour#2026-11-20T14#m"), ("other", HEAD)
    windows = read_many(table, [("acme", HEAD), small, missing, strange])
    assert {key: found(window) for key, window in windows.items()} == {
        ("acme", HEAD): slots(1_000 + times),
        small: slots(3),
        strange: slots(2),
    }


def test_a_writer_that_ended_before_its_head_has_written_nothing(table: Table) -> None:
    write(table, slots(1_000))
    read = read_window(table, "acme", HEAD)
    assert read
    for stray in (f"{HEAD}#0000#00000002-x", f"{HEAD}#00ff#00000002-y"):
        table.put(Put({"pk": "acme", "sk": stray, "kind": "chunk", "data": b"?"}))
    table.put(Put({"pk": "acme", "sk": "hour#2026-11-20T12#n#0000#00000001-z", "kind": "chunk", "data": b"?"}))
    assert found(read_window(table, "acme", HEAD)) == slots(1_000)
    assert read_window(table, "acme", "hour#2026-11-20T12#n") is None
    assert update(table, slots(1_001))
    assert not [key for key in keys(table) if key.endswith(("-x", "-y"))]


def test_chunks_that_the_table_does_not_take_leave_the_window_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    table = MemoryTable()
    write(table, slots(5))
    monkeypatch.setattr(table, "put_many", list)  # gives all of them back
    with pytest.raises(Unavailable):
        update(table, slots(1_000))
    assert found(read_window(table, "acme", HEAD)) == slots(5)


@pytest.mark.parametrize("turns", [4])
def test_no_item_is_larger_than_a_table_takes_and_the_parts_do_not_become_more_for_ever(
    monkeypatch: pytest.MonkeyPatch, turns: int
) -> None:
    monkeypatch.setattr(windows, "MOST_BYTES", MOST_BYTES)  # as they are deployed
    table = MemoryTable()
    users = frozenset(digest(str(number).encode()) for number in range(950))
    shapes: list[Slots] = [
        {(NOON + number * QUARTER, ()): Tally(events=1, values=users) for number in range(4)},
        {(NOON, (("path", "".join(sorted(users)) + str(number)),)): Tally(events=1) for number in range(60)},
        {(NOON, ()): Tally(events=1, values=frozenset(f"{user}{n}" for user in users for n in range(40)))},
    ]
    for number, shape in enumerate(shapes):
        sort = f"hour#2026-11-20T12#{number}"
        write(table, shape, sort=sort)
        sizes = set()
        for turn in range(turns):
            (quarter, dimensions), tally = next(iter(shape.items()))
            shape = {**shape, (quarter, dimensions): Tally(events=turn + 9, values=tally.values)}  # noqa: PLW2901 - it grows
            assert update(table, shape, sort)
            window = read_window(table, "acme", sort)
            assert window
            assert found(window) == shape
            sizes.add(len(window.names))
        assert len(sizes) == 1
    for item in table.query("acme"):
        assert sum(len(name) + len(str(value)) for name, value in item.items() if name != "data") < 32 * 1024
        assert len(item.get("data", b"")) < MOST_BYTES_OF_AN_ITEM  # type: ignore[arg-type]  # bytes
