"""What DynamoDB charges for: its documented rule, and the write units that an emulator reports for the same items."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from adapters.items import Absent, ConditionFailed, Equals, Item, Put, to_wire
from adapters.memory import MemoryTable
from infra.benchmark.capacity import index_units, item_bytes, read_units, write_units
from infra.benchmark.counting import CountingTable, Tally
from tests.adapters.conftest import new_table


def item(size: int, sk: str = "s", **fields: Any) -> Item:
    """An item of so many bytes."""
    made: Item = {"pk": "p", "sk": sk, **fields}
    return {**made, "data": b"x" * (size - item_bytes(made) - len("data"))}


@pytest.mark.parametrize(
    ("found", "size"),
    [
        ({"pk": "a"}, 3),
        ({"pk": "é"}, 4),
        ({"data": b"123"}, 7),
        ({"n": 0}, 2),
        ({"n": 7}, 3),
        ({"n": 12}, 3),
        ({"n": 123}, 4),
        ({"n": 1_000_000}, 3),
        ({"n": -12}, 4),
        ({"l": ["ab", "c"]}, 1 + 3 + 3 + 2),
    ],
)
def test_an_item_is_its_names_and_values(found: Item, size: int) -> None:
    assert item_bytes(found) == size


def test_a_write_is_charged_by_the_larger_of_what_was_and_what_is() -> None:
    assert write_units(None, item(1024)) == 1
    assert write_units(None, item(1025)) == 2
    assert write_units(item(3000), item(100)) == 3
    assert write_units(item(100), item(3000)) == 3
    assert write_units(item(3000), None) == 3
    assert write_units(None, None) == 1


def test_a_page_is_rounded_up_once_and_half_the_price_when_eventual() -> None:
    assert read_units([item(100)] * 40) == 1
    assert read_units([item(100)] * 41) == 2
    assert read_units([]) == 1
    assert read_units([item(100)], eventual=True) == Decimal("0.5")


@pytest.mark.parametrize(
    ("before", "after", "units"),
    [(None, None, 0), (None, 1, 1), (1, 1, 0), (1, 2, 2), (1, None, 1)],
)
def test_a_sparse_index_costs_where_its_keys_change(before: int | None, after: int | None, units: int) -> None:
    old, new = (item(100) if due is None else item(100, due_shard="x", due_at=due) for due in (before, after))
    assert index_units(old, new, ("due_shard", "due_at")) == units


def counting() -> tuple[CountingTable, Tally]:
    tally = Tally(function="f")
    return CountingTable("T", MemoryTable(), tally), tally


def test_every_request_is_counted_as_it_is_charged() -> None:
    table, tally = counting()
    table.put_many([item(100, f"{number:03d}") for number in range(30)])
    assert tally.counts == {("f", "table requests"): 2, ("f", "write T"): 30}
    tally.start()
    assert len(list(table.query("p"))) == 30
    assert len(table.get_many([("p", "000"), ("p", "001"), ("p", "none")])) == 2
    assert table.get("p", "none") is None
    assert tally.counts == {("f", "table requests"): 3, ("f", "read T"): 1 + 3 + 1}
    tally.start()
    table.transact([Put(item(2000, "000")), Put(item(100, "new"), Absent())])
    assert tally.counts == {("f", "table requests"): 1, ("f", "write T"): 6}


def test_a_query_is_charged_page_by_page_as_far_as_it_is_read() -> None:
    table, tally = counting()
    table.put_many([item(4000, f"{number:03d}") for number in range(600)])
    tally.start()
    query = table.query("p")
    assert tally.counts == {}
    next(query)
    assert tally.counts["f", "read T"] == 256
    tally.start()
    assert next(table.query("p", page=2))["sk"] == "000"
    assert tally.counts["f", "read T"] == 2


def test_nothing_is_counted_while_nobody_is_measured() -> None:
    table, tally = counting()
    tally.function = None
    table.put(Put(item(100)))
    assert tally.counts == {}


@pytest.mark.cloud
def test_write_units_are_those_that_an_emulator_reports(emulator: Callable[[str], Any]) -> None:
    client = emulator("dynamodb")
    name = new_table(client)

    def reported(put: Put) -> int:
        condition = {"ConditionExpression": "attribute_not_exists(pk)"} if put.condition else {}
        wired = to_wire(put.item)
        try:
            told = client.put_item(TableName=name, Item=wired, ReturnConsumedCapacity="TOTAL", **condition)
        except client.exceptions.ConditionalCheckFailedException:
            return -1  # what a failed one costs is not told
        return int(told["ConsumedCapacity"]["CapacityUnits"])

    def counted(put: Put) -> int:
        tally.start()
        try:
            table.put(put)
        except ConditionFailed:
            return -1
        return int(tally.counts["f", "write T"])

    table, tally = counting()
    puts = [Put(item(size, sk)) for size in (100, 1023, 1024, 1025, 2049, 900) for sk in ("a", f"b{size}")]
    puts += [Put(item(100, "a"), Absent()), Put(item(100, "c", version=123456789), Absent())]
    puts += [Put(item(size, "d", at=-1234567, names=["é", "ab"])) for size in (1024, 1025)]
    assert [counted(put) for put in puts] == [reported(put) for put in puts]


def test_a_failed_condition_costs_what_is_stored() -> None:
    table, tally = counting()
    table.put(Put(item(3000, version=2)))
    tally.start()
    with pytest.raises(ConditionFailed):
        table.put(Put(item(100, version=1), Equals("version", 3)))
    assert tally.counts["f", "write T"] == 3
