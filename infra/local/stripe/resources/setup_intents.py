"""SetupIntents: cards that their holder lets be charged later."""

from __future__ import annotations

from infra.local.stripe.account import Account
from infra.local.stripe.cards import Card
from infra.local.stripe.problems import Json, Problem
from infra.local.stripe.resources import attempts, payment_methods
from infra.local.stripe.resources.metadata import fresh
from infra.local.stripe.routes import retrieve


def made(account: Account, customer: str | None, data: Json) -> Json:
    """Makes an intent that waits for a card."""
    intent = account.add(
        "seti",
        "setup_intent",
        application=None,
        automatic_payment_methods=None,
        cancellation_reason=None,
        client_secret=None,
        created=account.now(),
        customer=customer,
        description=data.get("description"),
        flow_directions=None,
        last_setup_error=None,
        latest_attempt=None,
        livemode=False,
        mandate=None,
        metadata=fresh(data.get("metadata")),
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


def succeed(account: Account, intent: Json, card: Card, *, authenticates: bool) -> Json:
    """Saves a card to the intent's customer; it does not become the one that its invoices are charged to.

    Raises:
        Problem: 402 when the bank refuses the card, or wants the holder to confirm and they do not.
    """
    try:
        payment_methods.refuse(card)
        if not authenticates and attempts.wants_holder(card, off_session=False, set_up=False):
            raise payment_methods.declined("setup_intent_authentication_failure", "authentication_required")
    except Problem as problem:
        intent["last_setup_error"] = dict(problem.error)
        account.tell("setup_intent.setup_failed", intent)
        raise
    method = payment_methods.of_card(account, card)
    if intent["customer"]:
        payment_methods.attach(account, {"customer": intent["customer"]}, method["id"])
    account.set_up.add(method["id"])
    intent.update(last_setup_error=None, payment_method=method["id"], status="succeeded")
    account.tell("setup_intent.succeeded", intent)
    return method


def cancel(account: Account, intent: Json) -> None:
    """Ends an intent that no card was given for."""
    intent.update(cancellation_reason="abandoned", status="canceled")
    account.tell("setup_intent.canceled", intent)


ROUTES = [retrieve("/v1/setup_intents/{}", "setup_intent", "SetupIntentRetrieveParams")]
