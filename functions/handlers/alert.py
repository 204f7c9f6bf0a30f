"""Bus rules of what a person has to look at: tell the operator's topic."""

from typing import Any

from adapters.topic import Topic
from handlers import _live

# By detail-type: what has happened, which field says to whom, and the sentence.
_WORDS = {
    "balance.low": ("Balance low", "customer", "A prepaid balance fell below its threshold."),
    "top_up.failed": ("Top-up failed", "customer", "A customer could not be charged for a top-up."),
    "top_up.action_required": (
        "Top-up needs its customer",
        "customer",
        "A card's holder has to confirm a top-up; the API tells on which page.",
    ),
    "invoice.payment_failed": ("Invoice not paid", "customer", "An invoice could not be charged."),
    "webhook_endpoint.disabled": (
        "Webhook endpoint disabled",
        "endpoint",
        "A webhook endpoint said that it is gone, or nothing has reached it for days: nothing is sent to it any more.",
    ),
}

_PAGES = {"url", "hosted_invoice_url"}


def message(detail_type: str, detail: dict[str, Any]) -> tuple[str, str]:
    """The subject and text for a person; ids and amounts only, nothing personal, and no page that anybody may open."""
    title, whose, sentence = _WORDS[detail_type]
    subject = f"{title}: {detail[whose]}"[:100]
    lines = (f"{name}: {value}" for name, value in sorted(detail.items()) if name not in _PAGES)
    return subject, "\n".join([sentence, "", *lines])


def handler(event: dict[str, Any], _context: object) -> None:
    """EventBridge event with an announcement as its detail."""
    Topic(_live.live.setting("ALERT_TOPIC_ARN")).publish(*message(event["detail-type"], event["detail"]))
