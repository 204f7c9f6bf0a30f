"""Stripe's test cards, as a table: what each does when it is saved and when it is charged."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Authentication(enum.Enum):
    """When the bank asks the card's holder to confirm."""

    NEVER = "never"
    ON_SESSION = "on_session"
    UNLESS_SET_UP = "unless_set_up"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True)
class Card:
    """One test card.

    Attributes:
        number: all its digits.
        brand: as Stripe names it.
        funding: ``credit`` or ``debit``.
        code: the error code of its charges; empty when they succeed.
        decline_code: the bank's reason; empty when there is none.
        attaches: whether it can be saved to a customer at all.
        authentication: when its holder must confirm.
        is_disputed: whether its holder disputes what is charged, at once.
    """

    number: str
    brand: str = "visa"
    funding: str = "credit"
    code: str = ""
    decline_code: str = ""
    attaches: bool = True
    authentication: Authentication = Authentication.NEVER
    is_disputed: bool = False

    @property
    def last4(self) -> str:
        """The last four digits."""
        return self.number[-4:]


def _refused(number: str, decline_code: str, code: str = "card_declined") -> Card:
    return Card(number, code=code, decline_code=decline_code, attaches=False)


CARDS = {
    card.number: card
    for card in (
        Card("4242424242424242"),
        Card("4000056655665556", funding="debit"),
        Card("5555555555554444", brand="mastercard"),
        Card("378282246310005", brand="amex"),
        _refused("4000000000000002", "generic_decline"),
        _refused("4000000000009995", "insufficient_funds"),
        _refused("4000000000009987", "lost_card"),
        _refused("4000000000009979", "stolen_card"),
        _refused("4000000000000069", "expired_card", "expired_card"),
        _refused("4000000000000127", "incorrect_cvc", "incorrect_cvc"),
        _refused("4000000000000119", "processing_error", "processing_error"),
        Card("4000000000000341", code="card_declined", decline_code="generic_decline"),
        Card("4000002500003155", authentication=Authentication.UNLESS_SET_UP),
        Card("4000003800000446", authentication=Authentication.ON_SESSION),  # it was set up elsewhere
        Card("4000000000000259", is_disputed=True),
        Card("4000002760003184", authentication=Authentication.ALWAYS),
        Card(
            "4000008260003178",
            code="card_declined",
            decline_code="insufficient_funds",
            authentication=Authentication.ALWAYS,
        ),
    )
}

NAMES = {
    "visa": "4242424242424242",
    "visa_debit": "4000056655665556",
    "mastercard": "5555555555554444",
    "amex": "378282246310005",
    "visa_chargeDeclined": "4000000000000002",
    "chargeDeclined": "4000000000000002",
    "chargeDeclinedInsufficientFunds": "4000000000009995",
    "visa_chargeDeclinedInsufficientFunds": "4000000000009995",
    "visa_chargeDeclinedLostCard": "4000000000009987",
    "visa_chargeDeclinedStolenCard": "4000000000009979",
    "chargeDeclinedExpiredCard": "4000000000000069",
    "chargeDeclinedIncorrectCvc": "4000000000000127",
    "chargeDeclinedProcessingError": "4000000000000119",
    "createDispute": "4000000000000259",
    "chargeCustomerFail": "4000000000000341",
    "authenticationRequiredOnSetup": "4000002500003155",
    "authenticationRequiredSetupForOffSession": "4000003800000446",
    "authenticationRequired": "4000002760003184",
    "authenticationRequiredChargeDeclinedInsufficientFunds": "4000008260003178",
}


def named(name: str, prefix: str) -> Card | None:
    """Returns the card behind ``pm_card_visa`` (prefix ``pm_card_``) or ``tok_visa``, or None."""
    number = NAMES.get(name.removeprefix(prefix)) if name.startswith(prefix) else None
    return CARDS[number] if number else None
