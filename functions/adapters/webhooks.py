"""Posting to URLs that users gave: only to addresses that are public, and to the very ones that were looked at.

The host's name is resolved here, once for each call; every address that it has must be public; and the connection is
made to one of those addresses, while TLS goes on checking the certificate for the name. So a name that means another
address a moment later gains nothing. No redirect is followed, no proxy is asked, and nobody holds us up for longer than
a call may take, however slowly an answer drips.
"""

import http.client
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from threading import Event, Timer
from typing import Any
from urllib.parse import SplitResult, urlsplit

from adapters.addresses import Address, address_of, is_public, is_this_machine
from billing.deliveries import Answer, Failure
from metering.errors import Invalid, Unavailable

_CONNECT_SECONDS, _CALL_SECONDS = 5.0, 15.0
_MOST_ADDRESSES = 3
_MOST_BYTES = 64 * 1024  # of an answer, which nobody looks at
_FIRST_PORT_OF_USERS = 1024

Resolve = Callable[..., list[Any]]


@dataclass(frozen=True, slots=True)
class Target:
    """Where a URL leads: nothing here has been resolved yet."""

    secure: bool
    host: str
    port: int
    path: str


class Webhooks:
    """Posts to users' servers.

    Args:
        loopback: on the local cloud alone: this machine itself is public enough, and may speak plain HTTP.
        resolve: as `socket.getaddrinfo`.
        context: whose certificates are believed; the system's authorities unless told.
        seconds: how long a call may take, once it is connected.
    """

    def __init__(
        self,
        *,
        loopback: bool = False,
        resolve: Resolve = socket.getaddrinfo,
        context: ssl.SSLContext | None = None,
        seconds: float = _CALL_SECONDS,
    ) -> None:
        self._loopback = loopback
        self._resolve = resolve
        self._context = context
        self._seconds = seconds

    def check(self, url: str) -> None:
        """Look at a URL as `post` would.

        Raises:
            Invalid: nothing would ever be sent there; says why.
            Unavailable: its name cannot be looked up at the moment.
        """
        self._addresses(self._target(url))

    def post(self, url: str, headers: Mapping[str, str], body: str) -> Answer:
        """Post a JSON body; whatever happens is an answer."""
        try:
            target = self._target(url)
            return self._call(target, self._addresses(target), headers, body)
        except Invalid:
            return Answer(None, "address_refused")
        except Unavailable:
            return Answer(None, "host_unknown")

    def _target(self, url: str) -> Target:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise Invalid("must be a URL such as https://example.com/hooks") from None
        self._look_over(url, parts)
        secure = parts.scheme == "https"
        default = 443 if secure else 80
        if port is not None and port != default and port < _FIRST_PORT_OF_USERS and not self._loopback:
            raise Invalid(f"a port other than {default} must be {_FIRST_PORT_OF_USERS} or above")
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return Target(secure, parts.hostname or "", default if port is None else port, path)

    def _look_over(self, url: str, parts: SplitResult) -> None:
        schemes = ("https", "http") if self._loopback else ("https",)
        if parts.scheme not in schemes or not parts.hostname:
            raise Invalid("must be a URL such as https://example.com/hooks")
        if not all("!" <= letter <= "~" for letter in url) or set('\\^`{|}<>"%') & set(parts.netloc):
            raise Invalid("must be written in ASCII without blanks: percent-encode the path, and names as xn--…")
        if "@" in parts.netloc:
            raise Invalid("must have no user and no password: every webhook is signed")
        if "#" in url:
            raise Invalid("must have no fragment: it would not be sent")

    def _addresses(self, target: Target) -> list[Address]:
        """What a host's name means now, all of which may be reached."""
        try:
            found = self._resolve(target.host, target.port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
        except (socket.gaierror, UnicodeError) as error:
            if getattr(error, "errno", None) == socket.EAI_AGAIN:
                raise Unavailable("the host's name cannot be looked up at the moment") from None
            raise Invalid("the host has no address") from None
        addresses = list(dict.fromkeys(address_of(str(each[4][0])) for each in found))
        if not addresses or not all(self._may_reach(address) for address in addresses):
            raise Invalid("the host must have public addresses alone: none that is private, local or reserved")
        return addresses

    def _may_reach(self, address: Address) -> bool:
        return is_public(address) or (self._loopback and is_this_machine(address))

    def _call(self, target: Target, addresses: list[Address], headers: Mapping[str, str], body: str) -> Answer:
        late = Event()
        try:
            with _connected(addresses, target.port) as plain, _ending(plain, self._seconds, late):
                return self._exchange(target, plain, headers, body, late)
        except (OSError, http.client.HTTPException) as error:
            return Answer(None, "timeout" if late.is_set() else _reason(error))

    def _exchange(
        self, target: Target, plain: socket.socket, headers: Mapping[str, str], body: str, late: Event
    ) -> Answer:
        said = {"content-type": "application/json", "user-agent": "Taximeter", "connection": "close", **headers}
        connection = self._spoken_to(target, plain)
        connection.auto_open = 0  # never to an address that was not looked at
        try:
            connection.request("POST", target.path, body.encode(), said)
            response = connection.getresponse()
            if late.is_set():
                raise TimeoutError  # its headers end where they were cut
            with suppress(OSError, http.client.HTTPException):  # that it arrived is known already
                response.read(_MOST_BYTES)
            return Answer(response.status, retry_after_seconds=_seconds(response.getheader("retry-after")))
        finally:
            connection.close()

    def _spoken_to(self, target: Target, plain: socket.socket) -> http.client.HTTPConnection:
        """HTTP on a connection that is there already; over TLS, if so, with the certificate checked for the name."""
        connection: http.client.HTTPConnection
        if target.secure:
            context = self._context or _system_context()
            connection = http.client.HTTPSConnection(target.host, target.port, context=context)
            connection.sock = context.wrap_socket(plain, server_hostname=target.host)
        else:
            connection = http.client.HTTPConnection(target.host, target.port)
            connection.sock = plain
        return connection


@cache
def _system_context() -> ssl.SSLContext:
    return ssl.create_default_context()


@contextmanager
def _connected(addresses: list[Address], port: int) -> Iterator[socket.socket]:
    """A connection to the first of the addresses that takes one; IPv4 before, which a function always has."""
    failed = OSError("there is no address")
    for address in sorted(addresses, key=lambda each: each.version)[:_MOST_ADDRESSES]:
        made = socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6, socket.SOCK_STREAM)
        try:
            made.settimeout(_CONNECT_SECONDS)
            made.connect((str(address), port))
        except OSError as error:
            made.close()
            failed = error
            continue
        with made:
            yield made
            return
    raise failed


@contextmanager
def _ending(plain: socket.socket, seconds: float, late: Event) -> Iterator[None]:
    """Cut a connection after a time, whoever waits for it and however often something came meanwhile."""
    plain.settimeout(seconds)
    other = plain.dup()  # TLS takes the first one over; this one stays ours

    def cut() -> None:
        late.set()
        with suppress(OSError):  # it was over at this very moment
            other.shutdown(socket.SHUT_RDWR)

    timer = Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        other.close()


def _reason(error: Exception) -> Failure:
    """Why there was no answer, in a word that stays the same."""
    match error:
        case TimeoutError():
            return "timeout"
        case ssl.SSLCertVerificationError():
            return "certificate"
        case ssl.SSLError():
            return "tls"
        case OSError():
            return "connection"
        case _:
            return "not_http"


def _seconds(said: str | None) -> int:
    """What `retry-after` asks for, if it is a number of seconds."""
    return int(said) if said and said.isascii() and said.isdigit() and len(said) <= 6 else 0
