"""Usage stream, the rate queue and the minute: draw what is owed from each wallet. Laws 5.2, 5.4 and 5.9."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from adapters.events import EdgeKey
from adapters.ledger import SHARDS
from billing.customers import NoCurrency
from handlers import _live
from handlers._door import UNPROCESSABLE, count, logger
from handlers._live import Live
from handlers._settling import settle_customer
from metering.errors import NotFound
from metering.times import hour_name

_MOST_PER_SHARD = 1000
_PACK = 25


def rate_customers(customers: Iterable[str], live: Live, now: int) -> None:
    """Settle wallets; one that cannot be settled is parked, and its neighbours go on."""
    for customer in sorted(set(customers)):
        try:
            rate_customer(customer, live, now)
        except (NotFound, NoCurrency):
            continue  # deleted meanwhile, with all that was owed; or there is nothing to charge yet, and no wallet
        except UNPROCESSABLE as error:
            logger.exception("parked", extra={"customer": customer})
            count("ParkedRecords")
            message = {"body": json.dumps({"customers": [customer]})}
            live.outbox.park(customer, "rate", message, str(error), now)


def rate_customer(customer: str, live: Live, now: int) -> None:
    """Settle one wallet, have pair look at sessions that ended by time or outlived a day, keep past days as wholes.

    Raises:
        NotFound, NoCurrency: there is no such customer, or nothing to charge it in.
    """
    view = settle_customer(customer, live, now)
    for meter, session in view.overdue_sessions():
        key = EdgeKey(customer, meter, session.resource, session.start)
        # Named by the hour, so that one that came to nothing is repeated.
        live.events.poke(key, f"{hour_name(view.now)}-{session.id}")
    for day in view.measured.unclosed:
        live.usage.close_day(customer, day)


def tick(live: Live, now: int) -> int:
    """Put the wallets that are due on the queue, in packs; returns how many."""
    due: list[str] = []
    for shard in range(SHARDS):
        due += live.ledger.due_wallets(shard, now, _MOST_PER_SHARD)
    packs: Sequence[Any] = [{"customers": due[start : start + _PACK]} for start in range(0, len(due), _PACK)]
    live.queue("RATE").send(packs)
    return len(due)


def handler(event: dict[str, Any], _context: object) -> None:
    """The Usage stream's records, the queue's packs, or the schedule's minute."""
    live = _live.live
    if "Records" not in event:
        tick(live, live.scheduled_now(event))
        return
    customers: set[str] = set()
    for record in event["Records"]:
        if "dynamodb" in record:
            customers.add(record["dynamodb"]["Keys"]["pk"]["S"])
        else:
            customers.update(json.loads(record["body"])["customers"])
    rate_customers(customers, live, live.clock())
