"""What a checkout session sells: lines with prices made for it."""

from __future__ import annotations

from infra.local.stripe.account import Account
from infra.local.stripe.listing import PAGING, page
from infra.local.stripe.problems import Json, invalid, unsupported
from infra.local.stripe.resources.metadata import fresh
from infra.local.stripe.resources.payments import least
from infra.local.stripe.routes import route

_ITEM = {"price_data", "quantity", "metadata"}
_PRICE = {"currency", "product_data", "unit_amount"}


def check(items: list[Json]) -> tuple[str, int]:
    """Returns the currency and the sum of items, in minor units.

    Raises:
        Problem: there are none, they have several currencies, no price or no quantity, or are worth too little.
    """
    if not items:
        raise invalid("Missing required param: line_items.", param="line_items", code="parameter_missing")
    for number, item in enumerate(items):
        _check_one(item, f"line_items[{number}]")
    currencies = {item["price_data"]["currency"].lower() for item in items}
    if len(currencies) > 1:
        raise invalid("All line items must have the same currency.", param="line_items")
    currency = currencies.pop()
    total = sum(item["price_data"]["unit_amount"] * item["quantity"] for item in items)
    if total < least(currency):
        text = f"The Checkout Session's total amount due must add up to at least {least(currency)} {currency}."
        raise invalid(text, code="amount_too_small")
    return currency, total


def _check_one(item: Json, param: str) -> None:
    for name in item.keys() - _ITEM:
        raise unsupported(f"the parameter `{param}[{name}]`")
    if "quantity" not in item:
        raise invalid("Quantity is required.", param=f"{param}[quantity]", code="parameter_missing")
    price = item.get("price_data")
    if price is None:
        raise unsupported("line items of a kept price: give price_data")
    for name in price.keys() - _PRICE:
        raise unsupported(f"the parameter `{param}[price_data][{name}]`")
    for name in ("unit_amount", "product_data"):
        if name not in price:
            text = f"Missing required param: {param}[price_data][{name}]."
            raise invalid(text, param=f"{param}[price_data][{name}]", code="parameter_missing")
    if price["unit_amount"] < 0 or item["quantity"] < 1:
        raise invalid("Invalid line item.", param=param)


def put(account: Account, session: Json, items: list[Json]) -> None:
    """Keeps the lines of a session."""
    for item in items:
        price, product = item["price_data"], item["price_data"]["product_data"]
        amount = price["unit_amount"] * item["quantity"]
        line: Json = {
            "amount_discount": 0,
            "amount_subtotal": amount,
            "amount_tax": 0,
            "amount_total": amount,
            "currency": session["currency"],
            "description": product["name"],
            "price": _price(account, price, session["currency"]),
            "quantity": item["quantity"],
        }
        kept = account.add("li", "item", **line, metadata=fresh(item.get("metadata")))
        account.lines.setdefault(session["id"], []).append(kept)


def _price(account: Account, given: Json, currency: str) -> Json:
    return account.add(
        "price",
        "price",
        active=False,
        billing_scheme="per_unit",
        created=account.now(),
        currency=currency,
        custom_unit_amount=None,
        livemode=False,
        lookup_key=None,
        metadata={},
        nickname=None,
        product=account.name("prod"),
        recurring=None,
        tax_behavior="unspecified",
        tiers_mode=None,
        transform_quantity=None,
        type="one_time",
        unit_amount=given["unit_amount"],
        unit_amount_decimal=str(given["unit_amount"]),
    )


def listed(account: Account, params: Json, identifier: str) -> Json:
    """Returns the lines of a session, first line first."""
    account.get("checkout.session", identifier)
    return page(iter(account.lines.get(identifier, [])), params, f"/v1/checkout/sessions/{identifier}/line_items")


ROUTES = [
    route("GET", "/v1/checkout/sessions/{}/line_items", "checkout.SessionListLineItemsParams", PAGING, listed),
]
