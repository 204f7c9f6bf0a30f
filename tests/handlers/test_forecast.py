"""The routes that look ahead and aside: how long a balance lasts, and what another plan would have cost."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from metering.decimals import text
from metering.times import DAY, HOUR, format_time, parse_time
from tests.handlers.street import NOW, PLAN, Street, edge, used

ACME = "/v1/customers/acme"


def keys_read(street: Street, name: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The sort keys of what is queried of a table from now on."""
    read: list[str] = []
    table = street.tables[name]
    whole = table.query

    def counting(*args: str, **given: int) -> object:
        for item in whole(*args, **given):  # type: ignore[arg-type]  # as it was called
            read.append(str(item["sk"]))
            yield item

    monkeypatch.setattr(table, "query", counting)
    return read


def test_a_balance_tells_when_it_runs_out_and_reads_a_bounded_number_of_hours_for_it(
    build: Callable[[], Street], monkeypatch: pytest.MonkeyPatch
) -> None:
    street = build()
    street.now = NOW - 10 * DAY
    street.prepare()
    street.does("POST", f"{ACME}/credits", {"id": "c", "amount": "144"})
    street.now = NOW
    street.post(*(used(f"e{number}", 60 * number + 1, "1") for number in range(-239, 1)))
    street.flow()
    read = keys_read(street, "Ledger", monkeypatch)
    told = street.does("GET", f"{ACME}/balance")
    # 240 hours at 0.50 were drawn; what is left lasts for 48 more.
    assert (told["balance"], told["runs_out_at"]) == ("24", format_time(NOW + 48 * HOUR))
    assert len([sort for sort in read if sort.startswith("entries#")]) <= 193
    street.does("POST", f"{ACME}/credits/c/revoke", {"id": "r", "amount": "12"})
    assert street.does("GET", f"{ACME}/balance")["runs_out_at"] == format_time(NOW + 24 * HOUR)
    street.does("POST", f"{ACME}/credits/c/revoke", {"id": "rest"})
    assert street.does("GET", f"{ACME}/balance")["runs_out_at"] is None


OTHER = {**PLAN, "key": "other", "items": [{**PLAN["items"][0], "price": {"model": "per_unit", "unit_price": "2"}}]}


def what_if(street: Street, plan: Any = OTHER, customer: str = "acme", **body: Any) -> tuple[int, Any]:
    return street.call("POST", f"/v1/customers/{customer}/what_if", {"plan": plan, **body})


def costs(told: Any) -> tuple[str, str, str]:
    return told["current"]["subtotal"], told["what_if"]["subtotal"], told["difference"]


@pytest.fixture
def ended(street: Street) -> Street:
    """A street on which November is invoiced, late usage came for it, and December runs."""
    street.post(used("a", value="8"), edge("start", 0), edge("stop", 59))
    street.flow()
    street.advance("2026-12-01T02:00:00Z")
    street.advance("2026-12-03T00:00:00Z")
    street.post({**used("d", value="3"), "timestamp": "2026-12-02T10:00:00Z"})
    street.flow()
    return street


def test_a_past_or_the_running_period_is_told_side_by_side_on_another_plan(ended: Street) -> None:
    ended.does("PUT", "/v1/plans/other", OTHER)
    [invoice] = ended.does("GET", "/v1/invoices", query={"customer": "acme"})["rows"]
    before = [table.all() for table in ended.tables.values()]
    for plan in ("other", OTHER):
        status, running = what_if(ended, plan)
        assert (status, costs(running)) == (200, ("1.5", "6", "4.5"))
        for period in (invoice["id"], invoice["number"], "2026-11-01T00:00:00Z", parse_time("2026-11-01T00:00:00Z")):
            status, told = what_if(ended, plan, period=period)
            assert (status, told["period"]) == (200, invoice["period"])
            assert costs(told) == (invoice["subtotal"], "16", text(16 - Decimal(invoice["subtotal"])))
            assert told["current"]["plan"] == {"key": "serverless", "version": 1}
            assert told["what_if"]["plan"] == {"key": "other", "version": 1 if plan == "other" else None}
    assert [table.all() for table in ended.tables.values()] == before
    assert costs(what_if(ended, "serverless", period=invoice["id"])[1])[2] == "0"


