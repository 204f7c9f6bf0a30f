"""Events and webhooks, verified with the real SDK."""

from __future__ import annotations

import json
import socket
import time

import pytest
import stripe

from infra.local.stripe.account import API_VERSION
from tests.infra.local.stripe.stand_in import Inbox, StandIn, inbox


def _next(box: Inbox, secret: str) -> stripe.Event:
    received = box.received.get(timeout=5)
    event: stripe.Event = stripe.Webhook.construct_event(received.body, received.signature, secret)
    return event


def _settled(stand_in: StandIn) -> list[dict[str, object]]:
    """Returns the log of deliveries once none is left."""
    deadline = time.monotonic() + 10
    while (state := stand_in.read("webhooks"))["undelivered"]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    data: list[dict[str, object]] = state["data"]
    return data


def test_an_event_arrives_signed_and_carries_the_pinned_version(stand_in: StandIn) -> None:
    with inbox() as box:
        endpoint = stand_in.stripe.webhook_endpoints.create({"url": box.url, "enabled_events": ["customer.created"]})
        assert endpoint.secret is not None
        made = stand_in.stripe.customers.create({"name": "Ada"}, {"idempotency_key": "k1"})
        event = _next(box, endpoint.secret)
    assert (event.type, event.api_version) == ("customer.created", API_VERSION)
    assert event.request is not None
    assert event.request.idempotency_key == "k1"
    assert event.data.object["id"] == made.id
    assert stand_in.stripe.events.retrieve(event.id).type == event.type
    assert stand_in.stripe.webhook_endpoints.retrieve(endpoint.id).to_dict().get("secret") is None


def test_a_wrong_secret_does_not_verify(stand_in: StandIn) -> None:
    with inbox() as box:
        stand_in.control("webhook_endpoints", {"url": box.url, "secret": "whsec_ours"})
        stand_in.stripe.customers.create()
        received = box.received.get(timeout=5)
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(received.body, received.signature, "whsec_theirs")


@pytest.mark.parametrize(
    ("card", "expected"),
    [
        (
            "pm_card_visa",
            {"charge.succeeded", "payment_intent.succeeded", "invoice_payment.paid", "invoice.paid"}
            | {"invoice.payment_succeeded"},
        ),
        ("pm_card_chargeCustomerFail", {"charge.failed", "payment_intent.payment_failed", "invoice.payment_failed"}),
        (
            "pm_card_authenticationRequired",
            {"payment_intent.requires_action", "invoice.payment_failed", "invoice.payment_action_required"},
        ),
    ],
)
def test_paying_an_invoice_tells_what_became_of_it(stand_in: StandIn, card: str, expected: set[str]) -> None:
    customer, _ = stand_in.customer(card)
    invoice = stand_in.stripe.invoices.create({"customer": customer, "currency": "usd"})
    stand_in.stripe.invoices.add_lines(invoice.id, {"lines": [{"amount": 900}]})
    stand_in.stripe.invoices.finalize_invoice(invoice.id)
    with inbox() as box:
        stand_in.control("webhook_endpoints", {"url": box.url, "secret": "whsec_x"})
        try:
            stand_in.stripe.invoices.pay(invoice.id)
        except stripe.CardError:
            assert card != "pm_card_visa"
        _settled(stand_in)
        told = [_next(box, "whsec_x") for _ in range(box.received.qsize())]
    assert {event.type for event in told} == expected | {"invoice.updated"}
    assert len({event.id for event in told}) == len(told)


def test_an_endpoint_that_fails_is_tried_again_with_the_same_event(stand_in: StandIn) -> None:
    with inbox(500, 302) as box:
        stand_in.control("webhook_endpoints", {"url": box.url, "secret": "whsec_x"})
        stand_in.stripe.customers.create()
        log = _settled(stand_in)
        ids = {_next(box, "whsec_x").id for _ in range(3)}
    assert [entry["status"] for entry in log] == [500, 302, 200]
    assert len(ids) == 1


def test_an_endpoint_that_is_down_never_holds_up_the_api(stand_in: StandIn) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        stand_in.control("webhook_endpoints", {"url": url, "secret": "whsec_x"})
        began = time.monotonic()
        for _ in range(20):
            stand_in.stripe.customers.create()
        assert time.monotonic() - began < 2


def test_paused_webhooks_wait_and_then_arrive(stand_in: StandIn) -> None:
    with inbox() as box:
        stand_in.control("webhook_endpoints", {"url": box.url, "secret": "whsec_x"})
        assert stand_in.control("webhooks", {"paused": True})["paused"]
        stand_in.stripe.customers.create()
        time.sleep(0.1)
        assert box.received.empty()
        assert stand_in.read("webhooks")["undelivered"] == 1
        stand_in.control("webhooks", {"paused": False})
        assert _next(box, "whsec_x").type == "customer.created"


def test_an_endpoint_gets_only_what_it_asked_for_and_nothing_once_disabled(stand_in: StandIn) -> None:
    endpoints = stand_in.stripe.webhook_endpoints
    with inbox() as box:
        endpoint = endpoints.create({"url": box.url, "enabled_events": ["customer.deleted"]})
        customer = stand_in.stripe.customers.create()
        stand_in.stripe.customers.delete(customer.id)
        assert json.loads(box.received.get(timeout=5).body)["type"] == "customer.deleted"
        endpoints.update(endpoint.id, {"enabled_events": ["*"], "disabled": True})
        stand_in.stripe.customers.create()
        assert not stand_in.read("webhooks")["undelivered"]
        assert endpoints.delete(endpoint.id).deleted
        assert not endpoints.list().data


def test_events_are_listed_by_type_for_thirty_days(stand_in: StandIn) -> None:
    customer = stand_in.stripe.customers.create()
    stand_in.stripe.customers.update(customer.id, {"name": "Ada"})
    events = stand_in.stripe.events
    assert [event.type for event in events.list()] == ["customer.updated", "customer.created"]
    assert len(events.list({"type": "customer.updated"}).data) == 1
    assert len(events.list({"type": "customer.*"}).data) == 2
    assert len(events.list({"types": ["customer.created", "charge.failed"]}).data) == 1
    stand_in.control("clock", {"offset_milliseconds": 31 * 86_400_000})
    assert not events.list().data
