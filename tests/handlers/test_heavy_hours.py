"""Hours with many segments are kept by minutes, and nobody can tell from their windows. Law 4.3."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from random import Random
from typing import Any, get_args
from uuid import UUID

import pytest

from adapters.items import Item, string
from handlers import aggregate
from metering.events import Event
from metering.meters import Aggregation, Meter
from metering.segments import pack
from metering.sessions import Session
from metering.times import HOUR, MINUTE, hour_name
from metering.window_items import facts_segments
from metering.windows import Fact, fold
from tests.handlers.street import METERS, NOW, Street
from tests.rows import deep, quick_of

START = NOW - HOUR
PARTITION = f"acme#m#{hour_name(START)}"


def uuid(number: int) -> str:
    """As long as a random one, and no more compressible."""
    return str(UUID(int=number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128))


def event(number: int, minute: int, **fields: Any) -> Event:
    return Event("acme", "m", uuid(number), START + minute * MINUTE + number % 60_000, Decimal(number % 17), **fields)


def measure(street: Street, aggregation: str = "sum", dimensions: tuple[str, ...] = ("vm",)) -> Meter:
    given: dict[str, Any] = {"key": "m", "aggregation": aggregation, "dimensions": dimensions}
    if aggregation == "unique":
        given["unique_by"] = "user"
    if aggregation == "duration":
        given = {**METERS[1], "key": "m", "dimensions": list(dimensions), "max_duration": "1d"}
    street.does("PUT", "/v1/meters/m", given)
    street.does("PUT", "/v1/customers/acme", {"name": "Acme"})
    return Meter.model_validate(given)


def add(street: Street, *events: Event) -> None:
    assert street.events.add(pack(events)) == []
    street.flow()


def add_facts(street: Street, *facts: Fact) -> None:
    assert street.events.add_facts(facts_segments("acme", "m", METERS[1]["session"], START, facts)) == []
    street.flow()


def head(street: Street) -> Item:
    (found,) = street.items("Usage", "window")
    return found


def same_as_one_fold(street: Street, meter: Meter, events: list[Event], facts: list[Fact]) -> None:
    whole = fold(meter, events, facts, START, START + HOUR)
    measured = street.usage.read("acme", START, START + HOUR)
    assert measured.slots.get("m", {}) == whole.slots
    assert sorted(map(repr, measured.open.get("m", []))) == sorted(map(repr, whole.open))


@pytest.fixture
def empty(build: Callable[[], Street]) -> Street:
    return build()


@pytest.mark.parametrize("aggregation", [each for each in get_args(Aggregation) if each != "duration"])
@pytest.mark.parametrize("seed", quick_of(range(3), 0))
def test_an_hour_kept_by_minutes_gives_the_window_of_one_fold(empty: Street, aggregation: str, seed: int) -> None:
    random = Random(seed)  # noqa: S311 - no secret
    meter = measure(empty, aggregation)
    known: list[Event] = []
    for turn in range(6):
        fresh = [
            event(
                random.randrange(3_000),
                random.randrange(60),
                amount=random.choice([None, Decimal("0.25")]),
                dimensions=(("user", uuid(random.randrange(40))), ("vm", str(random.randrange(5)))),
            )
            for _ in range(120 if turn else 10)
        ]
        # Some come again, some revised, some taken back, some with another content.
        for old in random.sample(known, min(len(known), 30)):
            revised = replace(old, revision=random.randrange(3), void=random.random() < 0.4)
            fresh += [old, revised, replace(old, value=Decimal(9))]
        known += fresh
        random.shuffle(fresh)
        add(empty, *fresh)
        same_as_one_fold(empty, meter, known, [])
        assert ("minutes" in head(empty)) == (turn > 1) or turn == 1
    assert "minutes" in head(empty)


@pytest.mark.parametrize("seed", quick_of(range(3), 0))
def test_sessions_of_an_hour_kept_by_minutes_are_those_of_one_fold(empty: Street, seed: int) -> None:
    random = Random(seed)  # noqa: S311 - no secret
    meter = measure(empty, "duration")
    known: list[Fact] = []
    for turn in range(6):
        fresh: list[Fact] = []
        for _ in range(100 if turn else 5):
            start = START + random.randrange(-2 * HOUR, HOUR)
            begun = Session(
                uuid(random.randrange(300)), uuid(start), start, None, "open", Decimal(2), (("vm", "1"),), start
            )
            fresh.append(Fact(begun, ("label", turn * 1000 + random.randrange(999))))
        for fact in random.sample(known, min(40, len(known))):
            end = fact.session.start + random.randrange(2 * HOUR)
            over = replace(fact.session, end=end, closed_by=random.choice(["stop", "void"]), counted_until=None)
            fresh.append(Fact(over, ("label", turn * 1000 + random.randrange(999))))
        known += fresh
        add_facts(empty, *fresh)
        same_as_one_fold(empty, meter, [], known)
    assert "minutes" in head(empty)
    assert len(empty.items("Usage", "open")) == 1


@pytest.mark.parametrize("count", [800, deep(1_500)])
def test_batches_in_any_order_and_size_give_the_same_heavy_hour(build: Callable[[], Street], count: int) -> None:
    events = [event(number, number % 60, dimensions=(("vm", str(number % 7)),)) for number in range(count)]
    found = []
    for seed in range(4):
        street = build()
        meter = measure(street)
        random = Random(seed)  # noqa: S311 - no secret
        left = events[:]
        random.shuffle(left)
        while left:
            street.events.add(pack(left[:150]))
            del left[:150]
            street.flow(random)
        assert "minutes" in head(street)
        same_as_one_fold(street, meter, events, [])
        found.append(street.usage.read("acme", START, START + HOUR))
    assert all(each == found[0] for each in found)


def test_a_refresh_of_a_heavy_hour_reads_only_the_minutes_that_something_came_to(
    empty: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    meter = measure(empty)
    known = [event(number, number % 60) for number in range(3_000)]
    add(empty, *known)
    add(empty, *known[:1])
    assert head(empty)["minutes"] == "apart"
    table: Any = empty.table("Events")
    query = table.query
    read: list[str] = []

    def counting(*args: Any, **given: Any) -> Iterator[Item]:
        for item in query(*args, **given):
            read.append(string(item, "sk")[:2])
            yield item

    monkeypatch.setattr(table, "query", counting)
    late = [event(9_000, 7), event(9_001, 31)]
    add(empty, *late)
    assert set(read) == {"07", "31"}
    assert len(read) == 4
    same_as_one_fold(empty, meter, known + late, [])


def test_two_refreshes_of_a_heavy_hour_at_once_lose_nothing(empty: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    meter = measure(empty)
    known = [event(number, number % 60) for number in range(3_000)]
    add(empty, *known)
    late = [event(9_000 + number, number % 3) for number in range(9)]
    table: Any = empty.table("Usage")
    put, left = table.put, late[1:]

    def slow(write: Any) -> None:
        # Before each of its writes another whole refresh passes it by.
        if left and write.item["kind"] in {"minute", "window"}:
            empty.events.add(pack([left.pop()]))
            aggregate.refresh(PARTITION, ["00", "01", "02"], empty)
        put(write)

    monkeypatch.setattr(table, "put", slow)
    empty.events.add(pack([late[0]]))
    aggregate.refresh(PARTITION, ["00"], empty)
    while left:
        empty.events.add(pack([left.pop()]))
    empty.flow()
    same_as_one_fold(empty, meter, known + late, [])


def test_an_hour_that_becomes_heavy_while_another_refresh_takes_it_for_light_loses_nothing(
    empty: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    meter = measure(empty)
    light, rest = [event(1, 1), event(2, 2)], [event(number, number % 60) for number in range(3, 3_000)]
    table: Any = empty.table("Usage")
    put = table.put
    raced: list[bool] = []

    def slow(write: Any) -> None:
        if not raced:
            raced.append(True)
            empty.events.add(pack(rest))
            aggregate.refresh(PARTITION, [f"{minute:02}" for minute in range(60)], empty)
        put(write)

    monkeypatch.setattr(table, "put", slow)
    empty.events.add(pack(light))
    aggregate.refresh(PARTITION, ["01", "02"], empty)
    same_as_one_fold(empty, meter, light + rest, [])
    assert "minutes" in head(empty)


@pytest.mark.parametrize("combinations", [4_000, deep(100_000)])
def test_an_hour_with_very_many_combinations(empty: Street, combinations: int) -> None:
    meter = measure(empty)
    known = [event(number, number % 60, dimensions=(("vm", uuid(number)),)) for number in range(combinations)]
    add(empty, *known)
    changed = event(combinations, 5, dimensions=(("vm", uuid(7)),))
    chunks = {string(item, "sk") for item in empty.items("Usage", "chunk")}
    add(empty, changed)
    same_as_one_fold(empty, meter, [*known, changed], [])
    fresh = {string(item, "sk") for item in empty.items("Usage", "chunk")} - chunks
    assert len([key for key in fresh if key.startswith("hour#")]) == 1
    assert_items_fit(empty)


@pytest.mark.parametrize("values", [5_000, deep(100_000)])
def test_an_hour_with_very_many_distinct_values(empty: Street, values: int) -> None:
    meter = measure(empty, "unique")
    known = [event(number, number % 60, dimensions=(("user", uuid(number)), ("vm", "1"))) for number in range(values)]
    add(empty, *known)
    add(empty, *known[:500])
    same_as_one_fold(empty, meter, known, [])
    query = {"customer": "acme", "meter": "m", "from": str(START), "to": str(NOW)}
    (row,) = empty.does("GET", "/v1/usage", query=query)["rows"]
    assert row["quantity"] == str(values)
    assert_items_fit(empty)


@pytest.mark.parametrize("running", [1_000, deep(10_000)])
def test_an_hour_in_which_very_many_sessions_begin_run_and_end(empty: Street, running: int) -> None:
    measure(empty, "duration", ())
    starts = {number: START + number % 50 * MINUTE for number in range(running)}

    def send(kind: str, instants: dict[int, int]) -> None:
        edges = [
            {
                "id": f"{kind}{number}",
                "customer": "acme",
                "meter": "m",
                "timestamp": at,
                "type": kind,
                "dimensions": {"vm": uuid(number), "memory_gb": "2"},
            }
            for number, at in instants.items()
        ]
        for first in range(0, len(edges), 500):
            assert empty.post(*edges[first : first + 500])["statusCode"] < 300
        empty.flow()

    def quantity() -> Decimal:
        query = {"customer": "acme", "meter": "m", "from": str(START), "to": str(NOW + HOUR)}
        rows = empty.does("GET", "/v1/usage", query=query)["rows"]
        return sum((Decimal(row["quantity"]) for row in rows), Decimal(0))

    send("start", starts)
    assert len(empty.usage.open_sessions("acme", "m")) == running
    assert quantity() == 2 * sum(NOW - at for at in starts.values())
    assert_items_fit(empty)
    send("stop", {number: at + 5 * MINUTE for number, at in starts.items()})
    assert empty.usage.open_sessions("acme", "m") == []
    assert quantity() == 2 * 5 * MINUTE * running
    assert not [item for item in empty.items("Usage", "chunk") if "open#" in string(item, "sk")]
    assert not empty.parked()


def assert_items_fit(street: Street) -> None:
    for table in street.tables.values():
        for item in table.all():
            assert sum(len(value) if isinstance(value, bytes) else len(str(value)) for value in item.values()) < 380_000
