"""What a customer does on the page of a checkout session."""

from __future__ import annotations

from infra.local.stripe.account import Account
from infra.local.stripe.cards import CARDS, Card
from infra.local.stripe.problems import Json, Problem, invalid
from infra.local.stripe.resources import attempts, payment_intents, payment_methods, setup_intents


def complete(account: Account, identifier: str, number: str, *, authenticates: bool = True, slow: bool = False) -> Json:
    """Gives a card: it is saved in setup mode and charged in payment mode. A refusal leaves the session open.

    Args:
        account: whose session it is.
        identifier: of the session.
        number: of a test card.
        authenticates: whether its holder confirms when the bank asks them.
        slow: whether the payment takes days to succeed or fail, as a bank debit's does.

    Raises:
        Problem: the session is over, the card is none of the test cards, or the bank refuses it.
    """
    session = account.get("checkout.session", identifier)
    card = CARDS.get(number.replace(" ", ""))
    if session["status"] != "open":
        raise invalid("This checkout session is over.")
    if card is None:
        raise invalid("That is none of the test cards.", param="card")
    if session["mode"] == "setup":
        setup_intents.succeed(account, account.objects[session["setup_intent"]], card, authenticates=authenticates)
    else:
        _pay(account, session, card, authenticates=authenticates, slow=slow)
    session.update(status="complete", url=None, customer_details=_details(account, session))
    account.tell("checkout.session.completed", session)
    return session


def _pay(account: Account, session: Json, card: Card, *, authenticates: bool, slow: bool) -> None:
    """Charges a card; the session keeps the one intent for all attempts."""
    intent = _intent(account, session)
    method = payment_methods.of_card(account, card)
    if slow:
        account.slow.add(method["id"])
    attempts.attempt(account, intent, method, off_session=False)
    if intent["status"] == "requires_action":
        attempts.authenticated(account, intent, succeeds=authenticates)
    if intent["status"] == "requires_payment_method":
        raise Problem(402, intent["last_payment_error"]["type"], intent["last_payment_error"]["message"])
    session["payment_status"] = "paid" if intent["status"] == "succeeded" else "unpaid"


def _intent(account: Account, session: Json) -> Json:
    if session["payment_intent"]:
        return account.objects[session["payment_intent"]]
    wanted: Json = {
        **account.wishes[session["id"]],
        "amount": session["amount_total"],
        "currency": session["currency"],
        "customer": session["customer"],
    }
    intent = payment_intents.made(account, wanted, None)
    session["payment_intent"] = intent["id"]
    account.note(session)
    return intent


def _details(account: Account, session: Json) -> Json:
    known = account.objects.get(session["customer"] or "", {})
    named = {name: known.get(name) for name in ("address", "email", "name", "phone")}
    email = named["email"] or session["customer_email"]
    return {**named, "email": email, "tax_exempt": known.get("tax_exempt", "none"), "tax_ids": []}


def settled(account: Account, intent: Json) -> None:
    """Tells of the session that was paid slowly, if the intent is one's, what became of the payment."""
    for session in account.tied("checkout.session", payment_intent=intent["id"], status="complete"):
        succeeded = intent["status"] == "succeeded"
        session["payment_status"] = "paid" if succeeded else "unpaid"
        account.tell(f"checkout.session.async_payment_{'succeeded' if succeeded else 'failed'}", session)
