"""What goes in and comes out, apart from any server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from .problems import Json, Problem


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request; header names are in lower case."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"


def answer(status: int, content: Json) -> Answer:
    """Returns an answer with a JSON body."""
    return Answer(status, json.dumps(content).encode())


def refusal(problem: Problem) -> Answer:
    """Returns a problem as an answer."""
    return replace(answer(problem.status, {"error": problem.error}), headers=dict(problem.headers))