def test_a_past_period_of_a_prepaid_customer_is_found_though_it_has_no_invoice(street: Street) -> None:
    street.does("PATCH", "/v1/customers/acme", {"prepaid_only": True, "timezone": "Europe/Berlin"})
    street.post(used("a", value="8"))
    street.flow()
    street.advance("2026-12-03T00:00:00Z")
    daily = {**OTHER, "period": "day"}
    status, told = what_if(street, daily, period="2026-11-01T00:00:00Z")
    assert (status, costs(told)) == (200, ("4", "16", "12"))
    assert told["what_if"]["lines"][0]["period"] == {"start": "2026-11-19T23:00:00Z", "end": "2026-11-20T23:00:00Z"}


def test_a_month_of_closed_days_is_compared_by_as_many_items_as_cover_it(
    build: Callable[[], Street], monkeypatch: pytest.MonkeyPatch
) -> None:
    street = build()
    street.now = parse_time("2026-11-01T00:00:00Z")
    street.prepare()
    for day in range(1, 31):
        street.now = parse_time(f"2026-11-{day:02}T20:00:00Z")
        street.post(*({**used(f"{day}:{hour}"), "timestamp": f"2026-11-{day:02}T{hour:02}:00:00Z"} for hour in (1, 9)))
        street.flow()
        street.advance(format_time(street.now + 4 * HOUR))
    street.advance("2026-12-02T00:00:00Z")
    read = keys_read(street, "Usage", monkeypatch)
    status, told = what_if(street, period="2026-11-01T00:00:00Z")
    assert (status, costs(told)) == (200, ("30", "120", "90"))
    assert len(read) <= 100


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"plan": "unknown"}, 404, "not_found"),
        ({"plan": OTHER, "period": "2026-11-02T00:00:00Z"}, 404, "not_found"),
        ({"plan": OTHER, "period": "2026-10-01T00:00:00Z"}, 404, "not_found"),
        ({"plan": OTHER, "period": "2026-12-01T00:00:00Z"}, 404, "not_found"),
        ({"plan": OTHER, "period": "acme:19990101T0000Z"}, 404, "not_found"),
        ({"plan": OTHER, "period": "TX-000099"}, 404, "not_found"),
        ({"plan": OTHER, "period": -1}, 400, "invalid"),
        ({"plan": {**OTHER, "currency": "EUR"}}, 409, "currency_mismatch"),
        ({"plan": {**OTHER, "currency": "XXX"}}, 400, "invalid"),
        ({"plan": 7}, 400, "invalid"),
        ({}, 400, "invalid"),
    ],
)
def test_what_cannot_be_compared_is_refused(street: Street, body: Any, status: int, code: str) -> None:
    told = street.call("POST", f"{ACME}/what_if", body)
    assert (told[0], told[1]["code"]) == (status, code)


def test_who_has_no_period_has_nothing_to_compare(street: Street) -> None:
    street.does("PUT", "/v1/customers/new", {})
    street.does("PUT", "/v1/customers/other", {"plan": "serverless"})
    assert what_if(street, customer="new")[0] == 404
    assert what_if(street, customer="nobody")[0] == 404
    draft = street.does("GET", f"{ACME}/invoices/draft")["id"]
    assert what_if(street, period=draft)[0] == 200
    assert what_if(street, customer="other", period=draft)[0] == 404


@pytest.mark.parametrize(("prepaid_only", "exact"), [(False, "0"), (True, "-0.002")])
def test_what_is_not_rounded_to_anything_yet_takes_a_balance_below_zero_only_where_it_may_go(
    street: Street, prepaid_only: bool, exact: str
) -> None:
    street.does("PATCH", ACME, {"prepaid_only": prepaid_only})
    street.post(used("a", value="0.004"))
    street.flow()
    told = street.does("GET", f"{ACME}/balance")
    assert (told["balance"], told["balance_exact"]) == ("0", exact)
