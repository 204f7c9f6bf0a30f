"""The contract of a table: what every store relies on, the same in memory and on DynamoDB."""

from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from adapters.dynamo import DynamoTable
from adapters.items import (
    Absent,
    Condition,
    ConditionFailed,
    Equals,
    Item,
    Put,
    Table,
    from_wire,
    string,
    to_wire,
)
from adapters.memory import MemoryTable
from tests.adapters.conftest import Bench


def item(sk: str, **attributes: Any) -> Item:
    return {"pk": "acme", "sk": sk, **attributes}


def test_what_was_put_is_read_as_it_was(table: Table) -> None:
    values = {"text": "Straße € \U0001f600", "empty": "", "big": 10**20, "below": -3, "data": bytes(range(256))}
    table.put(Put(item("a", **values, names=["x", "y"])))
    assert table.get("acme", "a") == item("a", **values, names=["x", "y"])
    assert table.get("acme", "b") is None
    assert table.get("other", "a") is None


def test_a_put_replaces_the_whole_item(table: Table) -> None:
    table.put(Put(item("a", one=1, two=2)))
    table.put(Put(item("a", two=3)))
    assert table.get("acme", "a") == item("a", two=3)


@pytest.mark.parametrize(
    ("stored", "condition", "holds"),
    [
        (None, Absent(), True),
        ({"v": 1}, Absent(), False),
        (None, Equals("v", None), True),
        ({"v": 1}, Equals("v", None), False),
        ({"w": 1}, Equals("v", None), False),
        (None, Equals("v", 1), False),
        ({"v": 1}, Equals("v", 1), True),
        ({"v": 2}, Equals("v", 1), False),
        ({"w": 1}, Equals("v", 1), False),
        ({"v": "1"}, Equals("v", 1), False),
        ({"v": "x"}, Equals("v", "x"), True),
        ({"v": b"x"}, Equals("v", b"x"), True),
    ],
)
def test_a_condition_is_about_what_is_stored(
    table: Table, stored: dict[str, Any] | None, condition: Condition, holds: bool
) -> None:
    before = None if stored is None else item("a", **stored)
    if before:
        table.put(Put(before))
    for write in (table.put, lambda put: table.transact([put, Put(item("beside"))])):
        if holds:
            write(Put(item("a", v=9), condition))
            assert table.get("acme", "a") == item("a", v=9)
            table.delete("acme", "a") if before is None else table.put(Put(before))
        else:
            with pytest.raises(ConditionFailed):
                write(Put(item("a", v=9), condition))
            assert table.get("acme", "a") == before


def test_a_transaction_writes_all_or_nothing(table: Table) -> None:
    table.put(Put(item("a", v=1)))
    with pytest.raises(ConditionFailed):
        table.transact([Put(item("b", v=1)), Put(item("a", v=2), Absent()), Put(item("c", v=1))])
    assert list(table.query("acme")) == [item("a", v=1)]
    table.transact([Put(item(f"{number:03d}")) for number in range(100)])
    assert len(list(table.query("acme", "0", "1"))) == 100


def test_a_transaction_takes_no_item_twice_and_no_more_than_a_hundred(bench: Bench) -> None:
    for puts in ([Put(item("a", v=1)), Put(item("a", v=2))], [Put(item(f"{number}")) for number in range(101)]):
        with pytest.raises((ClientError, ValueError)):
            bench.table.transact(puts)
    assert list(bench.table.query("acme")) == []


def test_a_batch_takes_no_item_twice(bench: Bench) -> None:
    with pytest.raises((ClientError, ValueError)):
        bench.table.put_many([item("a", v=1), item("a", v=2)])


def test_a_query_reads_a_partition_in_the_order_of_its_sort_keys(table: Table) -> None:
    names = ["a", "a#1", "a#10", "a#2", "aa", "b", "z", "~", "é", "\uffff", "\U0001f600"]
    table.put_many([item(name) for name in reversed(names)] + [{"pk": "other", "sk": "a"}])
    assert [found["sk"] for found in table.query("acme")] == names
    assert [found["sk"] for found in table.query("acme", newest_first=True)] == names[::-1]
    for page in (1, 3, len(names), 100):
        assert [found["sk"] for found in table.query("acme", page=page)] == names
    assert [found["sk"] for found in table.query("acme", "a#1", "b")] == ["a#1", "a#10", "a#2", "aa", "b"]
    assert [found["sk"] for found in table.query("acme", "b", newest_first=True)] == names[5:][::-1]
    assert [found["sk"] for found in table.query("acme", last="a")] == ["a"]
    assert list(table.query("acme", "b", "a")) == []


