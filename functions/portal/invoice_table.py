"""An invoice as a table for bookkeeping: CSV (RFC 4180) with a header, one row for each line, then tax and credits.

The amounts of all rows add up to what is due, so nothing that is a sum itself is among them. An adjustment has the
earlier period that it is for, and what was granted instead of being paid out names the credit. Numbers are plain text
without thousands separators; an amount has the digits of its currency, `amount_exact` all that it had before rounding.
"""

import csv
import io
import re
from collections.abc import Iterator, Mapping
from typing import Any

from portal.amounts import money

_COLUMNS = (
    *("invoice", "number", "status", "customer", "period_start", "period_end", "kind", "item", "description"),
    *("dimensions", "quantity", "unit", "unit_price", "amount_exact", "amount", "currency", "credit"),
)
_NUMBERS = {"quantity", "unit_price", "amount_exact", "amount"}
# What spreadsheets take for the beginning of a formula, also in the wide forms of East Asian keyboards.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def as_csv(invoice: Mapping[str, Any]) -> str:
    """The table of an invoice, given as the API shows it."""
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow(_COLUMNS)
    for row in _rows(invoice):
        writer.writerow(_cell(name, row.get(name)) for name in _COLUMNS)
    return written.getvalue()


def file_name(invoice: Mapping[str, Any]) -> str:
    """What the table is called when it is saved: the number of the invoice, or its id."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", invoice["number"] or invoice["id"]) + ".csv"


def _rows(invoice: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    currency = invoice["currency"]
    common = {
        "invoice": invoice["id"],
        "period_start": invoice["period"]["start"],
        "period_end": invoice["period"]["end"],
        **{name: invoice[name] for name in ("number", "status", "customer", "currency")},
    }
    for line in invoice["lines"]:
        adjusted = line.get("period")
        period = {f"period_{name}": instant for name, instant in adjusted.items()} if adjusted else {}
        # Of the adjustments that is the one for no period: what all of them left below zero.
        granted = line["kind"] == "adjustment" and not adjusted
        credit = line.get("credit", invoice["credit"] if granted else None)
        dimensions = "; ".join(f"{name}={value}" for name, value in sorted(line["dimensions"].items()))
        amount = money(line["amount"], currency)
        yield {**line, **common, **period, "dimensions": dimensions, "amount": amount, "credit": credit}
    if invoice["tax"] != "0" or invoice["tax_rate"] != "0":
        yield {**common, "kind": "tax", "description": f"Tax {invoice['tax_rate']}%", **_sum(invoice["tax"], currency)}
    if invoice["credits_applied"] != "0":
        paid = f"-{invoice['credits_applied']}"
        yield {**common, "kind": "credit", "description": "Paid from credits", **_sum(paid, currency)}


def _sum(amount: str, currency: str) -> dict[str, str]:
    return {"amount_exact": amount, "amount": money(amount, currency)}


def _cell(name: str, value: object) -> str:
    """A cell: what is no number and would be taken for a formula has an apostrophe before it."""
    written = "" if value is None else str(value)
    return f"'{written}" if name not in _NUMBERS and written.startswith(_FORMULA) else written
