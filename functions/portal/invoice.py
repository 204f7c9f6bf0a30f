"""An invoice as a page: what a person would accept, on a screen and on A4 or Letter paper. No script, no request."""

from collections.abc import Iterable, Iterator, Mapping
from html import escape
from itertools import groupby
from typing import Any

from portal.amounts import grouped, money, shortened
from portal.dates import day, stretch
from portal.invoice_style import STYLE, on_every_page
from portal.invoice_tiers import steps_of

HEADERS: Mapping[str, str] = {
    "cache-control": "private, no-store",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
"""What the page is served with: it may ask for nothing, and whoever is linked to learns nothing of it."""

_STAMPS = {
    "draft": "Draft",
    "finalized": "Open",
    "paid": "Paid",
    "past_due": "Past due",
    "void": "Void",
    "uncollectible": "Uncollectible",
}
_PAYABLE = ("finalized", "past_due", "uncollectible")
# The parts of an address in the order in which they are read; those of one row share a line. Others follow.
_ADDRESS = (("line1",), ("street",), ("line2",), ("postal_code", "city", "state"), ("country",))


def render(invoice: Mapping[str, Any]) -> str:
    """The page of an invoice, given as the API shows it; everything that a user wrote is escaped."""
    status = invoice["status"]
    name = "Draft invoice" if status == "draft" else f"Invoice {invoice['number'] or ''}".strip()
    title = escape(name)
    stamp = f'<p class="stamp {escape(status)}">{escape(_STAMPS.get(status, status))}</p>'
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>{STYLE}{on_every_page(name)}</style></head><body><main>
<header><address aria-label="Issuer">{_party(invoice["issuer"])}</address>
<div class="title"><h1>{title}</h1>{stamp}</div></header>
<div class="parties"><section><h2>Bill to</h2><address>{_party(invoice["bill_to"])}</address></section>
<dl class="facts">{"".join(_facts(invoice))}</dl></div>
{_due(invoice)}
<table class="lines"><caption>What is charged</caption>
<colgroup><col class="what"><col class="count"><col class="price"><col class="amount"></colgroup>
<thead><tr><th scope="col">Description</th><th scope="col" class="number">Quantity</th>
<th scope="col" class="number">Unit price</th><th scope="col" class="number">Amount ({escape(invoice["currency"])})</th>
</tr></thead>
{"".join(_groups(invoice))}</table>
<table class="sums"><caption>What is due</caption><tbody>{"".join(_sums(invoice))}</tbody></table>
</main></body></html>"""


def _timezone(invoice: Mapping[str, Any]) -> str:
    return str(invoice["bill_to"].get("timezone") or "UTC")


def _party(party: Mapping[str, Any]) -> str:
    tax_id = f"Tax ID {party['tax_id']}" if party.get("tax_id") else None
    lines = [*_address(party.get("address")), party.get("email"), tax_id]
    name = party.get("name")
    written = [f'<span class="name" dir="auto">{escape(str(name))}</span>'] if name else []
    return "".join([*written, *(f'<span dir="auto">{escape(str(line))}</span>' for line in lines if line)])


def _address(address: object) -> Iterator[str]:
    if not isinstance(address, Mapping):
        yield from [str(address)] if address else []
        return
    known = {name for row in _ADDRESS for name in row}
    for row in (*_ADDRESS, *((name,) for name in address if name not in known)):
        yield " ".join(part for name in row for part in _written(address.get(name)))


def _written(value: object) -> Iterator[str]:
    """The texts and numbers of a part of an address, which may be any JSON."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _written(each)
    elif value not in (None, "") and not isinstance(value, bool):
        yield str(value)


def _facts(invoice: Mapping[str, Any]) -> Iterator[str]:
    timezone = _timezone(invoice)
    first, last = stretch(invoice["period"]["start"], invoice["period"]["end"], timezone)
    facts = [("Number", invoice["number"])]
    for name, field in (("Issue date", "finalized_at"), ("Due date", "due_at")):
        facts.append((name, day(invoice[field], timezone) if invoice[field] else None))
    facts += [("Period from", first), ("Period to", last), ("Time zone", timezone)]
    for name, value in facts:
        if value:
            yield f"<dt>{name}</dt><dd>{escape(value)}</dd>"


def _due(invoice: Mapping[str, Any]) -> str:
    """What is still to be paid, and where; of a void invoice that it is nothing."""
    if invoice["status"] == "void":
        anew = " It was made anew." if invoice["reissued_as"] else ""
        return f'<p class="due"><span>This invoice was taken back: nothing of it is to be paid.{anew}</span></p>'
    if invoice["status"] not in _PAYABLE or invoice["amount_due"] == "0":
        return ""
    currency, url = invoice["currency"], str(invoice["hosted_invoice_url"] or "")
    amount = f"{_amount(invoice['amount_due'], currency)} {escape(currency)}"
    link = f'<a href="{escape(url)}">Pay this invoice online</a>' if url.startswith(("https://", "http://")) else ""
    return f'<p class="due"><span><strong>{amount}</strong> {_when_due(invoice)}</span>{link}</p>'


def _when_due(invoice: Mapping[str, Any]) -> str:
    """By when it is to be paid, or that another invoice sees to it: `billing.collecting`."""
    if invoice["carried_by"]:
        return "collected with a later invoice"
    if invoice["held"]:
        return "too little to be charged by itself: collected with the next invoice"
    if not invoice["due_at"]:
        return "due"
    is_late = invoice["status"] == "past_due"
    return f"due {'since' if is_late else 'by'} {day(invoice['due_at'], _timezone(invoice))}"


def _groups(invoice: Mapping[str, Any]) -> Iterator[str]:
    """The lines, those of one item together."""
    for item, found in groupby(invoice["lines"], key=lambda line: line["item"]):
        lines = list(found)
        rows: list[str] = []
        of_group = item is not None and len(lines) > 1
        if of_group:
            title = escape(_title(lines[0]))
            rows.append(f'<tr class="group"><th scope="rowgroup" colspan="4" dir="auto">{title}</th></tr>')
        for line in lines:
            rows += _rows(line, invoice["currency"], of_group=of_group)
        yield f"<tbody>{''.join(rows)}</tbody>"


def _combination(line: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in line["dimensions"].items())


def _title(line: Mapping[str, Any]) -> str:
    """What the item of a line is called, without the combination that the line is for."""
    return str(line["description"]).removesuffix(f" ({_combination(line)})")


def _rows(line: Mapping[str, Any], currency: str, *, of_group: bool) -> Iterator[str]:
    what = (_combination(line) or "not specified") if of_group else line["description"]
    note = "".join(f'<span class="note">{escape(said)}</span>' for said in _notes(line))
    quantity = " ".join(part for part in (shortened(line["quantity"] or ""), line["unit"]) if part)
    price = grouped(line["unit_price"] or "")
    mark = ' class="of-group"' if of_group else ""
    yield f"<tr{mark}>{_cells(what, quantity, price, _amount(line['amount'], currency), note)}</tr>"
    for step in steps_of(line):
        amount = _amount(step.amount, currency) if step.amount else ""
        yield f'<tr class="step">{_cells(step.what, step.quantity, step.price, amount)}</tr>'


def _notes(line: Mapping[str, Any]) -> Iterator[str]:
    if line.get("included"):
        yield f"{shortened(line['included'])} included"
    if line.get("unpriced"):
        yield "No price of the plan fits: not charged."


def _cells(what: str, *numbers: str) -> str:
    quantity, price, amount, *note = numbers
    cells = "".join(f'<td class="number">{escape(each)}</td>' for each in (quantity, price, amount))
    return f'<th scope="row" dir="auto">{escape(what)}{"".join(note)}</th>{cells}'


def _amount(amount: str, currency: str) -> str:
    return grouped(money(amount, currency))


def _sums(invoice: Mapping[str, Any]) -> Iterable[str]:
    currency, paid = invoice["currency"], invoice["credits_applied"]
    rows = [("", "Subtotal", invoice["subtotal"], True)]
    taxed = invoice["tax"] != "0" or invoice["tax_rate"] != "0"
    rows.append(("", f"Tax {invoice['tax_rate']}%", invoice["tax"], taxed))
    rows.append(("total", "Total", invoice["total"], True))
    rows.append(("", "Paid from credits", f"-{paid}", paid != "0"))
    owed = "owed gone" if invoice["status"] == "void" else "owed"
    rows.append((owed, f"Amount due ({currency})", invoice["amount_due"], True))
    rows.append(("", "Granted as credit", invoice["credit_granted"], invoice["credit_granted"] != "0"))
    if invoice["status"] == "paid" and invoice["paid_at"] and invoice["amount_due"] != "0":
        paid_on = day(invoice["paid_at"], _timezone(invoice))
        rows.append(("", f"Paid on {paid_on}", f"-{invoice['amount_due']}", True))
    rows.append(("", "Amount refunded", invoice["amount_refunded"], invoice["amount_refunded"] != "0"))
    for mark, name, amount, shown in rows:
        if shown:
            yield (
                f'<tr class="{mark}"><th scope="row">{escape(name)}</th>'
                f'<td class="number">{escape(_amount(amount, currency))}</td></tr>'
            )
