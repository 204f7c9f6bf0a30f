"""A real Stripe sandbox, asked as the stand-in is."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest
from stripe import RequestsClient, StripeClient

from infra.local.stripe.account import API_VERSION
from tests.infra.local.stripe.stand_in import Driven

KEY = "STRIPE_SANDBOX_KEY"
_PATIENCE_SECONDS = 30

Found = TypeVar("Found")


class Sandbox(Driven):
    """A sandbox of somebody's account. What is made there is left there, but for its customers."""

    def __init__(self, key: str) -> None:
        self._client = StripeClient(
            key,
            stripe_version=API_VERSION,
            max_network_retries=2,
            http_client=RequestsClient(timeout=30),
        )
        self.stripe = self._client.v1

    def control(self, path: str, body: dict[str, Any] | None = None, method: str = "POST") -> Any:
        raise NotImplementedError("nobody has such power over the real one")


@contextmanager
def sandbox() -> Iterator[Sandbox]:
    """Yields the sandbox whose key the environment gives, and deletes the customers that were made there meanwhile."""
    key = os.environ.get(KEY, "")
    if not key:
        pytest.skip(f"{KEY} is not set: give it the secret (sk_test_…) or a restricted key (rk_test_…) of a sandbox")
    if not key.startswith(("sk_test_", "rk_test_")):
        pytest.fail(f"{KEY} is not the key of a sandbox: these tests charge cards")
    account = Sandbox(key)
    made: list[str] = []
    create = account.stripe.customers.create

    def noted(*args: Any, **kwargs: Any) -> Any:
        customer = create(*args, **kwargs)
        made.append(customer.id)
        return customer

    account.stripe.customers.create = noted  # type: ignore[method-assign]  # to know what is to be deleted
    yield account
    for customer in set(made):
        if not account.stripe.customers.retrieve(customer).to_dict().get("deleted"):
            account.stripe.customers.delete(customer)


def eventually(ask: Callable[[], Found], account: Driven) -> Found:
    """Asks until the answer is truthy; the stand-in's is at once."""
    deadline = time.monotonic() + (_PATIENCE_SECONDS if isinstance(account, Sandbox) else 0)
    while not (found := ask()) and time.monotonic() < deadline:
        time.sleep(1)
    return found
