"""Idempotency keys, and what happens when answers get lost."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import stripe
from stripe import RequestOptions

from tests.infra.local.stripe.stand_in import StandIn, client

KEY: RequestOptions = {"idempotency_key": "topup:1:confirm"}


def _intent(stand_in: StandIn, card: str = "pm_card_visa") -> str:
    customer, method = stand_in.customer(card)
    return stand_in.stripe.payment_intents.create(
        {"amount": 2500, "currency": "usd", "customer": customer, "payment_method": method}
    ).id


def test_the_same_key_and_parameters_replay_the_first_answer(stand_in: StandIn) -> None:
    first = stand_in.stripe.customers.create({"name": "Ada"}, KEY)
    again = stand_in.stripe.customers.create({"name": "Ada"}, KEY)
    assert first.id == again.id
    assert len(stand_in.stripe.customers.list().data) == 1
    assert first.last_response is not None
    assert again.last_response is not None
    assert "Idempotent-Replayed" not in first.last_response.headers
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    assert again.last_response.headers["Original-Request"] == first.last_response.request_id


def test_a_decline_is_replayed_and_charges_nothing_again(stand_in: StandIn) -> None:
    intent = _intent(stand_in, "pm_card_chargeCustomerFail")
    for _ in range(3):
        with pytest.raises(stripe.CardError):
            stand_in.stripe.payment_intents.confirm(intent, {"off_session": True}, KEY)
    assert stand_in.read("charges")["failed"] == 1


def test_the_same_key_with_other_parameters_is_refused(stand_in: StandIn) -> None:
    stand_in.stripe.customers.create({"name": "Ada"}, KEY)
    with pytest.raises(stripe.IdempotencyError):
        stand_in.stripe.customers.create({"name": "Bob"}, KEY)
    with pytest.raises(stripe.IdempotencyError):
        stand_in.stripe.invoices.create({"customer": "cus_x"}, KEY)


def test_a_refused_request_leaves_its_key_free(stand_in: StandIn) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        stand_in.stripe.customers.create({"nmae": "Ada"}, KEY)  # type: ignore[arg-type]  # wrong on purpose
    assert stand_in.stripe.customers.create({"name": "Ada"}, KEY).name == "Ada"


def test_a_key_is_forgotten_after_a_day(stand_in: StandIn) -> None:
    first = stand_in.stripe.customers.create({"name": "Ada"}, KEY)
    stand_in.control("clock", {"offset_milliseconds": 23 * 3_600_000})
    assert stand_in.stripe.customers.create({"name": "Ada"}, KEY).id == first.id
    stand_in.control("clock", {"offset_milliseconds": 24 * 3_600_000})
    later = stand_in.stripe.customers.create({"name": "Ada"}, KEY)
    assert later.id != first.id
    assert later.created >= first.created + 86_400


def test_a_key_in_use_answers_409(stand_in: StandIn) -> None:
    stand_in.control("faults", {"path": "/v1/customers", "delay_seconds": 0.5})
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(stand_in.stripe.customers.create, {"name": "Ada"}, KEY)
        while not _in_use(stand_in):
            time.sleep(0.01)
        with pytest.raises(stripe.APIError) as caught:
            client(stand_in.server.url).v1.customers.create({"name": "Ada"}, KEY)
        assert caught.value.http_status == 409
        assert slow.result().name == "Ada"
    assert stand_in.stripe.customers.create({"name": "Ada"}, KEY).id == slow.result().id


def _in_use(stand_in: StandIn) -> bool:
    return str(KEY["idempotency_key"]) in stand_in.server.application.keys.used


def test_a_lost_answer_is_found_again_under_its_key_and_by_id(stand_in: StandIn) -> None:
    intent = _intent(stand_in)
    stand_in.control(
        "faults", {"method": "POST", "path": "/v1/payment_intents/*/confirm", "drop": True, "processed": True}
    )
    with pytest.raises(stripe.APIConnectionError):
        stand_in.stripe.payment_intents.confirm(intent, {"off_session": True}, KEY)
    assert stand_in.stripe.payment_intents.retrieve(intent).status == "succeeded"
    again = stand_in.stripe.payment_intents.confirm(intent, {"off_session": True}, KEY)
    assert again.status == "succeeded"
    assert stand_in.read("charges")["succeeded"] == 1


def test_a_lost_request_did_nothing(stand_in: StandIn) -> None:
    intent = _intent(stand_in)
    stand_in.control("faults", {"path": "*/confirm", "drop": True})
    with pytest.raises(stripe.APIConnectionError):
        stand_in.stripe.payment_intents.confirm(intent, {"off_session": True}, KEY)
    assert stand_in.stripe.payment_intents.retrieve(intent).status == "requires_confirmation"
    assert stand_in.stripe.payment_intents.confirm(intent, {"off_session": True}, KEY).status == "succeeded"


@pytest.mark.parametrize(
    ("fault", "replayed", "charges"),
    [
        ({"status": 500}, True, 0),
        ({"status": 500, "processed": True}, True, 1),
        ({"status": 503, "kept": False}, False, 1),
        ({"status": 429}, False, 1),
        ({"status": 429, "code": "lock_timeout"}, False, 1),
        ({"status": 409}, False, 1),
        ({"status": 409, "code": "lock_timeout"}, False, 1),
    ],
)
def test_a_500_is_kept_under_its_key_and_a_429_is_not(
    stand_in: StandIn, fault: dict[str, object], replayed: bool, charges: int
) -> None:
    intent = _intent(stand_in)
    stand_in.control("faults", {"path": "*/confirm", **fault})
    with pytest.raises(stripe.StripeError) as caught:
        stand_in.stripe.payment_intents.confirm(intent, {"off_session": True}, KEY)
    assert caught.value.http_status == fault["status"]
    if replayed:
        with pytest.raises(stripe.APIError):
            stand_in.stripe.payment_intents.confirm(intent, {"off_session": True}, KEY)
    else:
        stand_in.stripe.payment_intents.confirm(intent, {"off_session": True}, KEY)
    assert stand_in.read("charges")["succeeded"] == charges


def test_a_slow_answer_times_out_and_is_found_again(stand_in: StandIn) -> None:
    intent = _intent(stand_in)
    stand_in.control("faults", {"path": "*/confirm", "delay_seconds": 0.4})
    with pytest.raises(stripe.APIConnectionError):
        client(stand_in.server.url, timeout=0.1).v1.payment_intents.confirm(intent, {"off_session": True}, KEY)
    time.sleep(0.5)
    assert stand_in.stripe.payment_intents.retrieve(intent).status == "succeeded"


def test_a_fault_hits_as_often_as_it_was_asked_to(stand_in: StandIn) -> None:
    stand_in.control("faults", {"status": 503, "times": 2})
    for _ in range(2):
        with pytest.raises(stripe.APIError):
            stand_in.stripe.customers.list()
    assert not stand_in.stripe.customers.list().data
    stand_in.control("faults", {"status": 503})
    assert stand_in.control("faults", method="DELETE") == {"data": []}
    assert not stand_in.stripe.customers.list().data


def test_many_at_once_under_one_key_make_one_thing(stand_in: StandIn) -> None:
    def create(_: int) -> str | None:
        try:
            return client(stand_in.server.url).v1.customers.create({"name": "Ada"}, KEY).id
        except stripe.APIError as error:
            return None if error.http_status == 409 else str(error)

    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(create, range(40))) - {None}
    assert len(made) == 1
    assert len(stand_in.stripe.customers.list().data) == 1


def test_a_reset_leaves_an_empty_account(stand_in: StandIn) -> None:
    stand_in.stripe.customers.create({"name": "Ada"}, KEY)
    assert stand_in.read("requests")["data"][-1]["idempotency_key"] == KEY["idempotency_key"]
    stand_in.control("reset")
    assert not stand_in.stripe.customers.list().data
    assert stand_in.stripe.customers.create({"name": "Bob"}, KEY).name == "Bob"
