"""Messages of a queue, one by one: a bad one is parked, a race is run again, an unknown outcome comes again later."""

import json
import zlib
from collections.abc import Callable
from typing import Any

from adapters.items import ConditionFailed
from handlers._door import UNPROCESSABLE, count, logger
from handlers._live import Live
from metering.errors import Conflict, NotFound, Unavailable

_ATTEMPTS = 5
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 2, 900
_PATIENCE = 10
"""After so many tries, half an hour, somebody has to know that a message waits: a key may have been revoked."""

Take = Callable[[dict[str, Any], Live, int], None]


def take_each(event: dict[str, Any], function: str, take: Take, live: Live, queue: str) -> None:
    """Give each message's body to `take`; its neighbours go on when one is parked, or is put back.

    What others cannot answer now (Stripe, or a wallet that everybody writes) is put back on the queue with a growing
    pause, however often: it waits, and neither counts as a failure nor fills the dead letters. One that waits for long
    is counted, and raises an alarm.
    """
    for record in event["Records"]:
        message = json.loads(record["body"])
        try:
            _take_again(message, take, live)
        except Unavailable as error:
            _put_back(record["body"], message, error, live, queue)
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
                raise Unavailable("others kept writing what a message is about") from None
    return None


def _put_back(body: str, message: dict[str, Any], error: Unavailable, live: Live, queue: str) -> None:
    """Send a message again, twice as far ahead as the last time; each at a place of its own, not all at once."""
    tries = int(message.get("tries", 0))
    pause = min(_FIRST_PAUSE_SECONDS << min(tries, 10), _LONGEST_PAUSE_SECONDS)
    ahead = pause // 2 + zlib.crc32(body.encode()) % (pause - pause // 2) + 1
    logger.warning("put back", extra={"code": error.code, "seconds": ahead, "tries": tries})
    count("MessagesWaiting", int(tries >= _PATIENCE))
    live.queue(queue).send([{**message, "tries": tries + 1}], min(ahead, _LONGEST_PAUSE_SECONDS))
