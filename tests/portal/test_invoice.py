"""The page of an invoice: what a person reads on it."""

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from portal.dates import stretch
from portal.invoice import render
from tests.portal.papers import credited, invoice, line


class Page(HTMLParser):
    """What a page says, and what it is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []
        self.rows: list[list[str]] = []
        self.feed(text)
        self.text = " ".join(cell for row in self.rows for cell in row)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect."""
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in ("meta", "col"):
            self.open.append(tag)
        if tag in ("tr", "main", "h1", "h2", "dt", "p", "caption"):
            self.rows.append([])

    def handle_endtag(self, tag: str) -> None:
        """Every element is closed in its order."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Collect."""
        if data.strip() and self.rows:
            self.rows[-1].append(data.strip())


def page(*lines: dict[str, Any], **more: Any) -> Page:
    return Page(render(invoice(*lines, **more)))


def test_it_says_who_owes_whom_what_for_when() -> None:
    told = page(line("Calls", "1250", quantity="1234567.5"), subtotal="1250", total="1250", amount_due="1250")
    for row in (
        ["Invoice TX-000001"],
        ["Paid"],
        ["Number", "TX-000001"],
        ["Issue date", "1 December 2026"],
        ["Due date", "31 December 2026"],
        ["Period from", "1 November 2026"],
        ["Period to", "30 November 2026"],
        ["Time zone", "Europe/Berlin"],
        ["Calls", "1,234,567.5 calls", "0.5", "1,250.00"],
        ["Subtotal", "1,250.00"],
        ["Amount due (USD)", "1,250.00"],
        ["Paid on 5 December 2026", "−1,250.00"],
    ):
        assert row in told.rows, row
    for words in ("Us", "1 Road", "Tax ID CHE-1", "Acme", "Berlin", "a@b.c"):
        assert words in told.text


@pytest.mark.parametrize(
    ("currency", "amount", "shown"),
    [("USD", "12.5", "12.50"), ("JPY", "1250", "1,250"), ("KWD", "1.2", "1.200"), ("EUR", "-0.3", "−0.30")],
)
def test_amounts_have_the_digits_of_their_currency(currency: str, amount: str, shown: str) -> None:
    (row,) = [row for row in page(line(amount=amount), currency=currency).rows if row[:1] == ["Calls"]]
    assert row[-1] == shown


def test_a_unit_price_loses_no_digit_and_an_endless_quantity_says_so() -> None:
    told = page(line(unit_price="0.00000000000000000123", quantity="0." + "3" * 30))
    assert "0.00000000000000000123" in told.text
    assert "0.333333333333… calls" in told.text


def test_combinations_stand_below_their_item_and_tiers_below_their_line() -> None:
    tiers = [
        {"up_to": "10", "quantity": "10", "unit_price": "0", "flat_fee": "2", "amount": "2"},
        {"up_to": None, "quantity": "15", "unit_price": "0.7", "flat_fee": "0", "amount": "10.5"},
    ]
    packages = [{"packages": "3", "size": "10", "package_price": "1", "amount": "3"}]
    told = page(
        line("Calls (region eu)", dimensions={"region": "eu"}, tiers=tiers),
        line("Calls", "3", tiers=packages, unit_price=None, unpriced=True),
        line("Mail (region eu)", item="mail", dimensions={"region": "eu"}, tiers=tiers[:1]),
        line("Discount 10%", "-1.25", item=None, kind="discount", quantity=None, unit=None, unit_price=None),
        line("Adjustment", "-1.25", item=None, kind="adjustment", quantity=None, unit=None, unit_price=None),
    )
    start = told.rows.index(["Calls"])
    assert told.rows[start : start + 9] == [
        ["Calls"],
        ["region eu", "25 calls", "0.5", "12.50"],
        ["Up to 10 · flat fee 2", "10", "2.00"],
        ["Above", "15", "0.7", "10.50"],
        ["not specified", "No price of the plan fits: not charged.", "25 calls", "3.00"],
        ["Packages of 10", "3", "1", "3.00"],
        ["Mail (region eu)", "25 calls", "0.5", "12.50"],
        ["Discount 10%", "−1.25"],
        ["Adjustment", "−1.25"],
    ]


@pytest.mark.parametrize(
    ("tier", "row"),
    [
        (
            {"rate": "2.9", "events": "3", "fixed_fee": "0.3", "minimum": None, "amount": "4"},
            ["2.9% · events 3 · fixed fee 0.3", "4.00"],
        ),
        ({"events": "1000", "amount": "7.5"}, ["events 1,000", "7.50"]),
        (
            {"from": "5", "up_to": None, "quantity": "7", "unit_price": "0", "flat_fee": "9", "amount": "9"},
            ["Above 5 · flat fee 9", "7", "9.00"],
        ),
        (
            {"from": "5", "up_to": "9", "quantity": "2", "unit_price": "0", "flat_fee": "0", "amount": "0"},
            ["Up to 9", "2", "0", "0.00"],
        ),
    ],
)
def test_steps_of_other_models_are_written_out(tier: dict[str, Any], row: list[str]) -> None:
    told = page(line(tiers=[tier], unit_price=None, included="1000"))
    assert row in told.rows
    assert ["Calls", "1,000 included", "25 calls", "12.50"] in told.rows


