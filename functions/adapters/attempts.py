"""Top-ups in the Ledger table: each attempt an item of its own, written on the condition of what was read. Law 5.6.

| what | partition | sort key |
|---|---|---|
| attempt | `customer` | `attempt#id` |

While its outcome is open an attempt is listed in the index `due`, so that a sweep finds what stood still.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from decimal import Decimal

from adapters.items import Absent, Equals, Item, Put, Table, readable, string
from billing.attempts import Attempt
from metering.decimals import text

_AMOUNTS = ("amount", "tax", "returned", "owed_again")
_FIRST, _LAST = "attempt#", "attempt#\U0010ffff"


class Attempts:
    """Every try to buy credit."""

    def __init__(self, table: Table, report: Callable[[Item, Exception], None] = lambda _item, _error: None) -> None:
        """`report` is told of each one that was to be listed and is damaged."""
        self._table = table
        self._report = report

    def find(self, customer: str, attempt: str) -> Attempt | None:
        """One of a customer's."""
        item = self._table.get(customer, f"attempt#{attempt}")
        return _read(item) if item else None

    def of_customer(self, customer: str) -> list[Attempt]:
        """All of a customer's, in the order of their ids."""
        return [_read(item) for item in self._table.query(customer, _FIRST, _LAST)]

    def due(self, until: int, most: int) -> list[Attempt]:
        """Open ones that are to be looked at again by an instant, oldest first."""
        items = self._table.get_many(self._table.due("attempt", until, most))
        return list(readable(items, _read, self._report))

    def move(self, before: Attempt, after: Attempt, more: Sequence[Put] = ()) -> None:
        """Write an attempt's next state, and what else belongs into the same transaction.

        Raises:
            ConditionFailed: it is no longer what was read.
        """
        if more:
            self._table.transact([attempt_put(before, after), *more])
        else:
            self._table.put(attempt_put(before, after))


def attempt_put(before: Attempt | None, after: Attempt) -> Put:
    """An attempt's next state, for a transaction with the wallet; `before` None for a new one."""
    return Put(_item(after), Equals("body", _body(before)) if before else Absent())


def _item(attempt: Attempt) -> Item:
    """The item of an attempt."""
    item: Item = {
        "pk": attempt.customer,
        "sk": f"attempt#{attempt.id}",
        "kind": "attempt",
        "body": _body(attempt),
    }
    return {**item, "due_shard": "attempt", "due_at": attempt.stands_still_at} if attempt.open else item


def _body(attempt: Attempt) -> str:
    body = asdict(attempt) | {name: text(getattr(attempt, name)) for name in _AMOUNTS}
    return json.dumps(body, sort_keys=True, separators=(",", ":"))


def _read(item: Item) -> Attempt:
    body = json.loads(string(item, "body"))
    return Attempt(**{**body, **{name: Decimal(body[name]) for name in _AMOUNTS}})
