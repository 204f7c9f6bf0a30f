"""What Stripe says becomes of our invoices, and what people decide here is done there. Law 5.7."""

from collections.abc import Callable
from contextlib import suppress
from itertools import product
from typing import Any

import pytest

from metering.times import HOUR
from tests.handlers.owing import (
    DECLINED,
    DUE,
    GOOD,
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
)
from tests.handlers.street import Crash, Street
from tests.infra.local.stripe.in_process import InProcess
from tests.rows import quick_of


@pytest.fixture
def open_there(street: Street, stand_in: InProcess) -> Street:
    """A street on which November is finalised at Stripe, and its card does not pay."""
    finalised(street, stand_in, DECLINED)
    collected(street)
    assert [each.status for each in theirs(stand_in)] == ["open"]
    return street


def pay_on_page(stand_in: InProcess) -> None:
    stand_in.control(f"invoices/{theirs(stand_in)[0].id}/pay", {"card": GOOD})


def paid_elsewhere(stand_in: InProcess) -> Any:
    return theirs(stand_in)[0].amount_paid_off_stripe


def refused_by_stripe(stand_in: InProcess) -> bool:
    """Whether Stripe takes no money for the invoice any more."""
    with pytest.raises(AssertionError):
        pay_on_page(stand_in)
    return charged(stand_in) == (0, {})


@pytest.mark.parametrize(
    ("action", "status", "becomes"),
    [
        ("mark_paid", "paid", "paid"),
        ("void", "void", "void"),
        ("mark_uncollectible", "uncollectible", "uncollectible"),
    ],
)
def test_what_is_decided_here_is_done_at_stripe(
    open_there: Street, stand_in: InProcess, action: str, status: str, becomes: str
) -> None:
    assert say(open_there, action)["status"] == status
    for _ in range(2):
        collected(open_there)
        say(open_there, action)
    assert [each.status for each in theirs(stand_in)] == [becomes]
    assert charged(stand_in) == (0, {})
    if action == "mark_paid":
        assert paid_elsewhere(stand_in) == 720
    if action != "mark_uncollectible":
        assert refused_by_stripe(stand_in)
    hear(open_there)
    days_pass(open_there, 8)
    assert invoice(open_there)["status"] == status
    assert len(told(open_there, "invoice.paid")) == (1 if action == "mark_paid" else 0)
    assert open_there.queues["COLLECT"] == [], "nothing is told in a circle"
    assert not open_there.parked()


@pytest.mark.parametrize("action", ["mark_paid", "void", "mark_uncollectible"])
@pytest.mark.parametrize("path", ["/v1/invoices", "/v1/invoices/*/add_lines", "/v1/invoices/*/finalize"])
@pytest.mark.parametrize("processed", [False, True])
def test_what_is_decided_while_it_is_being_made_leaves_no_draft(
    street: Street, stand_in: InProcess, path: str, processed: bool, action: str
) -> None:
    finalised(street, stand_in)
    stand_in.control("faults", {"method": "POST", "path": path, "drop": True, "processed": processed})
    street.deliver("COLLECT")
    say(street, action)
    collected(street)
    left = {"mark_paid": "paid", "void": "void", "mark_uncollectible": "uncollectible"}[action]
    finalised_there = processed and path.endswith("finalize")
    assert [each.status for each in theirs(stand_in)] == ([left] if finalised_there else [])
    assert charged(stand_in) == (0, {})
    assert (invoice(street)["stripe_invoice"] is None) == (not finalised_there)
    days_pass(street, 1)
    assert not street.parked()


@pytest.mark.parametrize("action", ["mark_paid", "void", "mark_uncollectible"])
@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("answer_lost", [False, True])
def test_a_lost_message_or_process_delays_what_was_decided_until_the_sweep(
    open_there: Street, stand_in: InProcess, action: str, number: int, answer_lost: bool
) -> None:
    say(open_there, action)
    open_there.flow()
    open_there.writes_left, open_there.answer_lost = number, answer_lost
    with suppress(Crash):
        open_there.deliver("COLLECT")
    open_there.writes_left = None
    open_there.queues["COLLECT"].clear()
    open_there.now += HOUR
    open_there.hour()
    collected(open_there)
    becomes = {"mark_paid": "paid", "void": "void", "mark_uncollectible": "uncollectible"}[action]
    assert [each.status for each in theirs(stand_in)] == [becomes]
    open_there.now += HOUR
    open_there.hour()
    assert open_there.queues["COLLECT"] == []


