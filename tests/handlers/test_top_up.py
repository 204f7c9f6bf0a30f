"""Top-ups with the stand-in in process: at most one charge per attempt, exactly one credit per charge. Law 5.6."""

import json
from typing import Any

import pytest

from handlers import stripe_events, top_up
from handlers._stripe_news import messages_of
from metering.times import DAY, HOUR, MINUTE, SECOND
from tests.handlers.street import NOW, Street, queue_record, used
from tests.infra.local.stripe.in_process import InProcess

RULE = {"threshold": "10", "amount": "50", "daily_cap": "100"}
NEEDS_A_PERSON = "pm_card_authenticationRequired"
DECLINED = "pm_card_chargeCustomerFail"


@pytest.fixture
def paying(street: Street, stand_in: InProcess) -> Street:
    """A street whose customer acme has a card and is below its threshold."""
    return below(street, stand_in, "pm_card_visa")


def below(street: Street, stand_in: InProcess, card: str | None) -> Street:
    holder = stand_in.customer(card)[0] if card else stand_in.stripe.customers.create({"name": "Ada"}).id
    street.does("PATCH", "/v1/customers/acme", {"stripe_customer": holder, "tax_rate": "20", "top_up": RULE})
    street.flow()
    return street


def attempts(street: Street) -> list[tuple[str, str | None]]:
    rows = street.does("GET", "/v1/customers/acme/top_ups")["rows"]
    return [(row["status"], row["reason"]) for row in rows]


def balance(street: Street) -> str:
    return str(street.does("GET", "/v1/customers/acme/balance")["balance"])


def charges(stand_in: InProcess) -> tuple[int, dict[str, int]]:
    told = stand_in.read("charges")
    return told["succeeded"], told["amount"]


def hear(street: Street) -> None:
    """Let everything arrive that Stripe has told and no webhook brought, and what follows of it."""
    street.now += SECOND
    stripe_events.handler({"source": "schedule", "time": None}, None)
    street.deliver("TOP_UP")
    street.flow()


def days_pass(street: Street, days: int) -> None:
    """Every hour the schedules run, and what is queued is handled."""
    for _ in range(days * 24):
        street.now += HOUR
        street.minute()
        street.hour()
        hear(street)


