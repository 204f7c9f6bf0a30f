"""An hour that keeps its last minutes inside its item says what one fold of everything says. Law 4.3."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.items import Item, string
from handlers import aggregate
from infra.benchmark.capacity import item_bytes
from metering.events import Event
from metering.segments import pack
from metering.sessions import Session, resource_with
from metering.times import MINUTE
from metering.window_items import facts_segments
from metering.windows import Fact
from tests.handlers.street import Crash, Street
from tests.handlers.test_heavy_hours import PARTITION, START, add, event, head, measure, same_as_one_fold

SETTINGS = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@dataclass(frozen=True)
class Step:
    """Some minutes that something comes to, and how its refresh goes: dying after some writes, or in any order."""

    forward: int
    minutes: tuple[int, ...]
    dies_after: int | None
    answer_lost: bool
    seed: int | None


steps = st.lists(
    st.builds(
        Step,
        st.integers(0, 4),
        st.lists(st.sampled_from([0, 0, 0, 1, 5, -1, -2, -9, -30]), min_size=1, max_size=3).map(tuple),
        st.none() | st.integers(0, 4),
        st.booleans(),
        st.none() | st.integers(0, 9),
    ),
    min_size=3,
    max_size=12,
)


def minutes_of(several: list[Step]) -> Iterator[tuple[Step, list[int]]]:
    """The steps with their minutes in the hour, which goes on."""
    at = 0
    for step in several:
        at = min(55, at + step.forward)
        yield step, [min(59, max(0, at + each)) for each in step.minutes]


def refresh(street: Street, step: Step) -> None:
    """Let what was written come to its windows; what died is done again."""
    street.writes_left, street.answer_lost = step.dies_after, step.answer_lost
    random = None if step.seed is None else Random(step.seed)  # noqa: S311 - no secret
    try:
        street.flow(random)
    except Crash:
        pass
    finally:
        street.writes_left = None
    street.flow(random)


@pytest.fixture(params=[250, 640])
def by_minutes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every hour is kept by its minutes, with little or much room for them inside."""
    monkeypatch.setattr(aggregate, "_LIGHT_BYTES", 0)
    monkeypatch.setattr(aggregate, "_MOST_BYTES_INSIDE", request.param)


@pytest.mark.usefixtures("by_minutes")
@SETTINGS
@given(several=steps, aggregation=st.sampled_from(["sum", "max", "latest", "unique"]))
def test_whatever_comes_when_and_wherever_a_refresh_dies_an_hour_is_one_fold(
    build: Callable[[], Street], several: list[Step], aggregation: str
) -> None:
    street = build()
    meter = measure(street, aggregation)
    known: list[Event] = []
    for turn, (step, minutes) in enumerate(minutes_of(several)):
        fresh = [
            event(turn * 10 + place, minute, dimensions=(("user", f"u{turn % 3}"), ("vm", str(place))))
            for place, minute in enumerate(minutes)
        ]
        # What came before is revised or taken back, if it is of these minutes.
        fresh += [
            replace(old, value=Decimal(turn), revision=turn, void=turn % 2 == 0)
            for old in known[-6:]
            if (old.timestamp - START) // MINUTE in minutes
        ]
        known += fresh
        assert street.events.add(pack(fresh)) == []
        refresh(street, step)
        same_as_one_fold(street, meter, known, [])


@pytest.mark.usefixtures("by_minutes")
@SETTINGS
@given(several=steps)
def test_whatever_session_begins_or_ends_when_an_hour_is_one_fold(
    build: Callable[[], Street], several: list[Step]
) -> None:
    street = build()
    meter = measure(street, "duration")
    known: list[Fact] = []
    for turn, (step, minutes) in enumerate(minutes_of(several)):
        fresh = []
        for place, minute in enumerate(minutes):
            start, given_ = START + minute * MINUTE - (place == 2) * 90 * MINUTE, (("vm", str(place % 2)),)
            resource = resource_with(meter.session, dict(given_))
            running = Session(resource, f"s{turn}{place}", start, None, "open", Decimal(2), given_, max(start, START))
            fresh.append(Fact(running, ("label", turn * 10)))
        for fact in known[-4:]:
            over = replace(fact.session, end=fact.session.start + 7, closed_by="stop", counted_until=None)
            fresh.append(Fact(over, ("label", turn * 10 + 1)))
        known += fresh
        assert street.events.add_facts(facts_segments("acme", "m", meter.session, START, fresh)) == []
        refresh(street, step)
        same_as_one_fold(street, meter, [], known)


