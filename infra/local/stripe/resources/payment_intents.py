"""PaymentIntents: at most one successful charge each."""

from __future__ import annotations

from infra.local.stripe.account import Account
from infra.local.stripe.listing import PAGING, page
from infra.local.stripe.problems import Json, invalid, missing, unexpected_state, unsupported
from infra.local.stripe.resources import attempts, customers, payment_methods
from infra.local.stripe.resources.metadata import fresh, merged
from infra.local.stripe.resources.payments import METHOD_OPTIONS, check_amount
from infra.local.stripe.routes import retrieve, route

_OPEN = {"requires_payment_method", "requires_confirmation", "requires_action"}


def create(account: Account, params: Json) -> Json:
    """Makes an intent, and confirms it at once if asked to."""
    check_amount(params["amount"], params["currency"])
    for name in ("off_session", "return_url", "error_on_requires_action"):
        if name in params and not params.get("confirm"):
            text = f"`{name}` can only be used together with `confirm=true`."
            raise invalid(text, param=name)
    if "customer" in params:
        customers.live(account, params["customer"], param="customer")
    method = _method(account, params.get("payment_method"), params.get("customer"))
    intent = made(account, params, method)
    return confirm(account, params, intent["id"]) if params.get("confirm") else intent


def made(account: Account, params: Json, method: Json | None) -> Json:
    """Makes an unconfirmed intent of checked parameters."""
    if params.get("capture_method", "automatic_async") == "manual":
        raise unsupported("manual capture")
    automatic = {"allow_redirects": "always", "enabled": True}
    intent = account.add(
        "pi",
        "payment_intent",
        amount=params["amount"],
        amount_capturable=0,
        amount_details={"tip": {}},
        amount_received=0,
        application=None,
        application_fee_amount=None,
        automatic_payment_methods=params.get("automatic_payment_methods", automatic),
        canceled_at=None,
        cancellation_reason=None,
        capture_method=params.get("capture_method", "automatic_async"),
        client_secret=None,
        confirmation_method="automatic",
        created=account.now(),
        currency=params["currency"].lower(),
        customer=params.get("customer"),
        description=params.get("description"),
        last_payment_error=None,
        latest_charge=None,
        livemode=False,
        metadata=fresh(params.get("metadata")),
        next_action=None,
        on_behalf_of=None,
        payment_method=method["id"] if method else None,
        payment_method_configuration_details=None,
        payment_method_options={"card": dict(METHOD_OPTIONS)},
        payment_method_types=["card"],
        processing=None,
        receipt_email=params.get("receipt_email"),
        review=None,
        setup_future_usage=params.get("setup_future_usage"),
        shipping=None,
        source=None,
        statement_descriptor=None,
        statement_descriptor_suffix=params.get("statement_descriptor_suffix"),
        status="requires_confirmation" if method else "requires_payment_method",
        transfer_data=None,
        transfer_group=None,
    )
    intent["client_secret"] = f"{intent['id']}_secret_{intent['id'][-12:]}"
    account.tell("payment_intent.created", intent)
    return intent


def _method(account: Account, identifier: str | None, customer: str | None) -> Json | None:
    """Returns the payment method, unless it belongs to somebody else."""
    if not identifier:
        return None
    method = payment_methods.resolve(account, identifier, param="payment_method")
    if method["customer"] not in {None, customer}:
        if customer is not None:
            payment_methods.owned(account, identifier, customer)
        text = f"The provided PaymentMethod ({identifier}) belongs to a Customer. Please include it."
        raise invalid(text, param="payment_method")
    return method


def update(account: Account, params: Json, identifier: str) -> Json:
    """Changes an intent that is not over; metadata and description even then."""
    intent = account.get("payment_intent", identifier)
    if intent["status"] not in _OPEN and params.keys() - {"metadata", "description", "expand"}:
        text = f"This PaymentIntent could not be updated: it has a status of {intent['status']}."
        raise unexpected_state(text, intent)
    if "amount" in params:
        check_amount(params["amount"], intent["currency"])
    changes = {key: value or None for key, value in params.items() if key != "expand"}
    if "metadata" in params:
        changes["metadata"] = merged(intent["metadata"], params["metadata"])
    if "customer" in params:
        customers.live(account, params["customer"], param="customer")
    if params.get("payment_method"):
        owner = params.get("customer", intent["customer"])
        method = _method(account, params["payment_method"], owner)
        changes |= {"payment_method": method and method["id"], "status": "requires_confirmation"}
    intent.update(changes)
    account.note(intent)
    return intent


def confirm(account: Account, params: Json, identifier: str) -> Json:
    """Tries to pay an intent.

    Raises:
        Problem: 400 when its state does not allow it, 402 when the bank declines.
    """
    intent = account.get("payment_intent", identifier)
    if intent["status"] not in _OPEN - {"requires_action"}:
        text = f"You cannot confirm this PaymentIntent because it has a status of {intent['status']}."
        raise unexpected_state(text, intent)
    wanted = params.get("payment_method") or intent["payment_method"]
    method = _method(account, wanted, intent["customer"])
    if method is None:
        text = "You cannot confirm this PaymentIntent because it's missing a payment method."
        raise unexpected_state(text, intent)
    for name in ("receipt_email", "setup_future_usage"):
        intent[name] = params.get(name) or intent[name]
    away = str(params.get("off_session", False)).lower() != "false"
    asks = not (away or params.get("error_on_requires_action"))
    return attempts.attempt(account, intent, method, off_session=away, asks=asks)


def cancel(account: Account, params: Json, identifier: str) -> Json:
    """Ends an intent that was not paid; it can never be charged from then on."""
    intent = account.get("payment_intent", identifier)
    if intent["status"] not in _OPEN:
        text = f"You cannot cancel this PaymentIntent because it has a status of {intent['status']}."
        raise unexpected_state(text, intent)
    if any(account.tied("checkout.session", payment_intent=identifier)):
        raise unexpected_state("This PaymentIntent belongs to a Checkout Session: expire that instead.", intent)
    ended(account, intent, params.get("cancellation_reason"))
    return intent


def ended(account: Account, intent: Json, reason: str | None) -> None:
    """Marks an intent as canceled and tells it."""
    intent.update(canceled_at=account.now(), cancellation_reason=reason, next_action=None, status="canceled")
    account.tell("payment_intent.canceled", intent)


def listed(account: Account, params: Json) -> Json:
    """Returns intents, newest first."""
    customer = params.get("customer")
    if customer is not None and customer not in account.objects:
        raise missing("customer", customer, param="customer")
    return page(account.newest("payment_intent", customer=customer), params, "/v1/payment_intents")


_PATH = "/v1/payment_intents"
_CONFIRM = "off_session payment_method return_url receipt_email setup_future_usage error_on_requires_action"
_CHANGE = "amount customer description metadata payment_method receipt_email setup_future_usage"
_MADE = f"{_CONFIRM} {_CHANGE} currency confirm automatic_payment_methods capture_method statement_descriptor_suffix"
ROUTES = [
    route("POST", _PATH, "PaymentIntentCreateParams", _MADE, create),
    route("GET", _PATH, "PaymentIntentListParams", f"{PAGING} created customer", listed),
    retrieve(_PATH + "/{}", "payment_intent", "PaymentIntentRetrieveParams"),
    route("POST", _PATH + "/{}", "PaymentIntentUpdateParams", _CHANGE, update),
    route("POST", _PATH + "/{}/confirm", "PaymentIntentConfirmParams", _CONFIRM, confirm),
    route("POST", _PATH + "/{}/cancel", "PaymentIntentCancelParams", "cancellation_reason", cancel),
]