def test_a_balance_below_its_threshold_is_charged_with_tax_and_credited_without(
    paying: Street, stand_in: InProcess
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


def test_it_takes_four_calls_of_which_two_are_about_the_card(paying: Street, stand_in: InProcess) -> None:
    before = len(stand_in.read("requests")["data"])
    paying.deliver("TOP_UP")
    calls = [(each["method"], each["path"].split("/")[2]) for each in stand_in.read("requests")["data"][before:]]
    assert calls == [("GET", "customers"), ("POST", "payment_intents"), ("POST", "payment_intents")]


def test_a_message_that_comes_again_finds_the_attempt_ended(paying: Street, stand_in: InProcess) -> None:
    messages = list(paying.queues["TOP_UP"])
    for _ in range(3):
        paying.queues["TOP_UP"] += messages
        paying.deliver("TOP_UP")
    paying.flow()
    assert charges(stand_in) == (1, {"usd": 6000})
    assert balance(paying) == "50"
    assert len(paying.announced("top_up.succeeded")) == 1


@pytest.mark.parametrize(
    ("card", "reason"), [(DECLINED, "generic_decline"), (None, "no_payment_method")], ids=["declined", "none"]
)
def test_a_card_that_does_not_pay_is_told_once_tried_three_times_more_and_then_left_alone(
    street: Street, stand_in: InProcess, card: str | None, reason: str
) -> None:
    below(street, stand_in, card)
    street.deliver("TOP_UP")
    street.flow()
    assert attempts(street) == [("failed", reason)]
    for after, tries in ((HOUR - 1, 1), (HOUR, 2), (HOUR + DAY, 3), (HOUR + 4 * DAY, 4)):
        street.now = NOW + after
        street.minute()
        street.deliver("TOP_UP")
        street.flow()
        assert len(attempts(street)) == tries
    days_pass(street, 30)
    assert attempts(street) == [("failed", reason)] * 4
    (news,) = street.announced("top_up.failed")
    assert (news["reason"], news["tried_again_at"]) == (reason, "2026-11-20T17:00:00Z")
    assert charges(stand_in) == (0, {})
    assert balance(street) == "0"
    assert {intent.status for intent in stand_in.stripe.payment_intents.list().data} <= {"canceled"}


@pytest.mark.parametrize("change", ["another rule", "another Stripe customer", "by hand"])
def test_what_a_person_changes_is_tried_at_once(street: Street, stand_in: InProcess, change: str) -> None:
    below(street, stand_in, DECLINED)
    street.deliver("TOP_UP")
    street.now += 1
    good = stand_in.customer()[0]
    if change == "another rule":
        street.does("PATCH", "/v1/customers/acme", {"top_up": {"amount": "60"}})
    elif change == "another Stripe customer":
        street.does("PATCH", "/v1/customers/acme", {"stripe_customer": good})
    else:
        street.does("POST", "/v1/customers/acme/top_ups", {"id": "mine", "amount": "5"})
    street.flow()
    assert [state for state, _ in attempts(street)].count("requested") == 1


def test_a_card_that_needs_its_holder_is_asked_for_once_by_a_page_on_which_the_credit_is_bought(
    street: Street, stand_in: InProcess
) -> None:
    below(street, stand_in, NEEDS_A_PERSON)
    street.deliver("TOP_UP")
    street.flow()
    assert attempts(street) == [("action_required", "authentication_required")]
    (news,) = street.announced("top_up.action_required")
    (open_one,) = street.does("GET", "/v1/top_ups", query={"status": "action_required"})["rows"]
    assert news["url"] == open_one["url"] is not None
    assert [intent.status for intent in stand_in.stripe.payment_intents.list().data] == ["canceled"]
    (session,) = stand_in.stripe.checkout.sessions.list().data
    stand_in.control(f"checkout/sessions/{session.id}/complete", {"card": "4242424242424242"})
    for _ in range(2):
        hear(street)
    assert attempts(street)[0] == ("succeeded", None)
    assert charges(stand_in) == (1, {"usd": 6000})
    assert balance(street) == "50"
    assert len(street.announced("top_up.succeeded")) == 1
    # The card that paid there pays from now on.
    street.post(used("a", value="90"))
    street.flow()
    street.deliver("TOP_UP")
    assert [state for state, _ in attempts(street)] == ["succeeded", "succeeded"]


def test_a_page_on_which_nobody_pays_ends_and_none_is_made_again(street: Street, stand_in: InProcess) -> None:
    below(street, stand_in, NEEDS_A_PERSON)
    street.deliver("TOP_UP")
    days_pass(street, 3)
    assert attempts(street) == [("failed", "authentication_required")]
    assert len(street.announced("top_up.action_required")) == 1
    assert street.announced("top_up.failed") == []
    (session,) = stand_in.stripe.checkout.sessions.list().data
    assert session.status == "expired"
    assert street.does("GET", "/v1/top_ups")["rows"] == []


def test_a_person_can_end_what_is_open_unless_it_was_paid(street: Street, stand_in: InProcess) -> None:
    below(street, stand_in, NEEDS_A_PERSON)
    street.deliver("TOP_UP")
    (row,) = street.does("GET", "/v1/customers/acme/top_ups")["rows"]
    path = f"/v1/customers/acme/top_ups/{row['id']}/cancel"
    (session,) = stand_in.stripe.checkout.sessions.list().data
    assert street.does("POST", path)["status"] == "action_required"
    street.deliver("TOP_UP")
    assert attempts(street)[-1] == ("canceled", "canceled")
    assert stand_in.stripe.checkout.sessions.retrieve(session.id).status == "expired"
    assert street.does("POST", path)["status"] == "canceled"
    days_pass(street, 2)
    assert len(attempts(street)) == 1, "what a person has ended is not tried again by itself"
    assert street.call("POST", "/v1/customers/acme/top_ups/none/cancel")[1]["code"] == "not_found"


def test_what_was_paid_while_it_was_being_ended_is_credited(street: Street, stand_in: InProcess) -> None:
    below(street, stand_in, NEEDS_A_PERSON)
    street.deliver("TOP_UP")
    (row,) = street.does("GET", "/v1/customers/acme/top_ups")["rows"]
    street.does("POST", f"/v1/customers/acme/top_ups/{row['id']}/cancel")
    (session,) = stand_in.stripe.checkout.sessions.list().data
    stand_in.control(f"checkout/sessions/{session.id}/complete", {"card": "4242424242424242"})
    street.deliver("TOP_UP")
    assert attempts(street)[-1] == ("succeeded", None)
    assert balance(street) == "50"
    told = street.call("POST", f"/v1/customers/acme/top_ups/{row['id']}/cancel")
    assert (told[0], told[1]["code"]) == (409, "top_up_state")


def test_a_customer_without_stripe_fails_without_a_call(street: Street, stand_in: InProcess) -> None:
    street.does("PATCH", "/v1/customers/acme", {"top_up": RULE})
    street.flow()
    street.deliver("TOP_UP")
    assert attempts(street) == [("failed", "no_payment_method")]
    assert stand_in.read("requests")["data"] == []


def test_a_balance_that_recovered_meanwhile_is_not_topped_up(paying: Street, stand_in: InProcess) -> None:
    paying.does("POST", "/v1/customers/acme/credits", {"id": "gift", "amount": "10"})
    paying.deliver("TOP_UP")
    assert attempts(paying) == [("canceled", "not_needed")]
    assert charges(stand_in) == (0, {})
    assert balance(paying) == "10"


def test_a_rule_that_was_switched_off_meanwhile_is_not_followed(paying: Street, stand_in: InProcess) -> None:
    paying.does("PATCH", "/v1/customers/acme", {"top_up": {"enabled": False}})
    paying.deliver("TOP_UP")
    assert attempts(paying) == [("canceled", "not_needed")]
    assert charges(stand_in) == (0, {})


def test_one_that_a_person_asked_for_is_carried_out_whatever_the_balance(street: Street, stand_in: InProcess) -> None:
    street.does("PATCH", "/v1/customers/acme", {"stripe_customer": stand_in.customer()[0]})
    street.does("POST", "/v1/customers/acme/credits", {"id": "gift", "amount": "100"})
    asked = "/v1/customers/acme/top_ups"
    assert street.call("POST", asked, {"id": "mine", "amount": "25"})[0] == 201
    assert street.call("POST", asked, {"id": "mine", "amount": "25.00"})[0] == 200
    assert street.call("POST", asked, {"id": "mine", "amount": "26"})[1]["code"] == "id_conflict"
    assert street.call("POST", asked, {"id": "other", "amount": "1"})[1]["code"] == "top_up_open"
    assert street.call("POST", asked, {"id": "odd", "amount": "1"})[0] == 409
    street.flow()
    street.deliver("TOP_UP")
    assert charges(stand_in) == (1, {"usd": 2500})
    assert balance(street) == "125"
    status, told = street.call("POST", asked, {"id": "fine", "amount": "1.001"})
    assert (status, told["errors"][0]["pointer"]) == (400, "/amount")


def test_a_webhook_that_comes_first_settles_the_attempt_and_the_answer_finds_it_settled(
    paying: Street, stand_in: InProcess
) -> None:
    fault = {"method": "POST", "path": "/v1/payment_intents/*/confirm", "drop": True, "processed": True}
    stand_in.control("faults", fault)
    paying.deliver("TOP_UP")
    (intent,) = stand_in.stripe.payment_intents.list().data
    event = {"type": "payment_intent.succeeded", "data": {"object": intent.to_dict()}}
    ((queue, message),) = messages_of(event)
    for _ in range(2):
        paying.run(queue, [queue_record(message)])
    assert attempts(paying) == [("succeeded", None)]
    assert balance(paying) == "50"
    paying.deliver("TOP_UP")
    paying.flow()
    assert charges(stand_in) == (1, {"usd": 6000})
    assert balance(paying) == "50"
    assert len(paying.announced("top_up.succeeded")) == 1


def test_an_attempt_that_stood_still_is_announced_again_by_the_hour_and_then_ends(
    paying: Street, stand_in: InProcess
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


def test_as_long_as_the_balance_stays_low_it_goes_on_until_the_cap(street: Street, stand_in: InProcess) -> None:
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


@pytest.mark.parametrize("path", ["/v1/payment_intents", "/v1/payment_intents/*/confirm"])
@pytest.mark.parametrize("processed", [False, True])
def test_an_error_that_stripe_keeps_under_the_key_ends_without_a_charge_that_nobody_knows(
    paying: Street, stand_in: InProcess, path: str, processed: bool
) -> None:
    """Stripe answers the same error under the key for a day: what it did is found by asking."""
    stand_in.control("faults", {"method": "POST", "path": path, "status": 500, "processed": processed})
    for _ in range(8):
        paying.deliver("TOP_UP")
        paying.now += 20 * MINUTE
        paying.hour()
    paying.flow()
    intents = stand_in.stripe.payment_intents.list().data
    succeeded = [intent for intent in intents if intent.status == "succeeded"]
    assert len(succeeded) == charges(stand_in)[0] == 1
    states = [state for state, _ in attempts(paying)]
    assert states.count("succeeded") == 1
    assert set(states) <= {"succeeded", "canceled"}
    assert balance(paying) == "50"
    assert not paying.parked()


def test_what_stripe_refuses_for_good_fails_once_and_is_told(paying: Street) -> None:
    paying.does("PATCH", "/v1/customers/acme", {"stripe_customer": "cus_unheard_of"})
    paying.deliver("TOP_UP")
    paying.flow()
    assert attempts(paying) == [("failed", "stripe_refused")]
    assert len(paying.announced("top_up.failed")) == 1


@pytest.mark.parametrize(("currency", "amount"), [("MGA", "50.50"), ("KWD", "5.124")])
def test_an_amount_that_stripe_cannot_charge_fails_once_and_is_told(
    street: Street, stand_in: InProcess, currency: str, amount: str
) -> None:
    street.does("PUT", "/v1/plans/odd", {"currency": currency, "items": []})
    body = {"plan": "odd", "stripe_customer": stand_in.customer()[0]}
    street.does("PUT", "/v1/customers/rova", {**body, "top_up": {"threshold": "10", "amount": amount}})
    street.flow()
    street.deliver("TOP_UP")
    street.flow()
    (row,) = street.does("GET", "/v1/customers/rova/top_ups")["rows"]
    assert (row["status"], row["reason"]) == ("failed", "amount_not_chargeable")
    assert not street.parked("rova")


def test_a_payment_that_a_bank_has_yet_to_decide_waits_for_it(street: Street, stand_in: InProcess) -> None:
    holder, method = stand_in.customer()
    stand_in.control(f"payment_methods/{method}/slow", {})
    street.does("PATCH", "/v1/customers/acme", {"stripe_customer": holder, "top_up": RULE})
    street.flow()
    street.deliver("TOP_UP")
    days_pass(street, 2)
    assert attempts(street) == [("confirming", None)]
    (intent,) = stand_in.stripe.payment_intents.list().data
    assert intent.status == "processing"
    stand_in.control(f"payment_intents/{intent.id}/settle", {"succeeds": True})
    hear(street)
    assert attempts(street) == [("succeeded", None)]
    assert charges(stand_in)[0] == 1


def test_what_stripe_cannot_answer_now_is_put_back_with_growing_pauses(paying: Street, stand_in: InProcess) -> None:
    stand_in.control("faults", {"status": 429, "times": 4})
    paying.delays.clear()
    for _ in range(4):
        paying.deliver("TOP_UP")
    assert [2 <= paying.delays[0] <= 3, 3 <= paying.delays[1] <= 5, 5 <= paying.delays[2] <= 9] == [True] * 3
    assert attempts(paying)[0][0] in {"requested", "creating"}
    paying.deliver("TOP_UP")
    assert attempts(paying) == [("succeeded", None)]
    assert charges(stand_in)[0] == 1


def test_a_message_that_makes_no_sense_is_parked_and_its_neighbour_is_handled(paying: Street) -> None:
    good = paying.queues["TOP_UP"][0]
    top_up.handler({"Records": [queue_record({"customer": "acme"}), queue_record(good)]}, None)
    assert attempts(paying) == [("succeeded", None)]
    (item,) = paying.parked()
    assert json.loads(json.loads(str(item["record"]))["body"]) == {"customer": "acme"}


def setup(street: Street, body: dict[str, Any] | None = None) -> str:
    return str(street.does("POST", "/v1/customers/acme/payment_setup", body or {})["url"])


def test_a_card_is_saved_on_a_page_and_what_was_declined_is_tried_anew(street: Street, stand_in: InProcess) -> None:
    street.does("PATCH", "/v1/customers/acme", {"top_up": RULE})
    street.flow()
    street.deliver("TOP_UP")
    assert attempts(street) == [("failed", "no_payment_method")]
    assert setup(street).startswith("http")
    holder = street.does("GET", "/v1/customers/acme")["stripe_customer"]
    setup(street)
    assert [each.id for each in stand_in.stripe.customers.list().data] == [holder], "one of ours is one of theirs"
    street.deliver("TOP_UP")  # another Stripe customer is tried at once, and has no card yet
    assert attempts(street)[0][0] == "failed"
    (first, *_) = stand_in.stripe.checkout.sessions.list().data
    stand_in.control(f"checkout/sessions/{first.id}/complete", {"card": "4242424242424242"})
    for _ in range(2):
        hear(street)
    assert attempts(street)[0] == ("succeeded", None)
    assert balance(street) == "50"
    assert {"customer": "acme", "card_added": True} in street.queues["COLLECT"]


def test_a_card_that_is_saved_while_a_page_waits_pays_instead_of_it(street: Street, stand_in: InProcess) -> None:
    below(street, stand_in, NEEDS_A_PERSON)
    street.deliver("TOP_UP")
    setup(street)
    saving = next(each for each in stand_in.stripe.checkout.sessions.list().data if each.mode == "setup")
    stand_in.control(f"checkout/sessions/{saving.id}/complete", {"card": "4242424242424242"})
    for _ in range(2):
        hear(street)
    assert sorted(state for state, _ in attempts(street)) == ["canceled", "succeeded"]
    assert charges(stand_in)[0] == 1


@pytest.mark.parametrize("url", ["javascript:alert(1)", "ftp://x"])
def test_an_address_to_return_to_is_one_of_the_web(street: Street, stand_in: InProcess, url: str) -> None:
    status, told = street.call("POST", "/v1/customers/acme/payment_setup", {"return_url": url})
    assert (status, told["errors"][0]["pointer"]) == (400, "/return_url")
    assert stand_in.read("requests")["data"] == []
