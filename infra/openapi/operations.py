"""What each route takes and answers, beside what the router itself knows: one line for every route."""

from collections.abc import Mapping
from dataclasses import dataclass, field

_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path.

    Attributes:
        group: under which heading readers find it.
        answer: the name of the schema of what it answers; empty for nothing at all.
        status: of that answer.
        rows: the answer is a page of such rows.
        body: the name of the schema of what it takes.
        creates: it also answers 201, when it made something.
        query: names of the parameters of its query string (`parameters.QUERY`).
        conflicts: the codes of its 409.
        errors: further statuses that it answers.
        kind: the media type of the answer.
    """

    group: str
    answer: str = ""
    status: int = 200
    rows: bool = False
    body: str = ""
    creates: bool = False
    query: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    errors: tuple[int, ...] = ()
    kind: str = _JSON


@dataclass(frozen=True, slots=True)
class Door:
    """A route of another function than `api`, which has no router to ask.

    Attributes:
        summary: one sentence.
        description: what else is to be said.
        scopes: which a key needs one of; None where no key is needed.
    """

    summary: str
    description: str
    scopes: tuple[str, ...] | None = field(default=None)


_METERS, _PLANS, _CUSTOMERS, _USAGE = "Meters", "Plans", "Customers", "Events and usage"
_MONEY, _INVOICES, _KEYS, _ABOUT = "Balance and credits", "Invoices", "API keys", "About"
_WEBHOOKS = "Webhooks"
_PAGE = ("limit", "next")
_OF = ("customer", "meter", "from", "to")
_NOT_NOW = ("invoice_status", "invoice_carried")

OPERATIONS: Mapping[str, Operation] = {
    "POST /v1/events": Operation(_USAGE, "EventsAccepted", 202, body="Events", errors=(413,)),
    "GET /v1/events": Operation(_USAGE, "EventRow", rows=True, query=(*_OF, "where", "without", *_PAGE), errors=(404,)),
    "GET /v1/usage": Operation(
        _USAGE,
        "UsageRow",
        rows=True,
        query=(*_OF, "window", "timezone", "group_by", "where", "without", "fill", *_PAGE),
        errors=(404,),
    ),
    "GET /v1/sessions": Operation(
        _USAGE,
        "SessionRow",
        rows=True,
        query=("customer", "session_meter", "from", "to", "session_status", *_PAGE),
        errors=(404,),
    ),
    "GET /v1/meters": Operation(_METERS, "MeterAnswer", rows=True, query=_PAGE),
    "GET /v1/meters/{key}": Operation(_METERS, "MeterAnswer"),
    "PUT /v1/meters/{key}": Operation(_METERS, "MeterAnswer", body="Meter", creates=True, conflicts=("meter_in_use",)),
    "DELETE /v1/meters/{key}": Operation(_METERS, status=204, conflicts=("meter_in_use",)),
    "GET /v1/plans": Operation(_PLANS, "PlanAnswer", rows=True, query=_PAGE),
    "GET /v1/plans/{key}": Operation(_PLANS, "PlanAnswer", query=("version",)),
    "PUT /v1/plans/{key}": Operation(_PLANS, "PlanAnswer", body="Plan", creates=True, conflicts=("plan_in_use",)),
    "DELETE /v1/plans/{key}": Operation(_PLANS, status=204, conflicts=("plan_in_use",)),
    "POST /v1/quotes": Operation(_PLANS, "Quote", body="QuoteRequest", errors=(404,)),
    "GET /v1/customers": Operation(_CUSTOMERS, "CustomerAnswer", rows=True, query=_PAGE),
    "GET /v1/customers/{customer}": Operation(_CUSTOMERS, "CustomerAnswer"),
    "PUT /v1/customers/{customer}": Operation(
        _CUSTOMERS,
        "CustomerAnswer",
        body="Customer",
        creates=True,
        conflicts=("customer_in_use", "currency_mismatch", "conflict"),
    ),
    "PATCH /v1/customers/{customer}": Operation(
        _CUSTOMERS,
        "CustomerAnswer",
        body="CustomerPatch",
        conflicts=("customer_in_use", "currency_mismatch", "conflict"),
    ),
    "DELETE /v1/customers/{customer}": Operation(_CUSTOMERS, status=204, conflicts=("customer_in_use",)),
    "GET /v1/customers/{customer}/balance": Operation(_MONEY, "Balance"),
    "GET /v1/customers/{customer}/access": Operation(_MONEY, "Access"),
    "GET /v1/customers/{customer}/credits": Operation(_MONEY, "CreditRow", rows=True, query=_PAGE),
    "POST /v1/customers/{customer}/credits": Operation(
        _MONEY, "CreditRow", body="CreditRequest", creates=True, conflicts=("id_conflict",)
    ),
    "POST /v1/customers/{customer}/credits/{credit}/revoke": Operation(
        _MONEY, "Revocation", body="RevocationRequest", creates=True, conflicts=("id_conflict",)
    ),
    "GET /v1/customers/{customer}/ledger": Operation(
        _MONEY, "LedgerLine", rows=True, query=("ledger_window", "ledger_timezone", *_PAGE)
    ),
    "GET /v1/customers/{customer}/top_ups": Operation(_MONEY, "TopUpRow", rows=True, query=_PAGE),
    "POST /v1/customers/{customer}/top_ups": Operation(
        _MONEY, "TopUpRow", body="TopUpRequest", creates=True, conflicts=("id_conflict", "top_up_open")
    ),
    "POST /v1/customers/{customer}/top_ups/{top_up}/cancel": Operation(_MONEY, "TopUpRow", conflicts=("top_up_state",)),
    "GET /v1/top_ups": Operation(_MONEY, "TopUpRow", rows=True, query=("top_up_status", *_PAGE)),
    "POST /v1/customers/{customer}/payment_setup": Operation(
        _MONEY, "PaymentPage", body="SetupRequest", conflicts=("conflict", "stripe_refused")
    ),
    "POST /v1/customers/{customer}/what_if": Operation(
        _INVOICES, "Comparison", body="WhatIfRequest", conflicts=("currency_mismatch",)
    ),
    "GET /v1/customers/{customer}/invoices/draft": Operation(_INVOICES, "Invoice"),
    "GET /v1/customers/{customer}/invoices/draft/explain": Operation(_INVOICES, "Explanation", query=_PAGE),
    "GET /v1/invoices": Operation(
        _INVOICES, "InvoiceHead", rows=True, query=("invoice_status", "whose", *_PAGE), errors=(404,)
    ),
    "GET /v1/invoices/{name}": Operation(_INVOICES, "Invoice"),
    "GET /v1/invoices/{name}/explain": Operation(_INVOICES, "Explanation", query=_PAGE),
    "GET /v1/invoices/{name}.html": Operation(_INVOICES, "Page", kind="text/html"),
    "GET /v1/invoices/{name}.csv": Operation(_INVOICES, "Table", kind="text/csv"),
    "POST /v1/invoices/{name}/finalize": Operation(
        _INVOICES, "Invoice", conflicts=("period_open", "record_parked", "nothing_to_invoice")
    ),
    "POST /v1/invoices/{name}/void": Operation(
        _INVOICES, "Invoice", body="VoidRequest", conflicts=("invoice_paid", *_NOT_NOW)
    ),
    "POST /v1/invoices/{name}/mark_paid": Operation(_INVOICES, "Invoice", conflicts=_NOT_NOW),
    "POST /v1/invoices/{name}/mark_uncollectible": Operation(_INVOICES, "Invoice", conflicts=_NOT_NOW),
    "POST /v1/invoices/{name}/retry": Operation(_INVOICES, "Invoice", conflicts=_NOT_NOW),
    "GET /v1/webhook_endpoints": Operation(_WEBHOOKS, "WebhookEndpointRow", rows=True, query=_PAGE),
    "POST /v1/webhook_endpoints": Operation(
        _WEBHOOKS, "WebhookEndpoint", body="WebhookEndpointRequest", creates=True, conflicts=("id_conflict",)
    ),
    "GET /v1/webhook_endpoints/{endpoint}": Operation(_WEBHOOKS, "WebhookEndpoint"),
    "DELETE /v1/webhook_endpoints/{endpoint}": Operation(_WEBHOOKS, status=204),
    "POST /v1/webhook_endpoints/{endpoint}/enable": Operation(_WEBHOOKS, "WebhookEndpointRow"),
    "GET /v1/webhook_endpoints/{endpoint}/deliveries": Operation(
        _WEBHOOKS, "WebhookDelivery", rows=True, query=("delivery_status", *_PAGE)
    ),
    "POST /v1/webhook_endpoints/{endpoint}/deliveries/{delivery}/redeliver": Operation(
        _WEBHOOKS, "WebhookDelivery", conflicts=("endpoint_disabled",)
    ),
    "GET /v1/api_keys": Operation(_KEYS, "ApiKeyRow", rows=True, query=_PAGE),
    "POST /v1/api_keys": Operation(_KEYS, "ApiKeyMade", 201, body="ApiKeyRequest", conflicts=("id_conflict",)),
    "DELETE /v1/api_keys/{key_id}": Operation(_KEYS, status=204),
    "GET /v1/health": Operation(_ABOUT, "Health"),
    "GET /v1/openapi.json": Operation(_ABOUT, "Document"),
    "GET /docs": Operation(_ABOUT, "Page", kind="text/html"),
    "GET /payment/done": Operation(_ABOUT, "Page", kind="text/html"),
    "POST /v1/stripe/webhook": Operation(_ABOUT, "Received", body="StripeEvent", errors=(413, 503)),
}

DOORS: Mapping[str, Door] = {
    "POST /v1/events": Door(
        "Send events: one, an array, newline-delimited JSON, or CloudEvents.",
        "Up to 1,000 events or 4 MB; gzip is welcome. Good events are kept even when others are refused, and what is "
        "accepted is durable when the answer comes. An event is (customer, meter, id, timestamp): sending it again "
        "changes nothing, a higher `revision` replaces it, and `void` takes it back.",
        ("ingest",),
    ),
    "POST /v1/stripe/webhook": Door(
        "What Stripe tells; signed by Stripe, so that no key is needed.",
        "Give this address to Stripe as a webhook endpoint, and its signing secret to the deployment.",
    ),
}
