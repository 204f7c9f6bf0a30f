"""API keys, kept as hashes in the Catalog table.

| what | partition | sort key |
|---|---|---|
| key | `key#sha256` | `key` |
| key, by id | `keys` | id |
"""

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from adapters.items import Absent, Item, Put, Table, string
from metering.errors import NotFound

SCOPES = ("ingest", "read", "admin")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """Who may do what: `ingest`, `read`, `admin`. The key itself is known to its holder alone."""

    id: str
    scopes: tuple[str, ...]


class Keys:
    """Who may call the API."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def create(self, key_id: str, scopes: Iterable[str]) -> str:
        """Make an API key and return it, this once; only its hash is kept.

        Raises:
            ConditionFailed: the id is taken.
        """
        key = f"tx_{secrets.token_urlsafe(32)}"
        self.store(key_id, key, scopes)
        return key

    def store(self, key_id: str, key: str, scopes: Iterable[str]) -> None:
        """Keep the hash of a key that was made elsewhere.

        Raises:
            ConditionFailed: the id is taken.
        """
        hashed = hash_key(key)
        granted = sorted(set(scopes))
        self._table.transact(
            [
                Put({"pk": "keys", "sk": key_id, "hash": hashed, "scopes": granted}, Absent()),
                Put({"pk": f"key#{hashed}", "sk": "key", "id": key_id, "scopes": granted}, Absent()),
            ]
        )

    def all(self) -> list[ApiKey]:
        """All API keys, without their secrets."""
        return [ApiKey(string(item, "sk"), _scopes(item)) for item in self._table.query("keys")]

    def delete(self, key_id: str) -> None:
        """Revoke a key; a cached authorization may outlive it by a minute.

        Raises:
            NotFound: there is none of that id.
        """
        item = self._table.get("keys", key_id)
        if item is None:
            raise NotFound("there is no such key")
        self._table.delete(f"key#{string(item, 'hash')}", "key")
        self._table.delete("keys", key_id)

    def find(self, key: str) -> ApiKey | None:
        """Who holds this key; None if nobody does."""
        item = self._table.get(f"key#{hash_key(key)}", "key")
        return ApiKey(string(item, "id"), _scopes(item)) if item else None


def hash_key(key: str) -> str:
    """What is kept of an API key. Keys are random, so one round of SHA-256 is enough."""
    return hashlib.sha256(key.encode()).hexdigest()


def _scopes(item: Item) -> tuple[str, ...]:
    scopes = item["scopes"]
    assert isinstance(scopes, list)  # noqa: S101 - another type is a mistake of ours, not of a user
    return tuple(scopes)
