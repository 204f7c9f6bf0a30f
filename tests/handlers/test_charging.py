"""A card that does not pay: told once for each reason, tried again on a schedule or when something changed."""

from typing import Any

import pytest

from metering.times import DAY, HOUR, parse_time
from tests.handlers.owing import (
    DECLINED,
    DUE,
    GOOD,
    NEEDS_A_PERSON,
    charged,
    collected,
    days_pass,
    finalised,
    hear,
    invoice,
    message,
    say,
    theirs,
    told,
    tried,
)
from tests.handlers.street import Street, queue_record
from tests.infra.local.stripe.in_process import InProcess

FINALISED = parse_time("2026-12-01T02:00:00Z")


def another_card(street: Street, stand_in: InProcess, card: str) -> None:
    """The customer saves another card, which pays from then on."""
    holder = street.does("GET", "/v1/customers/acme")["stripe_customer"]
    method = stand_in.stripe.payment_methods.attach(card, {"customer": holder})
    stand_in.stripe.customers.update(holder, {"invoice_settings": {"default_payment_method": method.id}})


def card_added(street: Street) -> None:
    for _ in range(2):
        message(street, {"customer": "acme", "card_added": True})
        collected(street)


def test_a_declined_card_is_told_once_and_tried_again_on_a_schedule(street: Street, stand_in: InProcess) -> None:
    finalised(street, stand_in, DECLINED)
    collected(street)
    (news,) = street.announced("invoice.payment_failed")
    assert (news["reason"], news["amount_due"], news["attempt_count"]) == ("generic_decline", "7.2", 1)
    assert news["hosted_invoice_url"] == theirs(stand_in)[0].hosted_invoice_url
    assert news["next_payment_attempt"] == "2026-12-02T02:00:00Z" == invoice(street)["next_payment_attempt"]
    for after, tries in ((1, 2), (3, 3), (7, 4)):
        street.now = FINALISED + after * DAY - HOUR
        street.hour()
        collected(street)
        assert tried(stand_in) == tries - 1
        street.now += HOUR
        street.hour()
        collected(street)
        assert tried(stand_in) == tries
    days_pass(street, 20)
    assert (tried(stand_in), invoice(street)["attempt_count"]) == (4, 4)
    assert (invoice(street)["status"], invoice(street)["payment_failure"]) == ("past_due", "generic_decline")
    assert invoice(street)["next_payment_attempt"] is None
    assert len(told(street, "invoice.payment_failed")) == 1
    assert not street.parked()


def test_a_message_that_comes_again_does_not_try_again(street: Street, stand_in: InProcess) -> None:
    finalised(street, stand_in, DECLINED)
    messages = list(street.queues["COLLECT"])
    for _ in range(3):
        street.queues["COLLECT"] += messages
        collected(street)
    hear(street)
    assert tried(stand_in) == 1


def test_a_card_that_pays_on_a_later_try_ends_it(street: Street, stand_in: InProcess) -> None:
    finalised(street, stand_in, DECLINED)
    collected(street)
    another_card(street, stand_in, "pm_card_visa")
    days_pass(street, 2)
    assert (invoice(street)["status"], charged(stand_in)) == ("paid", (1, {"usd": 720}))
    assert invoice(street)["payment_failure"] is None
    assert len(theirs(stand_in)) == 1


def test_another_card_is_tried_at_once_for_all_that_is_unpaid_and_only_once(
    street: Street, stand_in: InProcess
) -> None:
    finalised(street, stand_in, DECLINED)
    collected(street)
    days_pass(street, 10)
    card_added(street)
    assert tried(stand_in) == 4, "it is the same card"
    another_card(street, stand_in, DECLINED)
    card_added(street)
    assert tried(stand_in) == 5
    assert invoice(street)["next_payment_attempt"] == "2026-12-12T02:00:00Z", "a card has a schedule of its own"
    assert len(told(street, "invoice.payment_failed")) == 1
    another_card(street, stand_in, "pm_card_visa")
    card_added(street)
    assert (invoice(street)["status"], charged(stand_in)) == ("paid", (1, {"usd": 720}))


def test_a_person_can_have_it_tried_again_each_time_once(street: Street, stand_in: InProcess) -> None:
    finalised(street, stand_in, DECLINED)
    collected(street)
    for tries in (2, 3):
        say(street, "retry")
        street.queues["COLLECT"] *= 2
        collected(street)
        assert tried(stand_in) == tries
    another_card(street, stand_in, "pm_card_visa")
    say(street, "retry")
    collected(street)
    assert invoice(street)["status"] == "paid"


