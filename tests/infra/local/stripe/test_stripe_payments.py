"""Cards, PaymentIntents, charges and refunds, driven by the real SDK."""

from __future__ import annotations

import pytest
import stripe

from infra.local.stripe.account import API_VERSION
from infra.local.stripe.cards import CARDS, NAMES
from tests.infra.local.stripe.stand_in import StandIn, client


def _intent(stand_in: StandIn, customer: str, method: str, amount: int = 2500) -> stripe.PaymentIntent:
    return stand_in.stripe.payment_intents.create(
        {"amount": amount, "currency": "usd", "customer": customer, "payment_method": method}
    )


def test_the_stand_in_speaks_the_version_that_the_sdk_is_pinned_to() -> None:
    assert stripe.api_version == API_VERSION


def test_a_top_up_is_made_unconfirmed_and_then_charged_off_session(stand_in: StandIn) -> None:
    customer, method = stand_in.customer()
    intent = stand_in.stripe.payment_intents.create(
        {
            "amount": 2500,
            "currency": "usd",
            "customer": customer,
            "payment_method": method,
            "metadata": {"attempt": "a1"},
        }
    )
    assert (intent.status, intent.latest_charge, intent.amount_received) == ("requires_confirmation", None, 0)
    paid = stand_in.stripe.payment_intents.confirm(intent.id, {"off_session": True})
    assert (paid.status, paid.amount_received, paid.metadata["attempt"]) == ("succeeded", 2500, "a1")
    assert isinstance(paid.latest_charge, str)
    charge = stand_in.stripe.charges.retrieve(paid.latest_charge)
    assert (charge.amount, charge.paid, charge.payment_intent) == (2500, True, intent.id)
    assert stand_in.read("charges")["amount"] == {"usd": 2500}


def test_the_outcome_of_an_intent_can_be_asked_for_by_id_and_by_customer(stand_in: StandIn) -> None:
    customer, method = stand_in.customer()
    other, _ = stand_in.customer()
    intents = [_intent(stand_in, customer, method) for _ in range(3)]
    stripe_ = stand_in.stripe
    assert stripe_.payment_intents.retrieve(intents[0].id).status == "requires_confirmation"
    found = stripe_.payment_intents.list({"customer": customer, "created": {"gte": intents[0].created}})
    assert [intent.id for intent in found] == [intent.id for intent in reversed(intents)]
    assert not stripe_.payment_intents.list({"customer": customer, "created": {"gt": intents[0].created + 60}}).data
    assert not stripe_.payment_intents.list({"customer": other}).data


@pytest.mark.parametrize(
    ("card", "code", "decline_code"),
    [
        ("4000000000000341", "card_declined", "generic_decline"),
        ("4000002760003184", "authentication_required", "authentication_required"),
        ("4000002500003155", "authentication_required", "authentication_required"),
    ],
)
def test_a_saved_card_that_cannot_be_charged_off_session_answers_402(
    stand_in: StandIn, card: str, code: str, decline_code: str
) -> None:
    made = stand_in.stripe.payment_methods.create(
        {"type": "card", "card": {"number": card, "exp_month": 12, "exp_year": 2034, "cvc": "123"}}
    )
    customer, method = stand_in.customer(made.id)
    intent = _intent(stand_in, customer, method)
    with pytest.raises(stripe.CardError) as caught:
        stand_in.stripe.payment_intents.confirm(intent.id, {"off_session": True})
    error = caught.value.error
    assert error is not None
    assert (caught.value.http_status, caught.value.code, error.decline_code) == (402, code, decline_code)
    assert error.payment_intent is not None
    assert error.payment_intent.id == intent.id
    after = stand_in.stripe.payment_intents.retrieve(intent.id)
    assert (after.status, after.payment_method, after.amount_received) == ("requires_payment_method", None, 0)
    assert after.last_payment_error is not None
    assert stand_in.read("charges")["failed"] == 1
    canceled = stand_in.stripe.payment_intents.cancel(intent.id)
    assert canceled.status == "canceled"


@pytest.mark.parametrize("name", [f"pm_card_{name}" for name, number in NAMES.items() if not CARDS[number].attaches])
def test_a_card_that_its_bank_refuses_is_declined_when_it_is_saved_and_when_it_is_charged(
    stand_in: StandIn, name: str
) -> None:
    customer = stand_in.stripe.customers.create()
    with pytest.raises(stripe.CardError):
        stand_in.stripe.payment_methods.attach(name, {"customer": customer.id})
    with pytest.raises(stripe.CardError):
        stand_in.stripe.payment_intents.create(
            {"amount": 500, "currency": "usd", "payment_method": name, "confirm": True}
        )
    assert stand_in.read("charges")["succeeded"] == 0


