"""How whoever moves a delivery of a webhook asks for it to be made."""

import math
from collections.abc import Iterable

from billing.deliveries import Delivery
from handlers._live import Live
from metering.times import SECOND


def have_made(deliveries: Iterable[tuple[str, str]], live: Live, delay_seconds: int = 0) -> None:
    """Put deliveries on the queue, each by its endpoint and id; one that is there twice is made once."""
    messages = [{"endpoint": endpoint, "delivery": delivery} for endpoint, delivery in deliveries]
    live.queue("NOTIFY").send(messages, delay_seconds, fair_by="endpoint")


def have_made_soon(delivery: Delivery, live: Live, now: int) -> None:
    """Put a delivery on the queue for its next try, if that comes sooner than the minute's look at what is due."""
    if delivery.due_at is not None and delivery.waits_briefly(now):
        have_made([(delivery.endpoint, delivery.id)], live, math.ceil((delivery.due_at - now) / SECOND))
