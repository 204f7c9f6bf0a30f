"""Periods that are over become invoices after their grace: once, frozen, numbered without gaps. Law 5.7."""

from typing import Any

import pytest

from handlers import api, invoice
from handlers.invoice import finalize_period, number_invoices
from metering.errors import Conflict
from metering.times import MINUTE, parse_time
from tests.handlers.street import Street, http_event, queue_record, used

NOVEMBER = "acme:20261101T0000Z"
START = parse_time("2026-11-01T00:00:00Z")
END = parse_time("2026-12-01T00:00:00Z")


@pytest.fixture
def month(street: Street) -> Street:
    """A street on which acme used 10 dollars in November."""
    street.post(used("a", value="20"))
    street.flow()
    return street


def shown(street: Street, name: str = NOVEMBER) -> Any:
    return street.does("GET", f"/v1/invoices/{name}")


def test_an_invoice_is_a_draft_until_its_grace_is_over_and_late_usage_counts_till_then(month: Street) -> None:
    assert month.does("GET", "/v1/customers/acme/invoices/draft")["subtotal"] == "10"
    month.advance("2026-12-01T00:59:00Z")
    assert (shown(month)["status"], shown(month)["number"]) == ("draft", None)
    month.post(used("late", 70, value="2"))
    month.flow()
    month.advance("2026-12-01T01:00:00Z")
    frozen = shown(month)
    assert (frozen["status"], frozen["number"], frozen["total"]) == ("finalized", "TX-000001", "11")
    month.post(used("too-late", 71, value="2"))
    month.flow()
    month.advance("2026-12-02T00:00:00Z")
    assert shown(month) == frozen
    assert shown(month, "TX-000001") == frozen


def test_no_period_is_finalised_while_a_stream_lags_by_more_than_the_grace(month: Street) -> None:
    month.lags += [5, 61 * MINUTE]
    month.advance("2026-12-01T01:00:00Z")
    assert shown(month)["status"] == "draft"
    month.lags[:] = [60 * MINUTE]
    month.advance("2026-12-01T02:00:00Z")
    assert shown(month)["status"] == "finalized"


def test_finalising_by_hand_skips_the_grace_and_never_the_period(month: Street) -> None:
    status, answer = month.call("POST", f"/v1/invoices/{NOVEMBER}/finalize")
    assert (status, answer["code"]) == (409, "period_open")
    month.now = END
    month.minute()
    first = month.does("POST", f"/v1/invoices/{NOVEMBER}/finalize")
    assert (first["status"], first["number"]) == ("finalized", "TX-000001")
    assert month.does("POST", f"/v1/invoices/{NOVEMBER}/finalize") == first
    assert len(month.items("Ledger", "invoice")) == 1


def test_whoever_finalises_before_anybody_looked_at_the_new_month_gets_the_same(month: Street) -> None:
    month.now = END + 61 * MINUTE
    invoice.handler({"Records": [queue_record({"periods": [["acme", START]]})]}, None)
    assert shown(month)["number"] == "TX-000001"


def test_the_same_period_twice_in_a_batch_is_one_invoice_with_one_number(month: Street) -> None:
    month.now = END + 61 * MINUTE
    again = queue_record({"periods": [["acme", START], ["acme", START]]})
    for _ in range(2):
        invoice.handler({"Records": [again, again]}, None)
    assert [item["sk"] for item in month.items("Ledger", "number")] == ["00000001"]
    month.flow()
    assert len(month.announced("invoice.finalized")) == 1


def test_numbers_have_no_gaps_over_many_customers_and_workers(street: Street) -> None:
    for number in range(35):
        street.does("PUT", f"/v1/customers/c{number}", {"plan": "serverless"})
        street.post(used("a", customer=f"c{number}"))
    street.flow()
    street.now = END + 61 * MINUTE
    street.minute()
    done = [finalize_period(f"c{number}", START, street, street.now) for number in range(35)]
    heads = [each for each in done if each]
    number_invoices(heads[:20], street, street.now)
    number_invoices(heads[10:], street, street.now)
    numbers = [row["number"] for row in street.does("GET", "/v1/invoices")["rows"]]
    assert numbers == [f"TX-{number:06d}" for number in range(35, 0, -1)]


def test_nothing_used_is_no_invoice_and_the_period_is_done_with(street: Street) -> None:
    for instant in ("2026-12-01T00:30:00Z", "2026-12-01T02:00:00Z"):  # in grace, and after it
        street.advance(instant)
        assert street.does("GET", "/v1/invoices", query={"customer": "acme"})["rows"] == []
    before = street.tables["Ledger"].all()
    street.hour()
    assert street.tables["Ledger"].all() == before


