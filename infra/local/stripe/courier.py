"""Webhooks: events, signed and delivered in the background."""

from __future__ import annotations

import http.client
import json
import queue
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, replace

from stripe import WebhookSignature

from .account import Account
from .faults import Plan, WebhookFault
from .problems import Json

_BACK_OFF_SECONDS = (0.5, 1, 2, 4, 8, 16)
_TIMEOUT_SECONDS = 30


@dataclass(frozen=True, slots=True, eq=False)
class Delivery:
    """One event on its way to one endpoint, for the nth time; equal to nothing but itself.

    Attributes:
        event: as the account keeps it, so that it knows when it was delivered.
        body: as it was when it happened.
        is_extra: whether it is delivered again although it arrived.
    """

    event: Json
    url: str
    secret: str
    body: str
    attempt: int = 0
    is_extra: bool = False

    def signature(self) -> str:
        """Returns the header that proves where it comes from.

        The time in it is the machine's, whatever the account's clock says, since receivers hold it against theirs.
        """
        return str(WebhookSignature.generate_signature_header(self.body, self.secret, int(time.time())))


class Courier:
    """Delivers events without ever making the API wait; a failed delivery is tried again a few times.

    Several run at once, so events arrive in any order, as Stripe's do. Without workers nothing is sent anywhere:
    whoever runs the account in a process of their own takes what is to be delivered.
    """

    def __init__(self, workers: int = 4) -> None:
        self._waiting: queue.SimpleQueue[Delivery | None] = queue.SimpleQueue()
        self._flowing = threading.Event()
        self._flowing.set()
        self._lock = threading.RLock()
        self._held: list[tuple[Delivery, int]] = []
        self.faults: Plan[WebhookFault] = Plan()
        self.undelivered: set[Delivery] = set()
        self.dropped = 0
        self.log: list[Json] = []
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
        """Drops what is undelivered, what is planned, and the log."""
        with self._lock:
            self.undelivered.clear()
            self.faults.planned.clear()
            self._held.clear()
            self.dropped = 0
            self.log.clear()

    def clear_faults(self) -> None:
        """Plans nothing any more, and lets go what was held back until others are delivered."""
        with self._lock:
            self.faults.planned.clear()
            held, self._held = self._held, []
        for delivery, _ in held:
            self._waiting.put(delivery)

    def collect(self, account: Account) -> None:
        """Takes the account's unsent events, a delivery for each endpoint that wants one."""
        for identifier in account.unsent:
            event = account.objects[identifier]
            for endpoint in account.endpoints(event["type"]):
                body, secret = json.dumps(account.event(identifier), indent=2), account.secrets[endpoint["id"]]
                self._send(account, Delivery(event, endpoint["url"], secret, body))
        account.unsent.clear()

    def _send(self, account: Account, delivery: Delivery) -> None:
        with self._lock:
            fault = self.faults.take(lambda each: each.matches(delivery.event["type"]))
            if fault and fault.drop:
                self.dropped += 1
                return
            self.undelivered.add(delivery)
            extras = [replace(delivery, is_extra=True) for _ in range(fault.repeat if fault else 0)]
            self.undelivered.update(extras)
            if fault and fault.behind:
                self._held += [(each, fault.behind) for each in (delivery, *extras)]
                return
        for each in (delivery, *extras):
            self._send_later(account, each, fault.delay_seconds if fault else 0)

    def _send_later(self, account: Account, delivery: Delivery, delay_seconds: float) -> None:
        """Sends a delivery after a while: of the machine's time, or of the account's where nobody delivers."""
        if not delay_seconds:
            self._waiting.put(delivery)
        elif self._workers:
            _after(delay_seconds, lambda: self._waiting.put(delivery))
        else:
            account.at(account.now_milliseconds() + int(delay_seconds * 1000), lambda: self._waiting.put(delivery))

    def take(self) -> list[Delivery]:
        """Returns what is to be delivered by now, in order, and counts it as delivered."""
        taken = []
        while not self.paused and not self._waiting.empty():
            delivery = self._waiting.get()
            if delivery in self.undelivered and delivery is not None:
                taken.append(delivery)
                self._settle(delivery, 200)
        return taken

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
            if retry:
                self.undelivered.add(again)
            self._settle(delivery, status)
        if retry:
            _after(_BACK_OFF_SECONDS[delivery.attempt], lambda: self._waiting.put(again))

    def _settle(self, delivery: Delivery, status: int) -> None:
        """Notes what became of a delivery, and lets go what waited for it."""
        with self._lock:
            self.undelivered.discard(delivery)
            told = {"event": delivery.event["id"], "type": delivery.event["type"], "url": delivery.url}
            self.log.append({**told, "attempt": delivery.attempt + 1, "status": status})
            if 200 <= status < 300 and not delivery.is_extra:
                delivery.event["pending_webhooks"] -= 1
            held = [(each, left - 1) for each, left in self._held]
            self._held = [(each, left) for each, left in held if left]
        for each, left in held:
            if not left:
                self._waiting.put(each)


def _after(delay_seconds: float, act: Callable[[], None]) -> None:
    timer = threading.Timer(delay_seconds, act)
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
    request = urllib.request.Request(  # noqa: S310 - the endpoint's URL was checked to be http(s)
        delivery.url,
        data=delivery.body.encode(),
        headers={
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": delivery.signature(),
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
