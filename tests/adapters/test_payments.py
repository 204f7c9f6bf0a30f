"""Payments of top-ups at Stripe, through the real SDK: what each call makes of each answer."""

from dataclasses import replace
from typing import Any

import pytest

from adapters.payments import Asked, Payments
from metering.errors import Conflict, Unavailable
from tests.adapters.test_stripe import stripe_with
from tests.infra.local.stripe.in_process import InProcess

OURS = {"taximeter_customer": "acme", "taximeter_top_up": "acme:1"}


@pytest.fixture
def payments(stripe_stand_in: InProcess) -> Payments:
    return Payments(stripe_with(stripe_stand_in, "sk_test_key"))


def asked(stand_in: InProcess, card: str = "pm_card_visa") -> Asked:
    customer, method = stand_in.customer(card)
    return Asked(customer, method, 5000, "usd", OURS)


def test_a_payment_is_made_without_a_charge_and_confirmed_with_one(
    stripe_stand_in: InProcess, payments: Payments
) -> None:
    wanted = asked(stripe_stand_in)
    made = payments.create(wanted, "k:create")
    assert (made.outcome, made.metadata, made.cancelled) == ("open", OURS, False)
    assert stripe_stand_in.read("charges")["data"] == []
    assert payments.create(wanted, "k:create").id == made.id
    for _ in range(2):
        assert payments.confirm(made.id, "k:confirm").outcome == "succeeded"
    assert payments.read(made.id).outcome == "succeeded"
    assert stripe_stand_in.read("charges")["amount"] == {"usd": 5000}


@pytest.mark.parametrize(
    ("card", "outcome", "reason"),
    [
        ("pm_card_chargeCustomerFail", "declined", "generic_decline"),
        ("pm_card_authenticationRequired", "action_required", "authentication_required"),
        ("pm_card_authenticationRequiredOnSetup", "action_required", "authentication_required"),
    ],
)
def test_a_decline_is_an_answer_told_by_the_call_and_by_asking(
    stripe_stand_in: InProcess, payments: Payments, card: str, outcome: str, reason: str
) -> None:
    made = payments.create(asked(stripe_stand_in, card), "k:create")
    told = payments.confirm(made.id, "k:confirm")
    assert (told.id, told.outcome, told.reason) == (made.id, outcome, reason)
    read = payments.read(made.id)
    assert (read.outcome, read.reason) == (outcome, reason)
    cancelled = payments.cancel(made.id)
    assert (cancelled.outcome, cancelled.cancelled) == (outcome, True)
    with pytest.raises(Conflict):
        payments.confirm(made.id, "k:again")


def test_a_payment_that_was_made_cannot_be_cancelled_and_says_so(
    stripe_stand_in: InProcess, payments: Payments
) -> None:
    made = payments.create(asked(stripe_stand_in), "k:create")
    payments.confirm(made.id, "k:confirm")
    told = payments.cancel(made.id)
    assert (told.outcome, told.cancelled) == ("succeeded", False)


@pytest.mark.parametrize("fault", [{"drop": True}, {"drop": True, "processed": True}, {"status": 500}])
def test_a_payment_whose_id_was_lost_is_found_if_it_was_made(
    stripe_stand_in: InProcess, payments: Payments, fault: dict[str, Any]
) -> None:
    wanted = asked(stripe_stand_in)
    stripe_stand_in.control("faults", {"path": "/v1/payment_intents", "method": "POST", **fault})
    with pytest.raises(Unavailable):
        payments.create(wanted, "k:create")
    found = payments.find(wanted, 0)
    assert (found is not None) == bool(fault.get("processed"))


def test_a_payment_is_found_by_what_was_written_on_it_however_many_there_are(
    stripe_stand_in: InProcess, payments: Payments
) -> None:
    wanted = asked(stripe_stand_in)
    mine = payments.create(wanted, "mine")
    for number in range(101):
        other: Any = {"taximeter_top_up": f"acme:{number}2"}
        stripe_stand_in.stripe.payment_intents.create(
            {"amount": 100, "currency": "usd", "customer": wanted.customer, "metadata": other}
        )
    found = payments.find(wanted, 0)
    assert found is not None
    assert found.id == mine.id
    assert payments.find(replace(wanted, metadata={**OURS, "taximeter_top_up": "acme:3"}), 0) is None
    assert payments.find(wanted, int(stripe_stand_in.clock() + 1) * 1000) is None, "it was made before"
    with pytest.raises(Conflict) as differs:
        payments.find(replace(wanted, amount=4999), 0)
    assert differs.value.code == "payment_differs"


def test_what_went_back_is_what_was_refunded_and_what_was_lost(stripe_stand_in: InProcess, payments: Payments) -> None:
    made = payments.create(asked(stripe_stand_in), "k:create")
    assert payments.returned(made.id) == 0
    payments.confirm(made.id, "k:confirm")
    assert (payments.kept(made.id), payments.returned(made.id)) == (5000, 0)
    stripe_stand_in.stripe.refunds.create({"payment_intent": made.id, "amount": 1200})
    assert payments.returned(made.id) == 1200
    (charge,) = stripe_stand_in.read("charges")["data"]
    dispute = stripe_stand_in.control(f"charges/{charge['id']}/dispute", {})
    assert payments.returned(made.id) == 1200, "a dispute that is not decided takes nothing"
    stripe_stand_in.control(f"disputes/{dispute['id']}", {"status": "lost"})
    assert (payments.kept(made.id), payments.returned(made.id)) == (0, 5000)
