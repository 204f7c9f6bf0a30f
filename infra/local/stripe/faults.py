"""Faults on demand: what goes wrong between a client and Stripe."""

from __future__ import annotations

import fnmatch

from pydantic import BaseModel, ConfigDict, Field, model_validator

from .wire import Request


class Fault(BaseModel):
    """What goes wrong with the next requests that match.

    Attributes:
        method: of HTTP; ``*`` matches any.
        path: of the request; ``*`` stands for anything (``/v1/payment_intents/*/confirm``).
        status: answer with this instead of the result.
        drop: close the connection without an answer.
        processed: carry the request out first; its answer is what gets lost.
        delay_seconds: wait before anything else.
        times: how many matching requests it hits.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: str = "*"
    path: str = "*"
    status: int | None = Field(default=None, ge=400, le=599)
    drop: bool = False
    processed: bool = False
    delay_seconds: float = Field(default=0, ge=0, le=600)
    times: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _does_something(self) -> Fault:
        if self.drop and self.status is not None:
            raise ValueError("a dropped answer has no status")
        if not (self.drop or self.status or self.delay_seconds):
            raise ValueError("the fault changes nothing: give status, drop or delay_seconds")
        return self

    def matches(self, request: Request) -> bool:
        """Says whether it hits a request."""
        return fnmatch.fnmatchcase(request.method, self.method) and fnmatch.fnmatchcase(request.path, self.path)


class Faults:
    """The faults that are still to happen, first planned first."""

    def __init__(self) -> None:
        self.planned: list[Fault] = []

    def take(self, request: Request) -> Fault | None:
        """Returns the fault of a request, if one is planned, and uses it up."""
        for position, fault in enumerate(self.planned):
            if fault.matches(request):
                left = fault.times - 1
                self.planned[position : position + 1] = [fault.model_copy(update={"times": left})] if left else []
                return fault
        return None
