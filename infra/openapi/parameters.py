"""Parameters of query strings and paths."""

from collections.abc import Mapping
from typing import Any, get_args

from billing import attempts, deliveries
from billing.spans import SpanUnit
from billing.statement import WindowUnit

_KEY: dict[str, Any] = {"$ref": "#/components/schemas/Key"}
_TIME: dict[str, Any] = {"$ref": "#/components/schemas/Time"}


def _query(name: str, description: str, schema: dict[str, Any], **more: object) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": schema, **more}


QUERY: Mapping[str, dict[str, Any]] = {
    "limit": _query(
        "limit", "How many rows a page has at most.", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}
    ),
    "next": _query(
        "next", "The `next` of the page before, with all other parameters as they were.", {"type": "string"}
    ),
    "customer": _query("customer", "Whose.", _KEY, required=True),
    "meter": _query("meter", "Of which meter.", _KEY, required=True),
    "session_meter": _query("meter", "Of which duration meter; of all of them unless told.", _KEY),
    "from": _query(
        "from",
        "The first instant. For usage: of the running period unless told, cut to the quarter of an hour (to the minute "
        "with `window=minute`). For events and sessions: as far as they are kept, and whatever still runs.",
        _TIME,
    ),
    "to": _query(
        "to", "The instant before which it ends; of the running period for usage, else now, unless told.", _TIME
    ),
    "window": _query(
        "window",
        "How long the windows are that usage is told by. Weeks begin on Monday. Minutes can be read as long as the "
        "events are kept. The first and the last window are cut to the interval.",
        {"enum": list(get_args(SpanUnit)), "default": "total"},
    ),
    "timezone": _query(
        "timezone",
        "The IANA time zone whose hours, days, weeks, months and years they are. An hour that clocks repeat is two.",
        {"type": "string", "default": "UTC"},
        example="Europe/Berlin",
    ),
    "ledger_window": _query(
        "window",
        "Sum the ledger up by clock hours, or by days or months of the time zone; entry by entry unless told.",
        {"enum": list(get_args(WindowUnit))},
    ),
    "ledger_timezone": _query(
        "timezone",
        "The IANA time zone whose days and months they are; the customer's unless told.",
        {"type": "string"},
        example="Europe/Berlin",
    ),
    "group_by": _query(
        "group_by",
        "Dimensions of the meter, separated by commas, that rows are kept apart by.",
        {"type": "array", "items": {"type": "string"}},
        style="form",
        explode=False,
    ),
    "where": _query(
        "where",
        "Values that usage or events must have to count: `where.provider=aws`, one parameter for each dimension.",
        {"type": "object", "patternProperties": {r"^where\.": {"type": "string"}}},
        style="form",
        explode=True,
    ),
    "without": _query(
        "without",
        "Dimensions that usage or events must lack to count, separated by commas.",
        {"type": "array", "items": {"type": "string"}},
        style="form",
        explode=False,
    ),
    "fill": _query(
        "fill",
        "`zero` also tells the windows up to now in which nothing was used; with `group_by`, for every combination "
        "that occurs in the interval.",
        {"enum": ["none", "zero"], "default": "none"},
    ),
    "session_status": _query(
        "status",
        "Only those; a session that a next start or its longest duration ended is both closed and anomalous, and a "
        "stop that ended nothing is anomalous alone.",
        {"enum": ["open", "closed", "anomalous"]},
    ),
    "version": _query("version", "Which version; the newest unless told.", {"type": "integer", "minimum": 1}),
    "invoice_status": _query(
        "status",
        "Only those. `draft` without a customer: the drafts in grace of all customers. A page of what is looked for "
        "may end before its limit, also without a row, and go on with `next`.",
        {"enum": ["draft", "finalized", "paid", "past_due", "void", "uncollectible"]},
    ),
    "top_up_status": _query("status", "Only those.", {"enum": list(get_args(attempts.State))}),
    "delivery_status": _query("status", "Only those.", {"enum": list(get_args(deliveries.State))}),
    "whose": _query(
        "customer", "Only those of this customer, drafts in grace among them; all that have numbers unless told.", _KEY
    ),
}

_PATHS: Mapping[str, str] = {
    "key": "The key of a meter or plan.",
    "customer": "The id of a customer.",
    "top_up": "The id of one of the customer's top-ups.",
    "credit": "The id of one of the customer's credits.",
    "name": "The id or the number of an invoice.",
    "key_id": "The id of an API key.",
    "endpoint": "The id of a webhook endpoint.",
    "delivery": "The id of one of its deliveries.",
}


def in_path(name: str) -> dict[str, Any]:
    """A parameter of a path."""
    described = {"description": _PATHS[name]} if name in _PATHS else {}
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}, **described}
