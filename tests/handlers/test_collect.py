"""Collecting with the stand-in in process: one Stripe invoice for ours, with our total, paid once. Law 5.7."""

from typing import Any

import pytest

from metering.errors import Unavailable
from metering.times import HOUR, MINUTE
from tests.handlers.street import Crash, Street, queue_record, used
from tests.infra.local.stripe.stand_in import StandIn

DUE = "acme:20261101T0000Z"


def finalised(street: Street, stand_in: StandIn, card: str | None = "pm_card_visa", **customer: Any) -> Street:
    """A street on which acme's November is finalised: 10 dollars used, 4 paid from a credit, 20 % tax on the rest."""
    street.environment["STRIPE_URL"] = stand_in.server.url
    holder = {"stripe_customer": stand_in.customer(card)[0]} if card else {}
    patch = {"tax_rate": "20", "collection": "charge_automatically", **holder, **customer}
    street.does("PATCH", "/v1/customers/acme", patch)
    street.does("POST", "/v1/customers/acme/credits", {"id": "c", "amount": "4"})
    street.post(used("a", value="20"))
    street.flow()
    street.advance("2026-12-01T02:00:00Z")
    assert [event["detail"]["amount_due"] for event in street.queues["COLLECT"]] == ["7.2"]
    return street


@pytest.fixture
def owing(street: Street, stand_in: StandIn) -> Street:
    return finalised(street, stand_in)


def invoice(street: Street) -> Any:
    return street.does("GET", f"/v1/invoices/{DUE}")


def charged(stand_in: StandIn) -> tuple[int, dict[str, int]]:
    told = stand_in.read("charges")
    return told["succeeded"], told["amount"]


def theirs(stand_in: StandIn) -> list[Any]:
    return list(stand_in.stripe.invoices.list().data)


def test_an_invoice_is_charged_to_the_card_and_mirrored(owing: Street, stand_in: StandIn) -> None:
    owing.deliver("COLLECT")
    owing.flow()
    ours, (their,) = invoice(owing), theirs(stand_in)
    assert (ours["status"], ours["stripe_invoice"]) == ("paid", their.id)
    assert ours["hosted_invoice_url"] == their.hosted_invoice_url
    assert ours["paid_at"] == "2026-12-01T02:00:00Z"
    assert their.total == 720
    assert charged(stand_in) == (1, {"usd": 720})
    lines = {line.description: line.amount for line in their.lines.data}
    assert lines == {"requests": 1000, "Tax 20%": 120, "Paid from credits": -400}
    assert [news["number"] for news in owing.announced("invoice.paid")] == ["TX-000001"]


def test_a_message_that_comes_again_finds_it_paid(owing: Street, stand_in: StandIn) -> None:
    messages = list(owing.queues["COLLECT"])
    for _ in range(3):
        owing.queues["COLLECT"] += messages
        owing.deliver("COLLECT")
    owing.flow()
    assert charged(stand_in) == (1, {"usd": 720})
    assert len(theirs(stand_in)) == 1
    assert len(owing.announced("invoice.paid")) == 1


def test_a_card_that_does_not_pay_is_told_with_its_reason(street: Street, stand_in: StandIn) -> None:
    finalised(street, stand_in, "pm_card_chargeCustomerFail")
    street.deliver("COLLECT")
    street.flow()
    assert invoice(street)["status"] == "finalized"
    assert invoice(street)["hosted_invoice_url"]
    (news,) = street.announced("invoice.payment_failed")
    assert (news["reason"], news["amount_due"]) == ("generic_decline", "7.2")


def test_what_the_customer_pays_on_stripes_page_is_mirrored_by_the_webhook(street: Street, stand_in: StandIn) -> None:
    finalised(street, stand_in, "pm_card_chargeCustomerFail")
    street.deliver("COLLECT")
    stand_in.control(f"invoices/{invoice(street)['stripe_invoice']}/pay", {"card": "4242424242424242"})
    for _ in range(2):
        street.run("COLLECT", [queue_record({"stripe_invoice": invoice(street)["stripe_invoice"]})])
    street.flow()
    assert invoice(street)["status"] == "paid"
    assert len(street.announced("invoice.paid")) == 1


def test_a_customer_without_a_card_is_told_and_asked_again_by_the_hour(street: Street, stand_in: StandIn) -> None:
    finalised(street, stand_in, None)
    street.deliver("COLLECT")
    street.flow()
    (news,) = street.announced("invoice.payment_failed")
    assert news["reason"] == "no_payment_method"
    street.now += HOUR
    street.hour()
    street.deliver("COLLECT")
    street.flow()
    assert len(street.announced("invoice.payment_failed")) == 1, "the same thing is told once"
    street.does("PATCH", "/v1/customers/acme", {"stripe_customer": stand_in.customer()[0]})
    street.now += HOUR
    street.hour()
    street.deliver("COLLECT")
    assert invoice(street)["status"] == "paid"