def test_another_reason_is_told_too(street: Street, stand_in: InProcess) -> None:
    finalised(street, stand_in, DECLINED)
    collected(street)
    another_card(street, stand_in, NEEDS_A_PERSON)
    card_added(street)
    another_card(street, stand_in, DECLINED)
    card_added(street)
    reasons = [news["reason"] for news in told(street, "invoice.payment_failed")]
    assert reasons == ["generic_decline", "authentication_required"]


def test_a_card_whose_bank_wants_to_see_its_holder_is_not_tried_again_and_its_holder_pays_on_stripes_page(
    street: Street, stand_in: InProcess
) -> None:
    finalised(street, stand_in, NEEDS_A_PERSON)
    collected(street)
    days_pass(street, 8)
    hear(street)
    (news,) = told(street, "invoice.payment_failed")
    assert (news["reason"], news["next_payment_attempt"]) == ("authentication_required", None)
    assert news["hosted_invoice_url"] == theirs(stand_in)[0].hosted_invoice_url
    assert tried(stand_in) == 0
    assert invoice(street)["attempt_count"] == 1
    stand_in.control(f"invoices/{theirs(stand_in)[0].id}/pay", {"card": "4000002760003184"})
    hear(street)
    assert (invoice(street)["status"], charged(stand_in)) == ("paid", (1, {"usd": 720}))


@pytest.mark.parametrize("at_stripe", [False, True], ids=["without Stripe", "without a card"])
def test_a_customer_without_a_card_is_told_once_and_collected_from_when_one_is_added(
    street: Street, stand_in: InProcess, at_stripe: bool
) -> None:
    holder = stand_in.stripe.customers.create({"name": "Ada"}).id if at_stripe else None
    finalised(street, stand_in, None, stripe_customer=holder)
    collected(street)
    days_pass(street, 9)
    (news,) = told(street, "invoice.payment_failed")
    assert news["reason"] == "no_payment_method" == invoice(street)["payment_failure"]
    assert (tried(stand_in), invoice(street)["status"]) == (0, "past_due")
    assert not street.parked()
    if at_stripe:
        another_card(street, stand_in, "pm_card_visa")
    else:
        street.does("PATCH", "/v1/customers/acme", {"stripe_customer": stand_in.customer()[0]})
    message(street, {"customer": "acme", "card_added": True})
    collected(street)
    assert (invoice(street)["status"], charged(stand_in)) == ("paid", (1, {"usd": 720}))


def test_who_is_another_customer_at_stripe_is_collected_from_at_once(street: Street, stand_in: InProcess) -> None:
    finalised(street, stand_in, None)
    street.deliver("COLLECT")
    assert invoice(street)["status"] == "finalized"
    street.does("PATCH", "/v1/customers/acme", {"name": "Acme & Sons"})
    assert street.queues["COLLECT"] == []
    street.does("PATCH", "/v1/customers/acme", {"stripe_customer": stand_in.customer()[0]})
    street.deliver("COLLECT")
    assert invoice(street)["status"] == "paid"


def test_a_card_of_which_nobody_tells_is_found_within_a_day(street: Street, stand_in: InProcess) -> None:
    finalised(street, stand_in, None)
    collected(street)
    street.does("PATCH", "/v1/customers/acme", {"stripe_customer": stand_in.customer()[0]})
    days_pass(street, 1)
    assert invoice(street)["status"] == "paid"


def test_who_was_deleted_at_stripe_has_no_card(street: Street, stand_in: InProcess) -> None:
    finalised(street, stand_in, DECLINED)
    collected(street)
    stand_in.stripe.customers.delete(street.does("GET", "/v1/customers/acme")["stripe_customer"])
    days_pass(street, 2)
    reasons = [news["reason"] for news in told(street, "invoice.payment_failed")]
    assert reasons == ["generic_decline", "no_payment_method"]
    assert not street.parked()


def test_the_outcome_of_a_try_is_known_before_the_next_has_a_key(street: Street, stand_in: InProcess) -> None:
    finalised(street, stand_in, DECLINED)
    stand_in.control("faults", {"path": "/v1/invoices/*/pay", "drop": True, "processed": True, "times": 6})
    for number in range(3):
        message(street, {"customer": "acme", "invoice": DUE, "retry": number})
        another_card(street, stand_in, "pm_card_visa")
        message(street, {"customer": "acme", "invoice": DUE, "card_added": True})
        assert (tried(stand_in), invoice(street)["attempt_count"]) == (1, 1)
    keys = [each["idempotency_key"] for each in stand_in.read("requests")["data"] if each["path"].endswith("/pay")]
    assert set(keys) == {f"invoice:{street.deployment_id}:{DUE}:1:pay:1"}
    message(street, {"customer": "acme", "invoice": DUE})
    assert [news["reason"] for news in told(street, "invoice.payment_failed")] == ["generic_decline"]


