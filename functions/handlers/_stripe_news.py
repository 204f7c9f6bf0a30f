"""What an event of Stripe's is about, and who is to know: shared by the door for webhooks and the sweep."""

from collections.abc import Iterator, Mapping
from typing import Any

from handlers._live import Live

Message = dict[str, Any]

TYPES = (
    *("payment_intent.succeeded", "payment_intent.payment_failed", "payment_intent.canceled"),
    *("checkout.session.completed", "checkout.session.expired"),
    *("checkout.session.async_payment_succeeded", "checkout.session.async_payment_failed"),
    *("invoice.paid", "invoice.payment_failed", "invoice.payment_action_required"),
    *("invoice.voided", "invoice.marked_uncollectible"),
    *("charge.refunded", "refund.updated", "refund.failed"),
    *("charge.dispute.closed", "charge.dispute.funds_withdrawn", "charge.dispute.funds_reinstated"),
)
"""The events that mean something here: README names them for the webhook endpoint. Stripe lists at most 20 types."""


def hand_on(event: Mapping[str, Any], live: Live, now: int) -> None:
    """Queue what follows of an event, then remember that it was handed on.

    Raises:
        Unavailable: a queue did not take it.
    """
    for queue, message in messages_of(event):
        live.queue(queue).send([message], 1)  # what was asked for waits for its balance, an answer does not
    live.seen_events.remember(str(event["id"]), now)


def messages_of(event: Mapping[str, Any]) -> Iterator[tuple[str, Message]]:
    """Which queue is told what; nothing of the event but ids goes on, and nothing that is not ours."""
    about = (event.get("data") or {}).get("object") or {}
    kind, identity = about.get("object"), about.get("id")
    if event.get("type") not in TYPES or not isinstance(identity, str):
        return
    written = about.get("metadata") or {}
    customer, top_up = written.get("taximeter_customer"), written.get("taximeter_top_up")
    if kind in ("payment_intent", "checkout.session") and customer and top_up:
        paid = {"paid": identity} if event["type"] == "payment_intent.succeeded" else {}
        yield "TOP_UP", {"customer": customer, "attempt": top_up, **paid}
    elif kind == "checkout.session" and customer and about.get("mode") == "setup":
        yield "TOP_UP", {"customer": customer, "page": identity}
    elif kind == "invoice" and written.get("taximeter_invoice"):
        yield "COLLECT", {"stripe_invoice": identity, **({"customer": customer} if customer else {})}
    elif kind in ("charge", "refund", "dispute") and isinstance(about.get("payment_intent"), str):
        # Whether it was a top-up's or an invoice's is known to Stripe: either looks.
        for queue in ("TOP_UP", "COLLECT"):
            yield queue, {"payment_intent": about["payment_intent"]}