def test_prepaid_customers_get_none(month: Street) -> None:
    month.does("PATCH", "/v1/customers/acme", {"prepaid_only": True})
    for instant in ("2026-12-01T00:30:00Z", "2026-12-01T02:00:00Z"):  # in grace, and after it
        month.advance(instant)
        assert month.does("GET", "/v1/invoices", query={"customer": "acme"})["rows"] == []
    assert month.does("GET", "/v1/customers/acme/balance")["balance"] == "-10"
    assert month.does("GET", "/v1/customers/acme/access") == {"allowed": False, "balance": "-10"}


@pytest.mark.parametrize("why", ["prepaid", "nothing used"])
def test_what_no_invoice_comes_of_is_not_finalised_by_hand_and_stays_in_its_grace(month: Street, why: str) -> None:
    if why == "prepaid":
        month.does("PATCH", "/v1/customers/acme", {"prepaid_only": True})
    else:
        month.post(used("a", void=True, revision=1))
        month.flow()
    month.now = END
    month.minute()
    assert shown(month)["status"] == "draft"
    status, answer = month.call("POST", f"/v1/invoices/{NOVEMBER}/finalize")
    assert (status, answer["code"]) == (409, "nothing_to_invoice")
    month.post(used("late", 70, value="2"))
    month.flow()
    assert shown(month)["subtotal"] == ("11" if why == "prepaid" else "1")


def test_what_credits_paid_wholly_is_paid_and_never_sent_to_stripe(month: Street) -> None:
    month.does("POST", "/v1/customers/acme/credits", {"id": "c", "amount": "20"})
    month.advance("2026-12-01T02:00:00Z")
    assert (shown(month)["status"], shown(month)["amount_due"], shown(month)["credits_applied"]) == ("paid", "0", "10")
    month.deliver("COLLECT")
    assert shown(month)["stripe_invoice"] is None
    month.now += 30 * MINUTE
    month.hour()
    assert month.queues["COLLECT"] == []


def test_one_that_cannot_be_finalised_waits_and_its_neighbours_go_on(month: Street) -> None:
    month.does("PUT", "/v1/customers/other", {"plan": "serverless"})
    month.post(used("a", customer="other"))
    month.flow()
    month.outbox.park("acme", "pair", {"any": "record"}, "damaged", month.now)
    month.advance("2026-12-01T02:00:00Z")
    assert shown(month)["status"] == "draft"
    assert shown(month, "other:20261101T0000Z")["number"] == "TX-000001"
    with pytest.raises(Conflict):
        finalize_period("acme", START, month, month.now)


def test_an_invoice_that_lost_its_number_to_a_crash_is_numbered_by_the_next_hour(month: Street) -> None:
    month.now = END + 61 * MINUTE
    finalize_period("acme", START, month, month.now)
    assert shown(month)["number"] is None
    month.hour()
    assert shown(month)["number"] == "TX-000001"


def test_an_invoice_is_a_page_too(month: Street) -> None:
    month.does("PATCH", "/v1/customers/acme", {"name": "<script>alert(1)</script>"})
    month.advance("2026-12-01T02:00:00Z")
    status, page = month.call("GET", "/v1/invoices/TX-000001.html")
    assert status == 200
    assert page.startswith("<!doctype html>")
    assert "<script>" not in page
    assert month.call("GET", f"/v1/invoices/{NOVEMBER}.html")[1] == page


def test_an_invoice_is_a_table_too(month: Street) -> None:
    month.advance("2026-12-01T02:00:00Z")
    answer = api.handler(http_event("GET", "/v1/invoices/TX-000001.csv"), None)
    assert answer["statusCode"] == 200
    headers = {name.lower(): value for name, value in answer["headers"].items()}
    assert headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert headers["content-disposition"] == 'attachment; filename="TX-000001.csv"'
    assert answer["body"].count("\r\n") == 2
    assert month.call("GET", "/v1/invoices/none.csv")[0] == 404


def test_numbers_follow_the_ends_of_periods_whenever_the_schedule_ran(street: Street) -> None:
    for name, timezone in (("a", "America/New_York"), ("b", "Asia/Kolkata"), ("c", "Europe/Berlin"), ("d", "UTC")):
        street.does("PUT", f"/v1/customers/{name}", {"plan": "serverless", "timezone": timezone})
        street.post(used("u", customer=name))
    street.flow()
    street.advance("2026-12-03T00:00:00Z")
    rows = street.does("GET", "/v1/invoices")["rows"]
    assert [row["customer"] for row in sorted(rows, key=lambda row: str(row["number"]))] == ["b", "c", "d", "a"]
