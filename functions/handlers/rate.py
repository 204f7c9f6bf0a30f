"""Usage stream, the rate queue and the minute: draw what is owed from each wallet. Laws 5.2, 5.4, 5.7 and 5.9."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

from adapters.events import EdgeKey
from adapters.shards import SHARDS
from billing.customers import NoCurrency
from billing.periods import Period
from handlers import _live
from handlers._adjusting import adjust, is_late
from handlers._door import UNPROCESSABLE, count, logger
from handlers._live import Live
from handlers._settling import settle_customer
from metering.errors import NotFound
from metering.times import DAY, HOUR, hour_name, hour_of_name

_MOST_PER_SHARD = 1000
_PACK = 25


Touched = Mapping[str, Set[Period]]
"""By customer, the hours and days in which usage changed."""


def rate_customers(touched: Touched, live: Live, now: int) -> None:
    """Settle wallets; one that cannot be settled is parked, and its neighbours go on."""
    for customer in sorted(touched):
        try:
            rate_customer(customer, touched[customer], live, now)
        except (NotFound, NoCurrency):
            continue  # deleted meanwhile, with all that was owed; or there is nothing to charge yet, and no wallet
        except UNPROCESSABLE as error:
            logger.exception("parked", extra={"customer": customer})
            count("ParkedRecords")
            intervals = sorted([each.start, each.end] for each in touched[customer])
            message = {"body": json.dumps({"customers": [customer], "touched": intervals})}
            live.outbox.park(customer, "rate", message, str(error), now)


def rate_customer(customer: str, touched: Iterable[Period], live: Live, now: int) -> None:
    """Settle one wallet, have pair look at sessions that ended by time or outlived a day, keep past days as wholes.

    Of usage that changed in a period that is concluded the next invoice is told.

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
    late = [each for each in touched if is_late(view, each)]
    if late:
        adjust(customer, late, live, now)


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
    touched: defaultdict[str, set[Period]] = defaultdict(set)
    for record in event["Records"]:
        if "dynamodb" in record:
            keys = record["dynamodb"]["Keys"]
            touched[keys["pk"]["S"]].add(_interval(keys["sk"]["S"]))
        else:
            message = json.loads(record["body"])
            intervals = {Period(start, end) for start, end in message.get("touched", ())}
            for customer in message["customers"]:
                touched[customer] |= intervals
    rate_customers(touched, live, live.clock())


def _interval(sort: str) -> Period:
    """The hour or day of a window, from its sort key."""
    grain, name, _ = sort.split("#", 2)
    start = hour_of_name(f"{name}T00" if grain == "day" else name)
    return Period(start, start + (DAY if grain == "day" else HOUR))
