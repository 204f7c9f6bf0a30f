"""Refunds of charges."""

from __future__ import annotations

from infra.local.stripe.account import Account
from infra.local.stripe.listing import PAGING, page
from infra.local.stripe.problems import Json, invalid
from infra.local.stripe.resources import charges
from infra.local.stripe.routes import retrieve, route


def create(account: Account, params: Json) -> Json:
    """Gives back a charge, or a part of it.

    Raises:
        Problem: nothing was charged, or less is left than the amount asked for.
    """
    charge = _charge(account, params)
    left = charge["amount"] - charge["amount_refunded"]
    amount = params.get("amount", left)
    if left == 0:
        text = f"Charge {charge['id']} has already been refunded."
        raise invalid(text, code="charge_already_refunded")
    if not 0 < amount <= left:
        text = f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})."
        raise invalid(text, param="amount")
    refund = _refund(account, charge, amount, params)
    refunded = charge["amount_refunded"] + amount
    charge.update(amount_refunded=refunded, refunded=refunded == charge["amount"])
    account.tell("refund.created", refund)
    account.tell("charge.refunded", charge, {"amount_refunded": refunded - amount})
    return refund


def _charge(account: Account, params: Json) -> Json:
    if ("charge" in params) == ("payment_intent" in params):
        raise invalid("One of the following params should be provided: charge, payment_intent.")
    if "charge" in params:
        charge = account.get("charge", params["charge"], param="charge")
    else:
        wanted = params["payment_intent"]
        intent = account.get("payment_intent", wanted, param="payment_intent")
        if intent["status"] != "succeeded":
            text = f"This PaymentIntent ({wanted}) does not have a successful charge to refund."
            raise invalid(text, code="payment_intent_unexpected_state", param="payment_intent")
        charge = account.objects[intent["latest_charge"]]
    if not charge["paid"]:
        raise invalid(f"Charge {charge['id']} did not succeed.", code="charge_not_refundable")
    return charge


def _refund(account: Account, charge: Json, amount: int, params: Json) -> Json:
    refund = account.add(
        "re",
        "refund",
        amount=amount,
        balance_transaction=None,
        charge=charge["id"],
        created=account.now(),
        currency=charge["currency"],
        destination_details={
            "card": {"reference_status": "pending", "reference_type": "refund", "type": "refund"},
            "type": "card",
        },
        metadata=params.get("metadata") or {},
        payment_intent=charge["payment_intent"],
        reason=params.get("reason"),
        receipt_number=None,
        source_transfer_reversal=None,
        status="succeeded",
        transfer_reversal=None,
    )
    source = {**refund, "description": "REFUND FOR CHARGE"}
    refund["balance_transaction"] = charges.book(account, source, "refund", -amount, 0)
    return refund


def listed(account: Account, params: Json) -> Json:
    """Returns refunds, newest first."""
    rows = account.newest("refund", charge=params.get("charge"), payment_intent=params.get("payment_intent"))
    return page(rows, params, "/v1/refunds")


_MADE = "amount charge payment_intent reason metadata"
_FILTERS = f"{PAGING} created charge payment_intent"
ROUTES = [
    route("POST", "/v1/refunds", "RefundCreateParams", _MADE, create),
    route("GET", "/v1/refunds", "RefundListParams", _FILTERS, listed),
    retrieve("/v1/refunds/{}", "refund", "RefundRetrieveParams"),
]
