"""From a request to an answer: keys, versions, idempotency, faults, and the account behind them."""

from __future__ import annotations

import base64
import binascii
import json
import re
import secrets
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from . import contract, form, parameters
from .account import API_VERSION, NOBODY, Account
from .courier import Courier
from .faults import Fault, Plan
from .idempotency import Keys
from .limits import Gate
from .listing import expand
from .problems import Json, Problem, invalid
from .resources import (
    balances,
    charges,
    checkout,
    checkout_items,
    customers,
    disputes,
    events,
    invoice_collection,
    invoice_lines,
    invoice_payments,
    invoices,
    payment_intents,
    payment_methods,
    refunds,
    setup_intents,
)
from .routes import Route, find
from .wire import Answer, Request, answer, refusal

ROUTES = [
    *customers.ROUTES,
    *balances.ROUTES,
    *payment_methods.ROUTES,
    *payment_intents.ROUTES,
    *charges.ROUTES,
    *refunds.ROUTES,
    *disputes.ROUTES,
    *invoices.ROUTES,
    *invoice_lines.ROUTES,
    *invoice_collection.ROUTES,
    *invoice_payments.ROUTES,
    *events.ROUTES,
    *checkout.ROUTES,
    *checkout_items.ROUTES,
    *setup_intents.ROUTES,
]
_NEVER_KEPT = {409, 429}
_MOST_REQUESTS = 250_000


@dataclass(slots=True)
class Call:
    """One request on its way through.

    Attributes:
        identifier: as ``Request-Id`` names it.
        at_milliseconds: when it came, by the account's clock.
        patience_seconds: how long its caller waits for the answer; None when time passes for real.
        endpoint: what its route is called, once that is known.
    """

    request: Request
    identifier: str
    fault: Fault | None
    at_milliseconds: int
    patience_seconds: float | None
    endpoint: str = ""

    @property
    def key(self) -> str | None:
        """Its idempotency key; only those of POST count."""
        return self.request.headers.get("idempotency-key") if self.request.method == "POST" else None


