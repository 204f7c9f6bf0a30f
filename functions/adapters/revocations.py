"""Revocations in the Ledger table: what makes each of them happen once. Law 5.4.

| kind | partition | sort key |
|---|---|---|
| revocation | `customer` | `revocation#id`: the request and what was answered, for ever |
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from adapters.items import Absent, Item, Put, Table, string
from billing.credits import RevocationRequest


@dataclass(frozen=True, slots=True)
class Revocation:
    """What was asked of which credit, and what was answered."""

    credit: str
    request: RevocationRequest
    answer: Mapping[str, Any]


class Revocations:
    """What was taken back."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def find(self, customer: str, identity: str) -> Revocation | None:
        """A revocation that happened; None if there is none of that id."""
        item = self._table.get(customer, f"revocation#{identity}")
        if item is None:
            return None
        body = json.loads(string(item, "body"))
        return Revocation(body["credit"], RevocationRequest.model_validate(body["request"]), body["answer"])


def revocation_put(customer: str, revocation: Revocation) -> Put:
    """What belongs into the transaction that revokes: its id can be taken once."""
    body = {
        "credit": revocation.credit,
        "request": revocation.request.model_dump(mode="json"),
        "answer": dict(revocation.answer),
    }
    item: Item = {
        "pk": customer,
        "sk": f"revocation#{revocation.request.id}",
        "kind": "revocation",
        "body": json.dumps(body, sort_keys=True, separators=(",", ":")),
    }
    return Put(item, Absent())
