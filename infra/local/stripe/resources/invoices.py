"""Invoices, as long as they are drafts, and how they are read."""

from __future__ import annotations

from infra.local.stripe.account import Account
from infra.local.stripe.listing import PAGING, page, within
from infra.local.stripe.problems import Json, invalid, unsupported
from infra.local.stripe.resources import customers, invoice_lines, payment_methods
from infra.local.stripe.resources.metadata import fresh, merged
from infra.local.stripe.routes import route


def create(account: Account, params: Json) -> Json:
    """Makes a draft invoice, without lines unless pending items are to be included.

    Raises:
        Problem: the customer is missing, or the terms of payment do not fit its collection method.
    """
    if "customer" not in params:
        raise invalid("Missing required param: customer.", param="customer", code="parameter_missing")
    customer = customers.live(account, params["customer"], param="customer")
    _check(account, params, customer["id"], params.get("collection_method"))
    currency = (params.get("currency") or customer["currency"] or "usd").lower()
    account.change(customer, "customer.updated", currency=customer["currency"] or currency)
    invoice = _draft(account, customer, currency, params)
    if params.get("pending_invoice_items_behavior") == "include":
        rows = account.tied("invoiceitem", customer=customer["id"], currency=currency)
        invoice_lines.put(account, invoice, [row for row in rows if row["invoice"] is None])
    account.tell("invoice.created", invoice)
    return invoice


def _check(account: Account, params: Json, customer: str, method: str | None) -> None:
    if params.get("auto_advance"):
        raise unsupported("auto_advance=true: finalise and pay with calls of their own")
    terms = "days_until_due" in params or "due_date" in params
    if method == "send_invoice" and not terms:
        text = "If invoice collection method is send_invoice, days_until_due or due_date is needed."
        raise invalid(text, param="days_until_due")
    if method != "send_invoice" and terms:
        text = "You can only specify a due date for invoices with send_invoice."
        raise invalid(text, param="days_until_due")
    if params.get("default_payment_method"):
        payment_methods.owned(account, params["default_payment_method"], customer)


def _draft(account: Account, customer: Json, currency: str, params: Json) -> Json:
    now = account.now()
    invoice = account.add(
        "in",
        "invoice",
        **_zeros(),
        **_nothing(),
        account_country="US",
        account_name="Stand-in",
        attempted=False,
        auto_advance=False,
        automatic_tax=_no_tax(),
        billing_reason="manual",
        collection_method=params.get("collection_method", "charge_automatically"),
        created=now,
        currency=currency,
        custom_fields=params.get("custom_fields") or None,
        customer=customer["id"],
        customer_address=customer["address"],
        customer_email=customer["email"],
        customer_name=customer["name"],
        customer_phone=customer["phone"],
        customer_tax_exempt=customer["tax_exempt"],
        customer_tax_ids=[],
        default_payment_method=params.get("default_payment_method"),
        default_tax_rates=[],
        description=params.get("description"),
        discounts=[],
        due_date=_due(params, now),
        footer=params.get("footer"),
        issuer={"type": "self"},
        livemode=False,
        metadata=fresh(params.get("metadata")),
        payment_settings=_payment_settings(),
        period_end=now,
        period_start=now,
        status="draft",
        status_transitions=_transitions(),
        total_discount_amounts=[],
        total_pretax_credit_amounts=[],
        total_taxes=[],
    )
    invoice_lines.refresh(account, invoice)
    return invoice


def _zeros() -> Json:
    names = (
        "amount_overpaid amount_paid amount_paid_off_stripe amount_shipping attempt_count"
        " post_payment_credit_notes_amount pre_payment_credit_notes_amount"
    )
    return dict.fromkeys(names.split(), 0)


