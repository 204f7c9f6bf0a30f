"""Collecting with the stand-in in process: one Stripe invoice for ours, with our total, paid once. Law 5.7."""

from collections.abc import Iterator
from typing import Any

import pytest

from metering.times import DAY, HOUR, MINUTE
from tests.handlers.owing import (
    DECLINED,
    DUE,
    GOOD,
    calls,
    charged,
    collected,
    finalised,
    hear,
    invoice,
    message,
    say,
    theirs,
    told,
)
from tests.handlers.street import Crash, Street, queue_record, used
from tests.infra.local.stripe.in_process import InProcess
from tests.rows import deep


@pytest.fixture
def owing(street: Street, stand_in: InProcess) -> Street:
    return finalised(street, stand_in)


def test_an_invoice_is_charged_to_the_card_and_mirrored(owing: Street, stand_in: InProcess) -> None:
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


def test_it_takes_six_calls(owing: Street, stand_in: InProcess) -> None:
    before = len(calls(stand_in))
    owing.deliver("COLLECT")
    assert calls(stand_in, before) == [
        "GET /v1/invoices",
        "POST /v1/invoices",
        "POST /v1/invoices/{}/add_lines",
        "POST /v1/invoices/{}/finalize",
        "GET /v1/customers/{}",
        "POST /v1/invoices/{}/pay",
    ]


def test_a_message_that_comes_again_finds_it_paid(owing: Street, stand_in: InProcess) -> None:
    messages = list(owing.queues["COLLECT"])
    for _ in range(3):
        owing.queues["COLLECT"] += messages
        owing.deliver("COLLECT")
    hear(owing)
    assert charged(stand_in) == (1, {"usd": 720})
    assert len(theirs(stand_in)) == 1
    assert len(told(owing, "invoice.paid")) == 1


def test_what_the_customer_pays_on_stripes_page_is_mirrored_by_the_webhook(street: Street, stand_in: InProcess) -> None:
    finalised(street, stand_in, DECLINED)
    street.deliver("COLLECT")
    stand_in.control(f"invoices/{invoice(street)['stripe_invoice']}/pay", {"card": GOOD})
    for _ in range(2):
        message(street, {"stripe_invoice": invoice(street)["stripe_invoice"]})
    assert invoice(street)["status"] == "paid"
    assert len(told(street, "invoice.paid")) == 1


def test_an_invoice_to_be_sent_is_sent_with_its_due_date(street: Street, stand_in: InProcess) -> None:
    finalised(street, stand_in, collection="send_invoice", days_until_due=14)
    for _ in range(2):
        message(street, {"invoice": DUE})
    (their,) = theirs(stand_in)
    assert (their.collection_method, their.status, their.total) == ("send_invoice", "open", 720)
    assert their.due_date * 1000 == street.now + 14 * DAY
    assert invoice(street)["status"] == "finalized"
    assert invoice(street)["hosted_invoice_url"] == their.hosted_invoice_url
    assert stand_in.told("invoice.sent") == ["invoice.sent"]
    stand_in.control(f"invoices/{their.id}/pay", {"card": GOOD})
    hear(street)
    assert invoice(street)["status"] == "paid"


def test_who_collects_otherwise_never_hears_of_stripe(street: Street, stand_in: InProcess) -> None:
    finalised(street, stand_in, collection="none")
    for _ in range(3):
        street.deliver("COLLECT")
        street.now += HOUR
        street.hour()
        assert street.queues["COLLECT"] == [], "nothing waits for Stripe"
    assert invoice(street)["status"] == "finalized"
    assert theirs(stand_in) == []


def test_what_others_collected_is_collected_when_a_person_says_so_after_the_collection_was_changed(
    street: Street, stand_in: InProcess
) -> None:
    finalised(street, stand_in, collection="none")
    collected(street)
    street.does("PATCH", "/v1/customers/acme", {"collection": "charge_automatically"})
    street.now += HOUR
    street.hour()
    message(street, {"customer": "acme", "card_added": True})
    collected(street)
    assert theirs(stand_in) == []
    say(street, "retry")
    collected(street)
    assert invoice(street)["status"] == "paid"


def stopped_at(street: Street, stand_in: InProcess, path: str) -> None:
    """The first call of a path is lost on its way, and what is queued waits."""
    stand_in.control("faults", {"method": "POST", "path": path, "drop": True})
    street.deliver("COLLECT")


