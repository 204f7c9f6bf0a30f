"""What one Stripe invoice asks for: an invoice, and those that were too small and are carried with it. Law 5.7."""

from collections.abc import Sequence
from decimal import Decimal

from billing.invoices import Invoice
from billing.money import exact
from metering.decimals import text


@exact
def to_collect(invoice: Invoice, carried: Sequence[Invoice]) -> Decimal:
    """What the Stripe invoice of an invoice asks for: what is due of it and of those that it carries."""
    return sum((each.amount_due for each in carried), invoice.amount_due)


@exact
def lines_to_collect(invoice: Invoice) -> list[tuple[str, Decimal]]:
    """An invoice's lines as they stand on its Stripe invoice: description and amount."""
    return [(str(line["description"]), Decimal(line["amount"])) for line in invoice.lines if Decimal(line["amount"])]


@exact
def sums_to_collect(invoice: Invoice, carried: Sequence[Invoice]) -> list[tuple[str, Decimal]]:
    """What stands below the lines: the tax, what credits paid, and what is carried over from earlier invoices."""
    rows = [
        (f"Tax {text(invoice.tax_rate)}%", invoice.tax),
        ("Paid from credits", -invoice.credits_applied),
        *((f"Carried over from {each.number}", each.amount_due) for each in carried),
    ]
    return [row for row in rows if row[1]]


@exact
def returned_parts(returned: Decimal, invoices: Sequence[Invoice]) -> list[Decimal]:
    """How much of what went back of one payment belongs to each of the invoices that it paid, in their order."""
    parts = []
    for each in invoices:
        parts.append(min(returned, each.amount_due))
        returned -= parts[-1]
    return parts
