"""Top-ups with the stand-in in process: at most one charge per attempt, exactly one credit per charge. Law 5.6."""

import json
from typing import Any

import pytest

from handlers import top_up
from metering.errors import Unavailable
from metering.times import HOUR, MINUTE
from tests.handlers.street import NOW, Crash, Street, queue_record, used
from tests.infra.local.stripe.stand_in import StandIn

RULE = {"threshold": "10", "amount": "50", "daily_cap": "100"}


@pytest.fixture
def paying(street: Street, stand_in: StandIn) -> Street:
    """A street whose customer acme has a card and is below its threshold."""
    return below(street, stand_in, "pm_card_visa")


def below(street: Street, stand_in: StandIn, card: str | None) -> Street:
    street.environment["STRIPE_URL"] = stand_in.server.url
    holder = stand_in.customer(card)[0] if card else stand_in.stripe.customers.create({"name": "Ada"}).id
    street.does("PATCH", "/v1/customers/acme", {"stripe_customer": holder, "tax_rate": "20", "top_up": RULE})
    street.flow()
    return street


def attempts(street: Street) -> list[tuple[str, str | None]]:
    rows = street.does("GET", "/v1/customers/acme/top_ups")["rows"]
    return [(row["status"], row["reason"]) for row in rows]


def balance(street: Street) -> str:
    return str(street.does("GET", "/v1/customers/acme/balance")["balance"])


def charges(stand_in: StandIn) -> tuple[int, dict[str, int]]:
    told = stand_in.read("charges")
    return told["succeeded"], told["amount"]


def test_a_balance_below_its_threshold_is_charged_with_tax_and_credited_without(
    paying: Street, stand_in: StandIn
) -> None:
    assert attempts(paying) == [("requested", None)]
    paying.deliver("TOP_UP")
    paying.flow()
    assert attempts(paying) == [("succeeded", None)]
    assert charges(stand_in) == (1, {"usd": 6000})
    assert balance(paying) == "50"
    (news,) = paying.announced("top_up.succeeded")
    (credit,) = paying.does("GET", "/v1/customers/acme/credits")["rows"]
    assert credit["id"] == news["payment_intent"]
    assert (credit["kind"], credit["priority"], credit["expires_at"]) == ("paid", 50, None)
    assert (news["amount"], news["charged"], news["customer"]) == ("50", "60", "acme")


def test_a_message_that_comes_again_finds_the_attempt_ended(paying: Street, stand_in: StandIn) -> None:
    messages = list(paying.queues["TOP_UP"])
    for _ in range(3):
        paying.queues["TOP_UP"] += messages
        paying.deliver("TOP_UP")
    paying.flow()
    assert charges(stand_in) == (1, {"usd": 6000})
    assert balance(paying) == "50"
    assert len(paying.announced("top_up.succeeded")) == 1


@pytest.mark.parametrize(
    ("card", "state", "reason", "cool_off"),
    [
        ("pm_card_chargeCustomerFail", "failed", "generic_decline", HOUR),
        ("pm_card_authenticationRequired", "action_required", "authentication_required", 24 * HOUR),
        (None, "failed", "stripe_refused", HOUR),
    ],
)
def test_a_card_that_does_not_pay_is_told_and_left_alone_for_a_while(
    street: Street, stand_in: StandIn, card: str | None, state: str, reason: str, cool_off: int
) -> None:
    below(street, stand_in, card)
    street.deliver("TOP_UP")
    street.flow()
    assert attempts(street)[0][0] == state
    assert attempts(street)[0][1] in {reason, "declined"}
    assert charges(stand_in) == (0, {})
    assert balance(street) == "0"
    (news,) = street.announced(f"top_up.{state}")
    assert news["attempt"]
    assert {intent.status for intent in stand_in.stripe.payment_intents.list().data} <= {"canceled"}
    street.now = NOW + cool_off - 1
    street.minute()
    assert len(attempts(street)) == 1
    street.now = NOW + cool_off
    street.minute()
    assert len(attempts(street)) == 2