@pytest.mark.parametrize("path", ["/v1/invoices", "/v1/invoices/*/add_lines", "/v1/invoices/*/finalize"])
@pytest.mark.parametrize(
    ("collection", "statuses", "method", "ours"),
    [("send_invoice", ["open"], "send_invoice", "finalized"), ("none", [], None, "finalized")],
)
def test_a_change_of_collection_holds_for_an_invoice_that_is_under_way(
    owing: Street,
    stand_in: InProcess,
    path: str,
    collection: str,
    statuses: list[str],
    method: str | None,
    ours: str,
) -> None:
    stopped_at(owing, stand_in, path)
    owing.does("PATCH", "/v1/customers/acme", {"collection": collection, "days_until_due": 10})
    collected(owing)
    assert [each.status for each in theirs(stand_in)] == statuses
    assert {each.collection_method for each in theirs(stand_in)} == ({method} if method else set())
    assert charged(stand_in) == (0, {})
    assert invoice(owing)["status"] == ours
    assert (invoice(owing)["stripe_invoice"] is None) == (statuses == [])
    owing.does("PATCH", "/v1/customers/acme", {"collection": "charge_automatically"})
    say(owing, "retry")
    collected(owing)
    assert invoice(owing)["status"] == "paid"
    assert charged(stand_in) == (1, {"usd": 720})
    assert not owing.parked()


def test_one_that_was_finalised_to_be_charged_is_left_open_when_its_customer_is_charged_no_more(
    street: Street, stand_in: InProcess
) -> None:
    finalised(street, stand_in, DECLINED)
    collected(street)
    for collection in ("send_invoice", "none"):
        street.does("PATCH", "/v1/customers/acme", {"collection": collection})
        for _ in range(30):
            street.now += DAY
            street.hour()
            collected(street)
        assert len(stand_in.read("charges")["data"]) == 1
    assert [each.status for each in theirs(stand_in)] == ["open"]
    assert invoice(street)["status"] == "past_due"
    assert not street.parked()


def test_a_draft_goes_to_the_stripe_customer_that_ours_has_become(owing: Street, stand_in: InProcess) -> None:
    for path in ("/v1/invoices", "/v1/invoices/*/add_lines"):
        stopped_at(owing, stand_in, path)
        owing.does("PATCH", "/v1/customers/acme", {"stripe_customer": stand_in.customer()[0]})
        del owing.queues["COLLECT"][1:]  # that there is another card is not heard of before the message comes again
    collected(owing)
    (their,) = theirs(stand_in)
    assert their.customer == owing.does("GET", "/v1/customers/acme")["stripe_customer"]
    assert (invoice(owing)["status"], charged(stand_in)) == ("paid", (1, {"usd": 720}))


def test_a_customer_that_stripe_does_not_know_is_parked_until_the_right_one_is_named(
    street: Street, stand_in: InProcess
) -> None:
    finalised(street, stand_in, stripe_customer="cus_unheard_of")
    collected(street)
    assert [item["function"] for item in street.parked()] == ["collect"]
    street.does("PATCH", "/v1/customers/acme", {"stripe_customer": stand_in.customer()[0]})
    message(street, {"invoice": DUE})
    assert invoice(street)["status"] == "paid"


def test_who_has_become_another_stripe_customer_is_not_charged_for_what_is_addressed_to_the_first(
    street: Street, stand_in: InProcess
) -> None:
    finalised(street, stand_in, DECLINED)
    collected(street)
    street.does("PATCH", "/v1/customers/acme", {"stripe_customer": stand_in.customer()[0]})
    say(street, "retry")
    collected(street)
    for item in street.parked():
        assert "which our customer is no more" in str(item["reason"])
    assert street.parked()
    assert charged(stand_in) == (0, {})
    again = say(street, "void", reissue=True)["reissued_as"]
    collected(street)
    assert invoice(street, again)["status"] == "paid"
    assert sorted(each.status for each in theirs(stand_in)) == ["paid", "void"]


CALLS = [
    ("GET", "/v1/invoices"),
    ("POST", "/v1/invoices"),
    ("POST", "/v1/invoices/*/add_lines"),
    ("POST", "/v1/invoices/*/finalize"),
    ("GET", "/v1/customers/*"),
    ("POST", "/v1/invoices/*/pay"),
]
FAULTS: list[dict[str, Any]] = [
    {"drop": True},
    {"drop": True, "processed": True},
    {"status": 429},
    {"status": 409},
    {"status": 500},
    {"status": 500, "processed": True},
    {"status": 503, "kept": False},
    {"delay_seconds": 100},
]