def slow(stand_in: InProcess, street: Street) -> None:
    holder = street.does("GET", "/v1/customers/acme")["stripe_customer"]
    method = stand_in.stripe.customers.payment_methods.list(holder).data[0].id
    stand_in.control(f"payment_methods/{method}/slow")


def settle(stand_in: InProcess, *, succeeds: bool) -> None:
    (intent,) = stand_in.stripe.payment_intents.list().data
    stand_in.control(f"payment_intents/{intent.id}/settle", {"succeeds": succeeds})


@pytest.mark.parametrize("succeeds", [True, False])
def test_a_payment_that_takes_days_is_waited_for_and_not_made_again(
    street: Street, stand_in: InProcess, succeeds: bool
) -> None:
    finalised(street, stand_in)
    slow(stand_in, street)
    collected(street)
    say(street, "retry")
    days_pass(street, 9)
    assert (tried(stand_in), invoice(street)["attempt_count"]) == (1, 1)
    assert told(street, "invoice.payment_failed") == []
    settle(stand_in, succeeds=succeeds)
    hear(street)
    if succeeds:
        assert (invoice(street)["status"], charged(stand_in)) == ("paid", (1, {"usd": 720}))
    else:
        (news,) = told(street, "invoice.payment_failed")
        assert (news["reason"], news["next_payment_attempt"]) == ("generic_decline", "2026-12-11T02:00:01Z")
    assert not street.parked()


def test_what_a_customer_cannot_pay_on_stripes_page_is_told_and_leaves_the_schedule_as_it_is(
    street: Street, stand_in: InProcess
) -> None:
    finalised(street, stand_in, DECLINED)
    collected(street)
    before = invoice(street)["next_payment_attempt"]
    with pytest.raises(AssertionError, match="funds"):
        stand_in.control(f"invoices/{theirs(stand_in)[0].id}/pay", {"card": "4000008260003178"})
    hear(street)
    assert [news["reason"] for news in told(street, "invoice.payment_failed")] == [
        "generic_decline",
        "insufficient_funds",
    ]
    assert invoice(street)["next_payment_attempt"] == before


def test_a_payment_that_a_customer_began_on_stripes_page_is_waited_for(street: Street, stand_in: InProcess) -> None:
    finalised(street, stand_in, DECLINED)
    collected(street)
    stand_in.control(f"invoices/{theirs(stand_in)[0].id}/pay", {"card": GOOD, "slow": True})
    days_pass(street, 8)
    assert tried(stand_in) == 2, "the card and the page"
    settle(stand_in, succeeds=True)
    hear(street)
    assert (invoice(street)["status"], charged(stand_in)) == ("paid", (1, {"usd": 720}))
    assert not street.parked()


def test_a_card_that_is_taken_away_in_the_moment_it_is_charged_is_refused_and_tried_again(
    street: Street, stand_in: InProcess
) -> None:
    finalised(street, stand_in)
    stand_in.control("faults", {"path": "/v1/invoices/*/pay", "drop": True})
    street.deliver("COLLECT")
    holder = street.does("GET", "/v1/customers/acme")["stripe_customer"]
    stand_in.stripe.payment_methods.detach(stand_in.stripe.customers.payment_methods.list(holder).data[0].id)
    collected(street)
    assert [news["reason"] for news in told(street, "invoice.payment_failed")] == ["stripe_refused"]
    another_card(street, stand_in, "pm_card_visa")
    days_pass(street, 1)
    assert invoice(street)["status"] == "paid"
    assert not street.parked()


def test_two_at_once_try_it_once(street: Street, stand_in: InProcess) -> None:
    finalised(street, stand_in, DECLINED)
    taken: list[Any] = []

    def other_first(name: str, do: Any) -> Any:
        if name.startswith("Stripe") and "pay" in name and not taken:
            taken.append(name)
            street.run("COLLECT", [queue_record({"invoice": DUE})])
        return do()

    street.interfere = other_first
    collected(street)
    assert taken
    assert (tried(stand_in), invoice(street)["attempt_count"]) == (1, 1)
    assert len(told(street, "invoice.payment_failed")) == 1
