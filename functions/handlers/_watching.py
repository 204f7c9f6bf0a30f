"""Looking after sessions and days, which goes on whether or not anybody is charged for them. Laws 4.3, 4.5 and 4.7."""

from contextlib import suppress

from adapters.events import EdgeKey
from adapters.usage import Measured
from billing.customers import Account
from handlers._live import Live
from metering.errors import NotFound, Unavailable
from metering.meters import Meter
from metering.sessions import Session, last_possible_end
from metering.times import DAY, HOUR, floor, hour_name

_ATTEMPTS = 10


def look_after(account: Account, measured: Measured, live: Live, now: int) -> int | None:
    """Have pair look at sessions that ended by time or outlived a day, and keep past days as wholes.

    Returns:
        The next instant at which a running session changes without an edge; None while none runs.
    """
    customer = account.customer
    meters = live.remembered.meters(measured.open)
    instants = []
    for key in measured.open.keys() & meters.keys():
        for session in measured.open[key]:
            instants.append(instant := _next_change(session, meters[key], customer.ends_at))
            if instant <= now:
                # Named by the hour, so that one that came to nothing is repeated.
                edge = EdgeKey(customer.id, key, session.resource, session.start)
                live.events.poke(edge, f"{hour_name(now)}-{session.id}")
    for day in measured.unclosed:
        live.usage.close_day(customer.id, day)
    return min(instants, default=None)


def _next_change(session: Session, meter: Meter, ends_at: int | None) -> int:
    """When a running session ends without an edge, or the day is over that its windows do not count yet."""
    rolls = floor(session.accrues_from, DAY) + DAY
    end = last_possible_end(session, meter, ends_at)
    return rolls if end is None else min(rolls, end)


def watch(customer: str, live: Live, now: int) -> None:
    """Look after a customer without a plan, and keep its watch: when to do so again though nothing arrives.

    What has a plan is looked after as its wallet is settled, so a watch that is left of the time before goes.

    Once the watch is written everything is read again: what began before is found here, and whoever tells of what
    begins later finds the watch as it was written.

    Raises:
        Unreadable: the customer is damaged.
        Unavailable: sessions began and ended all the time.
    """
    for _ in range(_ATTEMPTS):
        stored = live.watches.of_customer(customer)
        account = None
        with suppress(NotFound):
            account = live.catalog.account(customer)
        wanted = _wanted(account, stored, live, now) if account and not account.plans else None
        if wanted == stored:
            return
        live.watches.watch(customer, wanted)
    raise Unavailable("the sessions of the customer are changing all the time")


def _wanted(account: Account, stored: int | None, live: Live, now: int) -> int | None:
    """When the customer is to be looked after again. A watch that lies ahead is only moved nearer, to save writes."""
    ahead = stored if stored is not None and stored > now else None
    start = floor(now - live.acceptance.past, DAY) if ahead is None else now
    following = look_after(account, live.usage.read(account.customer.id, start, None, now - HOUR), live, now)
    return min((instant for instant in (ahead, following) if instant is not None), default=None)
