"""Posting to URLs that users gave: what is refused, where the connection goes, and that nobody holds it up."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from adapters.webhooks import Webhooks
from billing.deliveries import Answer, Failure
from metering.errors import Invalid, Unavailable
from tests.adapters.certificates import serving

PUBLIC = "93.184.215.14"
HEADERS = {"webhook-id": "msg_1"}


@dataclass
class Lookup:
    """A resolver that answers from a list, one answer after the other; the last one again and again."""

    answers: list[list[str] | Exception]
    asked: list[str] = field(default_factory=list)

    def __call__(self, host: str, port: int, **_: Any) -> list[Any]:
        self.asked.append(host)
        answer = self.answers[min(len(self.asked), len(self.answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return [(None, None, None, "", (address, port)) for address in answer]


def lookup(*addresses: str) -> Lookup:
    return Lookup([list(addresses)])


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "https://example.com/hooks?token=1&b=%20",
        "HTTPS://Example.COM./",
        "https://example.com:443/",
        "https://example.com:8443/",
        "https://xn--bcher-kva.example/",
        f"https://{PUBLIC}/",
        "https://[2606:4700:4700::1111]/",
        "https://[2606:4700:4700::1111]:4443/in",
    ],
)
def test_a_url_at_a_public_address_may_be_called(url: str) -> None:
    Webhooks(resolve=lookup(PUBLIC)).check(url)


REFUSED_UNSEEN = [
    *("", "example.com", "//example.com/", "/hooks", "https://", "https:///hooks", "https://:443/", "mailto:a@b.c"),
    *("http://example.com/", "ftp://example.com/", "data:text/plain,1", "gopher://example.com/", "javascript:1"),
    *("https://user@example.com/", "https://user:secret@example.com/", "https://@example.com/"),
    *("https://example.com@10.0.0.1/", "https://example.com\\@10.0.0.1/", "https://10.0.0.1\\.example.com/"),
    *("https://example.com/#part", "https://example.com#", "https://example.com/a b", "https://example.com/\n"),
    *("https://exa mple.com/", "https://example.com/ü", "https://bücher.example/", "https://example.com\t/"),
    *("https://[fe80::1%25eth0]/", "https://[::1", "https://::1/", "https://%31%30.0.0.1/", 'https://exa"mple.com/'),
    *("https://example.com:99999/", "https://example.com:x/", "https://example.com:-1/", "https://example.com:0/"),
    *("https://example.com:22/", "https://example.com:25/", "https://example.com:80/", "https://example.com:1023/"),
]


@pytest.mark.parametrize("url", REFUSED_UNSEEN)
def test_what_is_no_such_url_is_refused_before_its_name_is_looked_up(url: str) -> None:
    resolve = lookup(PUBLIC)
    with pytest.raises(Invalid) as refused:
        Webhooks(resolve=resolve).check(url)
    assert resolve.asked == []
    assert "secret" not in refused.value.detail


ELSEWHERE = [
    *("https://localhost/", "https://127.0.0.1/", "https://127.1/", "https://0/"),
    *("https://2130706433/", "https://017700000001/", "https://0177.0.0.1/", "https://0x7f.1/", "https://0x7f000001/"),
    *("https://2852039166/", "https://0xa9fea9fe/", "https://169.254.169.254/latest/meta-data/", "https://10.1.2.3/"),
    *("https://192.168.1.1:8443/", "https://172.16.0.1/", "https://100.64.1.1/", "https://0.0.0.0/"),
    *("https://[::1]/", "https://[::]/", "https://[fd00::1]/", "https://[fe80::1]/", "https://[::ffff:10.0.0.1]/"),
    *("https://[::ffff:a00:1]/", "https://[64:ff9b::a00:1]/", "https://[2002:a00:1::]/", "https://[::127.0.0.1]/"),
]


@pytest.mark.parametrize("url", ELSEWHERE)
def test_a_host_that_is_not_public_is_refused_however_it_is_written(url: str) -> None:
    # By the machine's own resolver, which reads every odd way of writing an address as a browser would.
    with pytest.raises(Invalid):
        Webhooks().check(url)


@pytest.mark.parametrize(
    "addresses",
    [
        ["10.0.0.1"],
        [PUBLIC, "10.0.0.1"],
        ["10.0.0.1", PUBLIC],
        [PUBLIC, "2606:4700:4700::1111", "fd00::1"],
        ["169.254.169.254"],
        ["::ffff:169.254.169.254"],
        ["fe80::1%eth0"],
        [],
    ],
)
def test_every_address_of_a_name_must_be_public(addresses: list[str]) -> None:
    sender = Webhooks(resolve=lookup(*addresses))
    with pytest.raises(Invalid):
        sender.check("https://example.com/")
    assert sender.post("https://example.com/", HEADERS, "{}") == Answer(None, "address_refused")


@pytest.mark.parametrize(
    ("failure", "error", "reason"),
    [
        (socket.gaierror(socket.EAI_NONAME, "unknown"), Invalid, "address_refused"),
        (socket.gaierror(socket.EAI_AGAIN, "not now"), Unavailable, "host_unknown"),
        (UnicodeError("label too long"), Invalid, "address_refused"),
    ],
)
def test_a_name_that_cannot_be_looked_up_is_refused_or_asked_again(
    failure: Exception, error: type[Exception], reason: str
) -> None:
    sender = Webhooks(resolve=Lookup([failure]))
    with pytest.raises(error):
        sender.check("https://example.com/")
    assert sender.post("https://example.com/", HEADERS, "{}").reason == reason


Talk = Callable[[socket.socket], None]


@dataclass
class Server:
    """A server on loopback that says what it is told to, and keeps what it heard."""

    port: int
    heard: list[bytes] = field(default_factory=list)
    names: list[str | None] = field(default_factory=list)
    connections: int = 0


def says(answer: bytes) -> Talk:
    return lambda connection: connection.sendall(answer)


def answers(status: str, *headers: str) -> Talk:
    return says("\r\n".join([f"HTTP/1.1 {status}", "content-length: 2", *headers, "", "ok"]).encode())


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Starts servers."""
    doors: list[tuple[socket.socket, threading.Thread]] = []

    def start(talk: Talk, context: ssl.SSLContext | None = None) -> Server:
        door = socket.create_server(("127.0.0.1", 0))
        server = Server(door.getsockname()[1])
        if context:
            context.sni_callback = lambda _connection, name, _context: server.names.append(name)

        def run() -> None:
            while True:
                try:
                    connection, _ = door.accept()
                except OSError:
                    return
                server.connections += 1
                with closing(connection):
                    _talk(connection, server, talk, context)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        doors.append((door, thread))
        return server

    yield start
    for door, thread in doors:
        door.shutdown(socket.SHUT_RDWR)
        door.close()
        thread.join(10)


