"""Faults on demand: what goes wrong between a client and Stripe."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from .problems import Problem
from .wire import Request

# What Stripe calls the refusals that have a name; their keys stay free, so that the same request may come again.
_CODES = {409: "idempotency_key_in_use", 429: "rate_limit"}
_KINDS = {409: "idempotency_error", 429: "invalid_request_error"}


class Counted(BaseModel):
    """Something that happens to the ``nth`` match, counted from 1, and to ``times`` matches from there on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    nth: int = Field(default=1, ge=1)
    times: int = Field(default=1, ge=1)


Kind = TypeVar("Kind", bound=Counted)


class Plan(Generic[Kind]):
    """What is still to happen, first planned first."""

    def __init__(self) -> None:
        self.planned: list[Kind] = []

    def take(self, matches: Callable[[Kind], bool]) -> Kind | None:
        """Returns what happens now, if anything is planned, and counts this match for all that it is one for."""
        hit: Kind | None = None
        left: list[Kind] = []
        for each in self.planned:
            after: Kind | None = each
            if matches(each):
                if each.nth > 1:
                    after = each.model_copy(update={"nth": each.nth - 1})
                elif hit is None:
                    hit = each
                    after = each.model_copy(update={"times": each.times - 1}) if each.times > 1 else None
            if after is not None:
                left.append(after)
        self.planned = left
        return hit


class Fault(Counted):
    """What goes wrong with requests that match.

    Attributes:
        method: of HTTP; ``*`` matches any.
        path: of the request; ``*`` stands for anything (``/v1/payment_intents/*/confirm``).
        idempotency_key: of the request, likewise; a request without a key has an empty one.
        status: answer with this instead of the result.
        code: of that error, such as ``lock_timeout``; those of 409 and 429 have one of their own.
        drop: close the connection without an answer.
        processed: carry the request out first; its answer is what gets lost.
        kept: keep a 5xx under the idempotency key, as Stripe does once a request began to be carried out.
        delay_seconds: wait before the request is carried out; it is then, even if nobody waits for the answer any more.
        answer_delay_seconds: wait after that, with the answer in hand.
    """

    method: str = "*"
    path: str = "*"
    idempotency_key: str = "*"
    status: int | None = Field(default=None, ge=400, le=599)
    code: str | None = None
    drop: bool = False
    processed: bool = False
    kept: bool = True
    delay_seconds: float = Field(default=0, ge=0, le=86_400)
    answer_delay_seconds: float = Field(default=0, ge=0, le=86_400)

    @model_validator(mode="after")
    def _does_something(self) -> Fault:
        if self.drop and self.status is not None:
            raise ValueError("a dropped answer has no status")
        if not (self.drop or self.status or self.delay_seconds or self.answer_delay_seconds):
            raise ValueError("the fault changes nothing: give status, drop or a delay")
        if self.code and not self.status:
            raise ValueError("a code needs a status")
        if self.processed and self.status in _CODES:
            raise ValueError(f"a request that was answered with {self.status} was not carried out")
        return self

    @property
    def carries_out(self) -> bool:
        """Whether the request does what it asks for."""
        return self.processed or not (self.drop or self.status)

    @property
    def leaves_no_trace(self) -> bool:
        """Whether it is as if the request had never come: its idempotency key stays free."""
        return not self.carries_out and not (self.status and self.status >= 500 and self.kept)

    def refusal(self) -> Problem | None:
        """Returns the error that is answered instead of the result, if one is."""
        if self.status is None:
            return None
        code = self.code or _CODES.get(self.status)
        kind = "api_error" if self.status >= 500 else _KINDS.get(self.status, "invalid_request_error")
        problem = Problem(
            self.status,
            "invalid_request_error" if code == "lock_timeout" else kind,
            "A fault that was asked for.",
            code=code,
        )
        if self.status >= 500:
            problem.headers["Stripe-Should-Retry"] = "false"  # it would be replayed
        return problem

    def matches(self, request: Request) -> bool:
        """Says whether it is about a request."""
        return (
            fnmatch.fnmatchcase(request.method, self.method)
            and fnmatch.fnmatchcase(request.path, self.path)
            and fnmatch.fnmatchcase(request.headers.get("idempotency-key", ""), self.idempotency_key)
        )


class WebhookFault(Counted):
    """What goes wrong with the deliveries of events that match; each endpoint's counts as one.

    Attributes:
        type: of the event; ``*`` stands for anything (``charge.dispute.*``).
        drop: it is never delivered, however often Stripe tries: only the list of events shows it.
        repeat: how many more times it is delivered after it succeeded.
        delay_seconds: it is delivered that much later.
        behind: it is delivered only after that many others were.
    """

    type: str = "*"
    drop: bool = False
    repeat: int = Field(default=0, ge=0, le=100)
    delay_seconds: float = Field(default=0, ge=0)
    behind: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _does_something(self) -> WebhookFault:
        if not (self.drop or self.repeat or self.delay_seconds or self.behind):
            raise ValueError("the fault changes nothing: give drop, repeat, delay_seconds or behind")
        return self

    def matches(self, kind: str) -> bool:
        """Says whether it is about events of a type."""
        return fnmatch.fnmatchcase(kind, self.type)
