"""Where AWS has no time, every door says so: 503, and when to come again."""

import json
import re
from typing import Any

import pytest
from botocore.exceptions import ClientError

from adapters.memory import MemoryTable
from handlers import _live, api, ingest, stripe_webhook
from infra.openapi.operations import OPERATIONS
from tests.handlers.street import METERS, PLAN, Street, http_event, used
from tests.handlers.test_stripe_webhook import message, signed

HANDLERS: dict[str, Any] = {"POST /v1/events": ingest.handler, "POST /v1/stripe/webhook": stripe_webhook.handler}
BODIES: dict[str, Any] = {
    "POST /v1/events": [used("a")],
    "PUT /v1/meters/{key}": METERS[0],
    "PUT /v1/plans/{key}": PLAN,
    "POST /v1/quotes": {"plan": "serverless", "usage": []},
    "POST /v1/customers/{customer}/credits": {"id": "c", "amount": "1"},
    "POST /v1/customers/{customer}/credits/{credit}/revoke": {"id": "r"},
    "POST /v1/customers/{customer}/top_ups": {"id": "t", "amount": "1"},
    "POST /v1/customers/{customer}/what_if": {"plan": "serverless"},
    "POST /v1/api_keys": {"id": "k", "scopes": ["read"]},
    "POST /v1/webhook_endpoints": {"url": "https://example.com/hooks", "events": "*"},
}
# What needs no key asks no table.
DOORS = sorted(
    OPERATIONS.keys()
    - {"GET /v1/health", "GET /v1/openapi.json", "GET /docs", "GET /payment/done", "POST /v1/stripe/webhook"}
)


class Busy(MemoryTable):
    """A table that has no time for anybody."""

    def __getattribute__(self, name: str) -> Any:
        def refuse(*_: object, **__: object) -> None:
            raise ClientError({"Error": {"Code": "ThrottlingException", "Message": ""}}, name)

        return refuse


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> Street:
    street = Street()
    street.table = lambda _: Busy()
    monkeypatch.setattr(_live, "live", street)
    return street


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize("door", DOORS)
def test_a_table_that_has_no_time_is_asked_again_a_little_later(door: str) -> None:
    method, _, path = door.partition(" ")
    names = {"key": "serverless" if "plans" in path else "requests", "name": "acme:20261101T0000Z"}
    path = re.sub(r"\{(\w+)\}", lambda found: names.get(found[1], "acme"), path)
    query = {"customer": "acme", "meter": "requests"} if door.startswith("GET") else {}
    event = http_event(method, path, json.dumps(BODIES.get(door, {})), query=query)
    answer = HANDLERS.get(door, api.handler)(event, None)
    headers = {name.lower(): value for name, value in answer["headers"].items()}
    assert (answer["statusCode"], headers["retry-after"]) == (503, "1"), answer
    assert json.loads(answer["body"])["code"] == "retry"


def test_so_is_the_secret_that_a_webhook_is_checked_with(busy: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise ClientError({"Error": {"Code": "ThrottlingException", "Message": ""}}, "GetSecretValue")

    monkeypatch.setattr(busy.secret, "_read", refuse)
    body = message("invoice")
    event = http_event("POST", "/v1/stripe/webhook", body, headers={"stripe-signature": signed(body)})
    answer = stripe_webhook.handler(event, None)
    assert (answer["statusCode"], answer["headers"]["retry-after"]) == (503, "1")


def test_what_is_wrong_is_not_for_asking_again(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ClientError({"Error": {"Code": "ValidationException", "Message": ""}}, "Query")

    monkeypatch.setattr(street.table("Catalog"), "query", refuse)
    status, told = street.call("GET", "/v1/meters")
    assert (status, told["code"]) == (500, "internal")
