"""The tables that the demo shows."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from metering.decimals import text
from taximeter.demo.agreement import Compared, Observed

Json = dict[str, Any]


def _table(title: str, left: Sequence[str], right: Sequence[str]) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="bold", header_style="dim", box=None, padding=(0, 1, 0, 0)
    )
    for name in left:
        table.add_column(name, no_wrap=True)
    for name in right:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _money(amount: str) -> str:
    return f"{Decimal(amount):,.2f}"


def balances(told: Sequence[Mapping[str, str]]) -> RenderableType:
    """How each balance goes down from request to request; the last but one was the same request again."""
    last = len(told) - 1
    requests = [*(f"request {number}" for number in range(1, last - 1)), "the same", f"request {last - 1}"]
    table = _table("\nPrepaid balances in USD", ["customer"], ["before", *requests])
    for name in told[0]:
        table.add_row(name, *(_money(each[name]) for each in told))
    return table


def alerts(messages: Sequence[str]) -> RenderableType:
    """What arrived at the alert topic."""
    shown = Text(f"\nAt the alert topic (SNS) arrived {len(messages)} message{'' if len(messages) == 1 else 's'}:\n")
    for message in messages:
        facts = dict(line.split(": ", 1) for line in message.splitlines() if ": " in line)
        told = (f"{name} {facts[name]}" for name in ("alert", "balance", "threshold", "at") if name in facts)
        shown.append(f"  {facts.get('customer', message)}: {', '.join(told)}\n", style="yellow")
    return shown


def top_ups(attempts: Sequence[Json]) -> RenderableType:
    """The top-ups of a customer."""
    table = _table("Top-ups", ["customer", "status", "Stripe payment"], ["credited", "charged"])
    for attempt in reversed(attempts):
        payment = attempt["payment_intent"] or attempt["reason"] or ""
        table.add_row(
            attempt["customer"], attempt["status"], payment, _money(attempt["amount"]), _money(attempt["charged"])
        )
    return Group(table, "")


def usage(observed: Mapping[str, Observed]) -> RenderableType:
    """Sessions and usage by customer, provider and region."""
    table = _table("\nUsage of the month", ["customer", "provider", "region"], ["sessions", "GB-s"])
    for name, told in observed.items():
        for row in told.usage:
            where = row["dimensions"]
            quantity = text(Decimal(row["quantity"]).scaleb(-3))
            table.add_row(name, where.get("provider"), where.get("region"), str(row["events"]), quantity)
    table.add_section()
    table.add_row("sessions paired", "", "", str(sum(len(told.sessions) for told in observed.values())), "")
    return table


def ledger(customer: str, entries: Sequence[Json]) -> RenderableType:
    """A ledger, oldest entry first."""
    table = _table(f"\nLedger of {customer}", ["at", "kind", "credit"], ["amount", "balance"])
    for entry in reversed(entries):
        table.add_row(
            entry["at"], entry["kind"], entry["credit"], _money(entry["amount"]), _money(entry["balance_after"])
        )
    return table


def invoices(observed: Mapping[str, Observed]) -> RenderableType:
    """The invoices, by number."""
    money = ("subtotal", "credits_applied", "tax", "amount_due")
    table = _table("\nInvoices in USD", ["number", "customer", "status"], ["usage", "credits", "tax", "due", "lines"])
    found = [invoice for told in observed.values() for invoice in told.invoices]
    for invoice in sorted(found, key=lambda each: each["number"] or ""):
        amounts = (_money(invoice[name]) for name in money)
        table.add_row(invoice["number"], invoice["customer"], invoice["status"], *amounts, str(len(invoice["lines"])))
    return table


def lines(invoice: Json) -> RenderableType:
    """The lines of one invoice."""
    title = f"\nInvoice {invoice['number']} of {invoice['customer']}"
    table = _table(title, ["line"], ["quantity", "exactly", "amount"])
    for line in invoice["lines"]:
        quantity = f"{line['quantity'] or ''} {line['unit'] or ''}".strip()
        table.add_row(line["description"], quantity, line["amount_exact"], _money(line["amount"]))
    table.add_section()
    for name, amount in (("tax", invoice["tax"]), ("paid from credits", f"-{invoice['credits_applied']}")):
        table.add_row(name, "", "", _money(amount))
    table.add_row(f"due, {invoice['status']}", "", "", _money(invoice["amount_due"]))
    return Group(table, "")


def verdict(compared: Sequence[Compared]) -> RenderableType:
    """Whether all figures agree, and which do not."""
    shown = Text()
    for each in compared:
        sign, style = ("=", "green") if not each.differences else ("≠", "red")
        shown.append(f"  {sign} {each.count} {each.title}\n", style=style)
        shown.append("".join(f"      {difference}\n" for difference in each.differences[:20]), style="red")
    if any(each.differences for each in compared):
        shown.append("\nThe deployment and the pure core differ.", style="bold red")
    else:
        shown.append("\nThe deployment and the pure core agree to the last digit.", style="bold green")
    return shown
