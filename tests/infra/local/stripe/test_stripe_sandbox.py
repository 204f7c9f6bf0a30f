"""The same questions to the stand-in and to a real Stripe sandbox: both must give the same answers.

`pytest` asks the stand-in. With a key in STRIPE_SANDBOX_KEY, `pytest -m sandbox` asks the real one.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import stripe
from stripe import RequestOptions

from tests.infra.local.stripe.in_process import InProcess
from tests.infra.local.stripe.sandbox import eventually, sandbox
from tests.infra.local.stripe.stand_in import Driven

# Cards alone: no return_url is asked for, whatever the sandbox's settings let customers pay with.
CARDS_ONLY: Any = {"enabled": True, "allow_redirects": "never"}


@pytest.fixture(params=["stand-in", pytest.param("sandbox", marks=pytest.mark.sandbox)])
def account(request: pytest.FixtureRequest) -> Iterator[Driven]:
    if request.param == "stand-in":
        yield InProcess()
        return
    with sandbox() as real:
        yield real


def _key() -> RequestOptions:
    return {"idempotency_key": f"taximeter-{uuid.uuid4()}"}


def _intent(account: Driven, customer: str, method: str, amount: int = 2500) -> stripe.PaymentIntent:
    return account.stripe.payment_intents.create(
        {
            "amount": amount,
            "currency": "usd",
            "customer": customer,
            "payment_method": method,
            "metadata": {"attempt": "a1"},
            "automatic_payment_methods": CARDS_ONLY,
        }
    )


def _charged(account: Driven, card: str = "pm_card_visa") -> stripe.PaymentIntent:
    intent = _intent(account, *account.customer(card))
    return account.stripe.payment_intents.confirm(intent.id, {"off_session": True})


def _draft(account: Driven, customer: str, *amounts: int, **more: Any) -> str:
    params: Any = {
        "customer": customer,
        "currency": "usd",
        "auto_advance": False,
        "pending_invoice_items_behavior": "exclude",
        **more,
    }
    invoice = account.stripe.invoices.create(params).id
    for amount in amounts:
        account.stripe.invoice_items.create(
            {"customer": customer, "invoice": invoice, "amount": amount, "currency": "usd", "description": "Line"}
        )
    return invoice


def _open(account: Driven, customer: str, *amounts: int, **more: Any) -> stripe.Invoice:
    draft = _draft(account, customer, *amounts, **more)
    return account.stripe.invoices.finalize_invoice(draft, {"auto_advance": False})


def test_a_customer_is_changed_deleted_and_then_only_remembered(account: Driven) -> None:
    customers = account.stripe.customers
    made = customers.create({"name": "Ada", "metadata": {"a": "1", "b": "2"}})
    changed = customers.update(made.id, {"name": "Bob", "metadata": {"a": "", "c": "3"}})
    assert changed.metadata is not None
    assert (changed.name, changed.metadata.to_dict()) == ("Bob", {"b": "2", "c": "3"})
    assert customers.delete(made.id).deleted
    assert customers.retrieve(made.id).deleted
    with pytest.raises(stripe.InvalidRequestError) as caught:
        customers.update(made.id, {"name": "Eve"})
    assert (caught.value.code, caught.value.http_status) == ("resource_missing", 404)


def test_an_intent_is_made_unconfirmed_charged_off_session_and_found_again(account: Driven) -> None:
    customer, method = account.customer()
    intent = _intent(account, customer, method)
    assert (intent.status, intent.latest_charge, intent.amount_received) == ("requires_confirmation", None, 0)
    paid = account.stripe.payment_intents.confirm(intent.id, {"off_session": True})
    assert (paid.status, paid.amount_received, paid.metadata["attempt"]) == ("succeeded", 2500, "a1")
    charge = account.stripe.charges.retrieve(str(paid.latest_charge))
    assert (charge.amount, charge.paid, charge.status, charge.payment_intent) == (2500, True, "succeeded", intent.id)
    assert [row.id for row in account.stripe.payment_intents.list({"customer": customer})] == [intent.id]
    for again in (account.stripe.payment_intents.confirm, account.stripe.payment_intents.cancel):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            again(intent.id)
        assert caught.value.code == "payment_intent_unexpected_state"


@pytest.mark.parametrize(
    ("card", "code", "decline_code"),
    [
        ("pm_card_chargeCustomerFail", "card_declined", "generic_decline"),
        ("pm_card_authenticationRequired", "authentication_required", "authentication_required"),
    ],
)
def test_a_decline_names_its_reason_and_its_intent_which_can_be_cancelled(
    account: Driven, card: str, code: str, decline_code: str
) -> None:
    intent = _intent(account, *account.customer(card))
    with pytest.raises(stripe.CardError) as caught:
        account.stripe.payment_intents.confirm(intent.id, {"off_session": True})
    error = caught.value.error
    assert error is not None
    assert error.payment_intent is not None
    assert (caught.value.http_status, error.code, error.decline_code) == (402, code, decline_code)
    assert error.payment_intent.id == intent.id
    after = account.stripe.payment_intents.retrieve(intent.id)
    assert (after.status, after.payment_method) == ("requires_payment_method", None)
    assert after.last_payment_error is not None
    assert after.last_payment_error.code == code
    assert account.stripe.payment_intents.cancel(intent.id).status == "canceled"


def test_a_holder_who_is_there_is_asked(account: Driven) -> None:
    intent = _intent(account, *account.customer("pm_card_authenticationRequired"))
    asked = account.stripe.payment_intents.confirm(intent.id)
    assert (asked.status, asked.next_action is None) == ("requires_action", False)
    assert account.stripe.payment_intents.cancel(intent.id).status == "canceled"


def test_a_card_that_its_bank_refuses_cannot_be_saved(account: Driven) -> None:
    customer = account.stripe.customers.create()
    with pytest.raises(stripe.CardError) as caught:
        account.stripe.payment_methods.attach("pm_card_chargeDeclined", {"customer": customer.id})
    assert (caught.value.http_status, caught.value.code) == (402, "card_declined")


def test_a_key_replays_its_answer_and_takes_no_other_question(account: Driven) -> None:
    key = _key()
    first = account.stripe.customers.create({"name": "Ada"}, key)
    again = account.stripe.customers.create({"name": "Ada"}, key)
    assert first.id == again.id
    assert again.last_response is not None
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    with pytest.raises(stripe.IdempotencyError) as caught:
        account.stripe.customers.create({"name": "Bob"}, key)
    assert caught.value.http_status == 400


def test_a_decline_is_replayed_and_charges_nothing_again(account: Driven) -> None:
    intent, key = _intent(account, *account.customer("pm_card_chargeCustomerFail")), _key()
    for _ in range(2):
        with pytest.raises(stripe.CardError):
            account.stripe.payment_intents.confirm(intent.id, {"off_session": True}, key)
    assert len(account.stripe.charges.list({"payment_intent": intent.id}).data) == 1


def test_a_refused_parameter_leaves_its_key_free(account: Driven) -> None:
    key = _key()
    with pytest.raises(stripe.InvalidRequestError) as caught:
        account.stripe.customers.create({"nmae": "Ada"}, key)  # type: ignore[arg-type]  # wrong on purpose
    assert (caught.value.code, caught.value.param) == ("parameter_unknown", "nmae")
    assert account.stripe.customers.create({"name": "Ada"}, key).name == "Ada"


def test_what_is_too_small_cannot_be_charged(account: Driven) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        _intent(account, *account.customer(), amount=1)
    assert caught.value.code == "amount_too_small"


def test_a_charge_is_refunded_in_parts_and_never_beyond(account: Driven) -> None:
    paid = _charged(account)
    refunds = account.stripe.refunds
    part = refunds.create({"payment_intent": paid.id, "amount": 1000})
    assert (part.amount, part.status, part.charge) == (1000, "succeeded", paid.latest_charge)
    with pytest.raises(stripe.InvalidRequestError):
        refunds.create({"payment_intent": paid.id, "amount": 1501})
    refunds.create({"payment_intent": paid.id})
    with pytest.raises(stripe.InvalidRequestError) as caught:
        refunds.create({"payment_intent": paid.id})
    assert caught.value.code == "charge_already_refunded"
    charge = account.stripe.charges.retrieve(str(paid.latest_charge))
    assert (charge.refunded, charge.amount_refunded) == (True, 2500)
    assert [row.amount for row in refunds.list({"payment_intent": paid.id})] == [1500, 1000]


def test_an_invoice_is_filled_finalised_paid_and_tied_to_its_payment(account: Driven) -> None:
    customer, _ = account.customer()
    draft = _draft(account, customer, 1000, -300)
    shown = account.stripe.invoices.retrieve(draft)
    assert (shown.status, shown.total, shown.number) == ("draft", 700, None)
    opened = account.stripe.invoices.finalize_invoice(draft, {"auto_advance": False})
    assert (opened.status, opened.amount_due, opened.hosted_invoice_url is None) == ("open", 700, False)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        account.stripe.invoice_items.create({"customer": customer, "invoice": draft, "amount": 1})
    assert caught.value.http_status == 400
    paid = account.stripe.invoices.pay(draft, {"off_session": True})
    assert (paid.status, paid.amount_paid, paid.amount_remaining) == ("paid", 700, 0)
    payment = account.stripe.invoice_payments.list({"invoice": draft}).data[0]
    assert (payment.status, payment.amount_paid) == ("paid", 700)
    asked: Any = {"type": "payment_intent", "payment_intent": payment.payment.payment_intent}
    assert [row.invoice for row in account.stripe.invoice_payments.list({"payment": asked})] == [draft]


def test_a_declined_card_leaves_the_invoice_open(account: Driven) -> None:
    customer, _ = account.customer("pm_card_chargeCustomerFail")
    invoice = _open(account, customer, 900)
    with pytest.raises(stripe.CardError) as caught:
        account.stripe.invoices.pay(invoice.id)
    assert caught.value.code == "card_declined"
    after = account.stripe.invoices.retrieve(invoice.id)
    assert (after.status, after.attempted, after.amount_remaining) == ("open", True, 900)


@pytest.mark.parametrize(
    ("act", "status"),
    [
        (lambda invoices, each: invoices.void_invoice(each), "void"),
        (lambda invoices, each: invoices.mark_uncollectible(each), "uncollectible"),
        (lambda invoices, each: invoices.pay(each, {"paid_out_of_band": True}), "paid"),
    ],
)
def test_an_invoice_ends_without_a_charge(account: Driven, act: Any, status: str) -> None:
    customer, _ = account.customer()
    invoice = _open(account, customer, 900)
    assert act(account.stripe.invoices, invoice.id).status == status
    assert not account.stripe.charges.list({"customer": customer}).data


def test_what_is_too_small_to_be_charged_moves_to_the_customers_balance(account: Driven) -> None:
    customer, _ = account.customer()
    first = _open(account, customer, 20)
    assert (first.amount_due, first.status) == (0, "paid")
    assert account.stripe.customers.retrieve(customer).balance == 20
    second = _open(account, customer, 1000)
    assert (second.starting_balance, second.amount_due) == (20, 1020)


def test_an_invoice_is_sent_and_its_terms_are_asked_for(account: Driven) -> None:
    customer = account.stripe.customers.create({"name": "Ada", "email": "ada@example.com"}).id
    with pytest.raises(stripe.InvalidRequestError):
        _draft(account, customer, collection_method="send_invoice")
    draft = _draft(account, customer, 900, collection_method="send_invoice", days_until_due=30)
    sent = account.stripe.invoices.send_invoice(draft)
    assert (sent.status, sent.due_date is None) == ("open", False)


def test_a_draft_is_deleted_and_gone(account: Driven) -> None:
    customer, _ = account.customer()
    draft = _draft(account, customer, 900)
    assert account.stripe.invoices.delete(draft).deleted
    with pytest.raises(stripe.InvalidRequestError) as caught:
        account.stripe.invoices.retrieve(draft)
    assert caught.value.code == "resource_missing"


def test_a_page_to_pay_and_a_page_to_save_a_card_are_made_and_expire(account: Driven) -> None:
    customer = account.stripe.customers.create().id
    sessions = account.stripe.checkout.sessions
    price: Any = {"currency": "usd", "unit_amount": 2500, "product_data": {"name": "Top-up"}}
    params: Any = {
        "mode": "payment",
        "customer": customer,
        "line_items": [{"price_data": price, "quantity": 1}],
        "payment_intent_data": {"metadata": {"attempt": "a1"}, "setup_future_usage": "off_session"},
        "metadata": {"attempt": "a1"},
        "success_url": "https://example.com/done",
    }
    key = _key()
    paying = sessions.create(params, key)
    assert sessions.create(params, key).id == paying.id
    assert (paying.status, paying.payment_status, paying.amount_total) == ("open", "unpaid", 2500)
    assert (paying.payment_intent, paying.url is None) == (None, False)
    saving = sessions.create(
        {"mode": "setup", "currency": "usd", "customer": customer, "success_url": "https://example.com/done"}
    )
    assert (saving.status, saving.payment_status) == ("open", "no_payment_required")
    assert {row.id for row in sessions.list({"customer": customer})} == {paying.id, saving.id}
    assert sessions.expire(paying.id).status == "expired"
    assert sessions.retrieve(paying.id).url is None
    with pytest.raises(stripe.InvalidRequestError):
        sessions.expire(paying.id)


def test_events_tell_what_happened_to_a_payment(account: Driven) -> None:
    paid = _charged(account)
    account.stripe.refunds.create({"payment_intent": paid.id, "amount": 1000})
    types = ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded"]
    types += ["refund.created", "charge.refunded"]

    def told() -> set[str]:
        asked: Any = {"types": types, "created": {"gte": paid.created}, "limit": 100}
        listed = [event.to_dict() for event in account.stripe.events.list(asked)]
        things = [(str(event["type"]), event["data"]["object"]) for event in listed]
        ours = {paid.id, paid.latest_charge}
        return {kind for kind, thing in things if ours & {thing["id"], thing.get("payment_intent")}}

    assert eventually(lambda: told() == set(types), account), told()


def _shapes(account: Driven) -> dict[str, set[str]]:
    """Returns which keys the account's objects have."""
    customer, method = account.customer()
    intent = _intent(account, customer, method)
    paid = account.stripe.payment_intents.confirm(intent.id, {"off_session": True})
    invoice = _open(account, customer, 900)
    things: dict[str, Any] = {
        "customer": account.stripe.customers.retrieve(customer),
        "payment_method": account.stripe.payment_methods.retrieve(method),
        "payment_intent": paid,
        "charge": account.stripe.charges.retrieve(str(paid.latest_charge)),
        "refund": account.stripe.refunds.create({"payment_intent": paid.id, "amount": 100}),
        "invoice": invoice,
        "line": invoice.lines.data[0],
        "item": account.stripe.invoice_items.list({"invoice": invoice.id}).data[0],
        "payment": account.stripe.invoice_payments.list({"invoice": invoice.id}).data[0],
    }
    return {name: set(thing.to_dict()) for name, thing in things.items()}


@pytest.mark.sandbox
def test_the_stand_in_answers_nothing_that_stripe_does_not() -> None:
    with sandbox() as real:
        theirs = _shapes(real)
    extra = {name: keys - theirs[name] for name, keys in _shapes(InProcess()).items()}
    assert not any(extra.values()), extra
