"""Messages of a queue, one by one: a bad one is parked, a race is run again, an unknown outcome comes again."""

import json
from collections.abc import Callable
from typing import Any

from adapters.items import ConditionFailed
from handlers._door import UNPROCESSABLE, count, logger
from handlers._live import Live
from metering.errors import Conflict, NotFound

_ATTEMPTS = 5

Take = Callable[[dict[str, Any], Live, int], None]


def take_each(event: dict[str, Any], function: str, take: Take, live: Live) -> None:
    """Give each message's body to `take`; its neighbours go on when one is parked.

    Raises:
        Unavailable: what became of a message is unknown; the batch comes again.
        ConditionFailed: others kept writing what a message is about; likewise.
    """
    for record in event["Records"]:
        message = json.loads(record["body"])
        try:
            _take_again(message, take, live)
        except (Conflict, NotFound, *UNPROCESSABLE) as error:
            logger.exception("parked")
            count("ParkedRecords")
            customer = str(message.get("detail", message).get("customer", "unknown"))
            live.outbox.park(customer, function, {"body": record["body"]}, str(error), live.clock())


def _take_again(message: dict[str, Any], take: Take, live: Live) -> None:
    """Run into a webhook's or a sweep's message about the same thing, and start over from what that wrote."""
    for attempt in range(_ATTEMPTS):
        try:
            return take(message, live, live.clock())
        except ConditionFailed:
            if attempt == _ATTEMPTS - 1:
                raise
    return None
