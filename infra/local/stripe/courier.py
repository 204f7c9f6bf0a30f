"""Webhooks: events, signed and delivered in the background."""

from __future__ import annotations

import http.client
import json
import queue
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, replace

from stripe import WebhookSignature

from .account import Account

_BACK_OFF_SECONDS = (0.5, 1, 2, 4, 8, 16)
_TIMEOUT_SECONDS = 30


@dataclass(frozen=True, slots=True, eq=False)
class Delivery:
    """One event on its way to one endpoint, for the nth time; equal to nothing but itself."""

    event: str
    kind: str
    url: str
    secret: str
    body: str
    attempt: int = 0


class Courier:
    """Delivers events without ever making the API wait; a failed delivery is tried again a few times.

    Several run at once, so events arrive in any order, as Stripe's do. The time in a signature is the machine's,
    whatever the account's clock says, since receivers hold it against theirs.
    """

    def __init__(self, workers: int = 4) -> None:
        self._waiting: queue.Queue[Delivery | None] = queue.Queue()
        self._flowing = threading.Event()
        self._flowing.set()
        self._lock = threading.Lock()
        self.undelivered: set[Delivery] = set()
        self.log: list[dict[str, object]] = []
        self._workers = [threading.Thread(target=self._work, daemon=True) for _ in range(workers)]
        for worker in self._workers:
            worker.start()

    def close(self) -> None:
        """Lets the workers end; what is undelivered stays so."""
        self.forget()
        self.pause(paused=False)
        for _ in self._workers:
            self._waiting.put(None)

    @property
    def paused(self) -> bool:
        """Whether deliveries wait."""
        return not self._flowing.is_set()

    def pause(self, *, paused: bool) -> None:
        """Holds all deliveries back, or lets them go."""
        (self._flowing.clear if paused else self._flowing.set)()

    def forget(self) -> None:
        """Drops what is undelivered, and the log."""
        with self._lock:
            self.undelivered.clear()
            self.log.clear()

    def collect(self, account: Account) -> None:
        """Takes the account's unsent events, a delivery for each endpoint that wants one."""
        for identifier in account.unsent:
            event = account.objects[identifier]
            for endpoint in account.endpoints(event["type"]):
                body = json.dumps(event, indent=2)
                secret = account.secrets[endpoint["id"]]
                self._send(Delivery(identifier, event["type"], endpoint["url"], secret, body))
        account.unsent.clear()

    def _send(self, delivery: Delivery) -> None:
        with self._lock:
            self.undelivered.add(delivery)
        self._waiting.put(delivery)

    def _work(self) -> None:
        while (delivery := self._waiting.get()) is not None:
            self._flowing.wait()
            if delivery in self.undelivered:
                self._deliver(delivery)

    def _deliver(self, delivery: Delivery) -> None:
        status = _post(delivery)
        again = replace(delivery, attempt=delivery.attempt + 1)
        retry = not 200 <= status < 300 and delivery.attempt < len(_BACK_OFF_SECONDS)
        with self._lock:
            if delivery not in self.undelivered:
                return
            self.undelivered.remove(delivery)
            told = {"event": delivery.event, "type": delivery.kind, "url": delivery.url}
            self.log.append({**told, "attempt": again.attempt, "status": status})
            if retry:
                self.undelivered.add(again)
        if retry:
            timer = threading.Timer(_BACK_OFF_SECONDS[delivery.attempt], self._waiting.put, args=[again])
            timer.daemon = True
            timer.start()


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Takes a redirect for the failure that it is to Stripe."""

    def redirect_request(self, *_: object) -> None:
        """Follows nothing."""


# Endpoints are on this machine: no proxy of its environment knows them.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)


def _post(delivery: Delivery) -> int:
    """Posts a delivery and returns the status of its answer, 0 when there is none."""
    signature = WebhookSignature.generate_signature_header(delivery.body, delivery.secret, int(time.time()))
    request = urllib.request.Request(  # noqa: S310 - the endpoint's URL was checked to be http(s)
        delivery.url,
        data=delivery.body.encode(),
        headers={
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": signature,
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        },
    )
    try:
        with _opener.open(request, timeout=_TIMEOUT_SECONDS) as answered:
            return int(answered.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except (OSError, ValueError, http.client.HTTPException):
        return 0
