"""Top-ups to which something odd happens at Stripe: each ends as what it was, what was paid is credited. Law 5.6."""

from typing import Any

import pytest

from metering.times import HOUR, MINUTE
from tests.handlers.street import Street
from tests.handlers.test_top_up import NEEDS_A_PERSON, attempts, balance, below, charges, days_pass, hear
from tests.infra.local.stripe.in_process import InProcess

CONFIRM = "/v1/payment_intents/*/confirm"


def fail(stand_in: InProcess, path: str, **fault: Any) -> None:
    stand_in.control("faults", {"method": "POST", "path": path, **fault})


def completed(street: Street, stand_in: InProcess, **how: Any) -> None:
    """The customer is asked to pay in person, and does what the page asks for."""
    below(street, stand_in, NEEDS_A_PERSON)
    street.deliver("TOP_UP")
    (page,) = stand_in.stripe.checkout.sessions.list().data
    stand_in.control(f"checkout/sessions/{page.id}/complete", {"card": "4242424242424242", **how})


def test_two_customers_may_ask_under_the_same_id(street: Street, stand_in: InProcess) -> None:
    for name in ("acme", "beta"):
        body = {"plan": "serverless", "stripe_customer": stand_in.customer()[0]}
        street.does("PUT", f"/v1/customers/{name}", body)
        street.does("POST", f"/v1/customers/{name}/top_ups", {"id": "june", "amount": "50"})
        street.flow()
        street.deliver("TOP_UP")
        (row,) = street.does("GET", f"/v1/customers/{name}/top_ups")["rows"]
        assert row["status"] == "succeeded"
    assert charges(stand_in) == (2, {"usd": 10_000})


def test_who_was_deleted_at_stripe_has_no_card(street: Street, stand_in: InProcess) -> None:
    below(street, stand_in, "pm_card_visa")
    stand_in.stripe.customers.delete(street.does("GET", "/v1/customers/acme")["stripe_customer"])
    street.deliver("TOP_UP")
    assert attempts(street) == [("failed", "no_payment_method")]


def test_a_payment_on_the_page_that_takes_days_is_waited_for_and_credited(street: Street, stand_in: InProcess) -> None:
    completed(street, stand_in, slow=True)
    days_pass(street, 3)
    assert attempts(street) == [("action_required", "authentication_required")]
    settle(street, stand_in, succeeds=True)
    assert (attempts(street), balance(street)) == ([("succeeded", None)], "50")


def test_a_payment_on_the_page_that_fails_after_days_ends_the_top_up_and_is_told(
    street: Street, stand_in: InProcess
) -> None:
    completed(street, stand_in, slow=True)
    days_pass(street, 2)
    settle(street, stand_in, succeeds=False)
    ((status, reason),) = attempts(street)
    assert status == "failed"
    (news,) = street.announced("top_up.failed")
    assert news["reason"] == reason != "authentication_required"
    assert (charges(stand_in)[0], balance(street)) == (0, "0")
    days_pass(street, 1)
    assert len(attempts(street)) == 1, "the customer is not asked again by itself"


def settle(street: Street, stand_in: InProcess, *, succeeds: bool) -> None:
    (slow,) = (each for each in stand_in.stripe.payment_intents.list().data if each.status == "processing")
    stand_in.control(f"payment_intents/{slow.id}/settle", {"succeeds": succeeds})
    hear(street)


def test_what_was_paid_in_a_way_that_cannot_be_kept_is_credited_all_the_same(
    street: Street, stand_in: InProcess
) -> None:
    completed(street, stand_in)
    fail(stand_in, "/v1/customers/*", status=400, times=100)  # the way to pay is not attached to the customer
    hear(street)
    assert (attempts(street), balance(street)) == ([("succeeded", None)], "50")
    assert not street.parked()


@pytest.mark.parametrize("amount", ["50", "60"])
def test_what_a_person_has_credited_under_the_payment_s_id_is_not_credited_again(
    street: Street, stand_in: InProcess, amount: str
) -> None:
    below(street, stand_in, "pm_card_visa")
    fail(stand_in, CONFIRM, drop=True, processed=True)
    street.deliver("TOP_UP")
    (row,) = street.does("GET", "/v1/customers/acme/top_ups")["rows"]
    street.does("POST", "/v1/customers/acme/credits", {"id": row["payment_intent"], "amount": amount})
    street.deliver("TOP_UP")
    assert (attempts(street), balance(street)) == ([("succeeded", None)], amount)
    assert not street.parked()


@pytest.mark.parametrize("why", ["a person", "patience"])
def test_what_is_ended_though_the_answer_to_that_is_lost_was_not_declined(
    street: Street, stand_in: InProcess, why: str
) -> None:
    below(street, stand_in, "pm_card_visa")
    fail(stand_in, CONFIRM, drop=True)
    street.deliver("TOP_UP")
    (row,) = street.does("GET", "/v1/customers/acme/top_ups")["rows"]
    fail(stand_in, "/v1/payment_intents/*/cancel", drop=True, processed=True)
    if why == "a person":
        street.queues["TOP_UP"].clear()
        street.does("POST", f"/v1/customers/acme/top_ups/{row['id']}/cancel")
    else:
        street.now += HOUR
    for _ in range(2):
        street.deliver("TOP_UP")
        street.now += MINUTE
    street.flow()
    assert attempts(street)[-1] == ("canceled", "canceled" if why == "a person" else "stripe_unavailable")
    (*_, first) = street.does("GET", "/v1/customers/acme/top_ups")["rows"]
    assert stand_in.stripe.payment_intents.retrieve(first["payment_intent"]).status == "canceled"
    assert street.announced("top_up.failed") == []


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_may_not_do_this_is_no_decline_and_an_operator_is_told_who_waits(
    street: Street, stand_in: InProcess, capsys: pytest.CaptureFixture[str], status: int
) -> None:
    below(street, stand_in, "pm_card_visa")
    stand_in.control("faults", {"path": "*", "status": status, "times": 1000})
    for _ in range(10):
        street.deliver("TOP_UP")
        street.now += 15 * MINUTE
    assert "MessagesWaiting" not in capsys.readouterr().out
    street.deliver("TOP_UP")
    assert '"MessagesWaiting":[1.0]' in capsys.readouterr().out
    assert attempts(street) == [("requested", None)]
    stand_in.control("faults", method="DELETE")
    street.deliver("TOP_UP")
    assert attempts(street) == [("succeeded", None)]


@pytest.mark.parametrize("card", ["pm_card_visa", NEEDS_A_PERSON])
@pytest.mark.parametrize("path", ["/v1/payment_intents", "/v1/checkout/sessions"])
def test_what_stripe_made_though_it_told_of_an_error_is_found_and_used(
    street: Street, stand_in: InProcess, card: str, path: str
) -> None:
    below(street, stand_in, card)
    fail(stand_in, path, status=500, processed=True)
    for _ in range(8):
        street.deliver("TOP_UP")
        street.now += 20 * MINUTE
        street.hour()
    assert [state for state, _ in attempts(street)] == ["succeeded" if card == "pm_card_visa" else "action_required"]
    assert {each.status for each in stand_in.stripe.payment_intents.list().data} <= {"succeeded", "canceled"}
    assert len(stand_in.stripe.checkout.sessions.list().data) == (card == NEEDS_A_PERSON)
