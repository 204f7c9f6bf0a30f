"""How a call finds what carries it out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .account import Account
from .problems import Json, Problem, unsupported

Action = Callable[..., Json]


@dataclass(frozen=True, slots=True)
class Route:
    """One call of the API.

    Attributes:
        method: of HTTP.
        path: with ``{}`` for each id.
        parameters: the class of ``stripe.params`` that describes its parameters.
        carried_out: the parameters that do something here; others that Stripe knows are refused.
        action: called with the account, the parameters and the ids of the path.
        pattern: what its paths look like.
    """

    method: str
    path: str
    parameters: str
    carried_out: frozenset[str]
    action: Action
    pattern: re.Pattern[str]

    @property
    def name(self) -> str:
        """The endpoint, whatever the ids: ``POST /v1/refunds``."""
        return f"{self.method} {self.path}"

    def ids(self, method: str, path: str) -> tuple[str, ...] | None:
        """Returns the ids of a path that this route serves, or None."""
        matched = self.pattern.fullmatch(path)
        return matched.groups() if matched and method == self.method else None

    def check(self, params: Json) -> None:
        """Refuses what Stripe would carry out and this stand-in would ignore."""
        for name in params.keys() - self.carried_out - {"expand"}:
            raise unsupported(f"the parameter `{name}` of {self.method} {self.path}")


def route(method: str, path: str, parameters: str, carried_out: str, action: Action) -> Route:
    """Returns a route; ``carried_out`` holds names with spaces between them."""
    pattern = re.compile(path.replace("{}", "([A-Za-z0-9_]+)"))
    return Route(method, path, parameters, frozenset(carried_out.split()), action, pattern)


def retrieve(path: str, kind: str, parameters: str) -> Route:
    """Returns the route that reads one object."""

    def action(account: Account, _: Json, identifier: str) -> Json:
        return account.get(kind, identifier)

    return route("GET", path, parameters, "", action)


def find(routes: Iterable[Route], method: str, path: str) -> tuple[Route, tuple[str, ...]]:
    """Returns the route of a call and the ids in its path; raises a 404 when there is none."""
    for candidate in routes:
        ids = candidate.ids(method, path)
        if ids is not None:
            return candidate, ids
    text = f"Unrecognized request URL ({method}: {path}). The stand-in may not know it."
    raise Problem(404, "invalid_request_error", text)
