"""What the OpenAPI document says is what the handlers do: every route, every parameter, every answer."""

import json
import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from billing.deliveries import Answer
from handlers import _document_routes, api, ingest, stripe_webhook
from infra.openapi.build import write
from infra.openapi.document import document
from infra.openapi.operations import OPERATIONS
from metering.times import DAY, HOUR, format_time
from tests.handlers.conftest import at_stripe
from tests.handlers.street import METERS, NOW, PLAN, Street, edge, http_event, used

DOCUMENT = document()
REGISTRY: Registry[Any] = Registry().with_resource("urn:api", DRAFT202012.create_resource(DOCUMENT))
HANDLERS = {"POST /v1/events": ingest.handler, "POST /v1/stripe/webhook": stripe_webhook.handler}


class Asked(dict[str, str]):
    """A query string that remembers what it was asked for."""

    def __init__(self, given: Mapping[str, str]) -> None:
        super().__init__(given)
        self.names: set[str] = set()

    def __bool__(self) -> bool:
        return True  # an empty one is asked too

    def get(self, name: str, default: Any = None) -> Any:
        """Remember the name."""
        self.names.add(name)
        return super().get(name, default)


class Witness:
    """Calls the handlers and holds every request and answer against the document.

    Attributes:
        seen: the statuses that each operation has answered.
        asked: the parameters that each operation has looked at.
    """

    def __init__(self) -> None:
        self.seen: defaultdict[str, set[int]] = defaultdict(set)
        self.asked: defaultdict[str, set[str]] = defaultdict(set)

    def call(self, method: str, path: str, body: Any = None, scopes: str = "admin", **query: str) -> tuple[int, Any]:
        """Make a request, and be sure that the document has said what comes."""
        name = operation_of(method, path)
        event = http_event(method, path, None if body is None else json.dumps(body), scopes=scopes)
        event["queryStringParameters"] = asked = Asked(query)
        answer = HANDLERS.get(name, api.handler)(event, None)
        self.asked[name] |= asked.names - {None}
        status, told = answer["statusCode"], answer.get("body") or ""
        headers = {key.lower(): value for key, value in answer.get("headers", {}).items()}
        kinds = headers.get("content-type") or answer.get("multiValueHeaders", {}).get("Content-Type", [""])[0]
        kind = kinds.partition(";")[0]
        read = json.loads(told) if kind.endswith("json") and told else told
        if status < 300 and body is not None:
            self.hold(name, "requestBody", body_kind(name), body)
        if status == 204:
            assert "content" not in described(name)["responses"]["204"]
        else:
            self.hold(name, f"responses/{status}", kind, read)
        self.seen[name].add(status)
        return status, read

    def hold(self, name: str, part: str, kind: str, value: Any) -> None:
        """Hold a value against the schema that the document has for it."""
        method, _, path = name.partition(" ")
        at: Any = described(name)
        for step in part.split("/"):
            assert step in at, f"{name} has no {part}"
            at = at[step]
        pointer = f"/paths/{path.replace('~', '~0').replace('/', '~1')}/{method.lower()}/{part}"
        if "$ref" in at:
            pointer = at["$ref"].removeprefix("#")
            at = DOCUMENT["components"]["responses"][pointer.rsplit("/", 1)[1]]
        assert kind in at["content"], f"{name} {part} is {kind}"
        schema = {"$ref": f"urn:api#{pointer}/content/{kind.replace('/', '~1')}/schema"}
        faults = [
            f"{fault.json_path}: {fault.message}"
            for fault in Draft202012Validator(schema, registry=REGISTRY).iter_errors(value)
        ]
        assert faults == [], (name, part, value)


def described(name: str) -> Any:
    method, _, path = name.partition(" ")
    return DOCUMENT["paths"][path][method.lower()]


def body_kind(name: str) -> str:
    return str(next(iter(described(name)["requestBody"]["content"])))


def operation_of(method: str, path: str) -> str:
    """The operation that a path means: the one with the fewest names left open."""
    fits = [
        known
        for known in DOCUMENT["paths"]
        if re.fullmatch(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(known)), path)
        and method.lower() in DOCUMENT["paths"][known]
    ]
    return f"{method} {min(fits, key=lambda known: (known.count('{'), -len(known)))}"


