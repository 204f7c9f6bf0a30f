"""Webhook endpoints in the Ledger table: beside the outbox, so that one is disabled and that is told in one go.

| kind | partition | sort key |
|---|---|---|
| webhook_endpoint | `webhooks#endpoints` | id |

What has a `#` in its partition is no customer's.
"""

import json
from dataclasses import asdict

from adapters.items import Absent, Equals, Item, Put, Table, string
from billing.endpoints import Endpoint

_PARTITION = "webhooks#endpoints"


class Endpoints:
    """Who is told. Every change is on the condition of what was read."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def all(self) -> list[Endpoint]:
        """All endpoints, by id."""
        return [_read(item) for item in self._table.query(_PARTITION)]

    def find(self, endpoint: str) -> Endpoint | None:
        """One endpoint; None if there is none of that id."""
        item = self._table.get(_PARTITION, endpoint)
        return _read(item) if item else None

    def make(self, endpoint: Endpoint) -> None:
        """Keep a new endpoint.

        Raises:
            ConditionFailed: there is one of that id.
        """
        self._table.put(Put(_item(endpoint), Absent()))

    def change(self, before: Endpoint, after: Endpoint) -> None:
        """Write an endpoint's next state.

        Raises:
            ConditionFailed: it is no longer what was read.
        """
        self._table.put(change_put(before, after))

    def delete(self, endpoint: str) -> None:
        """Forget an endpoint; what was under way to it is not sent any more."""
        self._table.delete(_PARTITION, endpoint)


def change_put(before: Endpoint, after: Endpoint) -> Put:
    """An endpoint's next state, for a transaction."""
    return Put(_item(after), Equals("body", _json(before)))


def _item(endpoint: Endpoint) -> Item:
    return {"pk": _PARTITION, "sk": endpoint.id, "kind": "webhook_endpoint", "body": _json(endpoint)}


def _json(endpoint: Endpoint) -> str:
    return json.dumps(asdict(endpoint), sort_keys=True, separators=(",", ":"))


def _read(item: Item) -> Endpoint:
    body = json.loads(string(item, "body"))
    return Endpoint(**{**body, "events": tuple(body["events"])})