def _talk(plain: socket.socket, server: Server, talk: Talk, context: ssl.SSLContext | None) -> None:
    try:
        connection = context.wrap_socket(plain, server_side=True) if context else plain
        heard = b""
        while b"\r\n\r\n" not in heard or not heard.endswith(b"}"):
            part = connection.recv(65_536)
            if not part:
                return
            heard += part
        server.heard.append(heard)
        talk(connection)
        if context:
            connection.close()
    except OSError:
        return  # the other side has gone


def local(resolve: Lookup | None = None, **more: Any) -> Webhooks:
    return Webhooks(loopback=True, resolve=resolve or lookup("127.0.0.1"), **more)


def test_a_webhook_is_one_post_with_its_headers_and_its_body_to_the_byte(serve: Callable[..., Server]) -> None:
    server = serve(answers("204 No Content"))
    body = '{"type":"credit.granted","data":{"name":"ü"}}'
    assert local().post(f"http://hooks.example:{server.port}/in?token=1", HEADERS, body) == Answer(204)
    head, _, sent = server.heard[0].partition(b"\r\n\r\n")
    lines = head.decode().lower().split("\r\n")
    assert lines[0] == "post /in?token=1 http/1.1"
    assert f"host: hooks.example:{server.port}" in lines
    assert "webhook-id: msg_1" in lines
    assert "content-type: application/json" in lines
    assert f"content-length: {len(body.encode())}" in lines
    assert sent == body.encode()


def test_the_connection_is_made_to_the_very_address_that_was_looked_at(serve: Callable[..., Server]) -> None:
    server = serve(answers("200 OK"))
    rebinding = Lookup([["127.0.0.1"], ["169.254.169.254"]])
    assert local(rebinding).post(f"http://hooks.example:{server.port}/", HEADERS, "{}") == Answer(200)
    assert rebinding.asked == ["hooks.example"], "the name is looked up once"
    assert server.connections == 1


