"""Control routes under ``/_control``: what tests and the demo do behind Stripe's back."""

from __future__ import annotations

import re
from collections.abc import Callable

from pydantic import Field, ValidationError

from . import happenings
from .application import Application
from .faults import Fault, WebhookFault
from .happenings import Body
from .limits import Limits
from .problems import Json, Problem, invalid
from .resources import events
from .wire import Answer, Request, answer, refusal


class Endpoint(Body):
    """A webhook endpoint whose secret is known beforehand."""

    url: str
    secret: str = Field(pattern=r"^whsec_\S+$")
    enabled_events: list[str] = Field(default=["*"])


class Clock(Body):
    """How far the account's clock is ahead of the machine's."""

    offset_milliseconds: int


class Webhooks(Body):
    """Whether deliveries wait."""

    paused: bool


def handle(application: Application, request: Request) -> Answer:
    """Returns the answer to a control request."""
    for method, pattern, action in _ROUTES:
        matched = re.fullmatch(pattern, request.path)
        if matched and method == request.method:
            try:
                with application.lock:
                    application.catch_up()
                    done = action(application, request.body or "{}", *matched.groups())
                    application.courier.collect(application.account)
            except ValidationError as error:
                return refusal(invalid(str(error)))
            except Problem as problem:
                return refusal(problem)
            return answer(200, done)
    text = f"No control route {request.method} {request.path}."
    return refusal(Problem(404, "invalid_request_error", text))


def _reset(application: Application, _: str) -> Json:
    application.reset(application.account.url)
    return {"reset": True}


def _requests(application: Application, _: str) -> Json:
    return {"data": list(application.requests)}


def _faults(application: Application, _: str) -> Json:
    return {"data": [fault.model_dump() for fault in application.faults.planned]}


def _plan_fault(application: Application, body: str) -> Json:
    application.faults.planned.append(Fault.model_validate_json(body))
    return _faults(application, body)


def _clear_faults(application: Application, body: str) -> Json:
    application.faults.planned.clear()
    return _faults(application, body)


def _limits(application: Application, _: str) -> Json:
    return application.gate.limits.model_dump()


def _set_limits(application: Application, body: str) -> Json:
    application.gate.limits = Limits.model_validate_json(body)
    return _limits(application, body)


def _webhooks(application: Application, _: str) -> Json:
    courier = application.courier
    return {
        "paused": courier.paused,
        "undelivered": len(courier.undelivered),
        "dropped": courier.dropped,
        "faults": [fault.model_dump() for fault in courier.faults.planned],
        "data": list(courier.log),
    }


def _pause(application: Application, body: str) -> Json:
    application.courier.pause(paused=Webhooks.model_validate_json(body).paused)
    return _webhooks(application, body)


def _plan_webhook_fault(application: Application, body: str) -> Json:
    application.courier.faults.planned.append(WebhookFault.model_validate_json(body))
    return _webhooks(application, body)


def _clear_webhook_faults(application: Application, body: str) -> Json:
    application.courier.clear_faults()
    return _webhooks(application, body)


def _endpoint(application: Application, body: str) -> Json:
    wanted = Endpoint.model_validate_json(body)
    return events.keep_endpoint(application.account, wanted.model_dump(), wanted.secret)


def _clock(application: Application, _: str) -> Json:
    account = application.account
    return {"offset_milliseconds": account.offset_milliseconds, "now": account.now()}


def _set_clock(application: Application, body: str) -> Json:
    wanted = Clock.model_validate_json(body)
    application.account.offset_milliseconds = wanted.offset_milliseconds
    application.catch_up()
    return _clock(application, body)


_ROUTES: list[tuple[str, str, Callable[..., Json]]] = [
    ("POST", "/_control/reset", _reset),
    ("GET", "/_control/requests", _requests),
    ("GET", "/_control/faults", _faults),
    ("POST", "/_control/faults", _plan_fault),
    ("DELETE", "/_control/faults", _clear_faults),
    ("GET", "/_control/limits", _limits),
    ("POST", "/_control/limits", _set_limits),
    ("GET", "/_control/webhooks", _webhooks),
    ("POST", "/_control/webhooks", _pause),
    ("POST", "/_control/webhooks/faults", _plan_webhook_fault),
    ("DELETE", "/_control/webhooks/faults", _clear_webhook_faults),
    ("POST", "/_control/webhook_endpoints", _endpoint),
    ("GET", "/_control/clock", _clock),
    ("POST", "/_control/clock", _set_clock),
    *happenings.ROUTES,
]
