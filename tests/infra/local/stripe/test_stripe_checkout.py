"""Checkout sessions: a card is saved, or something is paid and the card saved with it, or time runs out."""

from __future__ import annotations

from typing import Any

import pytest
import stripe
from stripe import checkout

from tests.infra.local.stripe.in_process import InProcess

DONE = "https://example.com/done"


def _item(amount: int = 2500, currency: str = "usd", quantity: int = 1) -> dict[str, Any]:
    price = {"currency": currency, "unit_amount": amount, "product_data": {"name": "Top-up"}}
    return {"price_data": price, "quantity": quantity}


def _paying(in_process: InProcess, customer: str | None = None, **more: Any) -> checkout.Session:
    params: Any = {
        "mode": "payment",
        "line_items": [_item()],
        "success_url": DONE,
        "cancel_url": "https://example.com/back",
        "metadata": {"attempt": "a1"},
        "payment_intent_data": {"metadata": {"attempt": "a1"}, "setup_future_usage": "off_session"},
        **({"customer": customer} if customer else {}),
        **more,
    }
    return in_process.stripe.checkout.sessions.create(params)


def _saving(in_process: InProcess, customer: str, **more: Any) -> checkout.Session:
    params: Any = {"mode": "setup", "currency": "usd", "customer": customer, "success_url": DONE, **more}
    return in_process.stripe.checkout.sessions.create(params)


def _complete(in_process: InProcess, session: str, card: str = "4242424242424242", **more: Any) -> checkout.Session:
    in_process.control(f"checkout/sessions/{session}/complete", {"card": card, **more})
    return in_process.stripe.checkout.sessions.retrieve(session, {"expand": ["payment_intent", "line_items"]})


def _refused(in_process: InProcess, session: str, card: str, **more: Any) -> None:
    with pytest.raises(AssertionError, match="_error"):
        in_process.control(f"checkout/sessions/{session}/complete", {"card": card, **more})


def test_a_session_that_is_paid_charges_and_saves_the_card(in_process: InProcess) -> None:
    customer = in_process.stripe.customers.create({"email": "ada@example.com"}).id
    session = _paying(in_process, customer)
    assert (session.status, session.payment_status, session.amount_total) == ("open", "unpaid", 2500)
    assert (session.payment_intent, session.url is None) == (None, False)
    done = _complete(in_process, session.id)
    assert (done.status, done.payment_status, done.url) == ("complete", "paid", None)
    assert done.metadata is not None
    assert done.metadata["attempt"] == "a1"
    assert done.customer_details is not None
    assert done.customer_details.email == "ada@example.com"
    intent = done.payment_intent
    assert isinstance(intent, stripe.PaymentIntent)
    assert (intent.status, intent.amount_received, intent.metadata["attempt"]) == ("succeeded", 2500, "a1")
    assert in_process.read("charges")["amount"] == {"usd": 2500}
    saved = in_process.stripe.customers.payment_methods.list(customer).data
    assert [card.id for card in saved] == [intent.payment_method]
    settings = in_process.stripe.customers.retrieve(customer).invoice_settings
    assert settings is not None
    assert settings.default_payment_method is None  # Stripe leaves that to its user
    assert in_process.told()[1:] == [
        "payment_intent.created",
        "payment_method.attached",
        "charge.succeeded",
        "payment_intent.succeeded",
        "checkout.session.completed",
    ]


@pytest.mark.parametrize("mode", ["setup", "payment"])
@pytest.mark.parametrize("card", ["4242424242424242", "4000002500003155"])
def test_a_card_saved_on_a_page_is_charged_off_session(in_process: InProcess, mode: str, card: str) -> None:
    customer = in_process.stripe.customers.create().id
    session = _saving(in_process, customer) if mode == "setup" else _paying(in_process, customer)
    _complete(in_process, session.id, card)
    method = in_process.stripe.customers.payment_methods.list(customer).data[0].id
    later = in_process.stripe.payment_intents.create(
        {
            "amount": 900,
            "currency": "usd",
            "customer": customer,
            "payment_method": method,
            "confirm": True,
            "off_session": True,
        }
    )
    assert later.status == "succeeded"


