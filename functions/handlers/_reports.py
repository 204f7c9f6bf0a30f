"""What cannot be read is told of: in the log, and as a count that alarms."""

from adapters.catalog import Damaged
from adapters.items import Item
from handlers._door import count, logger


def report_customer(damaged: Damaged) -> None:
    """Tell of a customer that cannot be read, whoever came across it: its neighbours go on without a word."""
    logger.error("a customer cannot be read", extra={"customer": damaged.customer, "reason": damaged.reason})
    count("UnreadableCustomers")


def report_item(item: Item, error: Exception) -> None:
    """Tell of what a list goes on without; it is listed again, and told of again, until somebody mends it."""
    what = {"customer": str(item.get("pk")), "item": str(item.get("sk")), "reason": type(error).__name__}
    logger.error("an item cannot be read", extra=what)
    count("ParkedRecords")
