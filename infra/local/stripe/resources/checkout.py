"""Checkout sessions: pages on which a customer saves a card, or pays and perhaps saves it too."""

from __future__ import annotations

from infra.local.stripe.account import Account
from infra.local.stripe.listing import PAGING, page
from infra.local.stripe.problems import Json, invalid, unsupported
from infra.local.stripe.resources import checkout_items, customers, payment_intents, setup_intents
from infra.local.stripe.resources.metadata import fresh
from infra.local.stripe.routes import retrieve, route

_LIFE_SECONDS = 86_400
_LEAST_LIFE_SECONDS = 1_800
# What each mode must not be given, and what is carried out of what it is given.
_FOREIGN = {"payment": ("setup_intent_data",), "setup": ("payment_intent_data", "line_items")}
_DATA = {
    "payment_intent_data": {
        *("description", "metadata", "receipt_email", "setup_future_usage", "statement_descriptor_suffix"),
    },
    "setup_intent_data": {"description", "metadata"},
}


def create(account: Account, params: Json) -> Json:
    """Makes a session; its ``url`` is a page of this stand-in that takes a test card.

    Raises:
        Problem: a parameter is missing or does not fit the mode, or the session would live too long or too briefly.
    """
    mode = params.get("mode")
    if mode not in _FOREIGN:
        raise unsupported("checkout sessions of another mode than payment and setup")
    _check(params, mode)
    if "customer" in params:
        customers.live(account, params["customer"], param="customer")
    items = params.get("line_items", [])
    currency, total = checkout_items.check(items) if mode == "payment" else (params.get("currency"), None)
    session = _session(account, params, currency, total)
    checkout_items.put(account, session, items)
    if mode == "setup":
        data = params.get("setup_intent_data", {})
        session["setup_intent"] = setup_intents.made(account, params.get("customer"), data)["id"]
    else:
        account.wishes[session["id"]] = params.get("payment_intent_data", {})
    account.at(session["expires_at"] * 1000, lambda: end(account, session))
    return session


def _check(params: Json, mode: str) -> None:
    for name in _FOREIGN[mode]:
        if name in params:
            raise invalid(f"You can not pass `{name}` in `{mode}` mode.", param=name)
    for group, carried_out in _DATA.items():
        for name in params.get(group, {}).keys() - carried_out:
            raise unsupported(f"the parameter `{group}[{name}]`")
    if mode == "setup" and "currency" not in params and "allowed_payment_method_types" not in params:
        raise invalid("Missing required param: currency.", param="currency", code="parameter_missing")
    if "success_url" not in params:
        raise invalid("Missing required param: success_url.", param="success_url", code="parameter_missing")
    for name in ("success_url", "cancel_url"):
        if not params.get(name, "https://").startswith(("http://", "https://")):
            raise invalid("Not a valid URL", param=name, code="url_invalid")
    if "customer" in params and "customer_email" in params:
        raise invalid("You may only specify one of these parameters: customer, customer_email.")


def _session(account: Account, params: Json, currency: str | None, total: int | None) -> Json:
    paying = total is not None
    session = account.add(
        "cs_test",
        "checkout.session",
        **_nothing(),
        amount_subtotal=total,
        amount_total=total,
        automatic_tax={"enabled": False, "liability": None, "provider": None, "status": None},
        cancel_url=params.get("cancel_url"),
        client_reference_id=params.get("client_reference_id"),
        created=account.now(),
        currency=currency.lower() if currency else None,
        custom_fields=[],
        custom_text=_no_text(),
        customer=params.get("customer"),
        customer_creation="if_required" if paying and "customer" not in params else None,
        customer_email=params.get("customer_email"),
        expires_at=_end(account, params),
        livemode=False,
        metadata=fresh(params.get("metadata")),
        mode=params["mode"],
        payment_intent=None,
        payment_method_types=["card"],
        payment_status="unpaid" if paying else "no_payment_required",
        setup_intent=None,
        shipping_options=[],
        status="open",
        success_url=params["success_url"],
        total_details={"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0} if paying else None,
        ui_mode="hosted_page",
    )
    session["url"] = f"{account.url}/checkout/{session['id']}"
    return session


def _end(account: Account, params: Json) -> int:
    now = account.now()
    end: int = params.get("expires_at", now + _LIFE_SECONDS)
    if not now + _LEAST_LIFE_SECONDS <= end <= now + _LIFE_SECONDS:
        text = "The `expires_at` timestamp must be between 30 minutes and 24 hours from Checkout Session creation."
        raise invalid(text, param="expires_at")
    return end


def _nothing() -> Json:
    names = (
        "after_expiration allow_promotion_codes billing_address_collection client_secret consent consent_collection"
        " currency_conversion customer_details invoice invoice_creation locale payment_link payment_method_collection"
        " recovered_from shipping_address_collection shipping_cost submit_type subscription"
    )
    return dict.fromkeys(names.split())


def _no_text() -> Json:
    return dict.fromkeys(("after_submit", "shipping_address", "submit", "terms_of_service_acceptance"))


def expire(account: Account, _: Json, identifier: str) -> Json:
    """Ends an open session."""
    session = account.get("checkout.session", identifier)
    if session["status"] != "open":
        raise invalid('Only Checkout Sessions with a status in ["open"] can be expired.')
    return end(account, session)


def end(account: Account, session: Json) -> Json:
    """Lets a session run out if it is still open, and cancels its intent: nothing is paid or saved by it any more."""
    if session["status"] != "open":
        return session
    session.update(status="expired", url=None)
    if session["payment_intent"]:
        payment_intents.ended(account, account.objects[session["payment_intent"]], "expired")
    if session["setup_intent"]:
        setup_intents.cancel(account, account.objects[session["setup_intent"]])
    account.tell("checkout.session.expired", session)
    return session


def listed(account: Account, params: Json) -> Json:
    """Returns sessions, newest first."""
    status, intent = params.get("status"), params.get("payment_intent")
    rows = account.newest("checkout.session", customer=params.get("customer"), payment_intent=intent)
    return page(rows, params, "/v1/checkout/sessions", lambda row: status in {None, row["status"]})


_PATH = "/v1/checkout/sessions"
_FILTERS = f"{PAGING} created customer payment_intent status"
_MADE = (
    "mode currency customer customer_email success_url cancel_url metadata client_reference_id expires_at line_items"
    " allowed_payment_method_types payment_intent_data setup_intent_data"
)
ROUTES = [
    route("POST", _PATH, "checkout.SessionCreateParams", _MADE, create),
    route("GET", _PATH, "checkout.SessionListParams", _FILTERS, listed),
    retrieve(_PATH + "/{}", "checkout.session", "checkout.SessionRetrieveParams"),
    route("POST", _PATH + "/{}/expire", "checkout.SessionExpireParams", "", expire),
]
