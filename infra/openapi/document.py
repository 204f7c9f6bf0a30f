"""The document, put together."""

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from handlers.api import app
from infra.openapi.operations import DOORS, OPERATIONS, Operation
from infra.openapi.parameters import QUERY, in_path
from infra.openapi.schemas import Schema, components

VERSION = "1"

_ERRORS: dict[int, tuple[str, str]] = {
    400: ("Problem", "Something is not of the shape that is asked for; all faults are told at once."),
    401: ("GatewayMessage", "There is no key."),
    403: ("Refusal", "The key is unknown, or may not do this."),
    404: ("Problem", "There is nothing of that name."),
    409: ("Problem", "It contradicts what is there."),
    413: ("Problem", "The request is too large."),
    429: ("GatewayMessage", "Too many requests: send it again, a little later."),
    500: ("Problem", "Something went wrong on our side."),
    503: ("Problem", "Nothing is wrong with the request: send it again after `Retry-After` seconds."),
}
_INTRODUCTION = (
    "Usage metering and billing. Amounts and quantities are decimal strings, times RFC 3339 in UTC. Lists come in "
    "pages: `limit` says how long, and `next` of one page, given back as it is, leads to the following one. Errors are "
    "problem details (RFC 9457) with a `code` that stays the same."
)


@dataclass(frozen=True, slots=True)
class Route:
    """A method of a path, as the function that serves it knows it.

    Attributes:
        scopes: a key needs one of these or `admin`; None where no key is needed.
    """

    method: str
    path: str
    operation_id: str
    summary: str
    description: str
    scopes: tuple[str, ...] | None

    @property
    def name(self) -> str:
        """As tables name it: `GET /v1/meters`."""
        return f"{self.method} {self.path}"


def routes() -> list[Route]:
    """Every route that there is: those of the router, and the doors of other functions."""
    own = [_route(found) for found in (*app._static_routes, *app._dynamic_routes)]
    doors = [
        Route(method, path, _identifier(method, path), door.summary, door.description, door.scopes)
        for (method, path), door in ((name.split(" "), door) for name, door in DOORS.items())
    ]
    order = {name: place for place, name in enumerate(OPERATIONS)}
    return sorted([*own, *doors], key=lambda route: (order.get(route.name, len(order)), route.name))


def _route(found: Any) -> Route:  # noqa: ANN401 - Powertools' own Route, of which it makes no public type
    function: Callable[..., object] = found.func
    summary, _, rest = (inspect.getdoc(function) or "").partition("\n")
    description = " ".join(rest.split("Raises:")[0].split())
    # `needs` keeps what it asks for in its closure; a route without it asks for no key.
    scopes = inspect.getclosurevars(function).nonlocals.get("scopes")
    path = re.sub(r"<(\w+)>", r"{\1}", found.path)
    return Route(found.method, path, function.__name__, summary, description, scopes)


def _identifier(method: str, path: str) -> str:
    return "_".join([method.lower(), *re.findall(r"\w+", path)[1:]])


def document() -> Schema:
    """The OpenAPI 3.1 document."""
    paths: dict[str, Any] = {}
    groups: dict[str, None] = {}
    for route in routes():
        operation = OPERATIONS.get(route.name, Operation("Others"))
        groups[operation.group] = None
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Taximeter", "version": VERSION, "description": _INTRODUCTION},
        "servers": [{"url": "/", "description": "The deployment that serves this document."}],
        "tags": [{"name": group} for group in groups],
        "paths": paths,
        "components": {
            "schemas": components() | _OTHERS,
            "parameters": dict(QUERY),
            "responses": {f"Error{status}": _error(*said) for status, said in _ERRORS.items()},
            "securitySchemes": {
                "key": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "x-api-key",
                    "description": "A key with the scope `ingest`, `read` or `admin`; `admin` may do everything.",
                }
            },
        },
    }