def in_order(street: Street, until: int, each: int = 60) -> list[Event]:
    """A busy hour as it goes on, some minutes into it."""
    known: list[Event] = []
    for minute in range(until):
        fresh = [event(minute * each + number, minute, dimensions=(("vm", str(number % 2)),)) for number in range(each)]
        add(street, *fresh)
        known += fresh
    return known


def test_a_busy_hour_is_one_small_item_and_one_write_a_refresh(build: Callable[[], Street]) -> None:
    street = build()
    meter = measure(street)
    known = in_order(street, 59)
    assert head(street)["minutes"] == "inside"
    assert item_bytes(head(street)) < 1024
    assert len(street.items("Usage", "window", "minute", "chunk", "open")) == 1
    table: Any = street.table("Usage")
    version = head(street)["version"]
    late = [event(9_000 + number, 59 - number) for number in range(4)]
    add(street, *late)
    assert head(street)["version"] == version + 1  # type: ignore[operator]  # a number
    assert len(table.all()) == 1
    same_as_one_fold(street, meter, known + late, [])


def test_what_comes_to_a_sealed_minute_has_every_minute_be_an_item_of_its_own(build: Callable[[], Street]) -> None:
    street = build()
    meter = measure(street)
    known = in_order(street, 30)
    late = [event(9_000, 3)]
    add(street, *late)
    assert head(street)["minutes"] == "apart"
    assert len(street.items("Usage", "minute")) == 30
    same_as_one_fold(street, meter, known + late, [])
    more = [event(9_001, 4), event(9_002, 45)]
    add(street, *more)
    same_as_one_fold(street, meter, known + late + more, [])


def test_an_hour_of_which_every_minute_is_folded_again_stays_as_it_is(build: Callable[[], Street]) -> None:
    street = build()
    meter = measure(street)
    known = in_order(street, 40)
    before = head(street)
    assert not aggregate.refresh(PARTITION, [f"{minute:02d}" for minute in range(60)], street)
    assert head(street) == before
    same_as_one_fold(street, meter, known, [])


@pytest.mark.parametrize("late", [28, 3])
def test_two_refreshes_at_once_lose_nothing(
    build: Callable[[], Street], monkeypatch: pytest.MonkeyPatch, late: int
) -> None:
    street = build()
    meter = measure(street)
    known = in_order(street, 30)
    fresh = [event(9_000 + number, late if number == 3 else 29 - number % 3) for number in range(7)]
    table: Any = street.table("Usage")
    put, left = table.put, fresh[1:]

    def slow(write: Any) -> None:
        # Before each of its writes another whole refresh passes it by.
        if left and write.item["kind"] in {"minute", "window"}:
            passing = left.pop()
            street.events.add(pack([passing]))
            aggregate.refresh(PARTITION, [f"{(passing.timestamp - START) // MINUTE:02d}"], street)
        put(write)

    monkeypatch.setattr(table, "put", slow)
    street.events.add(pack([fresh[0]]))
    street.flow()
    assert not left
    assert head(street)["minutes"] == ("inside" if late == 28 else "apart")
    same_as_one_fold(street, meter, known + fresh, [])


def test_a_refresh_reads_the_minutes_that_something_came_to_and_no_others(
    build: Callable[[], Street], monkeypatch: pytest.MonkeyPatch
) -> None:
    street = build()
    measure(street)
    in_order(street, 30)
    table: Any = street.table("Events")
    query = table.query
    read: list[str] = []

    def counting(*args: Any, **given_: Any) -> Iterator[Item]:
        for item in query(*args, **given_):
            read.append(string(item, "sk")[:2])
            yield item

    monkeypatch.setattr(table, "query", counting)
    add(street, event(9_000, 27), event(9_001, 29))
    assert set(read) == {"27", "29"}
