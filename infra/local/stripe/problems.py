"""Errors in Stripe's shape."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
# The one code that is not Stripe's: it would carry out what the stand-in does not.
STAND_IN = "stand_in_unsupported"


class Problem(Exception):
    """An error answer of the API.

    Attributes:
        status: the HTTP status.
        error: the body's ``error`` object: ``type``, ``message`` and whatever else is known.
        headers: what the answer says beside it.
    """

    def __init__(self, status: int, kind: str, message: str, **details: object) -> None:
        super().__init__(message)
        self.status = status
        self.headers: dict[str, str] = {}
        known = {key: value for key, value in details.items() if value is not None}
        self.error: Json = {"type": kind, "message": message, **known}


def invalid(message: str, *, param: str | None = None, code: str | None = None) -> Problem:
    """Returns the 400 of a request that cannot be carried out as it stands."""
    return Problem(400, "invalid_request_error", message, param=param, code=code)


def missing(noun: str, identifier: str, *, param: str | None = "id") -> Problem:
    """Returns the error of an object that is not there: 404 on its own path, 400 as a parameter."""
    status = 404 if param == "id" else 400
    text = f"No such {noun}: '{identifier}'"
    return Problem(status, "invalid_request_error", text, param=param, code="resource_missing")


def unsupported(what: str) -> Problem:
    """Returns the error of something that Stripe knows and this stand-in does not carry out."""
    text = f"The local Stripe stand-in does not carry out {what}."
    return invalid(text, code=STAND_IN)


def unexpected_state(message: str, intent: Json) -> Problem:
    """Returns the 400 of a PaymentIntent in a state that does not allow the call."""
    return Problem(
        400,
        "invalid_request_error",
        message,
        code="payment_intent_unexpected_state",
        payment_intent=intent,
    )