def test_a_card_that_is_not_to_be_used_later_is_not_saved(in_process: InProcess) -> None:
    customer = in_process.stripe.customers.create().id
    _complete(in_process, _paying(in_process, customer, payment_intent_data={}).id)
    assert not in_process.stripe.customers.payment_methods.list(customer).data


@pytest.mark.parametrize(
    ("card", "authenticates", "events"),
    [
        ("4000000000000002", True, ["charge.failed", "payment_intent.payment_failed"]),
        ("4000000000000341", True, ["charge.failed", "payment_intent.payment_failed"]),
        ("4000002760003184", False, ["payment_intent.requires_action", "payment_intent.payment_failed"]),
    ],
)
def test_a_refused_card_leaves_the_session_open_for_another_and_its_one_intent(
    in_process: InProcess, card: str, authenticates: bool, events: list[str]
) -> None:
    customer = in_process.stripe.customers.create().id
    session = _paying(in_process, customer).id
    _refused(in_process, session, card, authenticates=authenticates)
    assert in_process.told()[1:] == ["payment_intent.created", *events]
    first = in_process.stripe.checkout.sessions.retrieve(session)
    assert (first.status, first.payment_status) == ("open", "unpaid")
    done = _complete(in_process, session)
    assert isinstance(done.payment_intent, stripe.PaymentIntent)
    assert (done.payment_intent.id, done.payment_intent.status) == (first.payment_intent, "succeeded")
    assert in_process.read("charges")["succeeded"] == 1


def test_the_holder_of_a_card_confirms_on_the_page(in_process: InProcess) -> None:
    customer = in_process.stripe.customers.create().id
    assert _complete(in_process, _paying(in_process, customer).id, "4000002760003184").payment_status == "paid"
    events = [f"payment_intent.{each}" for each in ("requires_action", "succeeded", "payment_failed")]
    assert in_process.told(*events) == events[:2]


@pytest.mark.parametrize(("succeeds", "status", "event"), [(True, "paid", "succeeded"), (False, "unpaid", "failed")])
def test_a_payment_that_takes_days_is_told_when_it_ends(
    in_process: InProcess, succeeds: bool, status: str, event: str
) -> None:
    customer = in_process.stripe.customers.create().id
    done = _complete(in_process, _paying(in_process, customer).id, slow=True)
    assert (done.status, done.payment_status) == ("complete", "unpaid")
    assert isinstance(done.payment_intent, stripe.PaymentIntent)
    assert done.payment_intent.status == "processing"
    in_process.control(f"payment_intents/{done.payment_intent.id}/settle", {"succeeds": succeeds})
    assert in_process.stripe.checkout.sessions.retrieve(done.id).payment_status == status
    assert in_process.told("charge.pending", "payment_intent.processing") == [
        "charge.pending",
        "payment_intent.processing",
    ]
    assert in_process.told()[-1] == f"checkout.session.async_payment_{event}"


def test_a_session_runs_out_with_the_clock(in_process: InProcess) -> None:
    customer = in_process.stripe.customers.create().id
    brief = _paying(in_process, customer, expires_at=int(in_process.clock.seconds) + 1800)
    day = _saving(in_process, customer)
    in_process.clock.forward(1799)
    assert in_process.stripe.checkout.sessions.retrieve(brief.id).status == "open"
    in_process.clock.forward(1)
    assert in_process.stripe.checkout.sessions.retrieve(brief.id).status == "expired"
    in_process.clock.forward(86_400 - 1801)
    assert in_process.stripe.checkout.sessions.retrieve(day.id).status == "open"
    in_process.clock.forward(1)
    assert in_process.stripe.checkout.sessions.retrieve(day.id, {"expand": ["setup_intent"]}).status == "expired"
    assert in_process.told("checkout.session.expired", "setup_intent.canceled") == [
        "checkout.session.expired",
        "setup_intent.canceled",
        "checkout.session.expired",
    ]
    _refused(in_process, brief.id, "4242424242424242")
    assert in_process.read("charges")["succeeded"] == 0


