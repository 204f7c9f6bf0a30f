"""The API of a street behind a real HTTP server, and the command that is pointed at it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from typer.testing import CliRunner

from handlers import _door, _live, api
from taximeter.command import main
from tests.handlers.street import Street, http_event


@dataclass
class Service:
    """A deployment.

    Attributes:
        asked: every request, as method and path.
        scopes: what the key may do; None for a key that the gateway does not know.
    """

    street: Street
    url: str = ""
    asked: list[str] = field(default_factory=list)
    scopes: str | None = "admin"

    def run(self, *words: str, stdin: str | None = None) -> Any:
        """Run the command; the result has exit_code, stdout and stderr."""
        environment = {"TAXIMETER_URL": self.url, "TAXIMETER_API_KEY": "tx_key"}
        return CliRunner().invoke(main, list(words), env=environment, input=stdin)

    def told(self, *words: str) -> Any:
        """Run the command with --json, and have it succeed."""
        done = self.run(*words, "--json")
        assert done.exit_code == 0, done.stderr
        return json.loads(done.stdout)

    def answer(self, method: str, target: str, body: bytes) -> tuple[int, str]:
        parts = urlsplit(target)
        self.asked.append(f"{method} {parts.path}")
        if self.scopes is None:
            return 403, '{"message": "Forbidden"}'
        query = dict(parse_qsl(parts.query))
        event = http_event(method, parts.path, body.decode() or None, scopes=self.scopes, query=query)
        answer = api.handler(event, None)
        return answer["statusCode"], answer.get("body") or ""


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    street = Street()
    monkeypatch.setattr(_door.metrics.provider, "namespace", "Taximeter")
    monkeypatch.setattr(_live, "live", street)
    made = Service(street)

    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # or each answer waits for the acknowledgement of its headers

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            status, told = made.answer(self.command, self.path, body)
            self.send_response(status)
            self.send_header("content-length", str(len(told.encode())))
            self.end_headers()
            self.wfile.write(told.encode())

        do_GET = do_PATCH = do_PUT = do_POST = _answer  # noqa: N815 - the library's own names

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