def _nothing() -> Json:
    names = (
        "account_tax_ids application automatically_finalizes_at customer_shipping default_source"
        " effective_at ending_balance from_invoice hosted_invoice_url invoice_pdf"
        " last_finalization_error latest_revision next_payment_attempt number on_behalf_of parent"
        " receipt_number rendering shipping_cost shipping_details statement_descriptor test_clock"
        " webhooks_delivered_at"
    )
    return dict.fromkeys(names.split())


def _no_tax() -> Json:
    empty = dict.fromkeys(("disabled_reason", "liability", "provider", "status"))
    return {**empty, "enabled": False}


def _payment_settings() -> Json:
    return dict.fromkeys(("default_mandate", "payment_method_options", "payment_method_types"))


def _transitions() -> Json:
    names = ("finalized_at", "marked_uncollectible_at", "paid_at", "voided_at")
    return dict.fromkeys(names)


def _due(params: Json, now: int) -> int | None:
    if "days_until_due" in params:
        return now + int(params["days_until_due"]) * 86_400
    return params.get("due_date")


def update(account: Account, params: Json, identifier: str) -> Json:
    """Changes a draft; of a finalised invoice only what is written on it and the card that it is charged to."""
    invoice = account.get("invoice", identifier)
    if params.keys() - {"metadata", "auto_advance", "default_payment_method", "expand"}:
        invoice_lines.draft(account, identifier)
    method = params.get("collection_method", invoice["collection_method"])
    sent = method == invoice["collection_method"] == "send_invoice"
    terms = {"due_date": invoice["due_date"]} if sent and "days_until_due" not in params else {}
    _check(account, {**terms, **params}, invoice["customer"], method)
    changes: Json = {key: params[key] or None for key in params.keys() - {"expand", "days_until_due"}}
    if method != "send_invoice":
        changes["due_date"] = None
    if "auto_advance" in params:
        changes["auto_advance"] = False
    if "metadata" in params:
        changes["metadata"] = merged(invoice["metadata"], params["metadata"])
    if "days_until_due" in params:
        changes["due_date"] = _due(params, account.now())
    account.change(invoice, "invoice.updated", **changes)
    return read(account, {}, identifier)


def delete(account: Account, _: Json, identifier: str) -> Json:
    """Deletes a draft and its lines."""
    invoice = invoice_lines.draft(account, identifier)
    invoice_lines.release(account, invoice)
    account.tell("invoice.deleted", invoice)
    return account.forget(invoice)


def read(account: Account, _: Json, identifier: str) -> Json:
    """Returns an invoice; a draft with what its customer's balance is by now."""
    return _current(account, account.get("invoice", identifier))


def _current(account: Account, invoice: Json) -> Json:
    if invoice["status"] == "draft" and not account.objects[invoice["customer"]].get("deleted"):
        invoice_lines.refresh(account, invoice)
    return invoice


def listed(account: Account, params: Json) -> Json:
    """Returns invoices, newest first."""
    wanted = {key: params[key] for key in ("collection_method", "status") if key in params}

    def keep(row: Json) -> bool:
        fits = all(row[key] == value for key, value in wanted.items())
        return fits and within(row["due_date"], params.get("due_date"))

    found = page(account.newest("invoice", customer=params.get("customer")), params, "/v1/invoices", keep)
    return {**found, "data": [_current(account, row) for row in found["data"]]}


_PATH = "/v1/invoices"
_SET = (
    "auto_advance collection_method custom_fields days_until_due default_payment_method description"
    " due_date footer metadata"
)
_MADE = f"{_SET} currency customer pending_invoice_items_behavior"
_FILTERS = f"{PAGING} collection_method created customer due_date status"
ROUTES = [
    route("POST", _PATH, "InvoiceCreateParams", _MADE, create),
    route("GET", _PATH, "InvoiceListParams", _FILTERS, listed),
    route("GET", _PATH + "/{}", "InvoiceRetrieveParams", "", read),
    route("POST", _PATH + "/{}", "InvoiceUpdateParams", _SET, update),
    route("DELETE", _PATH + "/{}", "InvoiceDeleteParams", "", delete),
]