@pytest.mark.parametrize("path", ["/v1/invoices/*/pay", "/v1/invoices/*/void", "/v1/invoices/*/mark_uncollectible"])
@pytest.mark.parametrize("fault", [{"drop": True}, {"drop": True, "processed": True}, {"status": 500}], ids=str)
def test_a_lost_answer_about_what_was_decided_is_found_out(
    open_there: Street, stand_in: InProcess, path: str, fault: dict[str, Any]
) -> None:
    action = {"pay": "mark_paid"}.get(path.rpartition("/")[2], path.rpartition("/")[2])
    stand_in.control("faults", {"method": "POST", "path": path, **fault})
    say(open_there, action)
    open_there.flow()
    open_there.deliver("COLLECT")
    collected(open_there)
    becomes = {"mark_paid": "paid", "void": "void", "mark_uncollectible": "uncollectible"}[action]
    assert [each.status for each in theirs(stand_in)] == [becomes]
    assert charged(stand_in) == (0, {})
    assert not open_there.parked()


@pytest.mark.parametrize(("action", "words"), [("mark_paid", "marked as paid"), ("void", "voided")])
def test_what_was_charged_before_stripe_knew_is_told_to_a_person_and_never_lost(
    open_there: Street, stand_in: InProcess, action: str, words: str
) -> None:
    pay_on_page(stand_in)
    status = say(open_there, action)["status"]
    collected(open_there)
    hear(open_there)
    days_pass(open_there, 1)
    (item,) = open_there.parked()
    assert str(item["reason"]).startswith(f"TX-000001 was {words} here, and charged at Stripe meanwhile: refund in_")
    assert (invoice(open_there)["status"], charged(stand_in)) == (status, (1, {"usd": 720}))
    # The person refunds it, and has the record processed again.
    (charge,) = [each for each in stand_in.stripe.charges.list().data if each.paid]
    stand_in.stripe.refunds.create({"charge": charge.id})
    hear(open_there)
    open_there.outbox.unpark(item)
    message(open_there, {"customer": "acme", "invoice": DUE})
    assert not open_there.parked()
    shown = invoice(open_there)
    assert (shown["status"], shown["amount_refunded"]) == (status, "7.2")


@pytest.mark.parametrize("answer_lost", [False, True])
@pytest.mark.parametrize("number", range(2))
def test_it_is_told_whatever_ends_the_process(
    open_there: Street, stand_in: InProcess, number: int, answer_lost: bool
) -> None:
    pay_on_page(stand_in)
    say(open_there, "mark_paid")
    open_there.writes_left, open_there.answer_lost = number, answer_lost
    with pytest.raises(Crash):
        open_there.deliver("COLLECT")
    open_there.writes_left = None
    days_pass(open_there, 1)
    assert len(open_there.parked()) == 1


def test_a_charge_under_way_when_it_is_marked_as_paid_is_told(street: Street, stand_in: InProcess) -> None:
    finalised(street, stand_in)

    def marked_first(name: str, do: Any) -> Any:
        if name.startswith("Stripe") and name.endswith("pay"):
            street.interfere = lambda _, do: do()
            say(street, "mark_paid")
        return do()

    street.interfere = marked_first
    collected(street)
    assert (invoice(street)["status"], charged(stand_in)) == ("paid", (1, {"usd": 720}))
    assert len(street.parked()) == 1
    assert len(told(street, "invoice.paid")) == 1


def test_what_is_given_up_can_be_paid_at_stripe_or_another_way(open_there: Street, stand_in: InProcess) -> None:
    say(open_there, "mark_uncollectible")
    collected(open_there)
    pay_on_page(stand_in)
    hear(open_there)
    assert (invoice(open_there)["status"], charged(stand_in)) == ("paid", (1, {"usd": 720}))


