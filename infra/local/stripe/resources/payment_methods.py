"""Cards, saved to customers or not."""

from __future__ import annotations

from infra.local.stripe.account import Account
from infra.local.stripe.cards import CARDS, Card, named
from infra.local.stripe.listing import PAGING, page
from infra.local.stripe.problems import Json, Problem, invalid, unsupported
from infra.local.stripe.resources.metadata import fresh
from infra.local.stripe.routes import retrieve, route


def create(account: Account, params: Json) -> Json:
    """Makes a card's payment method from its number or a test token."""
    if params.get("type") != "card":
        raise unsupported("payment methods other than cards")
    given = params.get("card") or {}
    if "token" in given:
        card = named(given["token"], "tok_")
    else:
        card = CARDS.get(str(given.get("number", "")).replace(" ", ""))
    if card is None:
        message = "Your card number is incorrect, or it is none of the test cards."
        raise Problem(402, "card_error", message, code="incorrect_number", param="card[number]")
    return of_card(account, card, params)


def of_card(account: Account, card: Card, params: Json | None = None) -> Json:
    """Makes the payment method of a test card."""
    given = (params or {}).get("card") or {}
    billing = (params or {}).get("billing_details") or {}
    empty: Json = {"address": None, "email": None, "name": None, "phone": None, "tax_id": None}
    made = account.add(
        "pm",
        "payment_method",
        allow_redisplay="unspecified",
        billing_details={**empty, **{key: value or None for key, value in billing.items()}},
        card=_card(card, given.get("exp_month", 12), given.get("exp_year", 2034)),
        created=account.now(),
        customer=None,
        livemode=False,
        metadata=fresh((params or {}).get("metadata")),
        type="card",
    )
    account.cards[made["id"]] = card
    return made


def _card(card: Card, month: int, year: int) -> Json:
    return {
        "brand": card.brand,
        "checks": {
            "address_line1_check": None,
            "address_postal_code_check": None,
            "cvc_check": "pass",
        },
        "country": "US",
        "display_brand": card.brand,
        "exp_month": month,
        "exp_year": year,
        "fingerprint": f"fingerprint{card.last4}",
        "funding": card.funding,
        "generated_from": None,
        "last4": card.last4,
        "networks": {"available": [card.brand], "preferred": None},
        "regulated_status": "unregulated",
        "three_d_secure_usage": {"supported": True},
        "wallet": None,
    }


def resolve(account: Account, identifier: str, *, param: str | None = "id") -> Json:
    """Returns a payment method by its id; ``pm_card_visa`` and its kin make a new one."""
    card = named(identifier, "pm_card_")
    if card is not None:
        return of_card(account, card)
    return account.get("payment_method", identifier, param=param)


def owned(account: Account, identifier: str, customer: str) -> Json:
    """Returns a payment method that this customer has; raises ``resource_missing`` otherwise."""
    found = account.objects.get(identifier)
    if found is None or found.get("customer") != customer:
        message = f"The customer does not have a payment method with the ID {identifier}."
        raise invalid(message, param="payment_method", code="resource_missing")
    return found


def attach(account: Account, params: Json, identifier: str, *, param: str = "id") -> Json:
    """Saves a card to a customer.

    Raises:
        Problem: there is no such customer, another one has the card, or the bank refuses it.
    """
    if "customer" not in params:
        raise invalid("Missing required param: customer.", param="customer", code="parameter_missing")
    customer = account.get("customer", params["customer"], param="customer")
    method = resolve(account, identifier, param=param)
    if method["customer"] not in {None, customer["id"]}:
        raise invalid(
            "The payment method you provided has already been attached to a customer.",
            code="payment_method_unexpected_state",
        )
    refuse(account.cards[method["id"]])
    if method["customer"] is None:
        method["customer"] = customer["id"]
        account.note(method)
        account.tell("payment_method.attached", method)
    return method


def refuse(card: Card) -> None:
    """Raises the bank's refusal of a card that cannot even be saved."""
    if not card.attaches:
        raise declined(card.code, card.decline_code)


def declined(code: str, decline_code: str, **details: object) -> Problem:
    """Returns the 402 of a declined card."""
    messages = {
        "insufficient_funds": "Your card has insufficient funds.",
        "expired_card": "Your card has expired.",
        "incorrect_cvc": "Your card's security code is incorrect.",
        "processing_error": "An error occurred while processing your card. Try again later.",
        "authentication_required": "Your card was declined. This transaction requires authentication.",
    }
    message = messages.get(decline_code, "Your card was declined.")
    return Problem(402, "card_error", message, code=code, decline_code=decline_code, **details)


def detach(account: Account, _: Json, identifier: str) -> Json:
    """Takes a card from its customer, for good."""
    method = account.get("payment_method", identifier)
    if method["customer"] is None:
        raise invalid("The payment method you provided is not attached to a customer so detachment is impossible.")
    customer = account.objects[method["customer"]]
    if customer["invoice_settings"]["default_payment_method"] == identifier:
        settings = {**customer["invoice_settings"], "default_payment_method": None}
        account.change(customer, "customer.updated", invoice_settings=settings)
    account.change(method, "payment_method.detached", customer=None)
    return method


def listed(account: Account, params: Json, *, url: str = "/v1/payment_methods") -> Json:
    """Returns the cards of a customer, newest first."""
    customer = params.get("customer")
    if customer is None or params.get("type", "card") != "card":
        return page(iter(()), params, url)
    return page(account.newest("payment_method", customer=customer), params, url)


_PATH = "/v1/payment_methods"
_MADE = "type card billing_details metadata"
ROUTES = [
    route("POST", _PATH, "PaymentMethodCreateParams", _MADE, create),
    route("GET", _PATH, "PaymentMethodListParams", f"{PAGING} customer type", listed),
    retrieve(_PATH + "/{}", "payment_method", "PaymentMethodRetrieveParams"),
    route("POST", _PATH + "/{}/attach", "PaymentMethodAttachParams", "customer", attach),
    route("POST", _PATH + "/{}/detach", "PaymentMethodDetachParams", "", detach),
]
