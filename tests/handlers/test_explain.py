"""From every line of an invoice back to the events that it was made of. Law 5.2."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from metering.times import DAY, HOUR, MINUTE
from tests.handlers.street import METERS, NOW, Street, edge, used
from tests.handlers.test_openapi import Witness

DRAFT = "/v1/customers/acme/invoices/draft"
MATRIX = {
    "model": "matrix",
    "by": ["region"],
    "prices": [{"when": {"region": "eu"}, "price": {"model": "package", "size": "10", "package_price": "1"}}],
    "otherwise": {"model": "per_unit", "unit_price": "0.333"},
}
PLAN: dict[str, Any] = {
    "currency": "USD",
    "items": [
        {"key": "calls", "meter": "requests", "where": {"provider": "aws"}, "included": "2", "price": MATRIX},
        {"key": "count", "meter": "requests", "measure": "events", "price": {"model": "per_unit", "unit_price": "0.1"}},
        {
            "key": "hours",
            "meter": "runtime",
            "divide_by": "3600000",
            "unit": "GB-h",
            "price": {"model": "per_unit", "unit_price": "1.25"},
        },
        {"key": "fee", "price": {"model": "flat", "amount": "3"}},
    ],
    "discounts": [{"percent": "0"}, {"percent": "10"}, {"amount": "1"}],
    "minimum": "50",
}
REGIONS = ("eu", "us", None)


@pytest.fixture
def bare(build: Callable[[], Street]) -> Street:
    """A street with the sample meters, and no customer yet."""
    street = build()
    for meter in METERS:
        street.does("PUT", f"/v1/meters/{meter['key']}", meter)
    return street


@pytest.fixture
def month(bare: Street) -> Street:
    """A street on which acme used some of everything in November, in a zone of its own."""
    street = bare
    street.does("PUT", "/v1/plans/rich", PLAN)
    street.does("PUT", "/v1/customers/acme", {"plan": "rich", "timezone": "Asia/Kolkata", "tax_rate": "7.7"})
    for place, region in enumerate(REGIONS):
        dimensions = {"provider": "aws", **({"region": region} if region else {})}
        for days in range(3):
            at = NOW - days * DAY - HOUR
            street.post(used(f"{place}{days}", timestamp=at, value=str(place + 1), dimensions=dimensions))
    street.post(used("else", dimensions={"provider": "gcp"}), edge("start"), edge("stop", 30))
    street.flow()
    return street


def explained(street: Street, path: str = DRAFT, **query: str) -> Any:
    return street.does("GET", f"{path}/explain", query=query)


def follow(street: Street, link: str) -> list[Any]:
    """The rows that a link leads to."""
    url = urlsplit(link)
    rows: list[Any] = street.does("GET", url.path, query=dict(parse_qsl(url.query)))["rows"]
    return rows


def test_each_line_of_usage_leads_through_its_days_to_its_events(month: Street) -> None:
    told = explained(month)
    lines = month.does("GET", DRAFT)["lines"]
    assert [row["line"] for row in told["rows"]] == lines
    of_usage = [row for row in told["rows"] if row["usage"]]
    assert [row["line"]["item"] for row in of_usage] == ["calls", "calls", "calls", "count", "hours"]
    for row in of_usage:
        measured, events = Decimal(row["steps"]["quantity"]["measured"]), 0
        days = row["usage"]["windows"]
        assert sum(Decimal(day["quantity"]) for day in days) == measured
        for day in days:
            seen = follow(month, day["links"]["usage"])
            name = "events" if row["item"]["measure"] == "events" else "quantity"
            assert sum(Decimal(hour[name]) for hour in seen) == Decimal(day["quantity"])
            sent = follow(month, day["links"]["events"])
            assert len(sent) == (2 if row["line"]["item"] == "hours" else day["events"])
            events += day["events"]
        assert events == sum(each["events"] for each in row["usage"]["rows"])
        assert sum(each["events"] for each in follow(month, row["usage"]["links"]["usage"])) == events
    assert follow(month, of_usage[-1]["usage"]["windows"][0]["links"]["sessions"])[0]["status"] == "closed"


def test_it_is_told_as_the_document_says(month: Street) -> None:
    witness = Witness()
    assert witness.call("GET", f"{DRAFT}/explain", limit="4")[0] == 200
    month.advance("2026-12-01T12:00:00Z")
    month.post(used("late", value="10", dimensions={"provider": "aws", "region": "asia"}))
    month.flow()
    assert witness.call("GET", "/v1/invoices/TX-000001/explain")[0] == 200
    assert witness.call("GET", "/v1/invoices/TX-000001/explain", limit="0")[0] == 400


def test_days_are_those_of_the_customer(month: Street) -> None:
    month.now += 6 * HOUR
    midnight = NOW - NOW % DAY + 18 * HOUR + 30 * MINUTE
    month.post(used("night", timestamp=midnight - 1), used("morning", timestamp=midnight))
    month.flow()
    windows = explained(month)["rows"][3]["usage"]["windows"]
    assert [each["start"][10:] for each in windows] == ["T18:30:00Z"] * len(windows)
    assert [each["quantity"] for each in windows] == ["3", "3", "5", "1"]


def test_what_is_included_is_used_up_line_by_line_and_rounding_goes_on(month: Street) -> None:
    steps = [row["steps"] for row in explained(month)["rows"][:3]]
    assert [(each["included"]["used_up_before"], each["included"]["used_up_here"]) for each in steps] == [
        ("0", "2"),
        ("2", "0"),
        ("2", "0"),
    ]
    # eu 3 − 2, then a missing region 9, then us 6: the package, then 0.333 each.
    assert [each["quantity"]["rated"] for each in steps] == ["1", "9", "6"]
    rounding = [each["rounding"] for each in steps]
    assert [(each["item_exact_so_far"], each["item_rounded_so_far"], each["amount"]) for each in rounding] == [
        ("1", "1", "1"),
        ("3.997", "4", "3"),
        ("5.995", "6", "2"),
    ]
    assert [each["price"]["model"] for each in steps] == ["package", "per_unit", "per_unit"]
    assert steps[0]["tiers"][0]["packages"] == "1"


def test_fees_discounts_minimum_and_tax_say_what_they_were_taken_from(month: Street) -> None:
    month.advance("2026-12-01T12:00:00Z")
    rows = {row["line"]["description"]: row["steps"] for row in explained(month, "/v1/invoices/TX-000001")["rows"]}
    assert rows["fee"] == {"fee": {"fee": "3", "prorate": True, "share": "1", "amount_exact": "3", "amount": "3"}}
    assert rows["Discount 10%"]["discount"]["percent"] == "10"
    # 6 for calls, 1 for ten of them, 1.25 for an hour of one GB, the fee
    assert rows["Discount 10%"]["left"] == {
        "before": "11.25",
        "amount_exact": "-1.125",
        "amount": "-1.13",
        "after": "10.12",
    }
    assert rows["Discount"]["left"]["after"] == "9.12"
    assert rows["Minimum"] == {
        "minimum": {"in_plan": "50", "share": "1", "in_period": "50"},
        "left": {"before": "9.12", "amount_exact": "40.88", "amount": "40.88", "after": "50"},
    }
    told = explained(month, "/v1/invoices/TX-000001")
    assert told["tax"] == {"rate": "7.7", "on": "rest", "taxed": "50", "amount_exact": "3.85", "amount": "3.85"}
    assert (told["invoice"]["number"], told["timezone"], told["share"]) == ("TX-000001", "Asia/Kolkata", "1")


@pytest.mark.parametrize("finalised", [False, True])
def test_credits_are_told_by_who_paid(month: Street, finalised: bool) -> None:
    for name in ("a", "b"):
        month.does("POST", "/v1/customers/acme/credits", {"id": name, "amount": "4"})
    if finalised:
        month.advance("2026-12-01T12:00:00Z")
    told = explained(month, "/v1/invoices/TX-000001" if finalised else DRAFT)
    assert told["credits"] == {
        "applied": "8",
        "by": [{"credit": "a", "amount": "4"}, {"credit": "b", "amount": "4"}],
    }


def test_what_came_after_an_invoice_was_frozen_is_told_beside_its_lines(month: Street) -> None:
    month.advance("2026-12-01T12:00:00Z")
    before = explained(month, "/v1/invoices/TX-000001")
    assert not any(row["differs"] for row in before["rows"])
    assert before["today"]["difference"] == "0"
    month.post(used("late", value="10", dimensions={"provider": "aws", "region": "us"}))
    month.post(used("new", value="10", dimensions={"provider": "aws", "region": "asia"}))
    month.post(used("else", value="1", dimensions={"provider": "gcp"}, void=True, revision=1))
    month.flow()
    after = explained(month, "/v1/invoices/TX-000001")
    assert [row["line"] for row in after["rows"]] == [*(row["line"] for row in before["rows"]), None]
    changed = {(row["line"] or row["today"])["description"] for row in after["rows"] if row["differs"]}
    assert changed == {"calls (region us)", "calls (region asia)", "count", "Discount 10%", "Minimum"}
    late = next(row for row in after["rows"] if row["line"] and row["line"]["description"] == "calls (region us)")
    assert (late["line"]["quantity"], late["today"]["quantity"]) == ("6", "16")
    assert after["today"]["difference"] == "0"  # the minimum still holds


def test_a_long_invoice_is_explained_page_by_page(month: Street) -> None:
    whole = explained(month)["rows"]
    paged, following = [], ""
    while True:
        part = explained(month, limit="2", **({"next": following} if following else {}))
        paged += part["rows"]
        following = part["next"]
        if not following:
            break
    assert paged == whole
    assert len({row["id"] for row in whole}) == len(whole)


def test_of_a_day_the_hours_are_shown_and_events_only_as_long_as_they_are_kept(bare: Street) -> None:
    street = bare
    street.does("PUT", "/v1/plans/daily", {"currency": "USD", "period": "day", "items": PLAN["items"]})
    street.does("PUT", "/v1/customers/acme", {"plan": "daily"})
    street.post(used("a", -70), used("b"), used("c", 10))
    street.flow()
    windows = explained(street)["rows"][0]["usage"]["windows"]
    assert [each["start"] for each in windows] == ["2026-11-20T13:00:00Z", "2026-11-20T15:00:00Z"]
    minutes = follow(street, windows[1]["links"]["usage"])
    assert [each["start"] for each in minutes] == ["2026-11-20T15:00:00Z", "2026-11-20T15:10:00Z"]
    street.advance("2026-11-21T02:00:00Z")
    street.now = NOW + 80 * DAY
    links = explained(street, "/v1/invoices/TX-000001")["rows"][0]["usage"]["windows"][0]["links"]
    assert links["events"] is None
    assert links["usage"]


def test_an_adjustment_leads_to_the_explanation_of_the_period_that_it_is_for(month: Street) -> None:
    month.advance("2026-12-01T12:00:00Z")
    month.post(used("late", value="200", dimensions={"provider": "aws", "region": "us"}))
    month.flow()
    month.advance("2027-01-01T12:00:00Z")
    december = month.does("GET", "/v1/invoices/TX-000002")
    (row,) = [row for row in explained(month, f"/v1/invoices/{december['id']}")["rows"] if "adjusts" in row["steps"]]
    assert (row["line"]["kind"], row["differs"]) == ("adjustment", False)
    november = month.does("GET", row["steps"]["adjusts"]["explain"])
    assert (november["invoice"]["number"], november["today"]["difference"]) == ("TX-000001", row["line"]["amount"])
    month.does("POST", "/v1/invoices/TX-000001/void", {"reissue": True})
    (again,) = [row for row in explained(month, "/v1/invoices/TX-000002")["rows"] if "adjusts" in row["steps"]]
    assert month.does("GET", again["steps"]["adjusts"]["explain"])["invoice"]["number"] == "TX-000003"


def walked(street: Street, told: Any) -> Decimal:
    """What the usage amounts to that the lines of an explanation lead to; each ends in events or in a step."""
    found = Decimal(0)
    for row in told["rows"]:
        if row["usage"]:
            sent = [event for day in row["usage"]["windows"] for event in follow(street, day["links"]["events"])]
            assert len(sent) == sum(day["events"] for day in row["usage"]["windows"])
            found += Decimal(row["line"]["amount"])
        elif "adjusts" in row["steps"]:
            found += walked(street, street.does("GET", row["steps"]["adjusts"]["explain"]))
        else:
            assert row["steps"].keys() & {"fee", "discount", "minimum", "maximum"}
    return found


@pytest.mark.parametrize("prepaid_only", [False, True])
def test_an_adjustment_of_a_period_that_was_not_invoiced_leads_to_its_events_too(
    bare: Street, prepaid_only: bool
) -> None:
    bare.does(
        "PUT", "/v1/plans/calls", {"currency": "USD", "items": PLAN["items"][1:2], "discounts": [{"amount": "0.1"}]}
    )
    bare.does("PUT", "/v1/customers/acme", {"plan": "calls", "prepaid_only": prepaid_only})
    bare.advance("2026-12-01T12:00:00Z")
    bare.post(used("late"), used("later", 1), used("now", timestamp=bare.now))
    bare.flow()
    rows = explained(bare)["rows"]
    assert [row["line"]["amount"] for row in rows] == ["0.1", "-0.1", "0.1"]
    told = bare.does("GET", rows[2]["steps"]["adjusts"]["explain"])
    assert (told["invoice"]["number"], told["invoice"]["subtotal"], told["share"]) == (None, "0.1", "1")
    assert [row["line"]["amount"] for row in told["rows"]] == ["0.2", "-0.1"]
    assert walked(bare, explained(bare)) == Decimal("0.3")
    # Once it has been invoiced with December, that invoice leads there as well.
    bare.advance("2027-01-01T12:00:00Z")
    path = "/v1/invoices/acme:20261201T0000Z"
    assert walked(bare, explained(bare, path)) == (Decimal("0.1") if prepaid_only else Decimal("0.3"))


def test_what_would_be_no_invoice_of_a_period_is_not_explained(month: Street) -> None:
    month.advance("2027-01-01T12:00:00Z")
    for name in ("acme:20261201T0000Z-2", "acme:20261202T0000Z", "nobody:20261201T0000Z", "acme:20261301T0000Z", ":x"):
        assert month.call("GET", f"/v1/invoices/{name}/explain")[0] == 404


def test_a_concluded_period_is_explained_as_it_was_kept_whatever_the_calendar_is_now(bare: Street) -> None:
    bare.does("PUT", "/v1/plans/rich", PLAN)
    bare.does("PUT", "/v1/customers/acme", {"plan": "rich", "starts_at": "2026-11-16T00:00:00Z"})
    bare.post(used("a", value="9"))
    bare.flow()
    bare.advance("2026-12-01T12:00:00Z")
    before = explained(bare, "/v1/invoices/TX-000001")
    bare.does("PATCH", "/v1/customers/acme", {"timezone": "Asia/Kolkata", "anchor_day": 10})
    bare.does("PUT", "/v1/plans/rich", {**PLAN, "minimum": "70"})
    bare.advance("2027-02-15T12:00:00Z")
    after = explained(bare, "/v1/invoices/TX-000001")
    assert (after["share"], after["timezone"]) == ("0.5", "UTC")
    assert after["rows"] == [
        {**row, "usage": later["usage"]} for row, later in zip(before["rows"], after["rows"], strict=True)
    ]
    assert [row["usage"] and row["usage"]["rows"] for row in after["rows"]] == [
        row["usage"] and row["usage"]["rows"] for row in before["rows"]
    ]
    assert (after["today"]["difference"], after["credits"]) == ("0", before["credits"])


def test_an_invoice_made_anew_and_the_one_that_it_replaces_each_say_who_paid(month: Street) -> None:
    for name in ("a", "b"):
        month.does("POST", "/v1/customers/acme/credits", {"id": name, "amount": "4"})
    month.advance("2026-12-01T12:00:00Z")
    paid = {"applied": "8", "by": [{"credit": "a", "amount": "4"}, {"credit": "b", "amount": "4"}]}
    month.does("POST", "/v1/invoices/TX-000001/void", {"reissue": True})
    for number in ("TX-000001", "TX-000002"):
        told = explained(month, f"/v1/invoices/{number}")
        assert (told["credits"], told["today"]["difference"]) == (paid, "0")
        assert not any(row["differs"] for row in told["rows"])
    month.does("POST", "/v1/invoices/TX-000002/void")
    assert explained(month, "/v1/invoices/TX-000002")["credits"] == paid


def test_of_what_does_not_add_up_the_windows_say_how_they_join(bare: Street) -> None:
    bare.does("PUT", "/v1/meters/peak", {"aggregation": "max"})
    item = {"key": "peak", "meter": "peak", "price": {"model": "per_unit", "unit_price": "1"}}
    bare.does("PUT", "/v1/plans/peak", {"currency": "USD", "items": [item]})
    bare.does("PUT", "/v1/customers/acme", {"plan": "peak"})
    for days, value in enumerate(("3", "9", "4")):
        bare.post(used(f"e{days}", meter="peak", timestamp=NOW - days * DAY, value=value, dimensions={}))
    bare.flow()
    row = explained(bare)["rows"][0]
    assert (row["usage"]["joined_by"], row["steps"]["quantity"]["measured"]) == ("greatest", "9")
    assert [day["quantity"] for day in row["usage"]["windows"]] == ["4", "9", "3"]


def test_nothing_is_explained_where_nothing_is(street: Street) -> None:
    street.does("PUT", "/v1/customers/none", {"currency": "USD"})
    for path in ("/v1/invoices/TX-000009", "/v1/customers/none/invoices/draft", "/v1/customers/nobody/invoices/draft"):
        assert street.call("GET", f"{path}/explain")[0] == 404
