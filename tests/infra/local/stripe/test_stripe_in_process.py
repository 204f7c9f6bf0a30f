"""The stand-in without sockets: the same answers, a clock of its own, faults that cost no time."""

from __future__ import annotations

import pytest
import stripe
from stripe import RequestOptions

from tests.infra.local.stripe.in_process import InProcess

KEY: RequestOptions = {"idempotency_key": "topup:1:confirm"}


def _intent(in_process: InProcess, card: str = "pm_card_visa") -> str:
    customer, method = in_process.customer(card)
    return in_process.stripe.payment_intents.create(
        {"amount": 2500, "currency": "usd", "customer": customer, "payment_method": method}
    ).id


def _confirmed(in_process: InProcess, intent: str, timeout_seconds: float = 20) -> str:
    """Confirms an intent and returns what became of it, or the status that was answered instead."""
    try:
        client = in_process.client(timeout_seconds=timeout_seconds).v1
        return client.payment_intents.confirm(intent, {"off_session": True}, KEY).status
    except stripe.StripeError as error:
        return str(error.http_status)


def test_ids_times_and_errors_come_as_they_do_over_a_socket(in_process: InProcess) -> None:
    made = in_process.stripe.customers.create({"name": "Ada"}, KEY)
    assert made.created == int(in_process.clock.seconds)
    again = in_process.stripe.customers.create({"name": "Ada"}, KEY)
    assert again.last_response is not None
    assert again.last_response.headers["idempotent-replayed"] == "true"
    with pytest.raises(stripe.InvalidRequestError) as caught:
        in_process.stripe.customers.retrieve("cus_none")
    assert (caught.value.http_status, caught.value.code) == (404, "resource_missing")
    with pytest.raises(stripe.AuthenticationError):
        in_process.client("sk_live_x").v1.customers.list()


@pytest.mark.parametrize(
    ("fault", "answers", "charged"),
    [
        # What is answered at first and then again under the same key, and how often the card was charged by then.
        ({"drop": True}, ("None", "succeeded"), (0, 1)),
        ({"drop": True, "processed": True}, ("None", "succeeded"), (1, 1)),
        ({"status": 409}, ("409", "succeeded"), (0, 1)),
        ({"status": 429}, ("429", "succeeded"), (0, 1)),
        ({"status": 500}, ("500", "500"), (0, 0)),
        ({"status": 500, "processed": True}, ("500", "500"), (1, 1)),
        ({"status": 503, "kept": False}, ("503", "succeeded"), (0, 1)),
        ({"delay_seconds": 19}, ("succeeded", "succeeded"), (1, 1)),
        ({"delay_seconds": 20}, ("None", "409"), (0, 0)),  # it is still on its way
        ({"answer_delay_seconds": 20}, ("None", "succeeded"), (1, 1)),
        ({"delay_seconds": 15, "answer_delay_seconds": 15}, ("None", "succeeded"), (1, 1)),
        ({"nth": 2, "drop": True}, ("succeeded", "None"), (1, 1)),
        ({"nth": 2, "status": 500}, ("succeeded", "500"), (1, 1)),
        ({"times": 2, "status": 429}, ("429", "429"), (0, 0)),
        ({"drop": True, "idempotency_key": "topup:*:confirm"}, ("None", "succeeded"), (0, 1)),
        ({"drop": True, "idempotency_key": "topup:2:*"}, ("succeeded", "succeeded"), (1, 1)),
    ],
)
def test_a_fault_is_answered_and_leaves_behind_what_it_would_at_stripe(
    in_process: InProcess, fault: dict[str, object], answers: tuple[str, str], charged: tuple[int, int]
) -> None:
    intent = _intent(in_process)
    in_process.control("faults", {"method": "POST", "path": "*/confirm", **fault})
    for answer, times in zip(answers, charged, strict=True):
        assert _confirmed(in_process, intent) == answer
        assert in_process.read("charges")["succeeded"] == times


def test_a_request_that_was_given_up_is_carried_out_when_it_arrives(in_process: InProcess) -> None:
    intent = _intent(in_process)
    in_process.control("faults", {"path": "*/confirm", "delay_seconds": 60})
    assert _confirmed(in_process, intent) == "None"
    assert in_process.stripe.payment_intents.retrieve(intent).status == "requires_confirmation"
    in_process.clock.forward(59)
    assert _confirmed(in_process, intent) == "409"
    in_process.clock.forward(1)
    assert in_process.stripe.payment_intents.retrieve(intent).status == "succeeded"
    assert _confirmed(in_process, intent) == "succeeded"
    assert in_process.read("charges")["succeeded"] == 1


def test_faults_that_wait_for_their_call_count_those_that_others_hit(in_process: InProcess) -> None:
    in_process.control("faults", {"path": "/v1/customers", "status": 500, "times": 2})
    in_process.control("faults", {"path": "/v1/customers", "status": 503, "nth": 3})
    found = []
    for _ in range(4):
        try:
            in_process.stripe.customers.list()
            found.append(200)
        except stripe.APIError as error:
            found.append(error.http_status or 0)
    assert found == [500, 500, 503, 200]
    assert [each["status"] for each in in_process.read("requests")["data"]] == found


def test_a_500_is_replayed_until_its_key_expires_and_a_key_used_again_acts_anew(in_process: InProcess) -> None:
    intent = _intent(in_process)
    in_process.control("faults", {"path": "*/confirm", "status": 500})
    assert _confirmed(in_process, intent) == "500"
    in_process.clock.forward(86_399)
    assert _confirmed(in_process, intent) == "500"
    in_process.clock.forward(1)
    assert _confirmed(in_process, intent) == "succeeded"


def test_a_payment_made_again_under_a_key_that_expired_charges_twice(in_process: InProcess) -> None:
    customer, method = in_process.customer()

    def charge() -> str:
        return in_process.stripe.payment_intents.create(
            {
                "amount": 2500,
                "currency": "usd",
                "customer": customer,
                "payment_method": method,
                "confirm": True,
                "off_session": True,
            },
            KEY,
        ).id

    first = charge()
    in_process.clock.forward(86_399)
    assert charge() == first
    in_process.clock.forward(1)
    assert charge() != first
    assert in_process.read("charges")["amount"] == {"usd": 5000}


def test_a_key_is_at_most_255_characters_long(in_process: InProcess) -> None:
    in_process.stripe.customers.create({}, {"idempotency_key": "k" * 255})
    with pytest.raises(stripe.InvalidRequestError):
        in_process.stripe.customers.create({}, {"idempotency_key": "k" * 256})
