"""Stripe's customers: whom a card belongs to, and which one pays."""

from collections.abc import Mapping
from typing import Any

from adapters.stripe import Stripe
from metering.packing import canonical, digest


class StripeCustomers:
    """Calls about customers; each raises what `Stripe.call` does."""

    def __init__(self, stripe: Stripe) -> None:
        self._stripe = stripe

    def create(self, name: str, email: str | None, metadata: Mapping[str, str]) -> str:
        """Make a customer there for one of ours; returns its id. The same again within a day is the same one.

        Args:
            name: what to call it there.
            email: where Stripe may write to.
            metadata: ids only; no other customer has the same.
        """
        params: Any = {"name": name, "metadata": dict(metadata)}
        params |= {"email": email} if email else {}
        # Under another name it is another request, which Stripe would refuse under the same key.
        options: Any = {"idempotency_key": f"customer:{digest(canonical(params))}"}
        return self._stripe.call(lambda client: client.v1.customers.create(params, options)).id

    def default_method(self, customer: str) -> str | None:
        """The card that a customer pays with: the default one, else the newest; None if there is none.

        One that was deleted has none any more.
        """
        found = self._stripe.call(lambda client: client.v1.customers.retrieve(customer))
        if getattr(found, "deleted", False):
            return None
        settings = found.invoice_settings
        default = settings.default_payment_method if settings else None
        if default:
            return default if isinstance(default, str) else default.id
        methods = self._stripe.call(lambda client: client.v1.customers.payment_methods.list(customer, {"limit": 1}))
        return methods.data[0].id if methods.data else None

    def set_default_method(self, customer: str, method: str) -> None:
        """Have a customer pay with this card from now on."""
        params: Any = {"invoice_settings": {"default_payment_method": method}}
        self._stripe.call(lambda client: client.v1.customers.update(customer, params))
