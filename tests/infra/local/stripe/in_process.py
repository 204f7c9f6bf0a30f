"""The stand-in without a socket: the real SDK, its requests handed straight to the application.

Time stands still but for `Clock.forward`, nothing sleeps, and webhooks are taken instead of sent, so that ten thousand
customers are a matter of seconds and the same calls are made at the same instants every time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import stripe
from requests.structures import CaseInsensitiveDict

from infra.local.stripe import control
from infra.local.stripe.application import Application
from infra.local.stripe.courier import Courier
from infra.local.stripe.wire import Request
from tests.infra.local.stripe.stand_in import Driven, Received

URL = "http://stripe.test"


@dataclass
class Clock:
    """A clock that moves only when it is told to."""

    seconds: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.seconds

    def forward(self, seconds: float) -> None:
        self.seconds += seconds


class Transport(stripe.HTTPClient):
    """What the SDK sends its requests through; a lost answer is what it is over a socket."""

    name = "in-process"

    def __init__(self, application: Application, timeout_seconds: float = 20) -> None:
        super().__init__()
        self._application = application
        self._timeout_seconds = timeout_seconds

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: Any = None,
        *,
        _usage: list[str] | None = None,
    ) -> tuple[str, int, Mapping[str, str]]:
        target = urlsplit(url)
        lowered = {name.lower(): value for name, value in (headers or {}).items()}
        asked = Request(method.upper(), target.path, target.query, lowered, post_data or "")
        done = self._application.handle(asked, self._timeout_seconds)
        if done is None:
            raise stripe.APIConnectionError("The answer was lost.", should_retry=True)  # type: ignore[no-untyped-call]  # the package gives it no types
        return done.body.decode(), done.status, CaseInsensitiveDict(done.headers)

    def close(self) -> None:
        """There is nothing to close."""


@dataclass
class InProcess(Driven):
    """A stand-in of one's own, in the process that calls it.

    Attributes:
        clock: the machine's time as the stand-in sees it; it adds the offset of the control route to it.
    """

    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.application = Application(URL, self.clock, Courier(workers=0))
        self.stripe = self.client().v1

    def client(self, key: str = "sk_test_key", timeout_seconds: float = 20) -> stripe.StripeClient:
        """Returns the SDK's client, without retries, so that each call is one request."""
        transport = Transport(self.application, timeout_seconds)
        return stripe.StripeClient(key, base_addresses={"api": URL}, max_network_retries=0, http_client=transport)

    def control(self, path: str, body: dict[str, Any] | None = None, method: str = "POST") -> Any:
        request = Request(method, f"/_control/{path}", body=json.dumps(body) if body is not None else "")
        done = control.handle(self.application, request)
        assert done.status == 200, done.body
        return json.loads(done.body)

    def webhooks(self) -> list[Received]:
        """Returns what arrives at the endpoints by now, in order."""
        self.application.catch_up()
        return [Received(each.body.encode(), each.signature()) for each in self.application.courier.take()]
