"""Usage stream, the rate queue and the minute: draw what is owed from each wallet. Laws 5.2, 5.4 and 5.9.

Also what has to be looked at again though nothing arrives: customers without a plan, and what looked odd a minute ago.
"""

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from adapters import watches
from adapters.ledger import SHARDS
from billing.customers import NoCurrency
from handlers import _live
from handlers._door import UNPROCESSABLE, count, logger
from handlers._live import Live
from handlers._settling import settle_customer
from handlers._watching import look_after, watch
from metering.errors import NotFound
from metering.times import hour_name

_MOST_PER_SHARD = 1000
_PACK = 25


def rate_customers(customers: Iterable[str], live: Live, now: int, begun: Collection[str] = ()) -> None:
    """Settle wallets; one that cannot be settled is parked, and its neighbours go on.

    Args:
        customers: whose.
        live: the surroundings.
        now: milliseconds.
        begun: of these customers an hour has begun, or sessions began or ended: without a plan they are watched too.
    """
    _each(customers, "customers", lambda customer: rate_customer(customer, live, now, begun=customer in begun), live)


def rate_customer(customer: str, live: Live, now: int, *, begun: bool = False) -> None:
    """Settle one wallet, and look after its sessions and days; without a plan that is the watch's, if anything begun.

    Raises:
        NotFound: there is no such customer.
    """
    try:
        view = settle_customer(customer, live, now)
        planned = bool(view.account.plans)
    except NoCurrency:
        planned = False
    if planned:
        look_after(view.account, view.measured, live, view.now)
    elif begun:
        watch(customer, live, now)


def _each(customers: Iterable[str], kind: str, work: Callable[[str], None], live: Live) -> None:
    """Do something for customers; one for whom it cannot be done is parked as a message of that kind."""
    for customer in sorted(set(customers)):
        try:
            work(customer)
        except NotFound:
            continue  # deleted meanwhile, with all that was owed
        except UNPROCESSABLE as error:
            logger.exception("parked", extra={"customer": customer})
            count("ParkedRecords")
            message = {"body": json.dumps({kind: [customer]})}
            live.outbox.park(customer, "rate", message, str(error), live.clock())


def poke_suspects(keys: Iterable[tuple[str, str]], live: Live, now: int) -> None:
    """Have pair look again at what has looked odd for long enough; what still stands after an hour is poked again."""
    for suspect in live.watches.suspects(keys):
        live.events.poke(suspect.key, f"{suspect.reason}-{hour_name(now)}")


def tick(live: Live, now: int) -> int:
    """Put what is due on the queue, in packs: wallets, watches and suspects; returns how many."""
    due: dict[str, list[Any]] = {"customers": [], "watched": [], "suspects": []}
    for shard in range(SHARDS):
        wallets, watched = live.ledger.due_wallets(shard, now, _MOST_PER_SHARD)
        due["customers"] += wallets
        due["watched"] += watched
    for shard in range(watches.SHARDS):
        due["suspects"] += live.watches.due_suspects(shard, now, _MOST_PER_SHARD)
    packs: Sequence[Any] = [
        {kind: found[start : start + _PACK]} for kind, found in due.items() for start in range(0, len(found), _PACK)
    ]
    live.queue("RATE").send(packs)
    return sum(map(len, due.values()))


def handler(event: dict[str, Any], _context: object) -> None:
    """The Usage stream's records, the queue's packs, or the schedule's minute."""
    live = _live.live
    if "Records" not in event:
        tick(live, live.scheduled_now(event))
        return
    stream = [record for record in event["Records"] if "dynamodb" in record]
    packs = [json.loads(record["body"]) for record in event["Records"] if "dynamodb" not in record]
    watched = {customer for pack in packs for customer in pack.get("watched", ())}
    customers = {_customer(record) for record in stream} | watched
    customers.update(customer for pack in packs for customer in pack.get("customers", ()))
    now = live.clock()
    rate_customers(customers, live, now, {_customer(record) for record in stream if _begins(record)})
    _each(watched, "watched", lambda customer: watch(customer, live, now), live)
    poke_suspects([(pk, sk) for pack in packs for pk, sk in pack.get("suspects", ())], live, now)


def _customer(record: dict[str, Any]) -> str:
    return str(record["dynamodb"]["Keys"]["pk"]["S"])


def _begins(record: dict[str, Any]) -> bool:
    """Whether an hour begins with it, after which a past day may be kept as a whole, or what runs has changed."""
    kind: str = record["dynamodb"]["NewImage"]["kind"]["S"]
    return kind == "open" or str(record["eventName"]) == "INSERT"
