"""Stripe: calling it with the real SDK, and what its answers mean. Law 5.6.

The SDK's own retries are off: what a call did is unknown after a lost answer, and whoever called finds out by asking
(facts: a payment intent makes at most one successful charge, and can be retrieved at any age).

What is called stands in `adapters.payments`, `adapters.stripe_customers` and `adapters.stripe_invoices`.
"""

import time
from collections.abc import Callable, Mapping
from decimal import Decimal, Inexact
from typing import Any, TypeVar

import stripe

from adapters.secrets import Secret
from billing.money import exact, minor_units
from metering.decimals import EXACT
from metering.errors import Conflict, TaximeterError, Unavailable

API_VERSION = "2026-10-28.endive"
_TIMEOUT_SECONDS = 20
# How many decimals Stripe counts in where that differs from the currency's own (docs.stripe.com/currencies).
_STRIPE_DIGITS = {"ISK": 2, "MGA": 0, "UGX": 2}

Result = TypeVar("Result")


def stripe_digits(currency: str) -> int:
    """How many decimals Stripe's whole units of a currency have: for a few not those of ISO 4217."""
    return _STRIPE_DIGITS.get(currency, minor_units(currency))


def in_minor_units(amount: Decimal, currency: str) -> int:
    """An amount as Stripe writes it: whole units of its own.

    Raises:
        Inexact: it has digits that Stripe cannot charge.
    """
    scaled = EXACT.scaleb(amount, stripe_digits(currency))
    return int(scaled.to_integral_exact(context=EXACT))


def is_chargeable(amount: Decimal, currency: str) -> bool:
    """Whether a card can be charged with exactly this; of three decimals Stripe wants the last to be zero."""
    try:
        units = in_minor_units(amount, currency)
    except Inexact:
        return False
    return stripe_digits(currency) < 3 or not units % 10


@exact
def from_minor_units(amount: int, currency: str) -> Decimal:
    """An amount that Stripe wrote."""
    return EXACT.scaleb(Decimal(amount), -stripe_digits(currency))


class Pace:
    """Leaves a while between calls, so that all workers together stay below Stripe's 25 a second and endpoint."""

    def __init__(
        self,
        interval_seconds: Decimal,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._interval = float(interval_seconds)  # money is never told in seconds
        self._clock = clock
        self._sleep = sleep
        self._next = clock()

    def wait(self) -> None:
        """Return when the next call may be made."""
        ahead = self._next - self._clock()
        if ahead > 0:
            self._sleep(ahead)
        self._next = max(self._next, self._clock()) + self._interval


class Stripe:
    """Calls to Stripe: each raises Unavailable when nobody knows what it did."""

    def __init__(
        self,
        secret: Secret,
        url: str | None = None,
        pace: Pace | None = None,
        transport: stripe.HTTPClient | None = None,
    ) -> None:
        """Call with the key in a secret; `url` is another address than Stripe's own, and `transport` another way."""
        self._secret = secret
        self._url = url
        self._pace = pace
        self._transport = transport or stripe.RequestsClient(timeout=_TIMEOUT_SECONDS)

    def _client(self) -> stripe.StripeClient:
        addresses: Any = {"api": self._url} if self._url else {}
        return stripe.StripeClient(
            self._secret.stripe_api_key(),
            stripe_version=API_VERSION,
            max_network_retries=0,
            base_addresses=addresses,
            http_client=self._transport,
        )

    def call(self, call: Callable[[stripe.StripeClient], Result]) -> Result:
        """Make a call; a key that was replaced meanwhile is fetched anew, once. A decline stays a `CardError`.

        Raises:
            Unavailable: `stripe_unavailable`, nobody knows what it did; `stripe_busy`, it did nothing, later it may.
            Conflict: `stripe_refused`, it did nothing and never will.
        """
        try:
            return self._once(call)
        except stripe.AuthenticationError:
            self._secret.forget()
        except stripe.CardError:
            raise
        except stripe.StripeError as error:
            raise _translated(error) from error
        try:
            return self._once(call)
        except stripe.CardError:
            raise
        except stripe.StripeError as error:
            raise _translated(error) from error

    def _once(self, call: Callable[[stripe.StripeClient], Result]) -> Result:
        if self._pace:
            self._pace.wait()
        return call(self._client())


def metadata_of(thing: Any) -> Mapping[str, str]:  # noqa: ANN401 - any of Stripe's objects that has metadata
    """What we wrote on one of Stripe's objects: ids only."""
    return dict(thing.metadata.to_dict()) if thing.metadata else {}


def decline_reason(error: stripe.CardError) -> str:
    """Stripe's code for a decline, the bank's where it gave one."""
    return str(getattr(error.error, "decline_code", None) or error.code)


def _translated(error: stripe.StripeError) -> TaximeterError:
    """Unknown outcomes and passing trouble are Unavailable: ask or send again. The rest will not get better."""
    status = error.http_status
    detail = f"Stripe answered {status or 'nothing'}: {error.code or type(error).__name__}"
    if status == 429:
        return Unavailable(detail, "stripe_busy")
    # A key that was used for something else: somebody calls for the same thing, or did. Ask what became of it.
    taken = isinstance(error, stripe.IdempotencyError)
    # A key that may not do this is the operator's to put right, and nothing that a customer did.
    if status is None or status in (401, 403, 409) or status >= 500 or taken:
        return Unavailable(detail, "stripe_unavailable")
    return Conflict(detail, "stripe_refused")
