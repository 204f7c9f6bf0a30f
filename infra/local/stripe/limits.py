"""Rate limits on demand: so many requests in any second of the account's clock, overall and for each endpoint."""

from __future__ import annotations

from collections import deque

from pydantic import BaseModel, ConfigDict, Field

from .problems import Problem

_SECOND = 1000


class Limits(BaseModel):
    """How many requests a second are let in; None lets all in.

    Stripe counts each operation (``GET /v1/payment_intents/{}``, whatever the id) as an endpoint of its own: 25 a
    second each, and 100 overall in live mode, 25 in a sandbox.

    Attributes:
        overall: of the account.
        endpoint: of each endpoint.
        endpoints: of some, by name: ``POST /v1/payment_intents/{}/confirm``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    overall: int | None = Field(default=None, ge=1)
    endpoint: int | None = Field(default=None, ge=1)
    endpoints: dict[str, int] = {}


class Gate:
    """Lets requests in as long as they are within the limits; what is refused counts for nothing."""

    def __init__(self) -> None:
        self.limits = Limits()
        self._let_in: dict[str, deque[int]] = {}

    def enter(self, endpoint: str, at_milliseconds: int) -> None:
        """Counts a request to an endpoint.

        Raises:
            Problem: 429; nothing is kept of the request.
        """
        of_endpoint = self.limits.endpoints.get(endpoint, self.limits.endpoint)
        counted = {"global-rate": ("", self.limits.overall), "endpoint-rate": (endpoint, of_endpoint)}
        for reason, (name, most) in counted.items():
            if most is not None and len(self._recent(name, at_milliseconds)) >= most:
                raise _refused(reason)
        for name, most in counted.values():
            if most is not None:
                self._recent(name, at_milliseconds).append(at_milliseconds)

    def _recent(self, name: str, now_milliseconds: int) -> deque[int]:
        """Returns when requests were let in during the second that ends now."""
        recent = self._let_in.setdefault(name, deque())
        while recent and not now_milliseconds - _SECOND < recent[0] <= now_milliseconds:
            recent.popleft()
        return recent


def _refused(reason: str) -> Problem:
    problem = Problem(429, "invalid_request_error", "Request rate limit exceeded.", code="rate_limit")
    problem.headers["Stripe-Rate-Limited-Reason"] = reason
    return problem