@pytest.mark.parametrize(
    ("status", "stamp", "link"),
    [
        ("finalized", "Open", True),
        ("past_due", "Past due", True),
        ("uncollectible", "Uncollectible", True),
        ("paid", "Paid", False),
        ("void", "Void", False),
    ],
)
def test_its_status_is_stamped_on_it_and_what_is_open_can_be_paid(status: str, stamp: str, link: bool) -> None:
    told = page(line(), status=status, hosted_invoice_url="https://pay.example/i")
    assert [stamp] in told.rows
    assert (("href", "https://pay.example/i") in told.attributes) == link
    assert "a" not in page(line(), status=status, hosted_invoice_url="javascript:alert(1)").tags


def test_tax_credits_and_refunds_are_shown_where_there_are_any() -> None:
    plain = page(line())
    assert not any(row[0].startswith(("Tax", "Paid from", "Amount refunded")) for row in plain.rows if row)
    told = page(line(), tax_rate="7.7", tax="0.96", credits_applied="2", amount_refunded="3")
    assert [row for row in told.rows if row and row[0].startswith(("Tax", "Paid from", "Amount refunded"))] == [
        ["Tax 7.7%", "0.96"],
        ["Paid from credits", "−2.00"],
        ["Amount refunded", "3.00"],
    ]


def test_what_is_granted_as_a_credit_is_a_line_and_said_again_below_what_is_due() -> None:
    rows = Page(render(credited())).rows
    start = rows.index(["Adjustment of 2026-10-01 to 2026-10-31", "−20.50"])
    assert rows[start + 1] == ["Granted as credit", "8.00"]
    assert rows[-2:] == [["Amount due (USD)", "0.00"], ["Granted as credit", "8.00"]]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"status": "finalized"}, "12.50 USD due by 31 December 2026"),
        ({"status": "past_due"}, "12.50 USD due since 31 December 2026"),
        ({"status": "finalized", "due_at": None}, "12.50 USD due"),
        (
            {"status": "finalized", "held": True},
            "12.50 USD too little to be charged by itself: collected with the next invoice",
        ),
        ({"status": "finalized", "carried_by": "acme:20261201T0000Z"}, "12.50 USD collected with a later invoice"),
        ({"status": "void"}, "This invoice was taken back: nothing of it is to be paid."),
        (
            {"status": "void", "reissued_as": "acme:20261101T0000Z-2"},
            "This invoice was taken back: nothing of it is to be paid. It was made anew.",
        ),
    ],
)
def test_it_says_what_is_still_to_be_paid(more: dict[str, Any], said: str) -> None:
    assert said in [" ".join(row) for row in page(line(), **more).rows]


def test_a_draft_says_that_it_is_one() -> None:
    told = page(status="draft", number=None, finalized_at=None, due_at=None, paid_at=None)
    assert ["Draft invoice"] in told.rows
    assert not any(row[0] in ("Number", "Issue date", "Due date") for row in told.rows if row)


def test_it_asks_for_nothing_and_is_closed_and_escaped() -> None:
    evil = "</style><script>alert(1)</script><b onclick='x'>"
    party = {"name": evil, "email": evil, "address": {evil: [evil, 1, None, {"x": evil}]}, "tax_id": evil}
    told = page(line(evil, unit=evil, dimensions={evil: evil}), number=evil, issuer=party, bill_to=party)
    assert told.open == []
    assert not {"script", "img", "link", "iframe", "b", "form"} & set(told.tags)
    assert told.tags.count("style") == 1
    assert not {name for name, _ in told.attributes} & {"src", "onclick", "style"}
    assert ("lang", "en") in told.attributes
    assert {value for name, value in told.attributes if name == "scope"} == {"col", "row"}
    style = re.search("<style>(.*?)</style>", render(invoice(number=evil)), re.DOTALL)
    assert style
    assert "alert(1)" not in style[1]
    assert style[1].count("{") == style[1].count("}")


@pytest.mark.parametrize(
    ("start", "end", "zone", "days"),
    [
        ("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z", "UTC", ("1 November 2026", "30 November 2026")),
        ("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z", "Europe/Berlin", ("25 October 2026", "25 October 2026")),
        ("2026-11-10T14:30:00Z", "2026-12-01T00:00:00Z", "UTC", ("10 November 2026 14:30", "30 November 2026")),
        ("2026-11-01T00:00:00Z", "2026-11-10T14:30:00Z", "UTC", ("1 November 2026", "10 November 2026 14:30")),
        # Clocks skip midnight there: the day begins at one.
        (
            "2022-09-11T04:00:00Z",
            "2022-09-12T03:00:00Z",
            "America/Santiago",
            ("11 September 2022", "11 September 2022"),
        ),
        ("2026-11-01T00:00:00Z", "2026-11-01T00:00:00Z", "UTC", ("1 November 2026", "1 November 2026")),
    ],
)
def test_a_period_is_told_by_its_first_and_its_last_day(start: str, end: str, zone: str, days: tuple[str, str]) -> None:
    assert stretch(start, end, zone) == days


def test_numbers_in_an_address_are_written_and_what_is_only_yes_or_no_is_not() -> None:
    address = {"line1": ["Road", 1], "floor": 0, "lot": 1.0, "private": True, "hidden": False}
    told = render(invoice(bill_to={"address": address}))
    for written in (">Road 1<", ">0<", ">1.0<"):
        assert written in told
    assert "True" not in told
    assert "False" not in told
