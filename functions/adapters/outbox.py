"""The outbox: what is to be announced, kept in the Ledger table until relay has put it on the bus.

| what | partition | sort key |
|---|---|---|
| announcement | `customer`, or `operator#` for what is about no customer | `outbox#id` |
| parked record | `customer` | `parked#function#id` |

An announcement's id is derived from what it tells, and it is put if absent: the same thing is announced once.
"""

import json
from collections.abc import Mapping
from typing import Any

from adapters.items import Absent, ConditionFailed, Item, Put, Table, integer, string
from billing.settlement import Announcement
from metering.packing import canonical, digest
from metering.times import DAY

_KEPT = 7 * DAY


def outbox_item(customer: str | None, announcement: Announcement, now: int) -> Item:
    """The item that announces something; written in one transaction with what it tells of.

    Args:
        customer: whom it is about; None for what is about the deployment itself.
        announcement: what is told.
        now: milliseconds.
    """
    whose = {} if customer is None else {"customer": customer}
    return {
        "pk": customer or "operator#",
        "sk": f"outbox#{announcement.id}",
        "kind": "outbox",
        "detail_type": announcement.detail_type,
        "body": json.dumps({"id": announcement.id, **whose, **announcement.detail}, sort_keys=True),
        "ttl": (now + _KEPT) // 1000,
    }


def announced_at(item: Item) -> int:
    """When an outbox item was written, to the second: a batch that relay handles twice tells of the same instant."""
    return integer(item, "ttl") * 1000 - _KEPT


class Outbox:
    """Announcements that no wallet write carries, and records that could not be processed."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def announce(self, customer: str, announcement: Announcement, now: int) -> None:
        """Announce something, once however often it is said."""
        try:
            self._table.put(Put(outbox_item(customer, announcement, now), Absent()))
        except ConditionFailed:
            return

    def park(self, customer: str, function: str, record: Mapping[str, Any], reason: str, now: int) -> None:
        """Keep a record that cannot be processed until it is redriven, in the form in which the function gets it."""
        content = canonical(record)
        item: Item = {
            "pk": customer,
            "sk": f"parked#{function}#{digest(content)}",
            "kind": "parked",
            "function": function,
            "reason": reason,
            "record": content.decode(),
            "parked_at": now,
            "due_shard": "parked",
            "due_at": now,
        }
        self._table.put(Put(item))

    def parked(self, customer: str) -> list[Item]:
        """The records of a customer that wait to be redriven; while there are any, nothing is finalised."""
        return list(self._table.query(customer, "parked#", "parked#\U0010ffff"))

    def all_parked(self, now: int) -> list[Item]:
        """Up to a thousand records that wait to be redriven, oldest first."""
        return self._table.get_many(self._table.due("parked", now, 1000))

    def unpark(self, item: Item) -> None:
        """Forget a record that has been processed after all."""
        self._table.delete(string(item, "pk"), string(item, "sk"))
