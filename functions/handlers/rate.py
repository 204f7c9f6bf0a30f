"""Usage stream, the rate queue and the minute: draw what is owed from each wallet. Laws 5.2, 5.4, 5.7 and 5.9.

Also what has to be looked at again though nothing arrives: customers without a plan, what looked odd a minute ago, and
webhooks whose next try has come.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from typing import Any

from adapters import watches
from adapters.shards import SHARDS
from billing.customers import NoCurrency
from billing.periods import Period
from handlers import _live
from handlers._adjusting import adjust, is_late
from handlers._deliveries import have_made
from handlers._door import UNPROCESSABLE, count, logger
from handlers._live import Live
from handlers._settling import settle_customer
from handlers._watching import look_after, watch
from metering.errors import NotFound
from metering.times import DAY, HOUR, hour_name, hour_of_name

_MOST_PER_SHARD = 1000
_PACK = 25

Touched = Mapping[str, Set[Period]]
"""By customer, the hours and days in which usage changed."""


def rate_customers(touched: Touched, live: Live, now: int, begun: Collection[str] = ()) -> None:
    """Settle wallets; one that cannot be settled is parked, and its neighbours go on.

    Args:
        touched: whose, and where their usage changed.
        live: the surroundings.
        now: milliseconds.
        begun: of these customers an hour has begun, or sessions began or ended: without a plan they are watched too.
    """

    def message(customer: str) -> dict[str, Any]:
        return {"customers": [customer], "touched": sorted([each.start, each.end] for each in touched[customer])}

    _each(touched, message, lambda name: rate_customer(name, touched[name], live, now, begun=name in begun), live)


def rate_customer(customer: str, touched: Iterable[Period], live: Live, now: int, *, begun: bool = False) -> None:
    """Settle one wallet, and look after its sessions and days; without a plan that is the watch's, if anything begun.

    Of usage that changed in a period that is concluded the next invoice is told.

    Raises:
        NotFound: there is no such customer.
    """
    try:
        view = settle_customer(customer, live, now)
    except NoCurrency:
        view = None
    if view and view.account.plans:
        look_after(view.account, view.measured, live, view.now)
        late = [each for each in touched if is_late(view, each)]
        if late:
            adjust(customer, late, live, now)
    elif begun:
        watch(customer, live, now)


def _each(
    customers: Iterable[str], message: Callable[[str], dict[str, Any]], work: Callable[[str], None], live: Live
) -> None:
    """Do something for customers; one for whom it cannot be done is parked as a message of the queue."""
    for customer in sorted(set(customers)):
        try:
            work(customer)
        except NotFound:
            continue  # deleted meanwhile, with all that was owed
        except UNPROCESSABLE as error:
            logger.exception("parked", extra={"customer": customer})
            count("ParkedRecords")
            live.outbox.park(customer, "rate", {"body": json.dumps(message(customer))}, str(error), live.clock())


def poke_suspects(keys: Iterable[tuple[str, str]], live: Live, now: int) -> None:
    """Have pair look again at what has looked odd for long enough; what still stands after an hour is poked again."""
    for suspect in live.watches.suspects(keys):
        live.events.poke(suspect.key, f"{suspect.reason}-{hour_name(now)}")


def tick(live: Live, now: int) -> int:
    """Put what is due on its queue, in packs: wallets, watches, suspects, and webhooks one by one; returns how many."""
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
    deliveries = live.deliveries.due(now, _MOST_PER_SHARD)
    have_made(deliveries, live)
    return sum(map(len, due.values())) + len(deliveries)


def handler(event: dict[str, Any], _context: object) -> None:
    """The Usage stream's records, the queue's packs, or the schedule's minute."""
    live = _live.live
    if "Records" not in event:
        tick(live, live.scheduled_now(event))
        return
    stream = [record for record in event["Records"] if "dynamodb" in record]
    packs = [json.loads(record["body"]) for record in event["Records"] if "dynamodb" not in record]
    watched = {customer for pack in packs for customer in pack.get("watched", ())}
    now = live.clock()
    rate_customers(_touched(stream, packs, watched), live, now, {_customer(each) for each in stream if _begins(each)})
    _each(watched, lambda name: {"watched": [name]}, lambda name: watch(name, live, now), live)
    poke_suspects([(pk, sk) for pack in packs for pk, sk in pack.get("suspects", ())], live, now)


def _touched(stream: Iterable[dict[str, Any]], packs: Iterable[dict[str, Any]], watched: Iterable[str]) -> Touched:
    touched: defaultdict[str, set[Period]] = defaultdict(set, {customer: set() for customer in watched})
    for record in stream:
        touched[_customer(record)].add(_interval(record["dynamodb"]["Keys"]["sk"]["S"]))
    for pack in packs:
        for customer in pack.get("customers", ()):
            touched[customer] |= {Period(start, end) for start, end in pack.get("touched", ())}
    return touched


def _interval(sort: str) -> Period:
    """The hour or day of a window, from its sort key."""
    grain, name, _ = sort.split("#", 2)
    start = hour_of_name(f"{name}T00" if grain == "day" else name)
    return Period(start, start + (DAY if grain == "day" else HOUR))


def _customer(record: dict[str, Any]) -> str:
    return str(record["dynamodb"]["Keys"]["pk"]["S"])


def _begins(record: dict[str, Any]) -> bool:
    """Whether an hour begins with it, after which a past day may be kept as a whole, or what runs has changed."""
    kind: str = record["dynamodb"]["NewImage"]["kind"]["S"]
    return kind == "open" or str(record["eventName"]) == "INSERT"