def test_what_is_given_up_and_then_paid_another_way_is_paid_at_stripe_too(
    open_there: Street, stand_in: InProcess
) -> None:
    say(open_there, "mark_uncollectible")
    collected(open_there)
    say(open_there, "mark_paid")
    collected(open_there)
    assert (theirs(stand_in)[0].status, paid_elsewhere(stand_in), charged(stand_in)) == ("paid", 720, (0, {}))


def test_what_is_voided_in_stripes_dashboard_is_voided_here_with_all_that_belongs_to_it(
    open_there: Street, stand_in: InProcess
) -> None:
    before = open_there.does("GET", "/v1/customers/acme/balance")["balance"]
    stand_in.stripe.invoices.void_invoice(str(theirs(stand_in)[0].id))
    for _ in range(2):
        hear(open_there)
        message(open_there, {"stripe_invoice": theirs(stand_in)[0].id})
    assert invoice(open_there)["status"] == "void"
    after = open_there.does("GET", "/v1/customers/acme/balance")["balance"]
    assert (before, after) == ("0", "4"), "what credits had paid of it is given back"
    assert [news["reissue"] for news in told(open_there, "invoice.voided")] == [False]
    assert open_there.queues["COLLECT"] == []
    assert not open_there.parked()


def test_what_is_given_up_in_stripes_dashboard_is_given_up_here(open_there: Street, stand_in: InProcess) -> None:
    stand_in.stripe.invoices.mark_uncollectible(str(theirs(stand_in)[0].id))
    hear(open_there)
    days_pass(open_there, 8)
    assert invoice(open_there)["status"] == "uncollectible"
    assert len(stand_in.read("charges")["data"]) == 1


def test_what_is_marked_as_paid_in_stripes_dashboard_is_paid_here(open_there: Street, stand_in: InProcess) -> None:
    stand_in.stripe.invoices.pay(str(theirs(stand_in)[0].id), {"paid_out_of_band": True})
    hear(open_there)
    assert (invoice(open_there)["status"], charged(stand_in)) == ("paid", (0, {}))
    assert len(told(open_there, "invoice.paid")) == 1


TOLD_AFTER = [*product((0, 1, 2), repeat=4)]
# Any two of the four are told of in each of the nine ways.
PAIRWISE = [(a, b, (a + b) % 3, (a + 2 * b) % 3) for a, b in product((0, 1, 2), repeat=2)]


@pytest.mark.parametrize("told_after", quick_of(TOLD_AFTER, *PAIRWISE), ids=str)
def test_messages_that_come_late_or_more_than_once_or_not_at_all_come_to_the_same(
    street: Street, stand_in: InProcess, told_after: tuple[int, ...]
) -> None:
    finalised(street, stand_in, DECLINED)
    street.does("PATCH", "/v1/customers/acme", {"collection": "send_invoice"})
    collected(street)
    named = str(theirs(stand_in)[0].id)
    happens: list[Callable[[], Any]] = [
        lambda: stand_in.stripe.invoices.update(named, {"metadata": {"seen": "yes"}}),
        lambda: stand_in.stripe.invoices.mark_uncollectible(named),
        lambda: pay_on_page(stand_in),
        lambda: refund(stand_in, 20),
    ]
    for happened, times in zip(happens, told_after, strict=True):
        happened()
        for _ in range(times):
            message(street, {"stripe_invoice": named})
    hear(street)
    assert shown(street) == ("paid", "0.2")
    assert len(told(street, "invoice.paid")) == 1
    assert not street.parked()


def refund(stand_in: InProcess, amount: int) -> Any:
    (charge,) = [each for each in stand_in.stripe.charges.list().data if each.paid]
    return stand_in.stripe.refunds.create({"charge": charge.id, "amount": amount})


def dispute(stand_in: InProcess, **fields: Any) -> str:
    (charge,) = [each for each in stand_in.stripe.charges.list().data if each.paid]
    return str(stand_in.control(f"charges/{charge.id}/dispute", fields)["id"])


