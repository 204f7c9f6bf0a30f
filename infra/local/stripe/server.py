"""The stand-in on a port of the loopback interface."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from . import control, pages
from .application import Application
from .wire import Answer, Request

_MOST_BYTES = 4_000_000


class Server(ThreadingHTTPServer):
    """Serves one application; each connection has a thread of its own."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.application = Application(self.url)

    def answer(self, request: Request) -> Answer | None:
        """Returns the answer to any request, or None when the connection is to be dropped."""
        if request.path.startswith("/_control"):
            return control.handle(self.application, request)
        if request.path.startswith("/v1/"):
            return self.application.handle(request)
        return pages.handle(self.application, request)

    def server_close(self) -> None:
        """Closes the port, and ends the deliveries of webhooks."""
        super().server_close()
        self.application.courier.close()

    def handle_error(self, request: object, client_address: object) -> None:
        """Stays silent about clients that went away."""


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if length > _MOST_BYTES:
            self.close_connection = True
            return self._send(Answer(413, b"{}"))
        target = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(length).decode("utf-8", "replace")
        done = self.server.answer(Request(self.command, target.path, target.query, headers, body))
        if done is None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return None
        return self._send(done)

    def _send(self, done: Answer) -> None:
        self.send_response(done.status)
        for name, value in done.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", done.content_type)
        self.send_header("Content-Length", str(len(done.body)))
        self.end_headers()
        self.wfile.write(done.body)

    do_GET = do_POST = do_DELETE = _serve  # noqa: N815 - the names that http.server calls

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that http.server gives it
        """Keeps the console quiet; ``/_control/requests`` has the calls."""


@contextmanager
def running(port: int = 0) -> Iterator[Server]:
    """Yields a server that answers until the block ends; port 0 takes a free one."""
    server = Server(port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
