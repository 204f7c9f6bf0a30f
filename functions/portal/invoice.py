"""An invoice as a page: what a person would accept, on a screen and on A4 or Letter paper. No script, no request."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

_STYLE = """
:root{color:#1a1a1a;font:15px/1.5 system-ui,sans-serif}
body{max-width:46rem;margin:2rem auto;padding:0 1rem}
header,footer{display:flex;justify-content:space-between;gap:2rem}
h1{font-size:1.4rem;margin:0}
address{font-style:normal;white-space:pre-line}
table{width:100%;border-collapse:collapse;margin:2rem 0}
th,td{padding:.4rem .5rem;text-align:left;border-bottom:1px solid #ddd;vertical-align:top}
td.number,th.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
tfoot td{border:0}
tfoot tr:last-child td{font-weight:600;border-top:2px solid}
@page{margin:18mm}
@media print{body{margin:0;max-width:none}tr{break-inside:avoid}}
"""


def render(invoice: Mapping[str, Any]) -> str:
    """The page of an invoice, given as the API shows it; everything that a user wrote is escaped."""
    number = escape(invoice["number"] or "Draft")
    period = invoice["period"]
    issuer, bill_to = invoice["issuer"], invoice["bill_to"]
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Invoice {number}</title><style>{_STYLE}</style></head><body>
<header><div><h1>Invoice {number}</h1>
<p>{_day(period["start"])} to {_day(period["end"])}<br>Status: {escape(invoice["status"])}</p></div>
<address>{_party(issuer)}</address></header>
<p><strong>Bill to</strong></p><address>{_party(bill_to)}</address>
<table><thead><tr><th>Description</th><th class="number">Quantity</th><th class="number">Unit price</th>
<th class="number">Amount</th></tr></thead>
<tbody>{"".join(map(_row, invoice["lines"]))}</tbody>
<tfoot>{"".join(_sums(invoice))}</tfoot></table>
</body></html>"""


def _day(instant: str) -> str:
    return escape(instant[:10])


def _party(party: Mapping[str, Any]) -> str:
    address = party.get("address")
    lines: list[Any] = [party.get("name"), *_values(address), party.get("tax_id")]
    return "\n".join(escape(str(line)) for line in lines if line)


def _values(address: object) -> Sequence[Any]:
    if isinstance(address, Mapping):
        return list(address.values())
    return [address] if address else []


def _row(line: Mapping[str, Any]) -> str:
    quantity = " ".join(part for part in (line["quantity"], line["unit"]) if part)
    cells = (quantity, line["unit_price"] or "", line["amount"])
    numbers = "".join(f'<td class="number">{escape(str(cell))}</td>' for cell in cells)
    return f"<tr><td>{escape(line['description'])}</td>{numbers}</tr>"


def _sums(invoice: Mapping[str, Any]) -> list[str]:
    currency = escape(invoice["currency"])
    rows = (
        ("Subtotal", invoice["subtotal"]),
        (f"Tax {invoice['tax_rate']}%", invoice["tax"]),
        ("Total", invoice["total"]),
        ("Paid from credits", f"-{invoice['credits_applied']}"),
        (f"Amount due ({currency})", invoice["amount_due"]),
    )
    return [
        f'<tr><td colspan="3">{escape(name)}</td><td class="number">{escape(amount)}</td></tr>'
        for name, amount in rows
        if amount not in ("0", "-0") or name.startswith(("Subtotal", "Total", "Amount"))
    ]
