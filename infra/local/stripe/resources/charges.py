"""Charges, and what they leave on the account's balance."""

from __future__ import annotations

from infra.local.stripe.account import Account
from infra.local.stripe.listing import PAGING, page
from infra.local.stripe.problems import Json
from infra.local.stripe.routes import retrieve, route


def create(account: Account, intent: Json, method: Json, failure: Json | None = None) -> Json:
    """Makes the charge of one attempt to pay an intent; ``failure`` holds its error, if it failed."""
    paid = failure is None
    charge = account.add(
        "ch",
        "charge",
        amount=intent["amount"],
        amount_captured=intent["amount"] if paid else 0,
        amount_refunded=0,
        application=None,
        application_fee=None,
        application_fee_amount=None,
        balance_transaction=None,
        billing_details=method["billing_details"],
        calculated_statement_descriptor="STAND-IN",
        captured=paid,
        created=account.now(),
        currency=intent["currency"],
        customer=intent["customer"],
        description=intent["description"],
        disputed=False,
        failure_balance_transaction=None,
        failure_code=failure["code"] if failure else None,
        failure_message=failure["message"] if failure else None,
        fraud_details={},
        livemode=False,
        metadata=dict(intent["metadata"]),
        on_behalf_of=None,
        outcome=_outcome(failure),
        paid=paid,
        payment_intent=intent["id"],
        payment_method=method["id"],
        payment_method_details={"type": "card", "card": _details(method["card"])},
        receipt_email=intent["receipt_email"],
        receipt_number=None,
        receipt_url=None,
        refunded=False,
        review=None,
        shipping=None,
        source=None,
        source_transfer=None,
        statement_descriptor=None,
        statement_descriptor_suffix=intent["statement_descriptor_suffix"],
        status="succeeded" if paid else "failed",
        transfer_data=None,
        transfer_group=None,
    )
    if paid:
        fee = (charge["amount"] * 29 + 500) // 1000 + 30
        charge["balance_transaction"] = book(account, charge, "charge", charge["amount"], fee)
    account.tell("charge.succeeded" if paid else "charge.failed", charge)
    return charge


def _outcome(failure: Json | None) -> Json:
    reason = failure["decline_code"] if failure else None
    return {
        "advice_code": None,
        "network_advice_code": None,
        "network_decline_code": None,
        "network_status": "declined_by_network" if failure else "approved_by_network",
        "reason": reason,
        "risk_level": "normal",
        "risk_score": 20,
        "seller_message": f"The bank returned {reason}." if failure else "Payment complete.",
        "type": "issuer_declined" if failure else "authorized",
    }


def _details(card: Json) -> Json:
    kept = ("brand", "checks", "country", "exp_month", "exp_year", "fingerprint", "funding", "last4")
    none = ("authorization_code", "installments", "mandate", "three_d_secure", "wallet")
    return {**{key: card[key] for key in kept}, **dict.fromkeys(none), "network": card["brand"]}


def book(account: Account, source: Json, kind: str, amount: int, fee: int) -> str:
    """Records what a charge or a refund moves, less Stripe's fee, in minor units; returns its id."""
    detail: Json = {
        "amount": fee,
        "application": None,
        "currency": source["currency"],
        "description": "Processing fees",
        "type": "stripe_fee",
    }
    made = account.add(
        "txn",
        "balance_transaction",
        amount=amount,
        available_on=account.now() + 2 * 86_400,
        balance_type="payments",
        created=account.now(),
        currency=source["currency"],
        description=source["description"],
        exchange_rate=None,
        fee=fee,
        fee_details=[detail] if fee else [],
        net=amount - fee,
        reporting_category=kind,
        source=source["id"],
        status="pending",
        type=kind,
    )
    return str(made["id"])


def listed(account: Account, params: Json) -> Json:
    """Returns charges, newest first."""
    rows = account.newest("charge", payment_intent=params.get("payment_intent"), customer=params.get("customer"))
    return page(rows, params, "/v1/charges")


def booked(account: Account, params: Json) -> Json:
    """Returns the movements of the account's balance, newest first."""
    rows = account.newest("balance_transaction", type=params.get("type"), source=params.get("source"))
    return page(rows, params, "/v1/balance_transactions")


_FILTERS = f"{PAGING} created customer payment_intent"
_BOOKED = f"{PAGING} created type source"
_BOOKS = "/v1/balance_transactions"
ROUTES = [
    route("GET", "/v1/charges", "ChargeListParams", _FILTERS, listed),
    retrieve("/v1/charges/{}", "charge", "ChargeRetrieveParams"),
    route("GET", _BOOKS, "BalanceTransactionListParams", _BOOKED, booked),
    retrieve(_BOOKS + "/{}", "balance_transaction", "BalanceTransactionRetrieveParams"),
]
