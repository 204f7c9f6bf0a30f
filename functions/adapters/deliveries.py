"""Deliveries of webhooks in the Ledger table: what is under way, and the log of what was sent.

| kind | partition | sort key |
|---|---|---|
| delivery | `webhooks#to#endpoint` | id: in the order of announcing |

What is not over is listed in the index `due` under `webhook`: what waits for its next try by its instant, and all else
for a quarter of an hour after its last change, when whatever message was to move it must have been lost.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from adapters.items import Absent, Equals, Item, Put, Table, string
from billing.deliveries import Attempt, Delivery
from metering.times import DAY, MINUTE, QUARTER, floor

_KEPT = 30 * DAY


class Deliveries:
    """What was told to whom. Every change is on the condition of what was read."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def find(self, endpoint: str, delivery: str) -> Delivery | None:
        """One delivery; None if there is none, or none any more."""
        item = self._table.get(_partition(endpoint), delivery)
        return _read(item) if item else None

    def begin(self, delivery: Delivery) -> None:
        """Keep a new delivery.

        Raises:
            ConditionFailed: there is one of that id: the announcement was seen before.
        """
        self._table.put(Put(_item(delivery), Absent()))

    def move(self, before: Delivery, after: Delivery, beside: Sequence[Put] = ()) -> None:
        """Write a delivery's next state, with what else changes with it.

        Raises:
            ConditionFailed: the delivery, or what is beside it, is no longer what was read.
        """
        put = Put(_item(after), Equals("body", _json(before)))
        if beside:
            self._table.transact([put, *beside])
        else:
            self._table.put(put)

    def log(self, endpoint: str, before: str | None, page: int) -> Iterator[Delivery]:
        """The deliveries to an endpoint, newest first; those that were announced before one of them if that is told."""
        last = "~" if before is None else before
        for item in self._table.query(_partition(endpoint), last=last, newest_first=True, page=page):
            if string(item, "sk") != before:
                yield _read(item)

    def due(self, until: int, most: int) -> list[tuple[str, str]]:
        """The endpoints and ids of deliveries that somebody has to look at, earliest first."""
        keys = self._table.due("webhook", until, most)
        return [(pk.removeprefix(_partition("")), sk) for pk, sk in keys]


def _partition(endpoint: str) -> str:
    return f"webhooks#to#{endpoint}"


def _item(delivery: Delivery) -> Item:
    item: Item = {
        "pk": _partition(delivery.endpoint),
        "sk": delivery.id,
        "kind": "delivery",
        "body": _json(delivery),
        "ttl": (delivery.changed_at + _KEPT) // 1000,
    }
    due_at = _looked_at(delivery)
    return item if due_at is None else {**item, "due_shard": "webhook", "due_at": due_at}


def _looked_at(delivery: Delivery) -> int | None:
    if delivery.due_at is not None and delivery.due_at > delivery.changed_at:
        return delivery.due_at
    # By the minute, so that a try that is begun at once does not write the index again.
    standing = delivery.state in ("pending", "sending")
    return floor(delivery.changed_at, MINUTE) + QUARTER if standing else None


def _json(delivery: Delivery) -> str:
    return json.dumps(asdict(delivery), sort_keys=True, separators=(",", ":"))


def _read(item: Item) -> Delivery:
    body = json.loads(string(item, "body"))
    return Delivery(**{**body, "attempts": tuple(Attempt(**attempt) for attempt in body["attempts"])})
