"""Invoice items, and the lines that they become on an invoice."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

from infra.local.stripe.account import Account
from infra.local.stripe.listing import PAGING, page
from infra.local.stripe.problems import Json, invalid, unsupported
from infra.local.stripe.resources import balances, customers
from infra.local.stripe.resources.metadata import fresh
from infra.local.stripe.routes import retrieve, route

_MOST = 250


def create(account: Account, params: Json) -> Json:
    """Makes an invoice item: on a draft invoice, or pending until the next one that includes it."""
    if "customer" not in params:
        raise invalid("Missing required param: customer.", param="customer", code="parameter_missing")
    customer = customers.live(account, params["customer"], param="customer")
    invoice = None
    if "invoice" in params:
        invoice = draft(account, params["invoice"], param="invoice")
    currency = params.get("currency") or (invoice or customer)["currency"] or "usd"
    if invoice and invoice["customer"] != customer["id"]:
        raise invalid("The invoice belongs to another customer.", param="invoice")
    if invoice and invoice["currency"] != currency.lower():
        raise invalid("The currency differs from the invoice's.", param="currency")
    item = _item(account, customer, currency.lower(), params)
    if invoice:
        put(account, invoice, [item])
    else:
        account.pending.add(item["id"])
    account.tell("invoiceitem.created", item)
    return item


def _item(account: Account, customer: Json, currency: str, params: Json) -> Json:
    amount, quantity, unit = _priced(params)
    now = account.now()
    return account.add(
        "ii",
        "invoiceitem",
        amount=amount,
        currency=currency,
        customer=customer["id"],
        date=now,
        description=params.get("description"),
        discountable=params.get("discountable", amount >= 0),
        discounts=[],
        invoice=None,
        livemode=False,
        metadata=fresh(params.get("metadata")),
        net_amount=amount,
        parent=None,
        period=params.get("period") or {"end": now, "start": now},
        pricing=_pricing(unit),
        proration=False,
        quantity=int(quantity),
        quantity_decimal=format(quantity, "f"),
        tax_rates=[],
        test_clock=None,
    )


def _pricing(unit: Decimal) -> Json:
    return {
        "price_details": {"price": "price_inline", "product": "prod_inline"},
        "type": "price_details",
        "unit_amount_decimal": format(unit, "f"),
    }


def _priced(params: Json) -> tuple[int, Decimal, Decimal]:
    """Returns amount in minor units, quantity and unit amount.

    Raises:
        Problem: neither an amount nor a unit amount is given, or both are.
    """
    quantity = params.get("quantity_decimal", params.get("quantity"))
    unit = params.get("unit_amount_decimal")
    if "amount" in params:
        if quantity is not None or unit is not None:
            raise unsupported("an amount beside a quantity or a unit amount")
        return params["amount"], Decimal(1), Decimal(params["amount"])
    if unit is None:
        raise invalid("Missing required param: amount.", param="amount", code="parameter_missing")
    count = Decimal(1) if quantity is None else Decimal(quantity)
    amount = (unit * count).quantize(Decimal(1), rounding=ROUND_HALF_UP)
    return int(amount), count, unit


def draft(account: Account, identifier: str, *, param: str = "id") -> Json:
    """Returns an invoice that can still change; raises ``invoice_not_editable`` otherwise."""
    invoice = account.get("invoice", identifier, param=param)
    if invoice.get("status") != "draft":
        text = "This invoice is no longer editable."
        raise invalid(text, param=param, code="invoice_not_editable")
    return invoice


def of(account: Account, invoice: Json) -> list[Json]:
    """Returns all lines of an invoice, in their order."""
    return list(account.tied("line_item", invoice=invoice["id"]))


def put(account: Account, invoice: Json, items: list[Json]) -> None:
    """Puts items on a draft invoice, a line each; raises a 400 when it would have more than 250."""
    if len(of(account, invoice)) + len(items) > _MOST:
        for item in items:
            account.remove(item)
        raise invalid(f"An invoice can have at most {_MOST} line items.", param="invoice")
    for item in items:
        item["invoice"] = invoice["id"]
        account.note(item)
        _line(account, item)
    before = invoice.get("total")
    refresh(account, invoice)
    if before is not None and before != invoice["total"]:
        account.tell("invoice.updated", invoice, {"total": before})


def release(account: Account, invoice: Json) -> None:
    """Takes everything off a draft that goes away: items that were pending before are so again, others go with it."""
    for line in of(account, invoice):
        account.remove(line)
    for item in list(account.tied("invoiceitem", invoice=invoice["id"])):
        if item["id"] in account.pending:
            item["invoice"] = None
        else:
            account.forget(item)


def _line(account: Account, item: Json) -> Json:
    details: Json = {
        "invoice_item": item["id"],
        "proration": False,
        "proration_details": {"credited_items": None},
        "subscription": None,
    }
    same = ("amount", "currency", "description", "discountable", "invoice", "period", "pricing")
    return account.add(
        "il",
        "line_item",
        **{key: item[key] for key in same},
        discount_amounts=[],
        discounts=[],
        livemode=False,
        metadata=dict(item["metadata"]),
        parent={
            "invoice_item_details": details,
            "subscription_item_details": None,
            "type": "invoice_item_details",
        },
        pretax_credit_amounts=[],
        quantity=item["quantity"],
        quantity_decimal=item["quantity_decimal"],
        subtotal=item["amount"],
        taxes=[],
    )


def refresh(account: Account, invoice: Json) -> None:
    """Sets a draft's totals from its lines and its customer's balance; an invoice shows only the first ten lines."""
    lines = of(account, invoice)
    total, balance = sum(line["amount"] for line in lines), balances.of(account, invoice)
    due = balances.due(total + balance, invoice["currency"])
    invoice.update(
        amount_due=due,
        amount_remaining=due,
        starting_balance=balance,
        lines=page(iter(lines), {}, f"/v1/invoices/{invoice['id']}/lines"),
        subtotal=total,
        subtotal_excluding_tax=total,
        total=total,
        total_excluding_tax=total,
    )


_LINE = {"amount", "description", "discountable", "metadata", "period"}


def add(account: Account, params: Json, identifier: str) -> Json:
    """Adds lines to a draft invoice, all or none."""
    invoice = draft(account, identifier)
    customer = account.objects[invoice["customer"]]
    for line in params["lines"]:
        for name in line.keys() - _LINE:
            raise unsupported(f"the parameter `lines[{name}]`")
        _priced(line)
    items = [_item(account, customer, invoice["currency"], line) for line in params["lines"]]
    put(account, invoice, items)
    return invoice


def lines(account: Account, params: Json, identifier: str) -> Json:
    """Returns a page of an invoice's lines, first line first."""
    invoice = account.get("invoice", identifier)
    return page(iter(of(account, invoice)), params, f"/v1/invoices/{identifier}/lines")


