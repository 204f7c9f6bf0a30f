"""Charges, and what they leave on the account's balance."""

from __future__ import annotations

from infra.local.stripe.account import Account
from infra.local.stripe.listing import PAGING, page
from infra.local.stripe.problems import Json
from infra.local.stripe.routes import retrieve, route


def create(account: Account, intent: Json, method: Json, failure: Json | None = None, *, pending: bool = False) -> Json:
    """Makes the charge of one attempt to pay an intent; ``failure`` holds its error, if it failed."""
    captured = failure is None
    charge = account.add(
        "ch",
        "charge",
        amount=intent["amount"],
        amount_captured=intent["amount"] if captured else 0,
        amount_refunded=0,
        application=None,
        application_fee=None,
        application_fee_amount=None,
        balance_transaction=None,
        billing_details=method["billing_details"],
        calculated_statement_descriptor="STAND-IN",
        captured=captured,
        created=account.now(),
        currency=intent["currency"],
        customer=intent["customer"],
        description=intent["description"],
        disputed=False,
        failure_balance_transaction=None,
        failure_code=None,
        failure_message=None,
        fraud_details={},
        livemode=False,
        metadata=dict(intent["metadata"]),
        on_behalf_of=None,
        outcome=None,
        paid=False,
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
        status="pending",
        transfer_data=None,
        transfer_group=None,
    )
    if pending:
        account.tell("charge.pending", charge)
        return charge
    return settle(account, charge, failure)


def settle(account: Account, charge: Json, failure: Json | None = None) -> Json:
    """Ends a charge: the money is booked, or it failed with this error."""
    charge.update(paid=failure is None, outcome=_outcome(failure), status="failed" if failure else "succeeded")
    if failure:
        charge.update(captured=False, amount_captured=0)
        charge.update(failure_code=failure["code"], failure_message=failure["message"])
    else:
        fee = (charge["amount"] * 29 + 500) // 1000 + 30
        charge["balance_transaction"] = book(account, charge, "charge", charge["amount"], fee)["id"]
    account.tell(f"charge.{charge['status']}", charge)
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


def book(account: Account, source: Json, kind: str, amount: int, fee: int = 0, category: str | None = None) -> Json:
    """Records what a charge, a refund or a dispute moves, less Stripe's fee, in minor units; returns that record.

    ``category`` is what reports file it under, if not under its kind.
    """
    detail: Json = {
        "amount": fee,
        "application": None,
        "currency": source["currency"],
        "description": "Processing fees",
        "type": "stripe_fee",
    }
    return account.add(
        "txn",
        "balance_transaction",
        amount=amount,
        available_on=account.now() + 2 * 86_400,
        balance_type="payments",
        created=account.now(),
        currency=source["currency"],
        description=source.get("description"),
        exchange_rate=None,
        fee=fee,
        fee_details=[detail] if fee else [],
        net=amount - fee,
        reporting_category=category or kind,
        source=source["id"],
        status="pending",
        type=kind,
    )


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
