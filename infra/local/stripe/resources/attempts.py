"""Attempts to pay: what a card's bank and its holder make of a PaymentIntent."""

from __future__ import annotations

from infra.local.stripe.account import Account
from infra.local.stripe.cards import Authentication, Card
from infra.local.stripe.problems import Json, Problem
from infra.local.stripe.resources import charges, disputes, invoice_payments, payment_methods


def attempt(account: Account, intent: Json, method: Json, *, off_session: bool, asks: bool = True) -> Json:
    """Tries to charge the card once.

    Args:
        account: whose it is.
        intent: what is to be paid.
        method: the card.
        off_session: whether its holder is away, who agreed to such payments before.
        asks: whether the intent then waits for the holder when the bank wants them to confirm.

    Raises:
        Problem: 402 when the bank declines, or wants the holder and nobody asks them.
    """
    intent.update(payment_method=method["id"], next_action=None, last_payment_error=None)
    card, set_up = account.cards[method["id"]], method["id"] in account.set_up
    if not wants_holder(card, off_session=off_session, set_up=set_up):
        return charge(account, intent, method)
    if not asks:
        raise decline(account, intent, method, "authentication_required")
    page_of_bank = {"url": f"{account.url}/authenticate/{intent['id']}", "return_url": None}
    action = {"redirect_to_url": page_of_bank, "type": "redirect_to_url"}
    intent.update(status="requires_action", next_action=action)
    account.tell("payment_intent.requires_action", intent)
    return intent


def wants_holder(card: Card, *, off_session: bool, set_up: bool) -> bool:
    """Whether the bank wants the holder to confirm; on-session each of these cards does, whatever was set up."""
    match card.authentication:
        case Authentication.NEVER:
            return False
        case Authentication.ON_SESSION:
            return not off_session
        case Authentication.UNLESS_SET_UP:
            return not (off_session and set_up)
        case Authentication.ALWAYS:
            return True


def authenticated(account: Account, intent: Json, *, succeeds: bool) -> Json:
    """Goes on after the holder was asked; what the bank then says is in the intent."""
    method = account.get("payment_method", intent["payment_method"])
    try:
        if succeeds:
            return charge(account, intent, method)
        raise _unauthenticated(account, intent, method)
    except Problem as problem:
        invoice_payments.failed(account, intent)
        return dict(problem.error["payment_intent"])


def _unauthenticated(account: Account, intent: Json, method: Json) -> Problem:
    """Returns the error of a holder who does not confirm; the bank is not even asked for the money."""
    text = "We are unable to authenticate your payment method. Please choose a different payment method and try again."
    code = "payment_intent_authentication_failure"
    problem = Problem(402, "invalid_request_error", text, code=code, payment_method=dict(method))
    return _failed(account, intent, problem)


def charge(account: Account, intent: Json, method: Json) -> Json:
    """Takes the money, or raises the bank's refusal (402)."""
    card = account.cards[method["id"]]
    if card.code:
        raise decline(account, intent, method, card.code, card.decline_code)
    if intent["setup_future_usage"] and intent["customer"]:
        payment_methods.attach(account, {"customer": intent["customer"]}, method["id"])
        account.set_up.add(method["id"])
    pending = method["id"] in account.slow
    made = charges.create(account, intent, method, pending=pending)
    intent.update(latest_charge=made["id"], next_action=None)
    if pending:
        intent["status"] = "processing"
        account.tell("payment_intent.processing", intent)
        return intent
    return _succeeded(account, intent, made)


def _succeeded(account: Account, intent: Json, made: Json) -> Json:
    intent.update(amount_received=intent["amount"], status="succeeded")
    account.tell("payment_intent.succeeded", intent)
    invoice_payments.settle(account, intent)
    if account.cards[made["payment_method"]].is_disputed:
        disputes.open_(account, made, "fraudulent")
    return intent


def processed(account: Account, intent: Json, *, succeeds: bool) -> Json:
    """Ends a payment that took its time."""
    made = account.objects[intent["latest_charge"]]
    method = account.get("payment_method", intent["payment_method"])
    if succeeds:
        charges.settle(account, made)
        return _succeeded(account, intent, made)
    problem = payment_methods.declined("card_declined", "generic_decline", payment_method=dict(method))
    charges.settle(account, made, problem.error)
    _failed(account, intent, problem, made)
    invoice_payments.failed(account, intent)
    return intent


def decline(account: Account, intent: Json, method: Json, code: str, decline_code: str | None = None) -> Problem:
    """Records a failed charge and returns its 402."""
    problem = payment_methods.declined(code, decline_code or code, payment_method=dict(method))
    return _failed(account, intent, problem, charges.create(account, intent, method, problem.error))


def _failed(account: Account, intent: Json, problem: Problem, made: Json | None = None) -> Problem:
    """Records that an attempt failed, so that another card is needed; returns its problem with the intent in it."""
    if made:
        problem.error["charge"] = made["id"]
        intent["latest_charge"] = made["id"]
    intent.update(
        last_payment_error=dict(problem.error),
        next_action=None,
        payment_method=None,
        status="requires_payment_method",
    )
    account.tell("payment_intent.payment_failed", intent)
    problem.error["payment_intent"] = dict(intent)
    return problem