def test_nothing_but_our_own_resolver_is_asked(serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("looked up a second time")

    for name in ("getaddrinfo", "gethostbyname", "create_connection"):
        monkeypatch.setattr(socket, name, refuse)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    server = serve(answers("200 OK"))
    assert local().post(f"http://hooks.example:{server.port}/", HEADERS, "{}") == Answer(200)


def test_a_certificate_is_checked_for_the_name_although_the_address_is_called(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    mine, believing = serving(tmp_path, "hooks.example")
    server = serve(answers("200 OK"), mine)
    url = f"https://hooks.example:{server.port}/"
    assert local(context=believing).post(url, HEADERS, "{}") == Answer(200)
    assert server.names == ["hooks.example"], "the name is told, so that a server with many knows which is meant"
    others = f"https://other.example:{server.port}/"
    assert local(context=believing).post(others, HEADERS, "{}") == Answer(None, "certificate")
    assert local().post(url, HEADERS, "{}") == Answer(None, "certificate")
    assert len(server.heard) == 1, "nothing was sent to whom nobody believes"


def test_a_redirect_is_an_answer_and_not_followed(serve: Callable[..., Server]) -> None:
    server = serve(answers("307 Temporary Redirect", "location: http://127.0.0.1/"))
    answer = local().post(f"http://hooks.example:{server.port}/", HEADERS, "{}")
    assert (answer.status, answer.succeeded) == (307, False)
    assert server.connections == 1


@pytest.mark.parametrize(
    ("said", "seconds"), [("120", 120), ("0", 0), ("-5", 0), ("1" * 5_000, 0), ("Fri, 20 Nov 2026 16:00:00 GMT", 0)]
)
def test_how_long_a_server_wants_to_be_left_alone_is_told(
    serve: Callable[..., Server], said: str, seconds: int
) -> None:
    server = serve(answers("503 Service Unavailable", f"retry-after: {said}"))
    answer = local().post(f"http://hooks.example:{server.port}/", HEADERS, "{}")
    assert answer == Answer(503, None, seconds)


@pytest.mark.parametrize(
    ("talk", "reason"),
    [
        (says(b""), "connection"),
        (says(b"SSH-2.0-OpenSSH_9.2\r\n"), "not_http"),
        (says(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200 + b"\r\n"), "not_http"),
        (says(b"HTTP/1.1 " + b"2" * 70_000 + b"\r\n\r\n"), "not_http"),
    ],
)
def test_what_is_no_answer_is_told_in_a_word(serve: Callable[..., Server], talk: Talk, reason: Failure) -> None:
    server = serve(talk)
    assert local().post(f"http://hooks.example:{server.port}/", HEADERS, "{}") == Answer(None, reason)


def test_plain_words_where_tls_is_expected_are_told_in_a_word(serve: Callable[..., Server]) -> None:
    server = serve(answers("200 OK"))
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        thread = threading.Thread(target=lambda: other.accept()[0].sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
        thread.start()
        url = f"https://hooks.example:{other.getsockname()[1]}/"
        assert local().post(url, HEADERS, "{}") == Answer(None, "tls")
        thread.join()
    assert server.heard == []


def test_nobody_at_home_is_told_in_a_word() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as door:
        port = door.getsockname()[1]
    assert local().post(f"http://hooks.example:{port}/", HEADERS, "{}") == Answer(None, "connection")


def test_the_next_address_is_tried_when_one_takes_no_connection(serve: Callable[..., Server]) -> None:
    server = serve(answers("200 OK"))
    url = f"http://hooks.example:{server.port}/"
    assert local(lookup("::1", "127.0.0.2", "127.0.0.1")).post(url, HEADERS, "{}") == Answer(200)


@dataclass
class Dripping:
    """Says a byte now and then for as long as anybody listens."""

    first: bytes
    over: threading.Event = field(default_factory=threading.Event)

    def __call__(self, connection: socket.socket) -> None:
        connection.sendall(self.first)
        try:
            while True:
                connection.sendall(b"x")
                time.sleep(0.02)
        finally:
            self.over.set()


@pytest.mark.parametrize("first", [b"", b"HTTP/1.1 200 OK\r\nx: "])
def test_an_answer_that_drips_is_cut_when_its_time_is_over(serve: Callable[..., Server], first: bytes) -> None:
    dripping = Dripping(first)
    server = serve(dripping)
    answer = local(seconds=0.2).post(f"http://hooks.example:{server.port}/", HEADERS, "{}")
    assert answer == Answer(None, "timeout")
    assert dripping.over.wait(10), "the connection is closed"


def test_who_never_answers_is_not_waited_for_and_tls_makes_no_difference(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    mine, believing = serving(tmp_path, "hooks.example")
    over = threading.Event()
    server = serve(lambda connection: over.set() if connection.recv(1) == b"" else None, mine)
    sender = local(context=believing, seconds=0.2)
    assert sender.post(f"https://hooks.example:{server.port}/", HEADERS, "{}") == Answer(None, "timeout")
    assert over.wait(10)


def test_who_takes_a_connection_and_never_greets_is_not_waited_for() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as door:
        url = f"https://hooks.example:{door.getsockname()[1]}/"
        assert local(seconds=0.2).post(url, HEADERS, "{}") == Answer(None, "timeout")


def test_an_answer_without_end_is_an_answer_and_not_read_to_the_end(serve: Callable[..., Server]) -> None:
    dripping = Dripping(b"HTTP/1.1 200 OK\r\n\r\n")
    server = serve(dripping)
    assert local(seconds=0.2).post(f"http://hooks.example:{server.port}/", HEADERS, "{}") == Answer(200)
    assert dripping.over.wait(10)
    endless = serve(says(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 300_000))
    assert local().post(f"http://hooks.example:{endless.port}/", HEADERS, "{}") == Answer(200)


def test_an_answer_that_is_cut_short_has_arrived_all_the_same(serve: Callable[..., Server]) -> None:
    server = serve(says(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nx"))
    assert local().post(f"http://hooks.example:{server.port}/", HEADERS, "{}") == Answer(200)


def test_this_machine_may_be_called_on_the_local_cloud_alone_and_nothing_else_that_is_private() -> None:
    for url in ("http://127.0.0.1:80/", "http://localhost/", "https://[::1]:22/", "http://127.9.9.9/"):
        Webhooks(loopback=True).check(url)
        with pytest.raises(Invalid):
            Webhooks().check(url)
    for url in ("http://10.0.0.1/", "http://169.254.169.254/", "http://0.0.0.0/", "http://[::ffff:127.0.0.1]/"):
        with pytest.raises(Invalid):
            Webhooks(loopback=True).check(url)
