"""Refunds of charges."""

from __future__ import annotations

from infra.local.stripe.account import Account
from infra.local.stripe.listing import PAGING, page
from infra.local.stripe.problems import Json, invalid
from infra.local.stripe.resources import charges, disputes
from infra.local.stripe.resources.metadata import fresh, merged
from infra.local.stripe.routes import retrieve, route


def create(account: Account, params: Json) -> Json:
    """Gives back a charge, or a part of it.

    Raises:
        Problem: nothing was charged, a bank has taken it back, or less is left than the amount asked for.
    """
    charge = _charge(account, params)
    if disputes.withdrawn(account, charge):
        text = f"Charge {charge['id']} has been charged back; cannot issue a refund."
        raise invalid(text, code="charge_disputed")
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
        metadata=fresh(params.get("metadata")),
        payment_intent=charge["payment_intent"],
        reason=params.get("reason"),
        receipt_number=None,
        source_transfer_reversal=None,
        status="succeeded",
        transfer_reversal=None,
    )
    source = {**refund, "description": f"REFUND FOR CHARGE ({charge['description'] or charge['id']})"}
    refund["balance_transaction"] = charges.book(account, source, "refund", -amount)["id"]
    return refund


def fail(account: Account, refund: Json, reason: str) -> Json:
    """Does what a bank does that cannot take a refund: sends it back, so that the charge is not refunded any more.

    Raises:
        Problem: it failed before.
    """
    if refund["status"] != "succeeded":
        raise invalid(f"Refund {refund['id']} has a status of {refund['status']}.")
    charge = account.objects[refund["charge"]]
    source = {**refund, "description": f"REFUND FAILURE ({charge['description'] or charge['id']})"}
    moved = charges.book(account, source, "refund_failure", refund["amount"])
    refund.update(failure_balance_transaction=moved["id"], failure_reason=reason, status="failed")
    charge.update(amount_refunded=charge["amount_refunded"] - refund["amount"], refunded=False)
    for event in ("refund.failed", "refund.updated", "charge.refund.updated"):
        account.tell(event, refund, {"status": "succeeded"} if event != "refund.failed" else None)
    return refund


def update(account: Account, params: Json, identifier: str) -> Json:
    """Changes what is written on a refund."""
    refund = account.get("refund", identifier)
    if "metadata" in params:
        changed = merged(refund["metadata"], params["metadata"])
        account.change(refund, "refund.updated", metadata=changed)
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
    route("POST", "/v1/refunds/{}", "RefundUpdateParams", "metadata", update),
]
