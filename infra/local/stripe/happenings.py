"""What happens behind Stripe's back: on its pages, at the bank of a card's holder, and when money fails to move."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from .application import Application
from .cards import CARDS
from .problems import Json, invalid
from .resources import attempts, checkout_pages, disputes, invoice_collection, payment_methods, refunds


class Body(BaseModel):
    """What a control request says."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class CardNumber(Body):
    """The card that a customer gives on a page."""

    card: str = "4242424242424242"


class Submitted(CardNumber):
    """What a customer gives on a page, whether they confirm when the bank asks, and whether the payment takes days."""

    authenticates: bool = True
    slow: bool = False


class Succeeds(Body):
    """Whether something ends well."""

    succeeds: bool = True


class Dispute(Body):
    """What a customer's bank disputes of a charge: all that is left of it, or an amount; an inquiry moves no money."""

    reason: str = "fraudulent"
    amount: int | None = Field(default=None, ge=1)
    inquiry: bool = False


class Decision(Body):
    """How far a dispute gets."""

    status: Literal["under_review", "won", "lost", "warning_closed"]


class Failure(Body):
    """Why a refund does not arrive."""

    reason: Literal["lost_or_stolen_card", "expired_or_canceled_card", "unknown"] = "unknown"


def charges(application: Application, _: str) -> Json:
    """Tells all charges, and what was taken, given back and disputed per currency, in minor units."""
    account = application.account
    rows = list(account.every("charge"))
    paid = [row for row in rows if row["paid"]]
    taken: Counter[str] = Counter()
    returned: Counter[str] = Counter()
    withdrawn: Counter[str] = Counter()
    for row in paid:
        taken[row["currency"]] += row["amount"]
        returned[row["currency"]] += row["amount_refunded"]
    for dispute in account.every("dispute"):
        withdrawn[dispute["currency"]] -= sum(moved["amount"] for moved in dispute["balance_transactions"])
    return {
        "data": rows,
        "succeeded": len(paid),
        "failed": sum(row["status"] == "failed" for row in rows),
        "amount": dict(taken),
        "amount_refunded": dict(returned),
        "amount_disputed": dict(withdrawn),
    }


def authenticate(application: Application, body: str, identifier: str) -> Json:
    """Does what a card's holder does on the bank's page."""
    account = application.account
    intent = account.get("payment_intent", identifier)
    if intent["status"] != "requires_action":
        raise invalid(f"The intent has a status of {intent['status']}.")
    return attempts.authenticated(account, intent, succeeds=Succeeds.model_validate_json(body).succeeds)


def slow_down(application: Application, _: str, identifier: str) -> Json:
    """Lets payments with a card take days to succeed or fail, as a bank debit's do."""
    method = application.account.get("payment_method", identifier)
    application.account.slow.add(method["id"])
    return method


def settle(application: Application, body: str, identifier: str) -> Json:
    """Ends a payment that is being processed."""
    intent = application.account.get("payment_intent", identifier)
    if intent["status"] != "processing":
        raise invalid(f"The intent has a status of {intent['status']}.")
    succeeds = Succeeds.model_validate_json(body).succeeds
    attempts.processed(application.account, intent, succeeds=succeeds)
    checkout_pages.settled(application.account, intent)
    return intent


def pay_invoice(application: Application, body: str, identifier: str) -> Json:
    """Does what a customer does on an invoice's page: pays it with a card, there and then."""
    given, account = Submitted.model_validate_json(body), application.account
    invoice = account.get("invoice", identifier)
    card = CARDS.get(given.card.replace(" ", ""))
    if card is None:
        raise invalid("That is none of the test cards.", param="card")
    method = payment_methods.of_card(account, card)
    if given.slow:
        account.slow.add(method["id"])
    return invoice_collection.charge_on_page(account, invoice, method, authenticates=given.authenticates)


def complete_checkout(application: Application, body: str, identifier: str) -> Json:
    """Does what a customer does on a checkout page: saves a card, or pays with it."""
    given = Submitted.model_validate_json(body)
    account = application.account
    return checkout_pages.complete(account, identifier, given.card, authenticates=given.authenticates, slow=given.slow)


def dispute_charge(application: Application, body: str, identifier: str) -> Json:
    """Does what a card's holder does who does not want to have paid."""
    wanted = Dispute.model_validate_json(body)
    charge = application.account.get("charge", identifier)
    return disputes.open_(application.account, charge, wanted.reason, wanted.amount, inquiry=wanted.inquiry)


def decide_dispute(application: Application, body: str, identifier: str) -> Json:
    """Does what the bank does with a dispute."""
    status = Decision.model_validate_json(body).status
    dispute = application.account.get("dispute", identifier)
    if status == "under_review":
        return disputes.review(application.account, dispute)
    return disputes.decide(application.account, dispute, status)


def fail_refund(application: Application, body: str, identifier: str) -> Json:
    """Does what a bank does with a refund that it cannot pay out."""
    reason = Failure.model_validate_json(body).reason
    return refunds.fail(application.account, application.account.get("refund", identifier), reason)


ROUTES: list[tuple[str, str, Callable[..., Json]]] = [
    ("GET", "/_control/charges", charges),
    ("POST", r"/_control/charges/(\w+)/dispute", dispute_charge),
    ("POST", r"/_control/checkout/sessions/(\w+)/complete", complete_checkout),
    ("POST", r"/_control/disputes/(\w+)", decide_dispute),
    ("POST", r"/_control/invoices/(\w+)/pay", pay_invoice),
    ("POST", r"/_control/payment_intents/(\w+)/authenticate", authenticate),
    ("POST", r"/_control/payment_intents/(\w+)/settle", settle),
    ("POST", r"/_control/payment_methods/(\w+)/slow", slow_down),
    ("POST", r"/_control/refunds/(\w+)/fail", fail_refund),
]
