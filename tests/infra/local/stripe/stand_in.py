"""What the tests of the stand-in share: the real SDK pointed at it, and an endpoint for its webhooks."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
from stripe import RequestsClient, StripeClient
from stripe._v1_services import V1Services

from infra.local.stripe.server import Server


class Driven:
    """The stand-in as its users see it, wherever it runs."""

    stripe: V1Services

    def control(self, path: str, body: dict[str, Any] | None = None, method: str = "POST") -> Any:
        raise NotImplementedError

    def read(self, path: str) -> Any:
        return self.control(path, method="GET")

    def customer(self, card: str = "pm_card_visa") -> tuple[str, str]:
        """Returns the ids of a new customer and of its saved card."""
        customer = self.stripe.customers.create({"name": "Ada"})
        method = self.stripe.payment_methods.attach(card, {"customer": customer.id})
        self.stripe.customers.update(customer.id, {"invoice_settings": {"default_payment_method": method.id}})
        return customer.id, method.id

    def told(self, *types: str) -> list[str]:
        """Returns the types of these events (or of all) in the order in which they happened."""
        wanted: Any = {"types": list(types), "limit": 100} if types else {"limit": 100}
        return [str(event.type) for event in self.stripe.events.list(wanted).auto_paging_iter()][::-1]


@dataclass(frozen=True)
class StandIn(Driven):
    """The stand-in on a port."""

    server: Server
    stripe: V1Services

    def control(self, path: str, body: dict[str, Any] | None = None, method: str = "POST") -> Any:
        answer = httpx.request(method, f"{self.server.url}/_control/{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()


def client(url: str, key: str = "sk_test_key", timeout: float = 10) -> StripeClient:
    """Returns the SDK's client, without retries, so that each call is one request."""
    transport = RequestsClient(timeout=timeout)
    return StripeClient(key, base_addresses={"api": url}, max_network_retries=0, http_client=transport)


@dataclass(frozen=True, slots=True)
class Received:
    """One webhook as it arrived."""

    body: bytes
    signature: str


class Inbox(ThreadingHTTPServer):
    """An endpoint that takes what arrives and answers with the statuses it is told, then 200."""

    daemon_threads = True

    def __init__(self, *statuses: int) -> None:
        super().__init__(("127.0.0.1", 0), _Take)
        self.url = f"http://127.0.0.1:{self.server_address[1]}/hook"
        self.received: queue.Queue[Received] = queue.Queue()
        self.statuses = list(statuses)


class _Take(BaseHTTPRequestHandler):
    server: Inbox

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        # Before the answer, which lets others go that wait for this one.
        self.server.received.put(Received(body, self.headers["Stripe-Signature"]))
        self.send_response(self.server.statuses.pop(0) if self.server.statuses else 200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keeps the console quiet."""


@contextmanager
def inbox(*statuses: int) -> Iterator[Inbox]:
    server = Inbox(*statuses)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
