"""Lists of invoices: of one customer, of all numbers, of all drafts, each page bounded. Contract: api.md."""

import base64
import json
from typing import Any

import pytest

from adapters.items import Put
from metering.times import MINUTE, parse_time
from tests.handlers.street import Street, used
from tests.handlers.test_openapi import Witness

END = parse_time("2026-12-01T00:00:00Z")


@pytest.fixture
def many(street: Street) -> Street:
    """A street on which acme and seven others used something in November, one of them prepaid, and an idle one."""
    for number in range(7):
        street.does("PUT", f"/v1/customers/c{number}", {"plan": "serverless", "prepaid_only": number == 3})
        street.post(used("a", customer=f"c{number}", value=str(number + 1)))
    street.does("PUT", "/v1/customers/idle", {"plan": "serverless"})
    street.post(used("a"))
    street.flow()
    return street


def pages(street: Street, limit: int, **query: str) -> list[list[Any]]:
    """All pages of a list."""
    found: list[list[Any]] = []
    asked = {**query, "limit": str(limit)}
    while True:
        page = street.does("GET", "/v1/invoices", query=asked)
        assert len(page["rows"]) <= limit
        found.append(page["rows"])
        if page["next"] is None:
            return found
        asked["next"] = page["next"]


def numbers(found: list[list[Any]]) -> list[str]:
    return [row["number"] for page in found for row in page]


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_drafts_in_grace_of_all_customers_are_listed_once_whatever_the_page(many: Street, limit: int) -> None:
    assert pages(many, limit, status="draft") == [[]]  # a running period is not over
    many.now = END + 10 * MINUTE
    many.minute()
    rows = [row for page in pages(many, limit, status="draft") for row in page]
    assert sorted(row["customer"] for row in rows) == ["acme", "c0", "c1", "c2", "c4", "c5", "c6"]
    for row in rows:
        assert row.items() <= many.does("GET", f"/v1/invoices/{row['id']}").items()
        assert (row["status"], "lines" in row) == ("draft", False)
    many.advance("2026-12-01T02:00:00Z")
    assert [row for page in pages(many, limit, status="draft") for row in page] == []


def test_a_page_of_drafts_is_bounded_by_what_is_looked_at_and_goes_on(
    many: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handlers._invoice_list_routes._MOST_DRAFTS", 2)
    many.now = END
    many.minute()
    found = pages(many, 100, status="draft")
    assert len(found) >= 5
    assert max(map(len, found)) == 2
    assert len([row for page in found for row in page]) == 7


def test_drafts_go_on_without_a_customer_that_cannot_be_read(many: Street) -> None:
    many.now = END
    many.minute()
    (item,) = (each for each in many.tables["Catalog"].all() if each["sk"] == "c1" and "body" in each)
    many.tables["Catalog"].put(Put({**item, "body": "{"}))
    assert len([row for page in pages(many, 100, status="draft") for row in page]) == 6


def test_all_numbers_are_listed_newest_first_and_each_page_begins_where_the_last_ended(many: Street) -> None:
    many.advance("2026-12-01T02:00:00Z")
    newest_first = [f"TX-{count:06d}" for count in range(7, 0, -1)]
    for limit in (1, 3, 100):
        assert numbers(pages(many, limit)) == newest_first
    many.does("POST", "/v1/invoices/TX-000003/mark_paid")
    assert numbers(pages(many, 2, status="paid")) == ["TX-000003"]
    assert numbers(pages(many, 2, status="finalized")) == [each for each in newest_first if each != "TX-000003"]
    assert numbers(pages(many, 2, status="void")) == []


def test_a_page_of_a_status_that_few_have_ends_and_goes_on(many: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    many.advance("2026-12-01T02:00:00Z")
    many.does("POST", "/v1/invoices/TX-000001/mark_paid")
    monkeypatch.setattr("handlers._invoice_list_routes._MOST_HEADS", 3)
    found = pages(many, 100, status="paid")
    assert [len(page) for page in found] == [0, 0, 1]


def test_numbers_under_an_earlier_prefix_are_still_listed_and_found(many: Street) -> None:
    many.advance("2026-12-01T02:00:00Z")
    many.environment["ISSUER"] = json.dumps({"name": "Us", "invoice_prefix": "NEW-"})
    many.__dict__.pop("issuer", None)
    assert numbers(pages(many, 3)) == [f"TX-{count:06d}" for count in range(7, 0, -1)]
    assert many.does("GET", "/v1/invoices/TX-000002")["number"] == "TX-000002"
    assert many.call("GET", "/v1/invoices/TX-000008")[0] == 404
    many.post(used("b", timestamp=many.now))
    many.flow()
    many.advance("2027-01-01T02:00:00Z")
    assert numbers(pages(many, 3))[:2] == ["NEW-000001", "TX-000007"]
    assert many.does("GET", "/v1/invoices/NEW-000001")["customer"] == "acme"
    period = many.does("GET", "/v1/invoices/TX-000001")
    customer = period["customer"]
    told = many.does("POST", f"/v1/customers/{customer}/what_if", {"plan": "serverless", "period": "TX-000001"})
    assert told["difference"] == "0"


def test_an_unknown_status_is_refused_where_it_is(many: Street) -> None:
    for query in ({"status": "bogus"}, {"status": "Draft", "customer": "acme"}):
        status, answer = many.call("GET", "/v1/invoices", query=query)
        assert (status, [each["pointer"] for each in answer["errors"]]) == (400, ["/status"])


@pytest.mark.parametrize("made_up", [1, "x", [1, 2], {"TX-": 1}, [1, "x", "y", "z"]])
@pytest.mark.parametrize("status", ["", "draft"])
def test_a_next_that_is_made_up_is_refused(many: Street, status: str, made_up: Any) -> None:
    many.now = END
    many.minute()
    if not status:
        many.advance("2026-12-01T02:00:00Z")
    query = {"limit": "1", **({"status": status} if status else {})}
    ours = many.does("GET", "/v1/invoices", query=query)["next"]
    question, _ = json.loads(base64.urlsafe_b64decode(ours + "=" * (-len(ours) % 4)))
    forged = base64.urlsafe_b64encode(json.dumps([question, made_up]).encode()).decode()
    assert many.call("GET", "/v1/invoices", query={**query, "next": forged})[0] == 400


def test_lists_are_as_the_document_says(many: Street) -> None:
    witness = Witness()
    many.now = END
    many.minute()
    assert witness.call("GET", "/v1/invoices", status="draft", limit="3")[0] == 200
    assert witness.call("GET", "/v1/invoices", status="none")[0] == 400
