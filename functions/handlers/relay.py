"""Ledger stream, outbox items: put announcements on the bus."""

from typing import Any

from adapters.items import from_wire
from handlers import _live


def handler(event: dict[str, Any], _context: object) -> None:
    """DynamoDB stream, filtered to outbox items; a batch handled twice announces twice under the same ids."""
    _live.live.bus.publish([from_wire(record["dynamodb"]["NewImage"]) for record in event["Records"]])
