"""Customers."""

from __future__ import annotations

import secrets

from infra.local.stripe.account import Account
from infra.local.stripe.listing import PAGING, page
from infra.local.stripe.problems import Json, Problem, missing
from infra.local.stripe.resources import balances, payment_methods
from infra.local.stripe.resources.metadata import fresh, merged
from infra.local.stripe.routes import retrieve, route

_PLAIN = "address balance description email name phone preferred_locales tax_exempt"


def create(account: Account, params: Json) -> Json:
    """Makes a customer and saves its payment method, if one is given."""
    values: Json = {name: params.get(name) for name in _PLAIN.split()}
    values |= {
        "balance": params.get("balance", 0),
        "preferred_locales": params.get("preferred_locales") or [],
        "tax_exempt": params.get("tax_exempt") or "none",
    }
    customer = account.add(
        "cus",
        "customer",
        **values,
        created=account.now(),
        currency=None,
        default_source=None,
        delinquent=False,
        discount=None,
        invoice_prefix=secrets.token_hex(4).upper(),
        invoice_settings=_settings({}, {}),
        livemode=False,
        metadata=fresh(params.get("metadata")),
        next_invoice_sequence=1,
        shipping=None,
        test_clock=None,
    )
    try:
        _save_methods(account, customer, params)
    except Problem:
        account.remove(customer)
        raise
    account.tell("customer.created", customer)
    return customer


def _save_methods(account: Account, customer: Json, params: Json) -> None:
    if "payment_method" in params:
        attached = payment_methods.attach(
            account, {"customer": customer["id"]}, params["payment_method"], param="payment_method"
        )
        settings = params.setdefault("invoice_settings", {})
        if settings.get("default_payment_method") == params["payment_method"]:
            settings["default_payment_method"] = attached["id"]
    _check_default(account, customer, params)
    if "invoice_settings" in params:
        customer["invoice_settings"] |= _settings({}, params["invoice_settings"])


def _settings(known: Json, given: Json) -> Json:
    empty: Json = {"custom_fields": None, "default_payment_method": None, "footer": None}
    return {**empty, "rendering_options": None, **known, **{k: v or None for k, v in given.items()}}


def _check_default(account: Account, customer: Json, params: Json) -> None:
    wanted = params.get("invoice_settings", {}).get("default_payment_method")
    if wanted:
        payment_methods.owned(account, wanted, customer["id"])


def update(account: Account, params: Json, identifier: str) -> Json:
    """Changes a customer. Metadata is merged; an empty value takes a key or a field away."""
    customer = live(account, identifier)
    _check_default(account, customer, params)
    given = [name for name in _PLAIN.split() if name in params and name != "balance"]
    changes: Json = {name: (params[name] if params[name] != "" else None) for name in given}
    balances.move(account, customer, params.get("balance", customer["balance"]) - customer["balance"], "adjustment")
    if "invoice_settings" in params:
        changes["invoice_settings"] = _settings(customer["invoice_settings"], params["invoice_settings"])
    if "metadata" in params:
        changes["metadata"] = merged(customer["metadata"], params["metadata"])
    account.change(customer, "customer.updated", **changes)
    return customer


def live(account: Account, identifier: str, *, param: str | None = "id") -> Json:
    """Returns a customer that was not deleted; raises ``resource_missing`` otherwise."""
    customer = account.get("customer", identifier, param=param)
    if customer.get("deleted"):
        raise missing("customer", identifier, param=param)
    return customer


def delete(account: Account, _: Json, identifier: str) -> Json:
    """Deletes a customer and detaches its payment methods."""
    customer = live(account, identifier)
    for method in list(account.tied("payment_method", customer=identifier)):
        payment_methods.detach(account, {}, method["id"])
    account.tell("customer.deleted", customer)
    return account.forget(customer)


def listed(account: Account, params: Json) -> Json:
    """Returns customers, newest first."""
    return page(account.newest("customer", email=params.get("email")), params, "/v1/customers")


def methods(account: Account, params: Json, identifier: str) -> Json:
    """Returns the payment methods of one customer."""
    live(account, identifier)
    url = f"/v1/customers/{identifier}/payment_methods"
    return payment_methods.listed(account, {**params, "customer": identifier}, url=url)


_SET = f"{_PLAIN} metadata invoice_settings"
_OF = "CustomerPaymentMethodListParams"
ROUTES = [
    route("POST", "/v1/customers", "CustomerCreateParams", f"{_SET} payment_method", create),
    route("GET", "/v1/customers", "CustomerListParams", f"{PAGING} created email", listed),
    retrieve("/v1/customers/{}", "customer", "CustomerRetrieveParams"),
    route("POST", "/v1/customers/{}", "CustomerUpdateParams", _SET, update),
    route("DELETE", "/v1/customers/{}", "CustomerDeleteParams", "", delete),
    route("GET", "/v1/customers/{}/payment_methods", _OF, f"{PAGING} type", methods),
]
