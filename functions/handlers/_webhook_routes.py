"""Routes of webhook endpoints: who is told, with which secret, and what became of it. Contract: api.md."""

from collections.abc import Iterator
from typing import get_args

from aws_lambda_powertools.event_handler.api_gateway import Response

from adapters.items import ConditionFailed
from billing.deliveries import Delivery, State, redelivered
from billing.endpoints import Endpoint, EndpointRequest, enabled, new_endpoint
from billing.signing import endpoint_secret, shown_secret
from handlers import _live
from handlers._deliveries import have_made
from handlers._live import Live
from handlers._paging import NAME, page, page_of_all, place
from handlers._routes import Body, name_of, needs, no_content, query, query_limit, read_body, reply, router
from metering.errors import Conflict, Invalid, NotFound, Unavailable
from metering.faults import Contradiction, read_model

_ATTEMPTS = 5


@router.get("/v1/webhook_endpoints")
@needs()
def list_endpoints() -> Response[str]:
    """All webhook endpoints, by id, without their secrets."""
    return page_of_all((endpoint.as_json() for endpoint in _live.live.endpoints.all()), "id")


@router.post("/v1/webhook_endpoints")
@needs()
def post_endpoint() -> Response[str]:
    """Make a webhook endpoint; the same request again answers what is there.

    Its host must have public addresses alone, now and with each delivery.
    """
    live, body = _live.live, read_body()
    request = read_model(EndpointRequest, body, _out_of_reach(body, live))
    stored = live.endpoints.find(request.name)
    made = new_endpoint(request, live.clock())
    shown = _shown(stored or made, live)  # without a key for signing nothing is made
    if stored is None:
        try:
            live.endpoints.make(made)
        except ConditionFailed:
            stored = _endpoint(request.name)
            shown = _shown(stored, live)
    if stored and not _is(stored, request):
        raise Conflict(f"there is another webhook endpoint {request.name!r}", "id_conflict")
    return reply(shown, created=stored is None)


def _out_of_reach(body: Body, live: Live) -> Iterator[Contradiction]:
    """What is wrong with the URL, whose host is looked up for that; one that is known already is not looked at."""
    url = body.get("url")
    if not isinstance(url, str) or _is_known(body, live):
        return
    try:
        live.webhooks.check(url)
    except Invalid as error:
        yield ("url",), error.detail


def _is_known(body: Body, live: Live) -> bool:
    try:
        request = read_model(EndpointRequest, body)
    except Invalid:
        return False
    stored = live.endpoints.find(request.name)
    return stored is not None and _is(stored, request)


def _is(stored: Endpoint, request: EndpointRequest) -> bool:
    return (stored.url, stored.events) == (request.url, request.events)


def _shown(endpoint: Endpoint, live: Live) -> Body:
    secret = endpoint_secret(live.secret.signing_key(), endpoint.id, endpoint.version)
    return {**endpoint.as_json(), "secret": shown_secret(secret)}


def _endpoint(name: str) -> Endpoint:
    found = _live.live.endpoints.find(name)
    if found is None:
        raise NotFound(f"there is no webhook endpoint {name!r}")
    return found


@router.get("/v1/webhook_endpoints/<endpoint>")
@needs()
def get_endpoint(endpoint: str) -> Response[str]:
    """One webhook endpoint, with its secret."""
    return reply(_shown(_endpoint(name_of(endpoint)), _live.live))


@router.delete("/v1/webhook_endpoints/<endpoint>")
@needs()
def delete_endpoint(endpoint: str) -> Response[str]:
    """Remove a webhook endpoint; what is under way to it is not sent any more."""
    _live.live.endpoints.delete(_endpoint(name_of(endpoint)).id)
    return no_content()


@router.post("/v1/webhook_endpoints/<endpoint>/enable")
@needs()
def enable_endpoint(endpoint: str) -> Response[str]:
    """Enable a webhook endpoint that was disabled; what it failed before is forgotten.

    What was announced meanwhile is not sent; what had been canceled can be redelivered.
    """
    live, name = _live.live, name_of(endpoint)
    for _ in range(_ATTEMPTS):
        found = _endpoint(name)
        after = enabled(found)
        try:
            if after != found:
                live.endpoints.change(found, after)
        except ConditionFailed:
            continue
        return reply(after.as_json())
    raise Unavailable("the webhook endpoint is changing all the time")


@router.get("/v1/webhook_endpoints/<endpoint>/deliveries")
@needs()
def list_deliveries(endpoint: str) -> Response[str]:
    """What was sent to a webhook endpoint in the last 30 days, newest first, with each attempt and what came of it."""
    found, status = _endpoint(name_of(endpoint)), query("status")
    if status and status not in get_args(State):
        raise Invalid(f"`status` must be one of {', '.join(get_args(State))}")
    after = place(NAME)
    # With a filter nobody knows how many have to be read for a page.
    log = _live.live.deliveries.log(found.id, after, 0 if status else query_limit() + 1)
    return page((each.id, each.as_json()) for each in log if not status or each.state == status)


@router.post("/v1/webhook_endpoints/<endpoint>/deliveries/<delivery>/redeliver")
@needs()
def redeliver(endpoint: str, delivery: str) -> Response[str]:
    """Send a webhook again, or now if it waits for its next try; under its id, with all tries if need be."""
    live, found, name = _live.live, _endpoint(name_of(endpoint)), name_of(delivery)
    if found.disabled:
        raise Conflict("the webhook endpoint is disabled: enable it first", "endpoint_disabled")
    for _ in range(_ATTEMPTS):
        before = _delivery(found.id, name)
        after = redelivered(before, live.clock())
        try:
            if after != before:
                live.deliveries.move(before, after)
        except ConditionFailed:
            continue
        have_made([(found.id, name)], live)
        return reply(after.as_json())
    raise Unavailable("the delivery is changing all the time")


def _delivery(endpoint: str, name: str) -> Delivery:
    found = _live.live.deliveries.find(endpoint, name)
    if found is None:
        raise NotFound(f"there is no delivery {name!r} to this webhook endpoint")
    return found