def shown(street: Street) -> tuple[str, str]:
    row = invoice(street)
    return row["status"], row["amount_refunded"]


@pytest.fixture
def paid(street: Street, stand_in: InProcess) -> Street:
    finalised(street, stand_in)
    collected(street)
    assert shown(street) == ("paid", "0")
    return street


def hears_twice(street: Street, stand_in: InProcess) -> None:
    hear(street)
    for intent in stand_in.stripe.payment_intents.list().data:
        message(street, {"payment_intent": intent.id})


def test_refunds_are_shown_as_they_stand(paid: Street, stand_in: InProcess) -> None:
    refund(stand_in, 100)
    hears_twice(paid, stand_in)
    assert shown(paid) == ("paid", "1")
    back = refund(stand_in, 620)
    hears_twice(paid, stand_in)
    assert shown(paid) == ("paid", "7.2")
    stand_in.control(f"refunds/{back.id}/fail", {})
    hears_twice(paid, stand_in)
    assert shown(paid) == ("paid", "1")


def test_a_dispute_takes_the_money_until_it_is_won(paid: Street, stand_in: InProcess) -> None:
    named = dispute(stand_in)
    hears_twice(paid, stand_in)
    assert shown(paid) == ("paid", "7.2")
    stand_in.control(f"disputes/{named}", {"status": "won"})
    hears_twice(paid, stand_in)
    assert shown(paid) == ("paid", "0")


def test_an_inquiry_takes_nothing(paid: Street, stand_in: InProcess) -> None:
    named = dispute(stand_in, inquiry=True)
    hears_twice(paid, stand_in)
    assert shown(paid) == ("paid", "0")
    stand_in.control(f"disputes/{named}", {"status": "warning_closed"})
    hears_twice(paid, stand_in)
    assert shown(paid) == ("paid", "0")


def test_a_refund_and_a_dispute_are_not_more_than_was_paid(paid: Street, stand_in: InProcess) -> None:
    refund(stand_in, 220)
    dispute(stand_in)
    hears_twice(paid, stand_in)
    assert shown(paid) == ("paid", "7.2")


def test_a_lost_dispute_makes_it_past_due_and_it_is_never_charged_again_but_can_be_paid_another_way(
    paid: Street, stand_in: InProcess
) -> None:
    stand_in.control(f"disputes/{dispute(stand_in)}", {"status": "lost"})
    hears_twice(paid, stand_in)
    assert shown(paid) == ("past_due", "7.2")
    assert [news["reason"] for news in told(paid, "invoice.payment_failed")] == ["dispute_lost"]
    message(paid, {"customer": "acme", "card_added": True})
    collected(paid)
    message(paid, {"stripe_invoice": theirs(stand_in)[0].id})
    days_pass(paid, 8)
    status, answer = paid.call("POST", f"/v1/invoices/{DUE}/retry")
    assert (status, answer["code"]) == (409, "invoice_status")
    assert (invoice(paid)["status"], charged(stand_in)[0]) == ("past_due", 1)
    say(paid, "mark_paid")
    hears_twice(paid, stand_in)
    assert shown(paid) == ("paid", "7.2")
    assert not paid.parked()


def test_what_goes_back_of_other_payments_is_nothing_to_invoices(paid: Street, stand_in: InProcess) -> None:
    holder, method = stand_in.customer()
    intent = stand_in.stripe.payment_intents.create(
        {
            "amount": 500,
            "currency": "usd",
            "customer": holder,
            "payment_method": method,
            "confirm": True,
            "off_session": True,
        }
    )
    stand_in.stripe.refunds.create({"payment_intent": intent.id})
    message(paid, {"payment_intent": intent.id})
    assert shown(paid) == ("paid", "0")


def test_a_refund_that_is_told_before_the_payment_finds_it_paid(street: Street, stand_in: InProcess) -> None:
    finalised(street, stand_in, DECLINED)
    collected(street)
    pay_on_page(stand_in)
    refund(stand_in, 720)
    (intent,) = stand_in.stripe.payment_intents.list().data
    message(street, {"payment_intent": intent.id})
    assert shown(street) == ("paid", "7.2")