def unanswered() -> Iterator[Any]:
    """Every call fails in every way, soon and when the key has expired; in the quick suite in every other way."""
    for place, (method, path) in enumerate(CALLS):
        for number, fault in enumerate(FAULTS):
            for kind, later in enumerate((MINUTE, 25 * HOUR)):
                row = (method, path, fault, later)
                yield row if (place + number + number // 2 + kind) % 2 else deep(*row)


@pytest.mark.parametrize(("method", "path", "fault", "later"), list(unanswered()), ids=str)
def test_an_answer_that_does_not_come_is_found_out_and_nothing_is_invoiced_or_paid_twice(
    owing: Street, stand_in: InProcess, method: str, path: str, fault: dict[str, Any], later: int
) -> None:
    stand_in.control("faults", {"method": method, "path": path, **fault})
    owing.deliver("COLLECT")
    assert invoice(owing)["status"] != "paid"
    for _ in range(4):
        owing.now += later
        owing.deliver("COLLECT")
    hear(owing)
    assert invoice(owing)["status"] == "paid"
    assert [(their.total, their.status) for their in theirs(stand_in)] == [(720, "paid")]
    assert charged(stand_in) == (1, {"usd": 720})
    assert len(told(owing, "invoice.paid")) == 1
    assert told(owing, "invoice.payment_failed") == []
    assert not owing.parked()


@pytest.mark.parametrize("answer_lost", [False, True])
@pytest.mark.parametrize("number", range(5))
def test_a_process_that_ends_at_any_write_invoices_once_and_charges_once(
    owing: Street, stand_in: InProcess, number: int, answer_lost: bool
) -> None:
    owing.writes_left, owing.answer_lost = number, answer_lost
    with pytest.raises(Crash):
        owing.deliver("COLLECT")
    owing.writes_left = None
    owing.deliver("COLLECT")
    assert invoice(owing)["status"] == "paid"
    assert len(theirs(stand_in)) == 1
    assert charged(stand_in) == (1, {"usd": 720})
    assert len(told(owing, "invoice.paid")) == 1


@pytest.mark.parametrize("unlinked", [False, True])
def test_a_draft_that_somebody_deleted_is_made_anew(owing: Street, stand_in: InProcess, unlinked: bool) -> None:
    stopped_at(owing, stand_in, "/v1/invoices/*/finalize")
    stand_in.stripe.invoices.delete(str(theirs(stand_in)[0].id))
    if unlinked:
        owing.does("PATCH", "/v1/customers/acme", {"stripe_customer": None})
    collected(owing)
    assert (invoice(owing)["status"], charged(stand_in)) == ("paid", (1, {"usd": 720}))


def test_more_lines_than_stripe_takes_are_summed_up_and_the_sums_below_are_not(
    street: Street, stand_in: InProcess
) -> None:
    prices = [{"when": {"region": f"r{n}"}, "price": {"model": "per_unit", "unit_price": "1"}} for n in range(300)]
    price = {"model": "matrix", "by": ["region"], "prices": prices, "otherwise": None}
    plan = {"key": "many", "currency": "USD", "items": [{"key": "calls", "meter": "requests", "price": price}]}
    street.does("PUT", "/v1/plans/many", plan)
    body = {"plan": "many", "tax_rate": "20", "collection": "charge_automatically"}
    street.does("PUT", "/v1/customers/big", body | {"stripe_customer": stand_in.customer()[0]})
    street.does("POST", "/v1/customers/big/credits", {"id": "c", "amount": "4"})
    street.post(*(used(f"e{n}", customer="big", dimensions={"region": f"r{n}"}) for n in range(300)))
    street.flow()
    street.advance("2026-12-01T02:00:00Z")
    stand_in.control("faults", {"path": "/v1/invoices/*/add_lines", "drop": True, "processed": True, "nth": 3})
    collected(street)
    collected(street)
    due = invoice(street, "big:20261101T0000Z")
    (their,) = theirs(stand_in)
    lines = list(stand_in.stripe.invoices.line_items.list(their.id, {"limit": 100}).auto_paging_iter())
    assert len(lines) == 250
    assert [(line.description, line.amount) for line in lines[-3:]] == [
        ("53 further lines", 5300),
        ("Tax 20%", 5920),
        ("Paid from credits", -400),
    ]
    assert (due["status"], due["amount_due"], their.total) == ("paid", "355.2", 35520)


def test_a_total_that_is_not_ours_is_never_finalised_there(owing: Street, stand_in: InProcess) -> None:
    stopped_at(owing, stand_in, "/v1/invoices/*/finalize")
    (their,) = theirs(stand_in)
    stand_in.stripe.invoice_items.create(
        {"customer": str(their.customer), "invoice": str(their.id), "amount": 1, "currency": "usd"}
    )
    owing.deliver("COLLECT")
    assert theirs(stand_in)[0].status == "draft"
    assert charged(stand_in) == (0, {})
    assert [item["function"] for item in owing.parked()] == ["collect"]
    assert "not ours" in str(owing.parked()[0]["reason"])


@pytest.mark.parametrize("balance", [-720, -100, 500])
def test_what_a_customer_owes_stripe_besides_or_has_there_is_not_mixed_with_ours(
    owing: Street, stand_in: InProcess, balance: int
) -> None:
    holder = owing.does("GET", "/v1/customers/acme")["stripe_customer"]
    stand_in.stripe.customers.update(holder, {"balance": balance})
    owing.deliver("COLLECT")
    assert [each.status for each in theirs(stand_in)] == ["draft"]
    (item,) = owing.parked()
    assert "is not ours" in str(item["reason"])
    stand_in.stripe.customers.update(holder, {"balance": 0})
    owing.run("COLLECT", [queue_record({"invoice": DUE})])
    assert (invoice(owing)["status"], charged(stand_in)) == ("paid", (1, {"usd": 720}))


def test_one_that_was_finalised_in_the_dashboard_before_it_was_complete_is_not_charged(
    owing: Street, stand_in: InProcess
) -> None:
    stopped_at(owing, stand_in, "/v1/invoices/*/add_lines")
    (their,) = theirs(stand_in)
    stand_in.stripe.invoice_items.create(
        {"customer": str(their.customer), "invoice": str(their.id), "amount": 99, "currency": "usd"}
    )
    stand_in.stripe.invoices.finalize_invoice(str(their.id))
    collected(owing)
    assert len(owing.parked()) == 1
    stand_in.control(f"invoices/{their.id}/pay", {"card": GOOD})
    hear(owing)
    assert invoice(owing)["status"] == "finalized", "what is not paid in full is not paid"


def test_a_stripe_invoice_that_is_not_ours_is_nothing(owing: Street, stand_in: InProcess) -> None:
    customer, _ = stand_in.customer()
    other = stand_in.stripe.invoices.create({"customer": customer})
    another = stand_in.stripe.invoices.create(
        {"customer": customer, "metadata": {"taximeter_invoice": "x:20260101T0000Z"}}
    )
    for each in (other.id, another.id, "in_unheard_of"):
        message(owing, {"stripe_invoice": each})
    assert not owing.parked("unknown")
    assert invoice(owing)["status"] == "finalized"


def test_a_copy_of_ours_that_is_paid_is_parked_until_it_is_refunded_and_does_not_pay_ours(
    owing: Street, stand_in: InProcess
) -> None:
    holder = owing.does("GET", "/v1/customers/acme")["stripe_customer"]
    written = {"taximeter_deployment": owing.deployment_id, "taximeter_invoice": DUE}
    copy = stand_in.stripe.invoices.create({"customer": holder, "metadata": written})
    stand_in.stripe.invoice_items.create({"customer": holder, "invoice": copy.id, "amount": 720, "currency": "usd"})
    stand_in.stripe.invoices.finalize_invoice(copy.id)
    stand_in.control(f"invoices/{copy.id}/pay", {"card": GOOD})
    message(owing, {"stripe_invoice": copy.id})
    assert invoice(owing)["status"] == "finalized"
    (item,) = owing.parked("unknown")
    assert item["function"] == "collect"
    owing.outbox.unpark(item)
    stand_in.stripe.refunds.create({"charge": stand_in.stripe.charges.list().data[0].id})
    message(owing, {"stripe_invoice": copy.id})
    assert not owing.parked("unknown"), "what a person has refunded is settled"
