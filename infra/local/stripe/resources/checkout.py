"""Checkout sessions that save a card, with the SetupIntents behind them."""

from __future__ import annotations

from infra.local.stripe.account import Account
from infra.local.stripe.cards import CARDS
from infra.local.stripe.listing import PAGING, page
from infra.local.stripe.problems import Json, invalid, unsupported
from infra.local.stripe.resources import customers, payment_methods
from infra.local.stripe.resources.metadata import fresh
from infra.local.stripe.routes import retrieve, route

_LIFE_SECONDS = 86_400


def create(account: Account, params: Json) -> Json:
    """Makes a session in setup mode; its ``url`` is a page of this stand-in that saves a test card."""
    if params.get("mode") != "setup":
        raise unsupported("checkout sessions of another mode than setup")
    if "currency" not in params and "allowed_payment_method_types" not in params:
        raise invalid("Missing required param: currency.", param="currency", code="parameter_missing")
    if "success_url" not in params:
        text = "Missing required param: success_url."
        raise invalid(text, param="success_url", code="parameter_missing")
    if "customer" in params:
        customers.live(account, params["customer"], param="customer")
    intent = _setup_intent(account, params)
    session = account.add(
        "cs_test",
        "checkout.session",
        **_nothing(),
        automatic_tax={"enabled": False, "liability": None, "provider": None, "status": None},
        cancel_url=params.get("cancel_url"),
        client_reference_id=params.get("client_reference_id"),
        created=account.now(),
        currency=params.get("currency"),
        custom_fields=[],
        custom_text=_no_text(),
        customer=params.get("customer"),
        expires_at=account.now() + _LIFE_SECONDS,
        livemode=False,
        metadata=fresh(params.get("metadata")),
        mode="setup",
        payment_method_types=["card"],
        payment_status="no_payment_required",
        setup_intent=intent["id"],
        shipping_options=[],
        status="open",
        success_url=params["success_url"],
        ui_mode="hosted_page",
    )
    session["url"] = f"{account.url}/checkout/{session['id']}"
    return session


def _nothing() -> Json:
    names = (
        "after_expiration allow_promotion_codes amount_subtotal amount_total"
        " billing_address_collection client_secret consent consent_collection currency_conversion"
        " customer_creation customer_details customer_email invoice invoice_creation locale"
        " payment_intent payment_link payment_method_collection recovered_from"
        " shipping_address_collection shipping_cost submit_type subscription total_details"
    )
    return dict.fromkeys(names.split())


def _no_text() -> Json:
    return dict.fromkeys(("after_submit", "shipping_address", "submit", "terms_of_service_acceptance"))


def _setup_intent(account: Account, params: Json) -> Json:
    intent = account.add(
        "seti",
        "setup_intent",
        application=None,
        automatic_payment_methods=None,
        cancellation_reason=None,
        client_secret=None,
        created=account.now(),
        customer=params.get("customer"),
        description=None,
        flow_directions=None,
        last_setup_error=None,
        latest_attempt=None,
        livemode=False,
        mandate=None,
        metadata=fresh(params.get("setup_intent_data", {}).get("metadata")),
        next_action=None,
        on_behalf_of=None,
        payment_method=None,
        payment_method_options={},
        payment_method_types=["card"],
        single_use_mandate=None,
        status="requires_payment_method",
        usage="off_session",
    )
    intent["client_secret"] = f"{intent['id']}_secret_{intent['id'][-12:]}"
    account.tell("setup_intent.created", intent)
    return intent


def complete(account: Account, identifier: str, number: str) -> Json:
    """Does what the customer does on the session's page: gives a card and agrees to later charges.

    Raises:
        Problem: the session is over, the card is none of the test cards, or the bank refuses it.
    """
    session = account.get("checkout.session", identifier)
    card = CARDS.get(number.replace(" ", ""))
    if session["status"] != "open" or session["expires_at"] <= account.now():
        raise invalid("This checkout session is over.")
    if card is None:
        raise invalid("That is none of the test cards.", param="card")
    payment_methods.refuse(card)
    method = payment_methods.of_card(account, card)
    if session["customer"]:
        payment_methods.attach(account, {"customer": session["customer"]}, method["id"])
    account.set_up.add(method["id"])
    intent = account.objects[session["setup_intent"]]
    intent.update(payment_method=method["id"], status="succeeded")
    account.tell("setup_intent.succeeded", intent)
    session.update(status="complete", url=None)
    account.tell("checkout.session.completed", session)
    return session


def expire(account: Account, _: Json, identifier: str) -> Json:
    """Ends an open session."""
    session = account.get("checkout.session", identifier)
    if session["status"] != "open":
        raise invalid('Only Checkout Sessions with a status in ["open"] can be expired.')
    session.update(status="expired", url=None)
    account.tell("checkout.session.expired", session)
    return session


def listed(account: Account, params: Json) -> Json:
    """Returns sessions, newest first."""
    rows = account.newest("checkout.session", customer=params.get("customer"))
    return page(rows, params, "/v1/checkout/sessions")


_PATH = "/v1/checkout/sessions"
_FILTERS = f"{PAGING} created customer"
_MADE = (
    "mode currency customer success_url cancel_url metadata client_reference_id"
    " allowed_payment_method_types setup_intent_data"
)
ROUTES = [
    route("POST", _PATH, "checkout.SessionCreateParams", _MADE, create),
    route("GET", _PATH, "checkout.SessionListParams", _FILTERS, listed),
    retrieve(_PATH + "/{}", "checkout.session", "checkout.SessionRetrieveParams"),
    route("POST", _PATH + "/{}/expire", "checkout.SessionExpireParams", "", expire),
    retrieve("/v1/setup_intents/{}", "setup_intent", "SetupIntentRetrieveParams"),
]
