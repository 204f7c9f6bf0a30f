"""3-D Secure, slow payments, and what is told of each change of a payment."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.infra.local.stripe.in_process import InProcess

ALWAYS = "pm_card_authenticationRequired"
UNTIL_SET_UP = "pm_card_authenticationRequiredOnSetup"
SET_UP = "pm_card_authenticationRequiredSetupForOffSession"


def _intent(in_process: InProcess, card: str, **more: Any) -> str:
    customer, method = in_process.customer(card)
    params: Any = {"amount": 2500, "currency": "usd", "customer": customer, "payment_method": method, **more}
    return in_process.stripe.payment_intents.create(params).id


def _confirmed(in_process: InProcess, intent: str, *, off_session: bool) -> str:
    """Confirms an intent and returns its status, or the code of the error."""
    try:
        params: Any = {"off_session": True} if off_session else {}
        return in_process.stripe.payment_intents.confirm(intent, params).status
    except stripe.CardError as error:
        return str(error.code)


@pytest.mark.parametrize(
    ("card", "set_up", "off_session", "outcome"),
    [
        (ALWAYS, False, True, "authentication_required"),
        (ALWAYS, True, True, "authentication_required"),
        (ALWAYS, False, False, "requires_action"),
        (UNTIL_SET_UP, False, True, "authentication_required"),
        (UNTIL_SET_UP, True, True, "succeeded"),
        (UNTIL_SET_UP, True, False, "requires_action"),
        (SET_UP, False, True, "succeeded"),
        (SET_UP, False, False, "requires_action"),
        ("pm_card_visa", False, True, "succeeded"),
        ("pm_card_visa", False, False, "succeeded"),
    ],
)
def test_a_bank_asks_the_holder_when_stripes_test_card_says_so(
    in_process: InProcess, card: str, set_up: bool, off_session: bool, outcome: str
) -> None:
    intent = _intent(in_process, card)
    if set_up:
        method = in_process.stripe.payment_intents.retrieve(intent).payment_method
        in_process.application.account.set_up.add(str(method))
    assert _confirmed(in_process, intent, off_session=off_session) == outcome


def test_the_intent_that_needs_its_holder_is_in_the_error_and_can_be_cancelled(in_process: InProcess) -> None:
    intent = _intent(in_process, ALWAYS)
    with pytest.raises(stripe.CardError) as caught:
        in_process.stripe.payment_intents.confirm(intent, {"off_session": True})
    error = caught.value.error
    assert caught.value.http_status == 402
    assert error is not None
    assert error.payment_intent is not None
    assert (error.code, error.decline_code) == ("authentication_required", "authentication_required")
    assert (error.payment_intent.id, error.payment_intent.status) == (intent, "requires_payment_method")
    assert error.payment_intent.last_payment_error is not None
    assert error.payment_intent.last_payment_error.payment_method is not None
    assert error.charge == error.payment_intent.latest_charge
    assert in_process.stripe.payment_intents.cancel(intent).status == "canceled"


def test_an_intent_may_rather_fail_than_wait_for_its_holder(in_process: InProcess) -> None:
    intent = _intent(in_process, ALWAYS)
    with pytest.raises(stripe.CardError) as caught:
        in_process.stripe.payment_intents.confirm(intent, {"error_on_requires_action": True})
    assert caught.value.code == "authentication_required"


def test_an_invoice_waits_for_the_holder_even_off_session(in_process: InProcess) -> None:
    customer, _ = in_process.customer(ALWAYS)
    invoice = in_process.stripe.invoices.create({"customer": customer, "currency": "usd"}).id
    in_process.stripe.invoices.add_lines(invoice, {"lines": [{"amount": 900}]})
    in_process.stripe.invoices.finalize_invoice(invoice)
    with pytest.raises(stripe.CardError) as caught:
        in_process.stripe.invoices.pay(invoice, {"off_session": True})
    assert caught.value.code == "invoice_payment_intent_requires_action"
    assert in_process.stripe.invoices.retrieve(invoice).status == "open"


@pytest.mark.parametrize(
    ("card", "succeeds", "status", "events"),
    [
        (ALWAYS, True, "succeeded", ["charge.succeeded", "payment_intent.succeeded"]),
        (ALWAYS, False, "requires_payment_method", ["payment_intent.payment_failed"]),
        (
            "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds",
            True,
            "requires_payment_method",
            ["charge.failed", "payment_intent.payment_failed"],
        ),
    ],
)
def test_the_holder_confirms_or_does_not_and_then_the_bank_decides(
    in_process: InProcess, card: str, succeeds: bool, status: str, events: list[str]
) -> None:
    intent = _intent(in_process, card)
    assert _confirmed(in_process, intent, off_session=False) == "requires_action"
    before = in_process.told()
    assert before[-1] == "payment_intent.requires_action"
    told = in_process.control(f"payment_intents/{intent}/authenticate", {"succeeds": succeeds})
    assert told["status"] == in_process.stripe.payment_intents.retrieve(intent).status == status
    assert in_process.told()[len(before) :] == events
    with pytest.raises(AssertionError, match="has a status"):
        in_process.control(f"payment_intents/{intent}/authenticate")


def test_an_intent_that_waits_for_its_holder_can_be_cancelled_and_not_confirmed(in_process: InProcess) -> None:
    intent = _intent(in_process, ALWAYS)
    _confirmed(in_process, intent, off_session=False)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        in_process.stripe.payment_intents.confirm(intent)
    assert caught.value.code == "payment_intent_unexpected_state"
    assert in_process.stripe.payment_intents.cancel(intent).status == "canceled"


@pytest.mark.parametrize(
    ("succeeds", "status", "sums"), [(True, "succeeded", (1, 0)), (False, "requires_payment_method", (0, 1))]
)
def test_a_payment_that_takes_days_is_neither_paid_nor_failed_until_then(
    in_process: InProcess, succeeds: bool, status: str, sums: tuple[int, int]
) -> None:
    intent = _intent(in_process, "pm_card_visa")
    method = in_process.stripe.payment_intents.retrieve(intent).payment_method
    in_process.control(f"payment_methods/{method}/slow")
    assert _confirmed(in_process, intent, off_session=True) == "processing"
    charges = in_process.read("charges")
    assert (charges["succeeded"], charges["failed"], len(charges["data"])) == (0, 0, 1)
    for again in (in_process.stripe.payment_intents.confirm, in_process.stripe.payment_intents.cancel):
        with pytest.raises(stripe.InvalidRequestError):
            again(intent)
    with pytest.raises(stripe.InvalidRequestError):
        in_process.stripe.refunds.create({"payment_intent": intent})
    in_process.control(f"payment_intents/{intent}/settle", {"succeeds": succeeds})
    assert in_process.stripe.payment_intents.retrieve(intent).status == status
    charges = in_process.read("charges")
    assert (charges["succeeded"], charges["failed"]) == sums


@pytest.mark.parametrize(
    ("card", "off_session", "events"),
    [
        ("pm_card_visa", True, ["charge.succeeded", "payment_intent.succeeded"]),
        ("pm_card_chargeCustomerFail", True, ["charge.failed", "payment_intent.payment_failed"]),
        (ALWAYS, True, ["charge.failed", "payment_intent.payment_failed"]),
        (ALWAYS, False, ["payment_intent.requires_action"]),
        (
            "pm_card_createDispute",
            True,
            [
                *("charge.succeeded", "payment_intent.succeeded"),
                *("charge.dispute.created", "charge.dispute.funds_withdrawn"),
            ],
        ),
    ],
)
def test_each_change_of_a_payment_is_told(
    in_process: InProcess, card: str, off_session: bool, events: list[str]
) -> None:
    intent = _intent(in_process, card)
    before = in_process.told()
    assert before == ["customer.created", "payment_method.attached", "customer.updated", "payment_intent.created"]
    _confirmed(in_process, intent, off_session=off_session)
    assert in_process.told()[len(before) :] == events


def test_what_happens_to_a_customer_and_its_card_is_told_with_what_was_before(in_process: InProcess) -> None:
    customer, method = in_process.customer()
    in_process.stripe.payment_methods.detach(method)
    listed = in_process.stripe.events.list({"types": ["payment_method.detached", "customer.updated"]}).data
    assert [event.type for event in listed] == ["payment_method.detached", "customer.updated", "customer.updated"]
    before = [event.data.previous_attributes for event in listed[:2]]
    assert before[0] is not None
    assert before[1] is not None
    assert before[0]["customer"] == customer
    assert before[1]["invoice_settings"]["default_payment_method"] == method