@pytest.fixture
def witness(street: Street) -> Witness:
    """A witness on a street that something happened on, with Stripe at its end."""
    assert street.now == NOW
    at_stripe(street)
    return Witness()


def test_every_route_is_in_the_document_and_the_other_way_round() -> None:
    routes = {
        route.method + " " + re.sub(r"<(\w+)>", r"{\1}", route.path)
        for route in (*api.app._static_routes, *api.app._dynamic_routes)
    }
    written = {f"{method.upper()} {path}" for path, methods in DOCUMENT["paths"].items() for method in methods}
    assert written == routes | HANDLERS.keys()
    assert written == OPERATIONS.keys(), "each route is described in infra/openapi/operations.py"


def test_what_is_asked_and_answered_is_what_the_document_says(
    street: Street, witness: Witness, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write(tmp_path)
    monkeypatch.setattr(_document_routes, "FOLDER", tmp_path)
    happen(street, witness)
    look(witness)
    forget(street, witness)
    quiet = {name for name in OPERATIONS if not {status for status in witness.seen[name] if status < 300}}
    assert quiet == {"POST /v1/stripe/webhook"}, "each route is asked once, at least"


def happen(street: Street, witness: Witness) -> None:
    """Everything that can be written, new and again and wrongly."""
    call = witness.call
    for meter in (*METERS, {"key": "people", "aggregation": "unique", "unique_by": "user", "name": "People"}):
        assert call("PUT", f"/v1/meters/{meter['key']}", meter)[0] in (200, 201)
    call("PUT", "/v1/plans/serverless", {**PLAN, "minimum": 5, "discounts": [{"percent": "10"}]})
    matrix = {
        "model": "matrix",
        "by": ["region"],
        "prices": [{"when": {}, "price": {"model": "per_unit", "unit_price": 1}}],
    }
    fee = {"model": "flat", "amount": "20", "due": "arrears"}
    package = {"model": "package", "size": "10", "package_price": "1.5"}
    items = [{"key": "a", "meter": "requests", "price": matrix}, {"key": "b", "price": fee}]
    items += [{"key": "c", "meter": "requests", "price": package, "where": {"provider": "aws"}, "measure": "events"}]
    stairs = [{"up_to": "5", "flat_fee": 3}, {"up_to": None, "flat_fee": "4"}]
    tiers = [{"up_to": 1, "unit_price": "0.5"}, {"unit_price": "0.25", "flat_fee": "1"}]
    models: list[dict[str, Any]] = [{"model": each, "tiers": tiers} for each in ("graduated", "volume")]
    models += [{"model": "stairstep", "tiers": stairs}, {"model": "percentage", "rate": 3, "minimum": "1"}]
    models += [{"model": "dynamic"}]
    items += [{"key": each["model"], "meter": "requests", "included": "0.5", "price": each} for each in models]
    call("PUT", "/v1/plans/full", {"currency": "USD", "items": items, "maximum": "1000"})
    rows = [{"item": "graduated", "quantity": "7"}, {"meter": "requests", "quantity": 3, "events": 2, "amount": "1"}]
    for plan in ("full", {"currency": "EUR", "items": items}):
        assert call("POST", "/v1/quotes", {"plan": plan, "usage": rows}, scopes="read")[0] == 200
    assert call("POST", "/v1/quotes", {"plan": "none"})[0] == 404
    assert call("POST", "/v1/quotes", {"plan": {}})[0] == 400
    whole = {
        "name": "Beta",
        "address": {"city": "Bern"},
        "plan": "full",
        "starts_at": "2026-11-01T00:00:00+01:00",
        "timezone": "Europe/Zurich",
        "alerts": [{"key": "low", "kind": "balance_below", "threshold": "3"}],
        "top_up": {"threshold": "1", "amount": 10},
        "plan_effective_at": NOW,
    }
    assert call("PUT", "/v1/customers/beta", whole)[0] == 201
    assert call("PATCH", "/v1/customers/beta", {"tax_rate": "7.7", "email": None})[0] == 200
    assert call("POST", "/v1/events", [used("a"), edge("start"), edge("stop", 9)])[0] == 202
    assert call("POST", "/v1/events", used("b", value="x"))[0] == 400
    assert call("POST", "/v1/events", {**used("b", customer="beta"), "value": 2})[0] == 202
    street.post(
        used("a", revision=1, amount="3"), used("v", void=True, revision=2), edge("stop", 20, "3"), edge("start", 9)
    )
    street.flow()
    for status in (201, 200):
        assert call("POST", "/v1/customers/acme/credits", {"id": "c1", "amount": "20", "kind": "paid"})[0] == status
        assert call("POST", "/v1/customers/acme/top_ups", {"id": "t1", "amount": "5"})[0] == status
        assert call("POST", "/v1/customers/acme/credits/c1/revoke", {"id": "r1", "amount": "1"})[0] == status
    assert call("POST", "/v1/customers/acme/top_ups/t1/cancel")[0] == 200
    assert call("POST", "/v1/customers/acme/payment_setup", {})[0] == 200
    assert call("POST", "/v1/api_keys", {"id": "k", "scopes": ["read"]})[0] == 201
    listen(street, witness)
    unpaid = f"/v1/invoices/{call('GET', '/v1/customers/beta/invoices/draft')[1]['id']}"
    draft = f"/v1/invoices/{call('GET', '/v1/customers/acme/invoices/draft')[1]['id']}/finalize"
    for method, path, body in (
        ("POST", "/v1/api_keys", {"id": "k", "scopes": ["read"]}),
        ("POST", "/v1/customers/acme/credits", {"id": "c1", "amount": "21"}),
        ("POST", "/v1/customers/acme/credits/c1/revoke", {"id": "r1"}),
        ("POST", "/v1/customers/acme/top_ups", {"id": "t2", "amount": "5"}),
        ("PUT", "/v1/meters/requests", {"aggregation": "max"}),
        ("DELETE", "/v1/meters/requests", None),
        ("DELETE", "/v1/plans/serverless", None),
        ("DELETE", "/v1/customers/acme", None),
        ("POST", draft, None),
    ):
        assert call(method, path, body)[0] == 409, (method, path)
    assert call("GET", "/v1/sessions", customer="acme", meter="runtime", status="open")[1]["rows"]
    street.now = NOW + 11 * DAY
    assert call("POST", draft)[0] == 200
    assert call("POST", f"{unpaid}/finalize")[0] == 200
    for what, reissue in (("retry", False), ("void", True), ("void", False)):
        assert call("POST", f"{unpaid}/{what}", {"reissue": reissue} if what == "void" else None)[0] == 200
    for what in ("mark_uncollectible", "mark_paid"):
        assert call("POST", f"{unpaid}-2/{what}")[0] == 200
    for invoice, what in ((unpaid, "retry"), (unpaid, "mark_paid"), (unpaid, "mark_uncollectible")):
        assert call("POST", f"{invoice}/{what}")[0] == 409
    assert call("POST", f"{unpaid}-2/void", {})[1]["code"] == "invoice_paid"


def listen(street: Street, witness: Witness) -> None:
    """Everything that can be done with webhook endpoints, of which one is gone."""
    call, path = witness.call, "/v1/webhook_endpoints"
    hooks = {"id": "hooks", "url": "https://example.com/hooks", "events": ["credit.granted", "balance.low"]}
    gone = {"url": "https://gone.example/", "events": "*"}
    for status in (201, 200):
        assert call("POST", path, hooks)[0] == status
    assert call("POST", path, {**hooks, "events": "*"})[0] == 409
    assert call("POST", path, {"url": "http://example.com", "events": ["x"]})[0] == 400
    name = call("POST", path, gone)[1]["id"]
    street.webhooks.answers = [Answer(503), Answer(410)]
    street.flow()
    street.queues["NOTIFY"].clear()
    call("POST", "/v1/customers/acme/credits", {"id": "told", "amount": "1"})
    street.flow()
    street.deliver("NOTIFY")
    assert {row["status"] for row in call("GET", path, limit="2")[1]["rows"]} == {"enabled", "disabled"}
    (row,) = call("GET", f"{path}/hooks/deliveries")[1]["rows"]
    assert (row["status"], row["attempts"][0]["status"]) == ("pending", 503)
    assert call("POST", f"{path}/hooks/deliveries/{row['id']}/redeliver")[0] == 200
    assert call("POST", f"{path}/{name}/deliveries/{row['id']}/redeliver")[1]["code"] == "endpoint_disabled"
    assert call("POST", f"{path}/{name}/enable")[1]["status"] == "enabled"
    street.deliver("NOTIFY")
    street.secrets.pop("signing_key")
    del street.secret
    assert call("POST", path, {"url": "https://example.com/", "events": "*"})[0] == 503
    assert call("GET", f"{path}/hooks")[0] == 503
    street.secrets["signing_key"] = "again"
    del street.secret


def look(witness: Witness) -> None:
    """Everything that can be read."""
    whose = {"customer": "acme", "from": format_time(NOW - DAY), "to": format_time(NOW)}
    for meter in ("requests", "runtime"):
        for path in ("/v1/usage", "/v1/events", "/v1/sessions"):
            assert witness.call("GET", path, meter=meter, **whose)[1]["rows"] or (meter, path) == (
                "requests",
                "/v1/sessions",
            )
            witness.call("GET", path, meter=meter, limit="1", **whose)
    usage = {
        "window": "hour",
        "group_by": "provider",
        "where.provider": "aws",
        "fill": "zero",
        "timezone": "Asia/Kolkata",
    }
    assert witness.call("GET", "/v1/usage", meter="runtime", **usage, **whose)[1]["rows"]
    for status in ("closed", "anomalous"):
        assert witness.call("GET", "/v1/sessions", meter="runtime", status=status, **whose)[1]["rows"]
    paths = ["/v1/meters", "/v1/plans", "/v1/customers", "/v1/api_keys", "/v1/invoices", "/v1/top_ups"]
    paths += ["/v1/webhook_endpoints", "/v1/webhook_endpoints/hooks/deliveries"]
    paths += [f"/v1/customers/acme/{name}" for name in ("credits", "ledger", "top_ups")]
    paths.append("/v1/invoices/TX-000001/explain")
    for path in paths:
        assert witness.call("GET", path, limit="1")[1]["rows"], path
    assert witness.call("GET", "/v1/customers/acme/ledger", window="day", timezone="Asia/Kolkata")[1]["rows"]
    assert witness.call("GET", "/v1/customers/acme/ledger", window="year")[0] == 400
    ones = ["/v1/meters/people", "/v1/plans/full", "/v1/customers/beta", "/v1/health", "/docs", "/v1/openapi.json"]
    ones += ["/payment/done", "/v1/webhook_endpoints/hooks"]
    ones += [f"/v1/customers/acme/{name}" for name in ("balance", "access", "invoices/draft")]
    ones += [f"/v1/invoices/TX-000001{shape}" for shape in ("", ".html", ".csv")]
    ones += [f"/v1/customers/beta/invoices/draft{more}" for more in ("", "/explain")]
    for path in ones:
        assert witness.call("GET", path)[0] == 200, path
    assert witness.call("GET", "/v1/invoices", customer="beta", status="draft")[0] == 200
    assert witness.call("GET", "/v1/webhook_endpoints/hooks/deliveries", status="succeeded")[1]["rows"]
    assert witness.call("GET", "/v1/webhook_endpoints/hooks/deliveries", status="lost")[0] == 400
    assert witness.call("POST", "/v1/customers/acme/what_if", {"plan": "full"})[0] == 200
    assert witness.call("POST", "/v1/customers/acme/what_if", {"plan": {"currency": "EUR"}})[0] == 409
    for path in (
        "/v1/meters/none",
        "/v1/plans/none",
        "/v1/customers/none",
        "/v1/invoices/none",
        "/v1/customers/none/access",
        "/v1/webhook_endpoints/none",
        "/v1/webhook_endpoints/none/deliveries",
    ):
        assert witness.call("GET", path)[0] == 404
    assert witness.call("GET", "/v1/meters", limit="none")[0] == 400
    assert witness.call("GET", "/v1/meters", scopes="ingest")[0] == 403
    assert witness.call("PUT", "/v1/meters/x", {"aggregation": "sum", "dimensions": "a"})[0] == 400


def forget(street: Street, witness: Witness) -> None:
    """Everything that can be removed."""
    street.does("PUT", "/v1/customers/gone", {})
    street.does("PUT", "/v1/plans/gone", {"currency": "EUR"})
    for path in ("meters/people", "plans/gone", "customers/gone", "api_keys/k", "webhook_endpoints/hooks"):
        assert witness.call("DELETE", f"/v1/{path}")[0] == 204
        assert witness.call("DELETE", f"/v1/{path}")[0] == 404


def test_the_parameters_in_the_document_are_those_that_are_looked_at(street: Street, witness: Witness) -> None:
    happen(street, witness)
    look_all = [name for name in OPERATIONS if name.startswith("GET /v1/") and "." not in name]
    for name in look_all:
        path = (
            re.sub(r"\{(key)\}", "full", name.partition(" ")[2])
            .replace("{customer}", "acme")
            .replace("{name}", "TX-000001")
            .replace("{endpoint}", "hooks")
        )
        meter = {"customer": "acme", "meter": "runtime"} if OPERATIONS[name].query[:1] == ("customer",) else {}
        witness.call("GET", path, **meter)
    for name in look_all:
        written = {DOCUMENT["components"]["parameters"][each]["name"] for each in OPERATIONS[name].query} - {"where"}
        assert witness.asked[name] == written, name


def test_a_session_over_the_edge_of_an_hour_is_answered_as_written(street: Street, witness: Witness) -> None:
    street.post(edge("start", -61), edge("stop", 59))
    street.flow()
    whose = {"customer": "acme", "meter": "runtime", "window": "minute", "from": format_time(NOW - 3 * HOUR)}
    assert len(witness.call("GET", "/v1/usage", limit="1000", **whose)[1]["rows"]) == 120


def test_the_document_is_not_there_before_it_is_built(
    witness: Witness, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(_document_routes, "FOLDER", tmp_path)
    answer = api.handler(http_event("GET", "/v1/openapi.json"), None)
    assert (answer["statusCode"], "python -m infra.openapi" in answer["body"]) == (404, True)
    assert witness.seen == {}


def test_a_webhook_that_is_not_stripes_is_told_so(street: Street, witness: Witness) -> None:
    assert street.secrets
    assert witness.call("POST", "/v1/stripe/webhook", {"type": "x"})[0] == 400


@pytest.mark.parametrize(("events", "is_taken"), [
    ([], False), ([used("a")], True), ([used(f"{number}") for number in range(1001)], False),
])  # fmt: skip
@pytest.mark.usefixtures("street")
def test_as_many_events_are_taken_as_the_document_says(events: list[Any], is_taken: bool) -> None:
    answer = ingest.handler(http_event("POST", "/v1/events", json.dumps(events)), None)
    schema = {"$ref": "urn:api#/paths/~1v1~1events/post/requestBody/content/application~1json/schema"}
    assert (answer["statusCode"] == 202) == is_taken
    assert Draft202012Validator(schema, registry=REGISTRY).is_valid(events) == is_taken


@pytest.mark.parametrize(("value", "is_taken"), [
    ("eu", True), (7, True), (0, True), (-1.5, True), (1e30, True), (True, False), (None, False), (["eu"], False),
])  # fmt: skip
@pytest.mark.usefixtures("street")
def test_the_values_of_dimensions_that_are_taken_are_those_of_the_document(value: Any, is_taken: bool) -> None:
    event = used("a", dimensions={"region": value})
    answer = ingest.handler(http_event("POST", "/v1/events", json.dumps(event)), None)
    schema = {"$ref": "urn:api#/components/schemas/Event"}
    assert (answer["statusCode"] == 202) == is_taken
    assert Draft202012Validator(schema, registry=REGISTRY).is_valid(event) == is_taken
