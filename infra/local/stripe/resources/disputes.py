"""Disputes: customers who have their bank take a charge back."""

from __future__ import annotations

from infra.local.stripe.account import Account
from infra.local.stripe.listing import PAGING, page
from infra.local.stripe.problems import Json, invalid
from infra.local.stripe.resources import charges
from infra.local.stripe.resources.metadata import merged
from infra.local.stripe.routes import retrieve, route

_FEE = 1_500
_ANSWER_SECONDS = 7 * 86_400
_TEXTS = (
    "access_activity_log billing_address cancellation_policy cancellation_policy_disclosure cancellation_rebuttal"
    " customer_communication customer_email_address customer_name customer_purchase_ip customer_signature"
    " duplicate_charge_documentation duplicate_charge_explanation duplicate_charge_id product_description receipt"
    " refund_policy refund_policy_disclosure refund_refusal_explanation service_date service_documentation"
    " shipping_address shipping_carrier shipping_date shipping_documentation shipping_tracking_number"
    " uncategorized_file uncategorized_text"
)
# What the API's texts do in test mode, by docs.stripe.com/testing#evidence.
_DECISIVE = {"winning_evidence": "won", "losing_evidence": "lost"}


def open_(account: Account, charge: Json, reason: str, amount: int | None = None, *, inquiry: bool = False) -> Json:
    """Does what a bank does: disputes a charge and, unless it only inquires, withdraws the money and a fee.

    Raises:
        Problem: nothing was charged, it is disputed already, or the amount is more than what is left of it.
    """
    left = charge["amount"] - charge["amount_refunded"]
    wanted = left if amount is None else amount
    if not charge["paid"] or charge["disputed"] or not 0 < wanted <= left:
        raise invalid(f"Charge {charge['id']} cannot be disputed for {wanted}.", param="amount")
    dispute = _made(account, charge, reason, wanted, inquiry=inquiry)
    charge["disputed"] = True
    account.tell("charge.dispute.created", dispute)
    if not inquiry:
        text = f"Chargeback withdrawal for {charge['id']}"
        moved = charges.book(account, {**dispute, "description": text}, "adjustment", -wanted, _FEE, "dispute")
        dispute["balance_transactions"].append(moved)
        account.tell("charge.dispute.funds_withdrawn", dispute)
    return dispute


def _made(account: Account, charge: Json, reason: str, amount: int, *, inquiry: bool) -> Json:
    brand = charge["payment_method_details"]["card"]["brand"]
    card: Json = {
        "brand": brand,
        "case_type": "inquiry" if inquiry else "chargeback",
        "network": brand,
        "network_reason_code": None,
    }
    return account.add(
        "du",
        "dispute",
        amount=amount,
        balance_transactions=[],
        charge=charge["id"],
        created=account.now(),
        currency=charge["currency"],
        enhanced_eligibility_types=[],
        evidence={**dict.fromkeys(_TEXTS.split()), "enhanced_evidence": {}},
        evidence_details={
            "due_by": account.now() + _ANSWER_SECONDS,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
            "submission_method": "not_submitted",
        },
        is_charge_refundable=inquiry,
        livemode=False,
        metadata={},
        network_reason_code=None,
        payment_intent=charge["payment_intent"],
        payment_method_details={"card": card, "type": "card"},
        reason=reason,
        status="warning_needs_response" if inquiry else "needs_response",
    )


def decide(account: Account, dispute: Json, status: str) -> Json:
    """Does what a bank does in the end: the money stays withdrawn, comes back, or was never touched (an inquiry).

    Raises:
        Problem: it was decided before, or the decision is not one of its kind.
    """
    inquiry = dispute["status"].startswith("warning_")
    fitting = {"warning_closed"} if inquiry else {"won", "lost"}
    if not is_open(dispute) or status not in fitting:
        raise invalid(f"A dispute with a status of {dispute['status']} cannot become {status}.")
    dispute.update(is_charge_refundable=status != "lost", status=status)
    account.tell("charge.dispute.closed", dispute)
    if status == "won":
        text = f"Chargeback reversal for {dispute['charge']}"
        source = {**dispute, "description": text}
        moved = charges.book(account, source, "adjustment", dispute["amount"], category="dispute_reversal")
        dispute["balance_transactions"].append(moved)
        account.tell("charge.dispute.funds_reinstated", dispute)
    return dispute


def is_open(dispute: Json) -> bool:
    """Whether a dispute is still to be decided."""
    return dispute["status"] not in {"won", "lost", "warning_closed"}


def withdrawn(account: Account, charge: Json) -> bool:
    """Whether a bank has the money of a charge, or a part of it, for now or for good."""
    rows = account.tied("dispute", charge=charge["id"])
    return any(not row["is_charge_refundable"] for row in rows)


def update(account: Account, params: Json, identifier: str) -> Json:
    """Takes evidence and, unless it is only staged, submits it; two texts of test mode decide the dispute."""
    dispute = account.get("dispute", identifier)
    if "metadata" in params:
        dispute["metadata"] = merged(dispute["metadata"], params["metadata"])
    evidence = params.get("evidence")
    if evidence is None:
        account.tell("charge.dispute.updated", dispute)
        return dispute
    if not is_open(dispute):
        raise invalid("This dispute is already closed.")
    dispute["evidence"].update(evidence)
    dispute["evidence_details"]["has_evidence"] = True
    if params.get("submit", True):
        review(account, dispute)
    decision = _DECISIVE.get(evidence.get("uncategorized_text", ""))
    return decide(account, dispute, decision) if decision else dispute


def review(account: Account, dispute: Json) -> Json:
    """Hands a dispute to the bank, which looks at it."""
    if not is_open(dispute):
        raise invalid("This dispute is already closed.")
    warning = "warning_" if dispute["status"].startswith("warning_") else ""
    dispute["status"] = f"{warning}under_review"
    dispute["evidence_details"]["submission_count"] += 1
    dispute["evidence_details"]["submission_method"] = "manual"
    account.tell("charge.dispute.updated", dispute)
    return dispute


def close(account: Account, _: Json, identifier: str) -> Json:
    """Gives in: the dispute is lost."""
    dispute = account.get("dispute", identifier)
    return decide(account, dispute, "lost")


def listed(account: Account, params: Json) -> Json:
    """Returns disputes, newest first."""
    rows = account.newest("dispute", charge=params.get("charge"), payment_intent=params.get("payment_intent"))
    return page(rows, params, "/v1/disputes")


_PATH = "/v1/disputes"
ROUTES = [
    route("GET", _PATH, "DisputeListParams", f"{PAGING} charge created payment_intent", listed),
    retrieve(_PATH + "/{}", "dispute", "DisputeRetrieveParams"),
    route("POST", _PATH + "/{}", "DisputeUpdateParams", "evidence metadata submit", update),
    route("POST", _PATH + "/{}/close", "DisputeCloseParams", "", close),
]
