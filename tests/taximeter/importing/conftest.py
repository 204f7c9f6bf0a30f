"""A deployment in this process behind a real HTTP server, so that an import has something to send to."""

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any

import pytest

from adapters.items import binary, integer, string
from handlers import _door, _live, ingest
from metering.events import Event, winners
from metering.segments import unpack
from tests.handlers.street import Street, http_event

Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Deployment:
    """The street, how it is reached, and what is done to requests on the way.

    Attributes:
        before: sees each request first, by its number, and may answer it instead, or raise to cut the connection.
        after: sees each answer, and may raise to lose it.
        requests: the headers of each, and its path.
    """

    street: Street
    url: str = ""
    before: Callable[[int], Answer | None] = lambda _: None
    after: Callable[[int], None] = lambda _: None
    requests: list[dict[str, str]] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)

    def answer(self, number: int, headers: dict[str, str], body: bytes) -> Answer:
        instead = self.before(number)
        if instead:
            return instead
        packed = {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}
        with self.lock:
            told = ingest.handler(http_event("POST", "/v1/events", headers=headers) | packed, None)
        self.after(number)
        return told["statusCode"], told["headers"], told["body"].encode()

    def events(self) -> list[Event]:
        """Every event that is stored, once."""
        items = self.street.items("Events", "usage")
        return winners(
            event
            for item in items
            for event in unpack(string(item, "pk"), integer(item, "minute"), binary(item, "data"))
        )[0]


@pytest.fixture
def deployment(monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    street = Street()
    monkeypatch.setattr(_door.metrics.provider, "namespace", "Taximeter")
    monkeypatch.setattr(_live, "live", street)
    street.prepare()
    made = Deployment(street)

    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # or each answer waits for the acknowledgement of its headers

        def do_POST(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers["content-length"]))
            with made.lock:
                made.requests.append(headers | {"path": self.path})
                number = len(made.requests)
            try:
                status, more, told = made.answer(number, headers, body)
            except ConnectionError:
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in {**more, "content-length": str(len(told))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, format: str, *_: Any) -> None:  # noqa: A002 - the library's own name
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    made.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield made
    server.shutdown()
    thread.join()
    server.server_close()