def test_an_expired_session_cancels_its_intent_and_a_complete_one_cannot_expire(in_process: InProcess) -> None:
    customer = in_process.stripe.customers.create().id
    sessions = in_process.stripe.checkout.sessions
    tried, paid = _paying(in_process, customer).id, _paying(in_process, customer).id
    _refused(in_process, tried, "4000000000000002")
    _complete(in_process, paid)
    assert (sessions.expire(tried).status, sessions.retrieve(tried).url) == ("expired", None)
    intent = in_process.stripe.payment_intents.retrieve(str(sessions.retrieve(tried).payment_intent))
    assert intent.status == "canceled"
    for each in (tried, paid):
        with pytest.raises(stripe.InvalidRequestError):
            sessions.expire(each)
    in_process.clock.forward(90_000)
    assert sessions.retrieve(paid).status == "complete"


def test_a_session_is_made_once_under_its_key(in_process: InProcess) -> None:
    customer = in_process.stripe.customers.create().id
    made = {
        in_process.stripe.checkout.sessions.create(
            {"mode": "setup", "currency": "usd", "customer": customer, "success_url": DONE}, {"idempotency_key": "k"}
        ).id
        for _ in range(3)
    }
    assert len(made) == 1


def test_the_lines_of_a_session_are_listed_and_summed(in_process: InProcess) -> None:
    session = _paying(in_process, line_items=[_item(1000, quantity=2), _item(50)])
    assert session.amount_total == 2050
    lines = in_process.stripe.checkout.sessions.line_items.list(session.id)
    assert [(line.amount_total, line.quantity, line.description) for line in lines] == [
        (2000, 2, "Top-up"),
        (50, 1, "Top-up"),
    ]
    done = _complete(in_process, session.id)
    assert done.line_items is not None
    assert len(done.line_items.data) == 2
    assert done.customer is None


def test_sessions_are_listed_by_customer_intent_and_status(in_process: InProcess) -> None:
    customer = in_process.stripe.customers.create().id
    sessions = in_process.stripe.checkout.sessions
    first, second = _paying(in_process, customer).id, _saving(in_process, customer).id
    _paying(in_process)
    done = _complete(in_process, first)
    assert isinstance(done.payment_intent, stripe.PaymentIntent)
    assert [row.id for row in sessions.list({"customer": customer})] == [second, first]
    assert [row.id for row in sessions.list({"customer": customer, "status": "open"})] == [second]
    assert [row.id for row in sessions.list({"payment_intent": done.payment_intent.id})] == [first]


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"line_items": []}, "parameter_missing"),
        ({"line_items": [_item(49)]}, "amount_too_small"),
        ({"line_items": [_item(), _item(currency="eur")]}, None),
        ({"line_items": [{"price": "price_x", "quantity": 1}]}, "stand_in_unsupported"),
        ({"line_items": [{"price_data": {"currency": "usd", "unit_amount": 5}, "quantity": 1}]}, "parameter_missing"),
        ({"setup_intent_data": {"metadata": {"a": "b"}}}, None),
        ({"mode": "setup", "currency": "usd"}, None),
        ({"mode": "subscription"}, "stand_in_unsupported"),
        ({"success_url": "done"}, "url_invalid"),
        ({"customer": "cus_none"}, "resource_missing"),
        ({"expires_at": 1_800_001_799}, None),
        ({"expires_at": 1_800_086_401}, None),
        ({"payment_intent_data": {"capture_method": "manual"}}, "stand_in_unsupported"),
        ({"payment_intent_data": {"setup_future": "x"}}, "parameter_unknown"),
    ],
)
def test_a_session_that_cannot_be_is_refused(in_process: InProcess, params: dict[str, Any], code: str | None) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        _paying(in_process, **params)
    assert code is None or caught.value.code == code
    assert not in_process.stripe.checkout.sessions.list().data
