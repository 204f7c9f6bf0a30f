"""The hour: hand on what Stripe has told in its list of events and no webhook brought.

So a webhook that was lost, or an endpoint that was never set up, delays what follows by an hour and loses nothing.
"""

from typing import Any

from handlers import _live
from handlers._door import count, logger
from handlers._live import Live
from handlers._stripe_news import TYPES, hand_on
from metering.errors import Unavailable
from metering.times import DAY, HOUR, MINUTE

# Stripe's clock and ours differ, and an event takes a moment to be listed.
_OVERLAP = 10 * MINUTE
_REACH = 29 * DAY


def sweep(live: Live, now: int) -> int:
    """Hand on the events since the last sweep that are not known; returns how many there were.

    Day by day, oldest first, so that what was done stays done if time runs out.

    Raises:
        Unavailable: Stripe or a queue does not answer; the next sweep begins where this one ended.
    """
    found = 0
    known_until = live.seen_events.swept_until()
    reached = max(now - HOUR if known_until is None else known_until, now - _REACH)
    while reached < now:
        until = min(reached + DAY, now)
        events = live.stripe_events.between(reached - _OVERLAP, until, TYPES)
        seen = live.seen_events.among([str(event["id"]) for event in events])
        fresh = [event for event in events if event["id"] not in seen]
        for event in fresh:
            hand_on(event, live, now)
        found += len(fresh)
        live.seen_events.sweep_done(until)
        reached = until
    return found


def handler(event: dict[str, Any], _context: object) -> None:
    """The schedule's hour."""
    live = _live.live
    try:
        found = sweep(live, live.scheduled_now(event))
    except Unavailable as error:
        # Whoever does not use Stripe has no key; who does sees it in the log, and the next hour goes on from here.
        logger.warning("not swept", extra={"code": error.code})
        return
    count("StripeEventsMissed", found)