def test_a_customer_without_stripe_fails_without_a_call(street: Street, stand_in: StandIn) -> None:
    street.environment["STRIPE_URL"] = stand_in.server.url
    street.does("PATCH", "/v1/customers/acme", {"top_up": RULE})
    street.flow()
    street.deliver("TOP_UP")
    assert attempts(street) == [("failed", "no_payment_method")]
    assert stand_in.read("requests")["data"] == []


def test_a_balance_that_recovered_meanwhile_is_not_topped_up(paying: Street, stand_in: StandIn) -> None:
    paying.does("POST", "/v1/customers/acme/credits", {"id": "gift", "amount": "10"})
    paying.deliver("TOP_UP")
    assert attempts(paying) == [("canceled", "not_needed")]
    assert charges(stand_in) == (0, {})
    assert balance(paying) == "10"


def test_a_rule_that_was_switched_off_meanwhile_is_not_followed(paying: Street, stand_in: StandIn) -> None:
    paying.does("PATCH", "/v1/customers/acme", {"top_up": {"enabled": False}})
    paying.deliver("TOP_UP")
    assert attempts(paying) == [("canceled", "not_needed")]
    assert charges(stand_in) == (0, {})


def test_one_that_a_person_asked_for_is_carried_out_whatever_the_balance(street: Street, stand_in: StandIn) -> None:
    street.environment["STRIPE_URL"] = stand_in.server.url
    street.does("PATCH", "/v1/customers/acme", {"stripe_customer": stand_in.customer()[0]})
    street.does("POST", "/v1/customers/acme/credits", {"id": "gift", "amount": "100"})
    assert street.call("POST", "/v1/customers/acme/top_ups", {"id": "mine", "amount": "25"})[0] == 201
    assert street.call("POST", "/v1/customers/acme/top_ups", {"id": "mine", "amount": "25.00"})[0] == 200
    assert street.call("POST", "/v1/customers/acme/top_ups", {"id": "mine", "amount": "26"})[1]["code"] == "id_conflict"
    assert street.call("POST", "/v1/customers/acme/top_ups", {"id": "other", "amount": "1"})[1]["code"] == "top_up_open"
    street.flow()
    street.deliver("TOP_UP")
    assert charges(stand_in) == (1, {"usd": 2500})
    assert balance(street) == "125"


CALLS = [
    ("GET", "/v1/customers/*"),
    ("POST", "/v1/payment_intents"),
    ("GET", "/v1/payment_intents/*"),
    ("POST", "/v1/payment_intents/*/confirm"),
]


@pytest.mark.parametrize(("method", "path"), CALLS)
@pytest.mark.parametrize("fault", [{"drop": True}, {"drop": True, "processed": True}, {"status": 429}])
def test_a_lost_answer_is_found_out_and_nothing_is_paid_twice(
    paying: Street, stand_in: StandIn, method: str, path: str, fault: dict[str, Any]
) -> None:
    stand_in.control("faults", {"method": method, "path": path, **fault})
    with pytest.raises(Unavailable):
        paying.deliver("TOP_UP")
    assert balance(paying) == "0"
    paying.now += MINUTE
    paying.deliver("TOP_UP")
    paying.flow()
    assert attempts(paying) == [("succeeded", None)]
    assert charges(stand_in) == (1, {"usd": 6000})
    assert len(stand_in.stripe.payment_intents.list().data) == 1
    assert balance(paying) == "50"


@pytest.mark.parametrize("fault", [{"drop": True}, {"drop": True, "processed": True}])
def test_a_lost_answer_of_a_cancellation_is_found_out_too(
    street: Street, stand_in: StandIn, fault: dict[str, Any]
) -> None:
    below(street, stand_in, "pm_card_chargeCustomerFail")
    stand_in.control("faults", {"method": "POST", "path": "/v1/payment_intents/*/cancel", **fault})
    with pytest.raises(Unavailable):
        street.deliver("TOP_UP")
    assert attempts(street)[0][0] == "confirming"
    street.deliver("TOP_UP")
    assert attempts(street) == [("failed", "generic_decline")]