_OTHERS: dict[str, Schema] = {
    "Document": {"type": "object", "description": "This document.", "required": ["openapi", "paths"]},
    "Page": {"type": "string", "description": "A page that needs nothing else: no script and no other request."},
    "Table": {
        "type": "string",
        "description": "CSV (RFC 4180, UTF-8) with a header: a row for each line, then its tax and what credits paid, "
        "so that the amounts add up to what is due. A text that begins as a formula does has an apostrophe before it.",
        "example": "invoice,number,status,customer,period_start,period_end,kind,item,description,dimensions,quantity,"
        "unit,unit_price,amount_exact,amount,currency\r\nacme:20261101T0000Z,TX-000001,paid,acme,2026-11-01T00:00:00Z,"
        "2026-12-01T00:00:00Z,usage,calls,Calls (region eu),region=eu,15,,0.333,4.995,5.00,USD\r\n",
    },
    "StripeEvent": {"type": "object", "description": "As Stripe sends it, signed in the header `stripe-signature`."},
    "LedgerLine": {
        "description": "An entry; with `window`, what moved in one window on one credit for one period.",
        "anyOf": [{"$ref": "#/components/schemas/LedgerRow"}, {"$ref": "#/components/schemas/TimelineRow"}],
    },
    "Refusal": {
        "description": "From the gateway, or from the function where a route needs more than its method says.",
        "anyOf": [{"$ref": "#/components/schemas/GatewayMessage"}, {"$ref": "#/components/schemas/Problem"}],
    },
}


def _operation(route: Route, operation: Operation) -> Schema:
    described = {"description": route.description} if route.description else {}
    needed: list[dict[str, list[str]]] = [] if route.scopes is None else [{"key": list(route.scopes) or ["admin"]}]
    inside = [in_path(name) for name in re.findall(r"\{(\w+)\}", route.path)]
    parameters = inside + [{"$ref": f"#/components/parameters/{name}"} for name in operation.query]
    return {
        "operationId": route.operation_id,
        "tags": [operation.group],
        "summary": route.summary,
        **described,
        "security": needed,
        **({"parameters": parameters} if parameters else {}),
        **({"requestBody": _body(operation.body)} if operation.body else {}),
        "responses": dict(_responses(route, operation)),
    }


def _body(name: str) -> Schema:
    if name != "Events":
        return {"required": True, "content": {_media_type(name): {"schema": _reference(name)}}}
    one, cloud = _reference("Event"), _reference("CloudEvent")
    several = {"type": "array", "items": one, "minItems": 1, "maxItems": 1000}
    kinds = {
        "application/json": {"anyOf": [one, several]},
        "application/x-ndjson": {"type": "string", "description": "One event on each line."},
        "application/cloudevents+json": cloud,
        "application/cloudevents-batch+json": {"type": "array", "items": cloud, "minItems": 1, "maxItems": 1000},
    }
    return {
        "required": True,
        "description": "With `ce-*` headers (CloudEvents in binary mode) the body is the data of one event.",
        "content": {kind: {"schema": schema} for kind, schema in kinds.items()},
    }


def _media_type(name: str) -> str:
    return "application/merge-patch+json" if name.endswith("Patch") else "application/json"


def _responses(route: Route, operation: Operation) -> Iterator[tuple[str, Schema]]:
    said = {"description": _first_sentence(operation)}
    content = {"content": {operation.kind: {"schema": _answer(operation)}}} if operation.answer else {}
    yield str(operation.status), {**said, **content}
    if operation.creates:
        yield "201", {"description": "It is new.", **content}
    for status in sorted(_statuses(route, operation)):
        yield str(status), _refused(status, operation)


def _statuses(route: Route, operation: Operation) -> set[int]:
    keyed = {400, 401, 403, 429, 500, 503} if route.scopes is not None else {429, 500}
    named = {404} if "{" in route.path and route.method != "PUT" else set()
    bodied = {400, 413} if operation.body else set()
    return keyed | named | bodied | set(operation.errors) | ({409} if operation.conflicts else set())


def _refused(status: int, operation: Operation) -> Schema:
    if operation.body == "Events" and status in (400, 503):
        return _error("EventsProblem", "No event was accepted; each is told why.")
    if status == 409:
        codes = ", ".join(f"`{code}`" for code in operation.conflicts)
        return _error("Problem", f"It contradicts what is there: {codes}.")
    return {"$ref": f"#/components/responses/Error{status}"}


def _error(schema: str, description: str) -> Schema:
    kind = "application/json" if schema == "GatewayMessage" else "application/problem+json"
    kinds = ("application/json", "application/problem+json") if schema == "Refusal" else (kind,)
    return {"description": description, "content": {each: {"schema": _reference(schema)} for each in kinds}}


def _answer(operation: Operation) -> Schema:
    row = _reference(operation.answer)
    if not operation.rows:
        return row
    following = {"type": ["string", "null"], "description": "Where the following page begins; null on the last one."}
    return {
        "type": "object",
        "properties": {"rows": {"type": "array", "items": row}, "next": following},
        "required": ["rows", "next"],
        "additionalProperties": False,
    }


def _first_sentence(operation: Operation) -> str:
    if operation.status == 204:
        return "It is gone."
    if operation.rows:
        return "A page of them."
    return "Accepted." if operation.status == 202 else "What was asked for."


def _reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}