class Application:
    """The API. One lock around the account makes each call whole."""

    def __init__(self, url: str, clock: Callable[[], float] = time.time, courier: Courier | None = None) -> None:
        self.lock = threading.RLock()
        self.clock = clock
        self.courier = courier or Courier()
        self.requests: deque[Json] = deque(maxlen=_MOST_REQUESTS)
        self.reset(url)

    def reset(self, url: str) -> None:
        """Starts over with an empty account."""
        self.account = Account(url=url, clock=self.clock)
        self.keys = Keys()
        self.faults: Plan[Fault] = Plan()
        self.gate = Gate()
        self.requests.clear()
        self.courier.forget()

    def handle(self, request: Request, patience_seconds: float | None = None) -> Answer | None:
        """Returns the answer, or None when there is none: the connection is dropped, or nobody waits any more.

        Args:
            request: what is asked.
            patience_seconds: how long the caller waits. With it nothing ever sleeps: a longer delay loses the answer
                at once, and a request that was delayed on its way is carried out once the account's clock comes to it.
        """
        with self.lock:
            self.catch_up()
            fault = self.faults.take(lambda each: each.matches(request))
            identifier = f"req_{secrets.token_hex(7)}"
            call = Call(request, identifier, fault, self.account.now_milliseconds(), patience_seconds)
        try:
            done = self._answered(call)
        except Problem as problem:
            done = _refused(problem)
        done = self._delivered(call, done)
        self._record(call, done)
        if done is None:
            return None
        headers = {"Request-Id": identifier, "Stripe-Version": API_VERSION, **done.headers}
        return replace(done, headers=headers)

    def catch_up(self) -> None:
        """Lets happen what was to happen by now on the account's clock."""
        with self.lock:
            self.account.let_time_pass()
            self.courier.collect(self.account)

    def _answered(self, call: Call) -> Answer | None:
        """Carries a request out at most once under its idempotency key."""
        _check_key(call.request)
        route, ids = find(ROUTES, call.request.method, call.request.path)
        call.endpoint = route.name
        with self.lock:
            self.gate.enter(route.name, call.at_milliseconds)
        refused = call.fault.refusal() if call.fault else None
        if call.fault and call.fault.leaves_no_trace:
            self._wait(call, call.fault.delay_seconds)
            return _refused(refused) if refused else None
        act = self._prepared(call.request, route, ids)
        known = self._begun(call)
        if known is not None:
            return _refused(refused) if refused else known
        if call.fault and self._outlasts(call, call.fault.delay_seconds):
            late = call.at_milliseconds + int(call.fault.delay_seconds * 1000)
            with self.lock:
                self.account.at(late, lambda: self._completed(call, act))
            return None
        if call.fault:
            self._wait(call, call.fault.delay_seconds)
        return self._completed(call, act)

    def _prepared(self, request: Request, route: Route, ids: tuple[str, ...]) -> Callable[[], Json]:
        """Returns what carries the request out; raises what is wrong with it before that."""
        given = form.decode(request.body if request.method == "POST" else request.query)
        params = parameters.parse(route.parameters, given)
        route.check(params)

        def act() -> Json:
            result = route.action(self.account, params, *ids)
            return expand(self.account, result, params.get("expand", []))

        return act

    def _begun(self, call: Call) -> Answer | None:
        """Reserves the key of a call, or returns what was answered under it before."""
        if call.key is None:
            return None
        with self.lock:
            asked = json.dumps([call.request.path, form.decode(call.request.body)], sort_keys=True)
            return self.keys.begin(call.key, asked, self.account.now())

    def _completed(self, call: Call, act: Callable[[], Json]) -> Answer:
        """Carries the call out unless a fault prevents it, and keeps what there is to answer under its key."""
        refused = call.fault.refusal() if call.fault else None
        with self.lock:
            if refused is None:
                return self._kept(call, self._result(call, act))
            if call.fault and call.fault.carries_out:
                self._result(call, act)
            return self._kept(call, _refused(refused))

    def _kept(self, call: Call, done: Answer) -> Answer:
        """Keeps an answer under the key of its call, if it has one and answers of its kind are kept."""
        if call.key is None:
            return done
        if done.status in _NEVER_KEPT or not (call.fault is None or call.fault.kept or done.status < 500):
            self.keys.abandon(call.key)
            return done
        done = replace(done, headers={**done.headers, "Idempotency-Key": call.key, "Original-Request": call.identifier})
        self.keys.finish(call.key, done)
        return done

    def _result(self, call: Call, act: Callable[[], Json]) -> Answer:
        """Carries the call out, and holds its result against the package's classes."""
        with self.lock:
            self.account.origin = {"id": call.identifier, "idempotency_key": call.key} if call.key else dict(NOBODY)
            try:
                result = act()
            except Problem as problem:
                return _refused(problem)
            except Exception:  # noqa: BLE001 - a fault of the stand-in itself must reach its user as an answer
                text = f"The stand-in failed: {traceback.format_exc()}"
                return _refused(Problem(500, "api_error", text))
            finally:
                self.courier.collect(self.account)
            wrong = contract.differences(result)
            if wrong:
                text = f"The stand-in answered what Stripe would not: {wrong}"
                return _refused(Problem(500, "api_error", text))
            return answer(200, result)

    def _delivered(self, call: Call, done: Answer | None) -> Answer | None:
        """Returns the answer unless a fault loses it on its way, or its caller went away before."""
        fault = call.fault
        if fault is None or done is None:
            return done
        if fault.drop or self._outlasts(call, fault.delay_seconds + fault.answer_delay_seconds):
            return None
        self._wait(call, fault.answer_delay_seconds)
        return done

    def _outlasts(self, call: Call, delay_seconds: float) -> bool:
        return call.patience_seconds is not None and delay_seconds >= call.patience_seconds

    def _wait(self, call: Call, delay_seconds: float) -> None:
        if call.patience_seconds is None and delay_seconds:
            time.sleep(delay_seconds)

    def _record(self, call: Call, done: Answer | None) -> None:
        self.requests.append(
            {
                "id": call.identifier,
                "at_milliseconds": call.at_milliseconds,
                "method": call.request.method,
                "path": call.request.path,
                "endpoint": call.endpoint,
                "idempotency_key": call.request.headers.get("idempotency-key"),
                "status": done.status if done else None,
                "replayed": done is not None and "Idempotent-Replayed" in done.headers,
            }
        )


def _refused(problem: Problem) -> Answer:
    """Returns an error as an answer, unless Stripe knows no such error."""
    wrong = contract.of_error(problem.error)
    if wrong:
        problem = Problem(500, "api_error", f"The stand-in answered an error that Stripe would not: {wrong}")
    return refusal(problem)


def _check_key(request: Request) -> None:
    """Raises a 401 without a test key and a 400 for another version of the API."""
    key = _api_key(request.headers.get("authorization", ""))
    if re.fullmatch(r"(sk|rk)_test_[\w-]+", key) is None:
        text = "You did not provide a test API key (sk_test_… or rk_test_…)."
        raise Problem(401, "invalid_request_error", text)
    version = request.headers.get("stripe-version", API_VERSION)
    if version != API_VERSION:
        raise invalid(f"This stand-in speaks only {API_VERSION}, not {version}.")


def _api_key(authorization: str) -> str:
    scheme, _, value = authorization.partition(" ")
    if scheme == "Basic":
        try:
            value = base64.b64decode(value).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return value.strip()
