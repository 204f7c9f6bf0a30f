"""Bus rule balance.low: tell the operator's topic."""

from typing import Any

from adapters.topic import Topic
from handlers import _live


def message(detail: dict[str, Any]) -> tuple[str, str]:
    """The subject and text for a person; ids and amounts only, nothing personal."""
    subject = f"Balance low: {detail['customer']}"[:100]
    lines = (f"{name}: {value}" for name, value in sorted(detail.items()))
    return subject, "\n".join(["A prepaid balance fell below its threshold.", "", *lines])


def handler(event: dict[str, Any], _context: object) -> None:
    """EventBridge event with an announcement as its detail."""
    Topic(_live.live.setting("ALERT_TOPIC_ARN")).publish(*message(event["detail"]))
