"""Events, and the endpoints that they are sent to."""

from __future__ import annotations

import secrets

from infra.local.stripe.account import API_VERSION, Account
from infra.local.stripe.listing import PAGING, page
from infra.local.stripe.problems import Json, invalid, missing
from infra.local.stripe.resources.metadata import fresh, merged
from infra.local.stripe.routes import retrieve, route

_KEPT_SECONDS = 30 * 86_400
_MOST_TYPES = 20


def listed(account: Account, params: Json) -> Json:
    """Returns the events of the last 30 days, newest first."""
    if "type" in params and "types" in params:
        raise invalid("You may only specify one of these parameters: type, types.", param="types")
    if len(params.get("types", [])) > _MOST_TYPES:
        raise invalid(f"You may specify up to {_MOST_TYPES} types.", param="types")
    types = set(params.get("types") or ([params["type"]] if "type" in params else []))
    delivered = params.get("delivery_success")
    since = account.now() - _KEPT_SECONDS

    def keep(row: Json) -> bool:
        wanted = not types or bool(types & _patterns(row["type"]))
        return row["created"] >= since and wanted and delivered in {None, row["pending_webhooks"] == 0}

    found = page(account.newest("event"), params, "/v1/events", keep)
    return {**found, "data": [account.event(row["id"]) for row in found["data"]]}


def found(account: Account, _: Json, identifier: str) -> Json:
    """Returns an event of the last 30 days."""
    event = account.get("event", identifier)
    if event["created"] < account.now() - _KEPT_SECONDS:
        raise missing("event", identifier)
    return account.event(identifier)


def _patterns(kind: str) -> set[str]:
    """Returns the filters that an event type passes: its own name and each group it is in."""
    parts = kind.split(".")
    return {kind, *(".".join([*parts[:count], "*"]) for count in range(1, len(parts)))}


def create_endpoint(account: Account, params: Json) -> Json:
    """Makes an endpoint. Only this answer shows its secret."""
    if params.get("api_version", API_VERSION) != API_VERSION:
        raise invalid(f"This stand-in speaks only {API_VERSION}.", param="api_version")
    endpoint = keep_endpoint(account, params)
    return {**endpoint, "secret": account.secrets[endpoint["id"]]}


def keep_endpoint(account: Account, params: Json, secret: str | None = None) -> Json:
    """Keeps an endpoint with this secret, or with a new one."""
    url = params["url"]
    if not url.startswith(("http://", "https://")):
        raise invalid("Invalid URL: An explicit scheme (such as https) must be provided.", param="url")
    endpoint = account.add(
        "we",
        "webhook_endpoint",
        api_version=params.get("api_version"),
        application=None,
        created=account.now(),
        description=params.get("description"),
        enabled_events=list(params["enabled_events"]),
        livemode=False,
        metadata=fresh(params.get("metadata")),
        status="enabled",
        url=url,
    )
    account.secrets[endpoint["id"]] = secret or f"whsec_{secrets.token_hex(16)}"
    return endpoint


def update_endpoint(account: Account, params: Json, identifier: str) -> Json:
    """Changes where an endpoint is, what it wants and whether it gets anything."""
    endpoint = account.get("webhook_endpoint", identifier)
    for name in ("description", "enabled_events", "url"):
        endpoint[name] = params.get(name, endpoint[name])
    if "metadata" in params:
        endpoint["metadata"] = merged(endpoint["metadata"], params["metadata"])
    if "disabled" in params:
        endpoint["status"] = "disabled" if params["disabled"] else "enabled"
    return endpoint


def delete_endpoint(account: Account, _: Json, identifier: str) -> Json:
    """Deletes an endpoint."""
    account.secrets.pop(identifier, None)
    return account.forget(account.get("webhook_endpoint", identifier))


def endpoints(account: Account, params: Json) -> Json:
    """Returns the endpoints, newest first."""
    return page(account.newest("webhook_endpoint"), params, "/v1/webhook_endpoints")


_PATH = "/v1/webhook_endpoints"
_SET = "description enabled_events metadata url"
ROUTES = [
    route("GET", "/v1/events", "EventListParams", f"{PAGING} created delivery_success type types", listed),
    route("GET", "/v1/events/{}", "EventRetrieveParams", "", found),
    route("POST", _PATH, "WebhookEndpointCreateParams", f"{_SET} api_version", create_endpoint),
    route("GET", _PATH, "WebhookEndpointListParams", PAGING, endpoints),
    retrieve(_PATH + "/{}", "webhook_endpoint", "WebhookEndpointRetrieveParams"),
    route("POST", _PATH + "/{}", "WebhookEndpointUpdateParams", f"{_SET} disabled", update_endpoint),
    route("DELETE", _PATH + "/{}", "WebhookEndpointDeleteParams", "", delete_endpoint),
]
