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
from dataclasses import replace

from . import contract, form, parameters
from .account import API_VERSION, Account
from .courier import Courier
from .faults import Fault, Faults
from .idempotency import Keys
from .listing import expand
from .problems import Json, Problem, invalid
from .resources import (
    charges,
    checkout,
    customers,
    events,
    invoice_collection,
    invoice_lines,
    invoice_payments,
    invoices,
    payment_intents,
    payment_methods,
    refunds,
)
from .routes import find
from .wire import Answer, Request, answer, refusal

ROUTES = [
    *customers.ROUTES,
    *payment_methods.ROUTES,
    *payment_intents.ROUTES,
    *charges.ROUTES,
    *refunds.ROUTES,
    *invoices.ROUTES,
    *invoice_lines.ROUTES,
    *invoice_collection.ROUTES,
    *invoice_payments.ROUTES,
    *events.ROUTES,
    *checkout.ROUTES,
]
_NEVER_KEPT = {409, 429}


class Application:
    """The API. One lock around the account makes each call whole."""

    def __init__(self, url: str) -> None:
        self.lock = threading.RLock()
        self.courier = Courier()
        self.requests: deque[Json] = deque(maxlen=100_000)
        self.reset(url)

    def reset(self, url: str) -> None:
        """Starts over with an empty account."""
        self.account = Account(url=url)
        self.keys = Keys()
        self.faults = Faults()
        self.requests.clear()
        self.courier.forget()

    def handle(self, request: Request) -> Answer | None:
        """Returns the answer, or None when the connection is to be dropped."""
        identifier = f"req_{secrets.token_hex(7)}"
        with self.lock:
            fault = self.faults.take(request)
        try:
            done = self._keyed(request, identifier, fault)
        except Problem as problem:
            done = refusal(problem)
        self._record(request, done, fault)
        if fault and fault.drop:
            return None
        headers = {"Request-Id": identifier, "Stripe-Version": API_VERSION, **done.headers}
        return replace(done, headers=headers)

    def _keyed(self, request: Request, identifier: str, fault: Fault | None) -> Answer:
        """Carries a request out at most once under its idempotency key."""
        _check_key(request)
        act = self._prepared(request)
        key = request.headers.get("idempotency-key") if request.method == "POST" else None
        if key is None:
            return self._carried_out(act, fault)
        with self.lock:
            asked = json.dumps([request.path, form.decode(request.body)], sort_keys=True)
            known = self.keys.begin(key, asked, self.account.now())
            if known is not None:
                return known
        origin: Json = {"id": identifier, "idempotency_key": key}
        done = self._carried_out(act, fault, origin)
        with self.lock:
            lost = fault is not None and fault.drop and not fault.processed
            if lost or done.status in _NEVER_KEPT:
                self.keys.abandon(key)
            else:
                own = {"Idempotency-Key": key, "Original-Request": identifier}
                done = replace(done, headers={**done.headers, **own})
                self.keys.finish(key, done)
        return done

    def _prepared(self, request: Request) -> Callable[[], Json]:
        """Returns what carries the request out; raises what is wrong with it before that."""
        route, ids = find(ROUTES, request.method, request.path)
        given = form.decode(request.body if request.method == "POST" else request.query)
        params = parameters.parse(route.parameters, given)
        route.check(params)

        def act() -> Json:
            result = route.action(self.account, params, *ids)
            return expand(self.account, result, params.get("expand", []))

        return act

    def _carried_out(self, act: Callable[[], Json], fault: Fault | None, origin: Json | None = None) -> Answer:
        if fault and fault.delay_seconds:
            time.sleep(fault.delay_seconds)
        if fault is None or fault.processed or not (fault.drop or fault.status):
            done = self._result(act, origin)
        if fault and (fault.status or (fault.drop and not fault.processed)):
            status = fault.status or 500
            kind = "rate_limit_error" if status == 429 else "api_error"
            code = "rate_limit" if status == 429 else None
            return refusal(Problem(status, kind, "A fault that was asked for.", code=code))
        return done

    def _result(self, act: Callable[[], Json], origin: Json | None) -> Answer:
        """Carries the call out, and holds its result against the package's classes."""
        with self.lock:
            self.account.origin = origin or {"id": None, "idempotency_key": None}
            try:
                result = act()
            except Problem as problem:
                return refusal(problem)
            except Exception:  # noqa: BLE001 - a fault of the stand-in itself must reach its user as an answer
                text = f"The stand-in failed: {traceback.format_exc()}"
                return refusal(Problem(500, "api_error", text))
            finally:
                self.courier.collect(self.account)
            wrong = contract.differences(result)
            if wrong:
                text = f"The stand-in answered what Stripe would not: {wrong}"
                return refusal(Problem(500, "api_error", text))
            return answer(200, result)

    def _record(self, request: Request, done: Answer, fault: Fault | None) -> None:
        self.requests.append(
            {
                "method": request.method,
                "path": request.path,
                "idempotency_key": request.headers.get("idempotency-key"),
                "status": None if fault and fault.drop else done.status,
                "replayed": "Idempotent-Replayed" in done.headers,
            }
        )


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