@pytest.mark.parametrize(("succeeds", "status"), [(True, "succeeded"), (False, "requires_payment_method")])
def test_a_customer_who_is_there_is_asked_to_confirm(stand_in: StandIn, succeeds: bool, status: str) -> None:
    customer, method = stand_in.customer("pm_card_authenticationRequired")
    intent = _intent(stand_in, customer, method)
    asked = stand_in.stripe.payment_intents.confirm(intent.id)
    assert (asked.status, asked.next_action is None) == ("requires_action", False)
    stand_in.control(f"payment_intents/{intent.id}/authenticate", {"succeeds": succeeds})
    assert stand_in.stripe.payment_intents.retrieve(intent.id).status == status


def test_an_intent_is_charged_at_most_once(stand_in: StandIn) -> None:
    intent = _intent(stand_in, *stand_in.customer())
    stand_in.stripe.payment_intents.confirm(intent.id, {"off_session": True})
    for again in (stand_in.stripe.payment_intents.confirm, stand_in.stripe.payment_intents.cancel):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            again(intent.id)
        assert caught.value.code == "payment_intent_unexpected_state"
    assert stand_in.read("charges")["succeeded"] == 1


@pytest.mark.parametrize(
    ("params", "param", "code"),
    [
        ({"amount": 100}, "currency", "parameter_missing"),
        ({"amount": "1.5", "currency": "usd"}, "amount", "parameter_invalid_integer"),
        ({"amount": "100.0", "currency": "usd"}, "amount", "parameter_invalid_integer"),
        ({"amount": 49, "currency": "usd"}, "amount", "amount_too_small"),
        ({"amount": 100_000_000, "currency": "usd"}, "amount", "amount_too_large"),
        ({"amount": 100, "currency": "usd", "confrim": True}, "confrim", "parameter_unknown"),
        ({"amount": 100, "currency": "usd", "automatic_payment_methods": {"enable": True}}, None, None),
        ({"amount": 100, "currency": "usd", "customer": "cus_none"}, "customer", "resource_missing"),
        ({"amount": 100, "currency": "usd", "off_session": True}, "off_session", None),
        ({"amount": 100, "currency": "usd", "transfer_group": "x"}, None, "stand_in_unsupported"),
    ],
)
def test_a_wrong_parameter_is_refused_by_name(
    stand_in: StandIn, params: dict[str, object], param: str | None, code: str | None
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        stand_in.stripe.payment_intents.create(params)  # type: ignore[arg-type]  # wrong on purpose
    assert code is None or caught.value.code == code
    assert param is None or caught.value.param == param
    assert not stand_in.stripe.payment_intents.list().data


def test_a_card_of_somebody_else_cannot_be_charged(stand_in: StandIn) -> None:
    _, method = stand_in.customer()
    other, _ = stand_in.customer()
    with pytest.raises(stripe.InvalidRequestError):
        _intent(stand_in, other, method)


def test_a_refund_gives_back_no_more_than_was_charged(stand_in: StandIn) -> None:
    intent = _intent(stand_in, *stand_in.customer())
    stand_in.stripe.payment_intents.confirm(intent.id, {"off_session": True})
    part = stand_in.stripe.refunds.create({"payment_intent": intent.id, "amount": 1000, "reason": "duplicate"})
    assert (part.amount, part.status) == (1000, "succeeded")
    with pytest.raises(stripe.InvalidRequestError):
        stand_in.stripe.refunds.create({"payment_intent": intent.id, "amount": 1501})
    stand_in.stripe.refunds.create({"charge": str(part.charge)})
    with pytest.raises(stripe.InvalidRequestError) as caught:
        stand_in.stripe.refunds.create({"payment_intent": intent.id})
    assert caught.value.code == "charge_already_refunded"
    charge = stand_in.stripe.charges.retrieve(str(part.charge))
    assert (charge.refunded, charge.amount_refunded) == (True, 2500)
    assert [row.amount for row in stand_in.stripe.refunds.list({"payment_intent": intent.id})] == [1500, 1000]
    booked = stand_in.stripe.balance_transactions.list()
    assert [row.net for row in booked] == [-1500, -1000, 2500 - 103]


def test_a_customer_is_made_changed_read_and_deleted(stand_in: StandIn) -> None:
    customers = stand_in.stripe.customers
    made = customers.create({"name": "Ada", "email": "ada@example.com", "metadata": {"a": "1", "b": "2"}})
    changed = customers.update(made.id, {"name": "Bob", "metadata": {"a": "", "c": "3"}})
    assert changed.metadata is not None
    assert (changed.name, changed.metadata.to_dict()) == ("Bob", {"b": "2", "c": "3"})
    assert [row.id for row in customers.list({"email": "ada@example.com"})] == [made.id]
    assert customers.delete(made.id).deleted
    assert customers.retrieve(made.id).deleted
    assert not customers.list().data
    with pytest.raises(stripe.InvalidRequestError) as caught:
        customers.update(made.id, {"name": "Eve"})
    assert (caught.value.code, caught.value.http_status) == ("resource_missing", 404)


def test_a_card_is_saved_to_one_customer_listed_and_taken_away(stand_in: StandIn) -> None:
    customer, method = stand_in.customer()
    other, _ = stand_in.customer()
    methods = stand_in.stripe.payment_methods
    with pytest.raises(stripe.InvalidRequestError):
        methods.attach(method, {"customer": other})
    assert [row.id for row in methods.list({"customer": customer, "type": "card"})] == [method]
    assert [row.id for row in stand_in.stripe.customers.payment_methods.list(customer)] == [method]
    assert methods.detach(method).customer is None
    settings = stand_in.stripe.customers.retrieve(customer).invoice_settings
    assert settings is not None
    assert settings.default_payment_method is None


def test_pages_follow_each_other_without_gap_or_overlap(stand_in: StandIn) -> None:
    made = [stand_in.stripe.customers.create().id for _ in range(7)]
    page = stand_in.stripe.customers.list({"limit": 3})
    assert page.has_more
    assert [row.id for row in page.auto_paging_iter()] == made[::-1]
    back = stand_in.stripe.customers.list({"limit": 2, "ending_before": made[0]})
    assert [row.id for row in back] == [made[2], made[1]]


def test_ids_are_expanded_on_demand(stand_in: StandIn) -> None:
    intent = _intent(stand_in, *stand_in.customer())
    paid = stand_in.stripe.payment_intents.confirm(
        intent.id, {"off_session": True, "expand": ["latest_charge.balance_transaction", "customer"]}
    )
    assert isinstance(paid.latest_charge, stripe.Charge)
    assert isinstance(paid.latest_charge.balance_transaction, stripe.BalanceTransaction)
    assert isinstance(paid.customer, stripe.Customer)
    listed = stand_in.stripe.payment_intents.list({"expand": ["data.latest_charge"]})
    assert isinstance(listed.data[0].latest_charge, stripe.Charge)


@pytest.mark.parametrize(
    ("key", "fits"), [("sk_test_a-b", True), ("rk_test_x", True), ("sk_live_x", False), ("x", False)]
)
def test_only_test_keys_are_let_in(stand_in: StandIn, key: str, fits: bool) -> None:
    customers = client(stand_in.server.url, key).v1.customers
    if fits:
        assert customers.create().id.startswith("cus_")
        return
    with pytest.raises(stripe.AuthenticationError):
        customers.create()


def test_another_version_of_the_api_is_refused(stand_in: StandIn) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="speaks only"):
        stand_in.stripe.customers.list(options={"stripe_version": "2020-08-27"})


def test_a_path_that_is_not_there_says_so(stand_in: StandIn) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="Unrecognized"):
        stand_in.stripe.subscriptions.list()


def test_a_checkout_session_saves_a_card_that_can_be_charged_off_session(stand_in: StandIn) -> None:
    customer = stand_in.stripe.customers.create()
    session = stand_in.stripe.checkout.sessions.create(
        {
            "mode": "setup",
            "currency": "usd",
            "customer": customer.id,
            "success_url": "https://example.com/done",
            "metadata": {"customer": "c1"},
        }
    )
    assert session.url is not None
    stand_in.control(f"checkout/sessions/{session.id}/complete", {"card": "4000002500003155"})
    done = stand_in.stripe.checkout.sessions.retrieve(session.id, {"expand": ["setup_intent"]})
    assert done.status == "complete"
    assert isinstance(done.setup_intent, stripe.SetupIntent)
    method = str(done.setup_intent.payment_method)
    intent = _intent(stand_in, customer.id, method)
    assert stand_in.stripe.payment_intents.confirm(intent.id, {"off_session": True}).status == "succeeded"
