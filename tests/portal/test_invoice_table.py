"""The CSV of an invoice: what a bookkeeper's spreadsheet makes of it."""

import csv
import io
from decimal import Decimal

import pytest

from portal.invoice_table import as_csv, file_name
from tests.portal.papers import credited, invoice, line


def rows(written: str) -> list[dict[str, str]]:
    """As a reader of RFC 4180 has it."""
    return list(csv.DictReader(io.StringIO(written, newline="")))


def test_the_amounts_of_all_rows_add_up_to_what_is_due() -> None:
    made = invoice(
        line(dimensions={"region": "eu", "provider": "aws"}),
        line("Discount 10%", "-1.25", item=None, kind="discount", amount_exact="-1.2549", quantity=None, unit=None),
        subtotal="11.25",
        tax_rate="7.7",
        tax="0.56",
        total="11.81",
        credits_applied="4",
        amount_due="7.81",
    )
    table = rows(as_csv(made))
    assert [row["kind"] for row in table] == ["usage", "discount", "tax", "credit"]
    assert [row["amount"] for row in table] == ["12.50", "-1.25", "0.56", "-4.00"]
    assert sum(Decimal(row["amount"]) for row in table) == Decimal("7.81")
    assert (table[1]["amount_exact"], table[1]["quantity"], table[0]["unit_price"]) == ("-1.2549", "", "0.5")
    assert (table[0]["dimensions"], table[3]["description"]) == ("provider=aws; region=eu", "Paid from credits")
    assert {(row["number"], row["currency"], row["period_end"]) for row in table} == {
        ("TX-000001", "USD", "2026-11-30T23:00:00Z")
    }


def test_with_adjustments_and_a_credit_granted_for_them_they_still_add_up_and_say_what_they_are_for() -> None:
    table = rows(as_csv(credited()))
    assert [(row["amount"], row["period_start"], row["credit"]) for row in table] == [
        ("12.50", "2026-10-31T23:00:00Z", ""),
        ("-20.50", "2026-09-30T22:00:00Z", ""),
        ("8.00", "2026-10-31T23:00:00Z", "adjustment:20261031T230000Z"),
    ]
    assert sum(Decimal(row["amount"]) for row in table) == 0


def test_it_is_rfc_4180_and_always_has_a_header() -> None:
    hostile = 'a "quoted", broken\r\nname; with Ünï'
    written = as_csv(invoice(line(hostile)))
    assert written.endswith("\r\n")
    assert rows(written)[0]["description"] == hostile
    assert as_csv(invoice()).count("\r\n") == 1


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n", "＝"])
def test_a_text_that_begins_as_a_formula_is_shown_as_text(first: str) -> None:
    evil = f"{first}HYPERLINK(1)"
    made = invoice(line(evil, "-5", item=evil, unit=evil, dimensions={evil: "x"}), customer=evil, number=evil)
    (row,) = rows(as_csv(made))
    for name in ("description", "item", "unit", "customer", "number", "dimensions"):
        assert row[name].startswith(f"'{first}"), name
    assert row["amount"] == "-5.00"  # a number is none


@pytest.mark.parametrize(
    ("currency", "amount", "shown"),
    [("USD", "12.5", "12.50"), ("JPY", "1250", "1250"), ("KWD", "1.2", "1.200"), ("JPY", "0.5", "0.5")],
)
def test_amounts_have_the_digits_of_their_currency_and_none_is_lost(currency: str, amount: str, shown: str) -> None:
    assert rows(as_csv(invoice(line(amount=amount), currency=currency)))[0]["amount"] == shown


def test_it_is_saved_by_its_number() -> None:
    assert file_name(invoice()) == "TX-000001.csv"
    assert file_name(invoice(number=None)) == "acme-20261101T0000Z.csv"
    assert file_name(invoice(number='a"/../b')) == "a-..-b.csv"
