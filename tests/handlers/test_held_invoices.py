"""Invoices that are too small to be charged: held, and collected with the next one. Law 5.7."""

from typing import Any

import pytest

from metering.times import MINUTE
from tests.handlers.owing import DECLINED, GOOD, charged, collected, hear, invoice, message, say, theirs, told
from tests.handlers.street import NOW, Crash, Street, used
from tests.infra.local.stripe.in_process import InProcess

NOVEMBER, DECEMBER, JANUARY = "acme:20261101T0000Z", "acme:20261201T0000Z", "acme:20270101T0000Z"
MONTHS = {NOVEMBER: "2026-12-01T02:00:00Z", DECEMBER: "2027-01-01T02:00:00Z", JANUARY: "2027-02-01T02:00:00Z"}
SMALL = "0.8"  # 40 cents, where 50 are the least that Stripe charges


def used_up(street: Street, month: str, quantity: str) -> None:
    """Some usage of the running month, which then ends and is invoiced."""
    street.post(used(f"of-{month}", (street.now - NOW) // MINUTE, value=quantity))
    street.flow()
    street.advance(MONTHS[month])


@pytest.fixture
def small(street: Street, stand_in: InProcess) -> Street:
    """A street on which acme's November is invoiced, and is too small to be charged."""
    return too_small(street, stand_in)


def too_small(street: Street, stand_in: InProcess, card: str = "pm_card_visa", **fields: Any) -> Street:
    body = {"collection": "charge_automatically", "stripe_customer": stand_in.customer(card)[0]}
    street.does("PATCH", "/v1/customers/acme", body | fields)
    used_up(street, NOVEMBER, SMALL)
    collected(street)
    return street


def amounts(stand_in: InProcess) -> list[int]:
    return sorted(each.total for each in theirs(stand_in))


def balance(street: Street, stand_in: InProcess) -> int:
    """What Stripe thinks that the customer owes besides."""
    holder = street.does("GET", "/v1/customers/acme")["stripe_customer"]
    return stand_in.stripe.customers.retrieve(holder).balance or 0


def is_held(street: Street, *names: str) -> bool:
    rows = [invoice(street, name) for name in names]
    shown = {(row["status"], row["held"], row["carried_by"], row["stripe_invoice"]) for row in rows}
    return shown == {("finalized", True, None, None)}


@pytest.mark.parametrize("collection", ["charge_automatically", "send_invoice"])
def test_what_is_too_small_is_held_and_neither_paid_nor_moved_to_a_balance_nor_past_due(
    street: Street, stand_in: InProcess, collection: str
) -> None:
    small = too_small(street, stand_in, collection=collection)
    assert is_held(small, NOVEMBER)
    assert (theirs(stand_in), balance(small, stand_in), charged(stand_in)) == ([], 0, (0, {}))
    small.advance("2026-12-25T00:00:00Z")
    collected(small)
    assert is_held(small, NOVEMBER)
    assert theirs(stand_in) == []
    assert [told(small, name) for name in ("invoice.paid", "invoice.payment_failed")] == [[], []]
    assert not small.parked()


def test_it_is_collected_with_the_next_one_and_each_is_paid_and_told(small: Street, stand_in: InProcess) -> None:
    used_up(small, DECEMBER, "20")
    collected(small)
    (their,) = theirs(stand_in)
    lines = [(line.description, line.amount) for line in their.lines.data]
    assert lines == [("requests", 1000), ("Carried over from TX-000001", 40)]
    assert their.metadata.to_dict() == {
        "taximeter_deployment": small.deployment_id,
        "taximeter_customer": "acme",
        "taximeter_invoice": DECEMBER,
        "taximeter_issue": "1",
        "taximeter_carried_1": NOVEMBER,
    }
    assert charged(stand_in) == (1, {"usd": 1040})
    for name in (NOVEMBER, DECEMBER):
        shown = invoice(small, name)
        assert (shown["status"], shown["stripe_invoice"], shown["held"]) == ("paid", their.id, False)
        assert shown["hosted_invoice_url"] == their.hosted_invoice_url
    assert invoice(small, NOVEMBER)["carried_by"] == DECEMBER
    paid = [(news["number"], news["amount_due"]) for news in told(small, "invoice.paid")]
    assert sorted(paid) == [("TX-000001", "0.4"), ("TX-000002", "10")]


def test_while_the_sum_is_too_small_all_are_held(small: Street, stand_in: InProcess) -> None:
    used_up(small, DECEMBER, "0.1")
    collected(small)
    assert is_held(small, NOVEMBER, DECEMBER)
    assert theirs(stand_in) == []
    used_up(small, JANUARY, "0.1")
    collected(small)
    assert amounts(stand_in) == [50]
    assert {invoice(small, name)["status"] for name in MONTHS} == {"paid"}
    assert charged(stand_in) == (1, {"usd": 50})
    assert len(told(small, "invoice.paid")) == 3


@pytest.mark.parametrize("action", ["mark_paid", "void", "mark_uncollectible"])
def test_a_person_decides_about_a_held_one_and_the_next_does_not_carry_it(
    small: Street, stand_in: InProcess, action: str
) -> None:
    say(small, action, NOVEMBER)
    collected(small)
    used_up(small, DECEMBER, "20")
    collected(small)
    assert charged(stand_in) == (1, {"usd": 1000})
    statuses = {"mark_paid": "paid", "void": "void", "mark_uncollectible": "uncollectible"}
    assert invoice(small, NOVEMBER)["status"] == statuses[action]
    assert invoice(small, NOVEMBER)["held"] is False


def test_a_person_can_have_a_held_one_collected_but_not_while_it_is_too_small(
    small: Street, stand_in: InProcess
) -> None:
    for _ in range(2):
        say(small, "retry", NOVEMBER)
        small.queues["COLLECT"] *= 2
        collected(small)
        assert is_held(small, NOVEMBER)
        assert theirs(stand_in) == []
    small.does("PATCH", "/v1/customers/acme", {"collection": "none"})
    used_up(small, DECEMBER, "20")
    collected(small)
    assert is_held(small, NOVEMBER)
    small.does("PATCH", "/v1/customers/acme", {"collection": "charge_automatically"})
    say(small, "retry", DECEMBER)
    collected(small)
    assert (amounts(stand_in), charged(stand_in)) == ([1040], (1, {"usd": 1040}))


def open_there(street: Street, stand_in: InProcess) -> Street:
    """December carries November, and its card does not pay."""
    too_small(street, stand_in, DECLINED)
    used_up(street, DECEMBER, "20")
    collected(street)
    assert [(each.status, each.total) for each in theirs(stand_in)] == [("open", 1040)]
    assert invoice(street, NOVEMBER)["carried_by"] == DECEMBER
    return street


@pytest.mark.parametrize("action", ["mark_paid", "void", "mark_uncollectible", "retry"])
def test_one_that_is_carried_moves_with_its_carrier_alone(street: Street, stand_in: InProcess, action: str) -> None:
    open_there(street, stand_in)
    status, answer = street.call("POST", f"/v1/invoices/{NOVEMBER}/{action}")
    assert (status, answer["code"]) == (409, "invoice_carried")
    street.advance("2027-01-20T00:00:00Z")
    assert [invoice(street, name)["status"] for name in (NOVEMBER, DECEMBER)] == ["finalized", "past_due"]


@pytest.mark.parametrize("action", ["mark_paid", "void"])
def test_when_its_carrier_is_over_without_a_payment_it_is_held_again(
    street: Street, stand_in: InProcess, action: str
) -> None:
    open_there(street, stand_in)
    say(street, action, DECEMBER)
    collected(street)
    assert is_held(street, NOVEMBER)
    assert [each.status for each in theirs(stand_in)] == ["void"], "nobody can pay the sum of both any more"
    hear(street)
    assert invoice(street, DECEMBER)["status"] == ("paid" if action == "mark_paid" else "void")
    street.does("PATCH", "/v1/customers/acme", {"stripe_customer": stand_in.customer()[0]})
    used_up(street, JANUARY, "20")
    collected(street)
    assert charged(stand_in) == (1, {"usd": 1040})
    assert invoice(street, NOVEMBER)["carried_by"] == JANUARY


def test_one_whose_carrier_was_given_up_is_paid_when_that_is_after_all(street: Street, stand_in: InProcess) -> None:
    open_there(street, stand_in)
    say(street, "mark_uncollectible", DECEMBER)
    collected(street)
    (their,) = theirs(stand_in)
    assert (their.status, invoice(street, NOVEMBER)["carried_by"]) == ("uncollectible", DECEMBER)
    stand_in.control(f"invoices/{their.id}/pay", {"card": GOOD})
    hear(street)
    assert {invoice(street, name)["status"] for name in (NOVEMBER, DECEMBER)} == {"paid"}


def test_a_change_of_collection_lets_go_of_what_is_carried(small: Street, stand_in: InProcess) -> None:
    stand_in.control("faults", {"path": "/v1/invoices/*/finalize", "drop": True})
    used_up(small, DECEMBER, "20")
    small.deliver("COLLECT")
    assert invoice(small, NOVEMBER)["carried_by"] == DECEMBER
    small.does("PATCH", "/v1/customers/acme", {"collection": "none"})
    collected(small)
    assert is_held(small, NOVEMBER)
    assert (theirs(stand_in), invoice(small, DECEMBER)["stripe_invoice"]) == ([], None)


def test_of_two_that_are_collected_at_once_one_carries_what_is_held(small: Street, stand_in: InProcess) -> None:
    small.does("PATCH", "/v1/customers/acme", {"collection": "none"})
    used_up(small, DECEMBER, "20")
    used_up(small, JANUARY, "40")
    collected(small)
    small.does("PATCH", "/v1/customers/acme", {"collection": "charge_automatically"})

    def other_first(name: str, do: Any) -> Any:
        if name.startswith("Ledger transact"):
            small.interfere = lambda _, do: do()
            message(small, {"invoice": JANUARY, "retry": 0})
        return do()

    small.interfere = other_first
    message(small, {"invoice": DECEMBER, "retry": 0})
    assert amounts(stand_in) == [1000, 2040]
    assert {invoice(small, name)["status"] for name in MONTHS} == {"paid"}
    assert charged(stand_in) == (2, {"usd": 3040})


def test_what_goes_back_of_a_payment_of_several_is_shown_on_each(small: Street, stand_in: InProcess) -> None:
    used_up(small, DECEMBER, "20")
    collected(small)
    (charge,) = stand_in.stripe.charges.list().data
    stand_in.stripe.refunds.create({"charge": charge.id, "amount": 1015})
    hear(small)
    assert [invoice(small, name)["amount_refunded"] for name in (DECEMBER, NOVEMBER)] == ["10", "0.15"]
    dispute = stand_in.control(f"charges/{charge.id}/dispute", {})["id"]
    stand_in.control(f"disputes/{dispute}", {"status": "lost"})
    for _ in range(2):
        hear(small)
    rows = [invoice(small, name) for name in (DECEMBER, NOVEMBER)]
    assert [(row["status"], row["amount_refunded"]) for row in rows] == [("past_due", "10"), ("past_due", "0.4")]
    assert len(told(small, "invoice.payment_failed")) == 2


@pytest.mark.parametrize("answer_lost", [False, True])
@pytest.mark.parametrize("writes", range(12))
def test_a_process_that_ends_at_any_write_holds_and_carries_all_the_same(
    street: Street, stand_in: InProcess, writes: int, answer_lost: bool
) -> None:
    body = {"collection": "charge_automatically", "stripe_customer": stand_in.customer()[0]}
    street.does("PATCH", "/v1/customers/acme", body)
    used_up(street, NOVEMBER, SMALL)
    crashed = crash_at(street, writes, answer_lost=answer_lost)
    street.deliver("COLLECT")
    assert is_held(street, NOVEMBER)
    used_up(street, DECEMBER, "20")
    if not crashed:
        crash_at(street, max(0, writes - 3), answer_lost=answer_lost)
    street.deliver("COLLECT")
    assert {invoice(street, name)["status"] for name in (NOVEMBER, DECEMBER)} == {"paid"}
    assert (amounts(stand_in), charged(stand_in)) == ([1040], (1, {"usd": 1040}))
    assert len(told(street, "invoice.paid")) == 2
    assert balance(street, stand_in) == 0


def crash_at(street: Street, writes: int, *, answer_lost: bool) -> bool:
    """Collect with a process that ends at a write, if there are as many; returns whether it did."""
    street.writes_left, street.answer_lost = writes, answer_lost
    try:
        street.deliver("COLLECT")
    except Crash:
        return True
    finally:
        street.writes_left = None
    return False
