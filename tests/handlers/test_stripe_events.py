"""What Stripe tells reaches whoever it is for, by webhook or by the hourly sweep, once each is known."""

from typing import Any

import pytest

from handlers import stripe_events
from handlers._stripe_news import TYPES, messages_of
from metering.times import DAY, HOUR, MINUTE, SECOND
from tests.handlers.street import NOW, Street
from tests.infra.local.stripe.in_process import InProcess

OURS = {"taximeter_customer": "acme", "taximeter_top_up": "acme:1"}
ATTEMPT = ("TOP_UP", {"customer": "acme", "attempt": "acme:1"})
PAID = ("TOP_UP", {"customer": "acme", "attempt": "acme:1", "paid": "x_1"})
BOTH = [("TOP_UP", {"payment_intent": "pi_1"}), ("COLLECT", {"payment_intent": "pi_1"})]


def event(kind: str, **about: Any) -> dict[str, Any]:
    return {"id": "evt_1", "type": kind, "data": {"object": {"id": "x_1", **about}}}


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (event("payment_intent.succeeded", object="payment_intent", metadata=OURS), [PAID]),
        (event("payment_intent.canceled", object="payment_intent", metadata=OURS), [ATTEMPT]),
        (event("payment_intent.succeeded", object="payment_intent", metadata={}), []),
        (event("payment_intent.succeeded", object="payment_intent"), []),
        (event("payment_intent.created", object="payment_intent", metadata=OURS), []),
        (event("checkout.session.completed", object="checkout.session", mode="payment", metadata=OURS), [ATTEMPT]),
        (
            event(
                "checkout.session.completed",
                object="checkout.session",
                mode="setup",
                metadata={"taximeter_customer": "acme"},
            ),
            [("TOP_UP", {"customer": "acme", "page": "x_1"})],
        ),
        (event("invoice.paid", object="invoice", metadata={"taximeter_invoice": "i"}),
            [("COLLECT", {"stripe_invoice": "x_1"})]),
        (event("invoice.paid", object="invoice", metadata={"taximeter_invoice": "i", "taximeter_customer": "acme"}),
            [("COLLECT", {"stripe_invoice": "x_1", "customer": "acme"})]),
        (event("invoice.paid", object="invoice", metadata={}), []),
        (event("charge.refunded", object="charge", payment_intent="pi_1"), BOTH),
        (event("refund.failed", object="refund", payment_intent="pi_1"), BOTH),
        (event("charge.dispute.closed", object="dispute", payment_intent="pi_1"), BOTH),
        (event("charge.dispute.closed", object="dispute", payment_intent=None), []),
        ({"id": "evt_1", "type": "invoice.paid", "data": None}, []),
        ({"id": "evt_1", "type": "invoice.paid", "data": {"object": {"object": "invoice", "id": 3}}}, []),
        ({"id": "evt_1"}, []),
    ],
)  # fmt: skip
def test_who_is_told_what_of_an_event(told: dict[str, Any], expected: list[Any]) -> None:
    assert list(messages_of(told)) == expected


def test_stripe_lists_as_many_types_at_once() -> None:
    assert len(set(TYPES)) == len(TYPES) <= 20


def happen(stand_in: InProcess) -> str:
    """Something of ours at Stripe that a webhook would bring."""
    wanted: Any = {"amount": 100, "currency": "usd", "metadata": OURS}
    intent = stand_in.stripe.payment_intents.create(wanted).id
    stand_in.stripe.payment_intents.cancel(intent)
    return intent


def sweep(street: Street, after: int) -> int:
    street.now += after
    return stripe_events.sweep(street, street.now)


def test_what_no_webhook_brought_is_handed_on_by_the_hour_and_once(street: Street, stand_in: InProcess) -> None:
    assert sweep(street, 0) == 0
    happen(stand_in)
    assert sweep(street, HOUR) == 1
    assert street.queues["TOP_UP"] == [ATTEMPT[1]]
    assert street.delays == [1], "what was answered is not to wait as long as what was asked for"
    assert [sweep(street, minutes * MINUTE) for minutes in (1, 5, 60)] == [0, 0, 0]


def test_an_event_that_a_webhook_brought_is_not_handed_on_again(street: Street, stand_in: InProcess) -> None:
    sweep(street, 0)
    happen(stand_in)
    for each in stand_in.stripe.events.list().data:
        street.seen_events.remember(str(each.id), street.now)
    assert sweep(street, HOUR) == 0
    assert street.queues["TOP_UP"] == []


def test_after_days_without_a_sweep_it_goes_on_where_it_was(street: Street, stand_in: InProcess) -> None:
    sweep(street, 0)
    for _ in range(3):
        street.now += DAY
        happen(stand_in)
    assert sweep(street, 5 * HOUR) == 3
    assert street.seen_events.swept_until() == street.now


def test_one_that_is_interrupted_loses_nothing_and_goes_on(street: Street, stand_in: InProcess) -> None:
    sweep(street, 0)
    happen(stand_in)
    street.now += 3 * DAY
    stand_in.control("faults", {"path": "/v1/events", "nth": 3, "status": 500})
    stripe_events.handler({"source": "schedule", "time": None}, None)
    assert street.seen_events.swept_until() == NOW + 2 * DAY
    assert street.queues["TOP_UP"] == [ATTEMPT[1]]
    happen(stand_in)
    assert sweep(street, SECOND) == 1


def test_a_sweep_reaches_no_further_back_than_stripe_lists(street: Street, stand_in: InProcess) -> None:
    street.seen_events.sweep_done(NOW - 300 * DAY)
    asked = len(stand_in.read("requests")["data"])
    sweep(street, 0)
    assert len(stand_in.read("requests")["data"]) - asked == 29


def test_who_does_not_use_stripe_is_left_alone(street: Street, stand_in: InProcess) -> None:
    street.secrets["stripe_api_key"] = ""
    stripe_events.handler({"source": "schedule", "time": None}, None)
    assert street.seen_events.swept_until() is None
    assert stand_in.read("requests")["data"] == []