def test_an_invoice_to_be_sent_is_sent_with_its_due_date(street: Street, stand_in: StandIn) -> None:
    finalised(street, stand_in, collection="send_invoice", days_until_due=14)
    street.deliver("COLLECT")
    (their,) = theirs(stand_in)
    assert (their.collection_method, their.status, their.total) == ("send_invoice", "open", 720)
    assert invoice(street)["status"] == "finalized"
    assert invoice(street)["hosted_invoice_url"] == their.hosted_invoice_url
    assert charged(stand_in) == (0, {})


def test_who_collects_otherwise_never_hears_of_stripe(street: Street, stand_in: StandIn) -> None:
    finalised(street, stand_in, collection="none")
    for _ in range(3):
        street.deliver("COLLECT")
        street.now += HOUR
        street.hour()
        assert street.queues["COLLECT"] == [], "nothing waits for Stripe"
    assert invoice(street)["status"] == "finalized"
    assert theirs(stand_in) == []


CALLS = [
    ("POST", "/v1/invoices"),
    ("GET", "/v1/invoices/*"),
    ("POST", "/v1/invoiceitems"),
    ("POST", "/v1/invoices/*/finalize"),
    ("POST", "/v1/invoices/*/pay"),
]


@pytest.mark.parametrize(("method", "path"), CALLS)
@pytest.mark.parametrize("fault", [{"drop": True}, {"drop": True, "processed": True}, {"status": 429}])
def test_a_lost_answer_is_found_out_and_nothing_is_invoiced_or_paid_twice(
    owing: Street, stand_in: StandIn, method: str, path: str, fault: dict[str, Any]
) -> None:
    stand_in.control("faults", {"method": method, "path": path, **fault})
    with pytest.raises(Unavailable):
        owing.deliver("COLLECT")
    owing.now += MINUTE
    owing.deliver("COLLECT")
    owing.flow()
    assert invoice(owing)["status"] == "paid"
    assert [their.total for their in theirs(stand_in)] == [720]
    assert charged(stand_in) == (1, {"usd": 720})
    assert not owing.parked()


@pytest.mark.parametrize("answer_lost", [False, True])
@pytest.mark.parametrize("number", range(3))
def test_a_process_that_ends_at_any_write_invoices_once_and_charges_once(
    owing: Street, stand_in: StandIn, number: int, answer_lost: bool
) -> None:
    owing.writes_left, owing.answer_lost = number, answer_lost
    try:
        owing.deliver("COLLECT")
    except Crash:
        owing.writes_left = None
        owing.deliver("COLLECT")
    owing.writes_left = None
    owing.flow()
    assert invoice(owing)["status"] == "paid"
    assert len(theirs(stand_in)) == 1
    assert charged(stand_in) == (1, {"usd": 720})
    assert len(owing.announced("invoice.paid")) == 1


def test_an_invoice_whose_items_were_written_in_part_is_completed(owing: Street, stand_in: StandIn) -> None:
    stand_in.control("faults", {"method": "POST", "path": "/v1/invoiceitems", "drop": True, "processed": True})
    with pytest.raises(Unavailable):
        owing.deliver("COLLECT")
    (their,) = theirs(stand_in)
    assert their.total == 1000
    owing.deliver("COLLECT")
    assert invoice(owing)["status"] == "paid"
    assert charged(stand_in) == (1, {"usd": 720})


def test_a_total_that_is_not_ours_is_never_finalised_there(owing: Street, stand_in: StandIn) -> None:
    stand_in.control("faults", {"method": "POST", "path": "/v1/invoices/*/finalize", "drop": True})
    with pytest.raises(Unavailable):
        owing.deliver("COLLECT")
    (their,) = theirs(stand_in)
    stand_in.stripe.invoice_items.create(
        {"customer": str(their.customer), "invoice": str(their.id), "amount": 1, "currency": "usd"}
    )
    owing.deliver("COLLECT")
    assert theirs(stand_in)[0].status == "draft"
    assert charged(stand_in) == (0, {})
    assert [item["function"] for item in owing.parked()] == ["collect"]
    assert "not ours" in str(owing.parked()[0]["reason"])


def test_a_stripe_invoice_that_is_not_ours_is_nothing(owing: Street, stand_in: StandIn) -> None:
    customer, _ = stand_in.customer()
    other = stand_in.stripe.invoices.create({"customer": customer})
    owing.run("COLLECT", [queue_record({"stripe_invoice": other.id})])
    assert not owing.parked("unknown")
    assert invoice(owing)["status"] == "finalized"
