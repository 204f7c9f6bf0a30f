"""Identity, revisions and voids; which events are refused, and for which one reason. Laws 4.1 and 4.8."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.events import Acceptance, Event, judge, live, winners
from metering.meters import Meter
from metering.times import BEYOND, DAY, MINUTE, format_time
from tests.metering.strategies import NOON, duration_meter, events, meters

EVENT = Event("acme", "requests", "e-1", NOON, value=Decimal(5))


def kept(*several: Event) -> Event:
    """The one that holds of events of one identity."""
    (winner,), _ = winners(several)
    return winner


@pytest.mark.parametrize(
    ("loser", "winner"),
    [
        ({"revision": 0}, {"revision": 1}),
        ({"revision": 0, "value": Decimal(9)}, {"revision": 1, "value": Decimal(1)}),
        ({"revision": 9}, {"revision": 10}),
        ({"revision": 0}, {"revision": 1, "void": True}),
        ({"revision": 1, "void": True}, {"revision": 2}),
        ({"revision": 1, "value": Decimal(999)}, {"revision": 1, "void": True, "value": None}),
        ({"value": Decimal(1)}, {"value": Decimal(2)}),
        ({"value": Decimal(10)}, {"value": Decimal(9)}),  # as canonical JSON: "10" < "9"
        ({"amount": Decimal(1), "value": Decimal(9)}, {"amount": None, "value": Decimal(1)}),  # "…" < null
        ({"dimensions": (("a", "1"),)}, {"dimensions": (("b", "0"),)}),
        ({"dimensions": (("a", "z"), ("b", "z"))}, {"dimensions": (("a", "z"),)}),  # a comma < a brace
    ],
)
def test_the_higher_revision_then_a_void_then_the_greater_content_holds(
    loser: dict[str, Any], winner: dict[str, Any]
) -> None:
    one, other = replace(EVENT, **loser), replace(EVENT, **winner)
    assert kept(one, other) == kept(other, one) == kept(one, other, one) == other


@given(st.lists(events(), max_size=8), st.data())
def test_shuffling_and_repeating_events_changes_nothing(several: list[Event], data: st.DataObject) -> None:
    again = data.draw(st.permutations(several + data.draw(st.lists(st.sampled_from(several))) if several else several))
    assert winners(again) == winners(several)
    assert live(again) == live(several)


@given(st.lists(events(), max_size=8), st.lists(events(), max_size=8))
def test_what_lost_in_a_part_is_not_needed_for_the_whole(one: list[Event], other: list[Event]) -> None:
    parts, _ = winners(winners(one)[0] + winners(other)[0])
    assert parts == winners(one + other)[0]


@given(st.lists(events(), max_size=8))
def test_of_each_identity_one_holds_and_none_beats_it(several: list[Event]) -> None:
    ordered, _ = winners(several)
    assert [each.identity for each in ordered] == sorted({each.identity for each in several})
    for winner in ordered:
        rivals = [each for each in several if each.identity == winner.identity]
        assert winner in rivals
        assert winner.precedence() == max(each.precedence() for each in rivals)
    assert live(several) == [each for each in ordered if not each.void]


@given(st.lists(events(), max_size=8))
def test_a_conflict_is_told_once_for_each_other_content_at_the_revision_that_holds(several: list[Event]) -> None:
    ordered, conflicts = winners(several)
    expected = {
        (winner, rival)
        for winner in ordered
        for rival in several
        if rival.identity == winner.identity and rival.revision == winner.revision and rival != winner
    }
    assert {(each.kept, each.lost) for each in conflicts} == expected
    assert len(conflicts) == len(expected)


def test_a_revision_is_no_conflict_and_two_contents_at_one_revision_are() -> None:
    revised = replace(EVENT, revision=1, value=Decimal(6))
    assert winners([EVENT, revised])[1] == []
    _, (conflict,) = winners([EVENT, replace(EVENT, value=Decimal(6))])
    assert (conflict.kept.value, conflict.lost.value) == (Decimal(6), Decimal(5))
    assert winners([EVENT, replace(EVENT, value=Decimal(6)), revised])[1] == [], "it was settled by the revision"


def test_the_same_id_at_another_instant_is_another_event() -> None:
    assert len(live([EVENT, replace(EVENT, timestamp=NOON + 1)])) == 2


@given(events(), events())
def test_content_is_the_canonical_json_of_what_is_said_apart_from_identity(one: Event, other: Event) -> None:
    said = json.loads(one.content())
    assert set(said) == {"amount", "dimensions", "type", "value"}
    assert one.content() == json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    same = (one.amount, one.dimensions, one.type, one.value) == (
        other.amount,
        other.dimensions,
        other.type,
        other.value,
    )
    assert (one.content() == other.content()) == same


METERS = {
    "requests": meters("sum"),
    "calls": Meter(key="calls", aggregation="count"),
    "users": Meter(key="users", aggregation="unique", unique_by="user"),
    "low": Meter(key="low", aggregation="min"),
    "high": Meter(key="high", aggregation="max"),
    "level": Meter(key="level", aggregation="latest"),
    "runtime": duration_meter(weight="gb"),
    "uptime": duration_meter(),
}
CUSTOMERS = {"acme": None, "gone": NOON}
START: dict[str, Any] = {"meter": "runtime", "value": None, "type": "start", "dimensions": (("gb", "2"), ("vm", "1"))}
VM = (("vm", "1"),)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, None),
        ({"dimensions": (("anything", "else"),), "amount": Decimal(1)}, None),
        ({"meter": "calls", "value": None}, None),
        ({"meter": "calls"}, None),
        ({"meter": "users", "value": None, "dimensions": (("user", ""),)}, None),
        (START, None),
        (START | {"type": "stop", "dimensions": VM}, None),
        (START | {"meter": "uptime", "dimensions": VM}, None),
        (START | {"dimensions": (("gb", "0"), *VM)}, None),
        ({"customer": "gone", "timestamp": NOON - 1}, None),
        ({"timestamp": NOON - 35 * DAY}, None),
        ({"timestamp": NOON + 5 * MINUTE}, None),
        # What is void needs no more than its identity.
        ({"value": None, "void": True}, None),
        ({"meter": "users", "value": None, "void": True}, None),
        (START | {"type": None, "void": True, "dimensions": VM}, None),
        (START | {"void": True, "dimensions": VM}, None),
        (START | {"type": None, "void": True, "dimensions": ()}, None),
        (START | {"type": "stop", "void": True, "dimensions": (("gb", "2"),)}, None),
        # One reason each.
        ({"meter": "nothing"}, "unknown_meter"),
        ({"customer": "nobody"}, "unknown_customer"),
        ({"customer": "gone", "timestamp": NOON}, "unknown_customer"),
        ({"customer": "gone", "timestamp": NOON + 1}, "unknown_customer"),
        ({"timestamp": NOON - 35 * DAY - 1}, "timestamp_too_old"),
        ({"timestamp": NOON + 5 * MINUTE + 1}, "timestamp_in_future"),
        *(({"timestamp": instant}, "timestamp_too_old") for instant in (-1, -(10**20))),
        *(({"timestamp": instant}, "timestamp_in_future") for instant in (BEYOND, 10**20)),
        ({"value": None}, "value_required"),
        ({"meter": "low", "value": None}, "value_required"),
        ({"meter": "high", "value": None}, "value_required"),
        ({"meter": "level", "value": None}, "value_required"),
        (START | {"type": None}, "type_required"),
        (START | {"dimensions": (("gb", "2"),)}, "session_dimension_missing"),
        (START | {"type": "stop", "dimensions": ()}, "session_dimension_missing"),
        ({"type": "start"}, "invalid"),
        ({"meter": "calls", "type": "stop"}, "invalid"),
        ({"meter": "users", "dimensions": VM}, "invalid"),
        (START | {"dimensions": VM}, "invalid"),
        (START | {"dimensions": (("gb", "much"), *VM)}, "invalid"),
        (START | {"dimensions": (("gb", "-1"), *VM)}, "invalid"),
        (START | {"dimensions": (("gb", "1e31"), *VM)}, "invalid"),
        # Of several the first in the order of the contract.
        ({"meter": "nothing", "customer": "nobody", "timestamp": 0, "value": None}, "unknown_meter"),
        ({"customer": "nobody", "timestamp": 0, "value": None}, "unknown_customer"),
        ({"timestamp": 0, "value": None}, "timestamp_too_old"),
        ({"value": None, "type": "start"}, "value_required"),
        (START | {"type": None, "dimensions": ()}, "type_required"),
        (START | {"dimensions": (("gb", "much"),)}, "session_dimension_missing"),
    ],
)
def test_an_event_is_taken_or_refused_for_the_first_reason_of_the_contract(
    fields: dict[str, Any], code: str | None
) -> None:
    verdict = judge(replace(EVENT, **fields), METERS, CUSTOMERS, NOON, Acceptance(35 * DAY, 5 * MINUTE))
    assert (verdict and verdict[0]) == code
    assert verdict is None or verdict[1]


@pytest.mark.parametrize("timestamp", [0, BEYOND - 1])
def test_without_an_acceptance_window_events_of_any_age_are_taken(timestamp: int) -> None:
    assert judge(replace(EVENT, timestamp=timestamp), METERS, CUSTOMERS, NOON, None) is None


@pytest.mark.parametrize(
    ("timestamp", "code"), [(-1, "timestamp_too_old"), (BEYOND - 1, None), (BEYOND, "timestamp_in_future")]
)
@pytest.mark.parametrize("acceptance", [None, Acceptance(10**16, 10**16)])
def test_an_event_at_an_instant_that_nothing_can_be_computed_with_is_refused_whatever_is_accepted(
    timestamp: int, code: str | None, acceptance: Acceptance | None
) -> None:
    verdict = judge(replace(EVENT, timestamp=timestamp), METERS, CUSTOMERS, NOON, acceptance)
    assert (verdict and verdict[0]) == code


def test_an_event_is_written_as_the_api_writes_it() -> None:
    plain = replace(EVENT, value=Decimal("1.50"), dimensions=(("region", "eu"),))
    assert plain.as_json() == {
        "id": "e-1",
        "customer": "acme",
        "meter": "requests",
        "timestamp": format_time(NOON),
        "dimensions": {"region": "eu"},
        "value": "1.5",
    }
    full = replace(EVENT, amount=Decimal(0), revision=3, void=True, type="stop").as_json()
    assert (full["amount"], full["revision"], full["void"], full["type"]) == ("0", 3, True, "stop")