def listed(account: Account, params: Json) -> Json:
    """Returns invoice items, newest first."""
    pending = params.get("pending")
    rows = account.newest("invoiceitem", customer=params.get("customer"), invoice=params.get("invoice"))
    return page(rows, params, "/v1/invoiceitems", lambda row: pending in {None, row["invoice"] is None})


def delete(account: Account, _: Json, identifier: str) -> Json:
    """Deletes an item, and its line when its invoice is a draft."""
    item = account.get("invoiceitem", identifier)
    if item["invoice"]:
        invoice = draft(account, item["invoice"], param="invoice")
        for line in of(account, invoice):
            if line["parent"]["invoice_item_details"]["invoice_item"] == identifier:
                account.remove(line)
        refresh(account, invoice)
    account.tell("invoiceitem.deleted", item)
    return account.forget(item)


_PATH = "/v1/invoiceitems"
_MADE = (
    "amount currency customer description discountable invoice metadata period quantity"
    " quantity_decimal unit_amount_decimal"
)
ROUTES = [
    route("POST", _PATH, "InvoiceItemCreateParams", _MADE, create),
    route("GET", _PATH, "InvoiceItemListParams", f"{PAGING} customer invoice pending", listed),
    retrieve(_PATH + "/{}", "invoiceitem", "InvoiceItemRetrieveParams"),
    route("DELETE", _PATH + "/{}", "InvoiceItemDeleteParams", "", delete),
    route("POST", "/v1/invoices/{}/add_lines", "InvoiceAddLinesParams", "lines", add),
    route("GET", "/v1/invoices/{}/lines", "InvoiceLineItemListParams", PAGING, lines),
]
