"""Webhooks that come late, twice, out of order or never, and the list of events that shows them all."""

from __future__ import annotations

import json
from typing import Any

import pytest
import stripe

from tests.infra.local.stripe.in_process import InProcess
from tests.infra.local.stripe.stand_in import StandIn, inbox

TYPES = ["customer.created", "customer.updated", "customer.deleted"]


@pytest.fixture
def told(in_process: InProcess) -> InProcess:
    """A stand-in with an endpoint that wants everything."""
    in_process.control("webhook_endpoints", {"url": "http://hook.test/", "secret": "whsec_x"})
    return in_process


def _three_events(told: InProcess) -> None:
    customer = told.stripe.customers.create().id
    told.stripe.customers.update(customer, {"name": "Ada"})
    told.stripe.customers.delete(customer)


def _arrived(told: InProcess) -> list[str]:
    return [json.loads(each.body)["type"] for each in told.webhooks()]


@pytest.mark.parametrize(
    ("fault", "arrived"),
    [
        (None, TYPES),
        ({"type": "customer.updated", "drop": True}, [TYPES[0], TYPES[2]]),
        ({"type": "customer.*", "times": 3, "drop": True}, []),
        ({"nth": 2, "drop": True}, [TYPES[0], TYPES[2]]),
        ({"type": "customer.created", "repeat": 2}, [TYPES[0]] * 3 + TYPES[1:]),
        ({"type": "customer.created", "behind": 2}, [TYPES[1], TYPES[2], TYPES[0]]),
        ({"type": "customer.created", "behind": 3}, TYPES[1:]),
        ({"type": "customer.created", "delay_seconds": 60}, TYPES[1:]),
    ],
)
def test_webhooks_go_astray_as_they_are_told(told: InProcess, fault: dict[str, Any] | None, arrived: list[str]) -> None:
    if fault:
        told.control("webhooks/faults", fault)
    _three_events(told)
    assert _arrived(told) == arrived
    assert [event.type for event in told.stripe.events.list()] == TYPES[::-1]


def test_one_that_is_late_comes_when_the_clock_does(told: InProcess) -> None:
    told.control("webhooks/faults", {"type": "customer.created", "delay_seconds": 60})
    _three_events(told)
    assert _arrived(told) == TYPES[1:]
    told.clock.forward(59)
    assert _arrived(told) == []
    told.clock.forward(1)
    assert _arrived(told) == TYPES[:1]


def test_what_waits_for_others_is_let_go_with_the_faults(told: InProcess) -> None:
    told.control("webhooks/faults", {"type": "customer.created", "behind": 100})
    _three_events(told)
    assert _arrived(told) == TYPES[1:]
    assert told.read("webhooks")["undelivered"] == 1
    assert told.control("webhooks/faults", method="DELETE")["faults"] == []
    assert _arrived(told) == TYPES[:1]


def test_repeated_webhooks_are_one_event_and_verify(told: InProcess) -> None:
    told.control("webhooks/faults", {"repeat": 1})
    told.stripe.customers.create()
    events = [stripe.Webhook.construct_event(each.body, each.signature, "whsec_x") for each in told.webhooks()]
    assert len(events) == 2
    assert len({event.id for event in events}) == 1


def test_events_that_were_not_delivered_are_listed_as_such(told: InProcess) -> None:
    told.control("webhooks/faults", {"type": "customer.updated", "drop": True})
    _three_events(told)

    def listed(*, delivered: bool) -> list[str]:
        return [event.type for event in told.stripe.events.list({"delivery_success": delivered})]

    assert listed(delivered=True) == []
    assert listed(delivered=False) == TYPES[::-1]
    told.webhooks()
    assert listed(delivered=True) == [TYPES[2], TYPES[0]]
    assert listed(delivered=False) == [TYPES[1]]
    assert told.read("webhooks")["dropped"] == 1


def test_over_a_socket_webhooks_go_astray_too(stand_in: StandIn) -> None:
    with inbox() as box:
        stand_in.control("webhook_endpoints", {"url": box.url, "secret": "whsec_x"})
        stand_in.control("webhooks/faults", {"type": "customer.updated", "drop": True})
        stand_in.control("webhooks/faults", {"type": "customer.created", "behind": 2, "repeat": 1})
        stand_in.control("webhooks/faults", {"type": "customer.deleted", "delay_seconds": 0.05, "repeat": 1})
        customer = stand_in.stripe.customers.create().id
        stand_in.stripe.customers.update(customer, {"name": "Ada"})
        stand_in.stripe.customers.delete(customer)
        arrived = [json.loads(box.received.get(timeout=5).body)["type"] for _ in range(4)]
    assert arrived == [TYPES[2]] * 2 + [TYPES[0]] * 2


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"created": {"gte": 60}}, TYPES[:0:-1]),
        ({"created": {"gt": 60}}, TYPES[2:]),
        ({"created": {"lte": 60}}, TYPES[1::-1]),
        ({"created": {"lt": 60}}, TYPES[:1]),
        ({"created": {"gt": 0, "lt": 120}}, TYPES[1:2]),
        ({"types": TYPES[:2]}, TYPES[1::-1]),
        ({"type": "customer.deleted"}, TYPES[2:]),
        ({"limit": 2}, TYPES[:0:-1]),
    ],
)
def test_events_are_listed_by_time_and_type(told: InProcess, asked: dict[str, Any], found: list[str]) -> None:
    began = int(told.clock.seconds)
    customer = told.stripe.customers.create().id
    told.clock.forward(60)
    told.stripe.customers.update(customer, {"name": "Ada"})
    told.clock.forward(60)
    told.stripe.customers.delete(customer)
    if "created" in asked:
        asked = {"created": {bound: began + seconds for bound, seconds in asked["created"].items()}}
    assert [event.type for event in told.stripe.events.list(asked)] == found  # type: ignore[arg-type]  # a plain dict is one


@pytest.mark.parametrize(
    "asked", [{"type": "a", "types": ["b"]}, {"types": ["a"] * 21}, {"starting_after": "evt_none"}]
)
def test_a_list_of_events_that_cannot_be_is_refused(told: InProcess, asked: dict[str, Any]) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        told.stripe.events.list(asked)  # type: ignore[arg-type]  # wrong on purpose


def test_pages_of_events_go_both_ways_while_others_come(told: InProcess) -> None:
    for _ in range(5):
        told.stripe.customers.create()
    ids = [event.id for event in told.stripe.events.list({"limit": 100})]
    first = told.stripe.events.list({"limit": 2})
    told.stripe.customers.create()
    second = told.stripe.events.list({"limit": 2, "starting_after": first.data[-1].id})
    assert [event.id for event in [*first, *second]] == ids[:4]
    newer = told.stripe.events.list({"limit": 1, "ending_before": ids[0]})
    assert (len(newer.data), newer.has_more, newer.data[0].id in ids) == (1, False, False)
    assert len(list(told.stripe.events.list({"limit": 2}).auto_paging_iter())) == 6


def test_events_are_gone_after_thirty_days(told: InProcess) -> None:
    told.stripe.customers.create()
    event = told.stripe.events.list().data[0].id
    told.clock.forward(30 * 86_400)
    assert told.stripe.events.retrieve(event).id == event
    told.clock.forward(1)
    assert not told.stripe.events.list().data
    with pytest.raises(stripe.InvalidRequestError):
        told.stripe.events.retrieve(event)