def test_a_query_goes_on_where_a_page_ends(table: Table) -> None:
    names = [f"{number:02d}" for number in range(9)]
    for name in names:
        table.put(Put(item(name, data=b"x" * 300_000)))
    assert [found["sk"] for found in table.query("acme")] == names
    assert [found["sk"] for found in table.query("acme", newest_first=True)] == names[::-1]


def test_what_no_item_can_be_called_is_not_there(table: Table) -> None:
    table.put(Put(item("a")))
    assert table.get("", "a") is None
    assert table.get("acme", "") is None
    assert table.get("acme", "é" * 513) is None
    assert table.get("é" * 1025, "a") is None
    assert table.get_many([("acme", ""), ("acme", "a"), ("acme", "x" * 2000)]) == [item("a")]
    assert list(table.query("")) == []
    assert list(table.query("x" * 3000)) == []


def test_many_items_are_written_and_read_at_once(table: Table) -> None:
    items = [item(f"{number:03d}", data=b"\x00\xff") for number in range(130)]
    assert table.put_many(items) == []
    keys = [("acme", f"{number:03d}") for number in range(140)]
    assert sorted(table.get_many([*keys, *keys]), key=lambda found: string(found, "sk")) == items
    assert table.get_many([]) == []
    assert table.put_many([]) == []


def test_the_index_lists_what_is_due_earliest_first(table: Table) -> None:
    for name, due_at in (("c", 30), ("a", 10), ("b", 20), ("d", 40)):
        table.put(Put(item(name, due_shard="s", due_at=due_at)))
    table.put(Put({"pk": "acme", "sk": "never"}))
    table.put(Put(item("other", due_shard="t", due_at=5)))
    assert table.due("s", 30, 10) == [("acme", "a"), ("acme", "b"), ("acme", "c")]
    assert table.due("s", 30, 2) == [("acme", "a"), ("acme", "b")]
    assert table.due("s", 9, 10) == []
    table.put(Put(item("a")))
    table.put(Put(item("b", due_shard="s", due_at=35)))
    assert table.due("s", 35, 10) == [("acme", "c"), ("acme", "b")]


def test_the_index_is_read_through_page_by_page_though_much_is_due_at_one_instant(table: Table) -> None:
    wanted = {(f"c{number}", "p", number // 10) for number in range(25)}
    for pk, sk, due_at in wanted:
        table.put(Put({"pk": pk, "sk": sk, "due_shard": "s", "due_at": due_at}))
    table.put(Put(item("other", due_shard="t", due_at=1)))
    seen: list[tuple[int, tuple[str, str]]] = []
    while page := table.listed("s", seen[-1] if seen else None, 4):
        assert len(page) <= 4
        seen += page
    assert {(pk, sk, due_at) for due_at, (pk, sk) in seen} == wanted
    assert len(seen) == len(wanted)
    assert [due_at for due_at, _ in seen] == sorted(due_at for due_at, _ in seen)
    gone = seen[3]
    table.delete(*gone[1])
    assert table.listed("s", gone, 30) == seen[4:]


def test_what_is_removed_is_gone_and_removing_nothing_is_no_error(table: Table) -> None:
    table.put(Put(item("a", due_shard="s", due_at=1)))
    table.delete("acme", "a")
    table.delete("acme", "a")
    assert table.get("acme", "a") is None
    assert table.due("s", 9, 9) == []


def test_a_put_that_changes_nothing_is_no_record_of_the_stream(bench: Bench) -> None:
    same = item("a", text="x", number=1, data=b"\x00", names=["y"])
    bench.table.put(Put(same))
    assert bench.changes() == 1
    bench.table.put(Put(same))
    bench.table.put_many([same])
    bench.table.transact([Put(same), Put(item("b"), Absent())])
    with pytest.raises(ConditionFailed):
        bench.table.put(Put(item("a", text="z"), Absent()))
    assert bench.changes() == 2
    bench.table.put(Put(item("a", text="z")))
    assert bench.changes() == 3


def test_an_item_survives_the_wire_and_the_stream() -> None:
    import base64

    values = item("a", text="x", number=-1, data=b"\x00\xff", names=["y", "z"])
    assert from_wire(to_wire(values)) == values
    streamed = to_wire(values) | {"data": {"B": base64.b64encode(b"\x00\xff").decode()}}
    assert from_wire(streamed) == values


def error(code: str, *reasons: str) -> ClientError:
    told: Any = {"Error": {"Code": code}, "CancellationReasons": [{"Code": reason} for reason in reasons]}
    return ClientError(told, "TransactWriteItems")


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (error("ConditionalCheckFailedException"), ConditionFailed),
        (error("TransactionConflictException"), ConditionFailed),
        (error("TransactionCanceledException", "None", "ConditionalCheckFailed"), ConditionFailed),
        (error("TransactionCanceledException", "TransactionConflict"), ConditionFailed),
        (error("TransactionCanceledException", "ValidationError"), ClientError),
        (error("AccessDeniedException"), ClientError),
        (error("ProvisionedThroughputExceededException"), ClientError),
        (KeyError("ours"), KeyError),
    ],
)
def test_a_lost_race_is_a_failed_condition_and_every_other_error_stays_what_it_is(
    raised: Exception, expected: type[Exception]
) -> None:
    def refuse(**_: Any) -> None:
        raise raised

    client: Any = SimpleNamespace(put_item=refuse, transact_write_items=refuse)
    table = DynamoTable("any", client)
    with pytest.raises(expected):
        table.put(Put(item("a")))
    with pytest.raises(expected):
        table.transact([Put(item("a"))])


