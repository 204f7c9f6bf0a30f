"""What Stripe tells: its list of events, and in the Ledger table which of them have been handed on.

| what | partition | sort key |
|---|---|---|
| event that was handed on | `stripe_event#id` | `seen` |
| up to when all were | `stripe_events` | `swept` |
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from adapters.items import Item, Put, Table, integer, string
from metering.times import DAY

if TYPE_CHECKING:
    import stripe

    from adapters.stripe import Stripe

_KEPT = 31 * DAY
"""A day longer than Stripe lists events."""


class SeenEvents:
    """Which events have been handed on. Being handed on twice is harmless; being forgotten is not."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def remember(self, event: str, now: int) -> None:
        """Keep that an event was handed on; call it after that."""
        item: Item = {"pk": f"stripe_event#{event}", "sk": "seen", "kind": "stripe_event", "ttl": (now + _KEPT) // 1000}
        self._table.put(Put(item))

    def among(self, events: Sequence[str]) -> set[str]:
        """Which of these have been handed on."""
        items = self._table.get_many([(f"stripe_event#{event}", "seen") for event in events])
        return {string(item, "pk").removeprefix("stripe_event#") for item in items}

    def swept_until(self) -> int | None:
        """Up to when every event has been handed on; None before the first sweep."""
        item = self._table.get("stripe_events", "swept")
        return integer(item, "until") if item else None

    def sweep_done(self, until: int) -> None:
        """Keep up to when every event has been handed on."""
        self._table.put(Put({"pk": "stripe_events", "sk": "swept", "kind": "swept", "until": until}))


class StripeEvents:
    """Stripe's list of events; it reaches back 30 days."""

    def __init__(self, stripe: "Stripe") -> None:
        self._stripe = stripe

    def between(self, start: int, end: int, types: Sequence[str]) -> list[Mapping[str, Any]]:
        """The events of some types in [start, end), in milliseconds, oldest first, as webhooks bring them.

        Raises:
            Unavailable: Stripe does not answer.
        """
        params: Any = {
            "created": {"gte": start // 1000, "lt": -(-end // 1000)},
            "types": list(types),
            "limit": 100,
        }

        def read(client: "stripe.StripeClient") -> list[Mapping[str, Any]]:
            return list(_plain(client.v1.events.list(params).auto_paging_iter()))

        return self._stripe.call(read)[::-1]


def _plain(events: Iterator["stripe.Event"]) -> Iterator[Mapping[str, Any]]:
    for event in events:
        yield event.to_dict()