def crash_points(street: Street, stand_in: StandIn) -> int:
    street.writes_left = 1000
    street.deliver("TOP_UP")
    left, street.writes_left = street.writes_left, None
    assert charges(stand_in)[0] == 1
    return 1000 - left


@pytest.mark.parametrize("answer_lost", [False, True])
@pytest.mark.parametrize("number", range(4))
def test_a_process_that_ends_at_any_write_charges_once_and_credits_once(
    paying: Street, stand_in: StandIn, number: int, answer_lost: bool
) -> None:
    paying.writes_left, paying.answer_lost = number, answer_lost
    try:
        paying.deliver("TOP_UP")
    except Crash:
        paying.writes_left = None
        paying.deliver("TOP_UP")
    paying.writes_left = None
    paying.flow()
    assert attempts(paying) == [("succeeded", None)]
    assert charges(stand_in) == (1, {"usd": 6000})
    assert balance(paying) == "50"
    assert len(paying.announced("top_up.succeeded")) == 1


def test_those_are_all_the_writes_there_are(paying: Street, stand_in: StandIn) -> None:
    assert crash_points(paying, stand_in) <= 4


def test_a_webhook_that_comes_first_settles_the_attempt_and_the_answer_finds_it_settled(
    paying: Street, stand_in: StandIn
) -> None:
    stand_in.control(
        "faults", {"method": "POST", "path": "/v1/payment_intents/*/confirm", "drop": True, "processed": True}
    )
    with pytest.raises(Unavailable):
        paying.deliver("TOP_UP")
    (intent,) = stand_in.stripe.payment_intents.list().data
    for _ in range(2):
        paying.run("TOP_UP", [queue_record({"payment_intent": intent.id})])
    assert attempts(paying) == [("succeeded", None)]
    assert balance(paying) == "50"
    paying.deliver("TOP_UP")
    paying.flow()
    assert charges(stand_in) == (1, {"usd": 6000})
    assert balance(paying) == "50"
    assert len(paying.announced("top_up.succeeded")) == 1


def test_a_webhook_about_a_payment_that_is_not_ours_is_nothing(paying: Street, stand_in: StandIn) -> None:
    theirs = stand_in.stripe.payment_intents.create({"amount": 100, "currency": "usd"})
    paying.run("TOP_UP", [queue_record({"payment_intent": theirs.id})])
    assert attempts(paying) == [("requested", None)]
    assert not paying.parked("unknown")


def test_an_attempt_that_stood_still_is_announced_again_by_the_hour_and_then_ends(
    paying: Street, stand_in: StandIn
) -> None:
    paying.queues["TOP_UP"].clear()
    paying.now = NOW + 14 * MINUTE
    paying.hour()
    assert paying.queues["TOP_UP"] == []
    paying.now = NOW + 15 * MINUTE
    paying.hour()
    paying.deliver("TOP_UP")
    assert attempts(paying) == [("succeeded", None)]
    assert charges(stand_in)[0] == 1


def test_as_long_as_the_balance_stays_low_it_goes_on_until_the_cap(street: Street, stand_in: StandIn) -> None:
    street.does("POST", "/v1/customers/acme/credits", {"id": "gift", "amount": "10"})
    street.post(used("a", value="400"))  # 200 dollars
    street.flow()
    street.does("PATCH", "/v1/customers/acme", {"prepaid_only": True})
    below(street, stand_in, "pm_card_visa")
    for _ in range(5):
        street.now += MINUTE
        street.deliver("TOP_UP")
        street.flow()
        street.minute()
    assert attempts(street) == [("succeeded", None)] * 2
    assert charges(stand_in) == (2, {"usd": 12_000})
    assert balance(street) == "-90"


def test_a_message_that_makes_no_sense_is_parked_and_its_neighbour_is_handled(paying: Street) -> None:
    good = paying.queues["TOP_UP"][0]
    top_up.handler({"Records": [queue_record({"customer": "acme"}), queue_record(good)]}, None)
    assert attempts(paying) == [("succeeded", None)]
    (item,) = paying.parked()
    assert json.loads(json.loads(str(item["record"]))["body"]) == {"customer": "acme"}