class Reluctant:
    """A client that takes and gives only so many items of each batch."""

    def __init__(self, takes: int) -> None:
        self.takes = takes
        self.taken: list[Any] = []

    def batch_write_item(self, RequestItems: dict[str, list[Any]]) -> Any:  # noqa: N803 - the SDK's own name
        batch = RequestItems["any"]
        assert len(batch) <= 25
        self.taken += batch[: self.takes]
        left = batch[self.takes :]
        return {"UnprocessedItems": {"any": left} if left else {}}

    def batch_get_item(self, RequestItems: dict[str, Any]) -> Any:  # noqa: N803 - the SDK's own name
        keys = RequestItems["any"]["Keys"]
        assert len(keys) <= 100
        left = keys[self.takes :]
        unread = {"any": {"Keys": left}} if left else {}
        return {"Responses": {"any": keys[: self.takes]}, "UnprocessedKeys": unread}


def test_what_a_batch_leaves_is_sent_again_with_growing_pauses() -> None:
    pauses: list[float] = []
    client: Any = Reluctant(takes=10)
    table = DynamoTable("any", client, pauses.append)
    assert table.put_many([item(f"{number:02d}") for number in range(40)]) == []
    assert len(client.taken) == 40
    assert pauses == sorted(pauses)
    assert pauses[0] > 0
    assert len(table.get_many([("acme", f"{number:02d}") for number in range(40)])) == 40


def test_what_a_table_never_takes_is_given_back() -> None:
    pauses: list[float] = []
    client: Any = Reluctant(takes=0)
    items = [item(f"{number:02d}", data=b"\x01") for number in range(30)]
    assert sorted(DynamoTable("any", client, pauses.append).put_many(items), key=str) == items
    assert sum(pauses) < 10


def test_a_scan_finds_all_of_a_kind_and_goes_on_behind_any_page(table: Table) -> None:
    assert isinstance(table, DynamoTable | MemoryTable)
    wanted = {(f"p{number % 3}", f"s{number}") for number in range(9)}
    for pk, sk in wanted:
        table.put(Put({"pk": pk, "sk": sk, "kind": "edge"}))
        table.put(Put({"pk": pk, "sk": f"{sk}~", "kind": "poke"}))
    pages = list(table.scan("edge"))
    assert sorted(key for keys, _ in pages for key in keys) == sorted(wanted)
    assert pages[-1][1] is None
    for place, (_, reached) in enumerate(pages[:-1]):
        assert [keys for keys, _ in table.scan("edge", reached)] == [keys for keys, _ in pages[place + 1 :]]
