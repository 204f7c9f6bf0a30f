"""API keys: only hashes are kept, an id is taken once, a revoked key opens nothing."""

import pytest

from adapters.items import ConditionFailed, Table
from adapters.keys import ApiKey, Keys
from metering.errors import NotFound


def test_a_key_is_known_by_what_it_is_and_kept_only_as_a_hash(table: Table) -> None:
    keys = Keys(table)
    key = keys.create("app", ["read", "ingest", "read"])
    assert key.startswith("tx_")
    assert len(key) == 46
    assert keys.find(key) == ApiKey("app", ("ingest", "read"))
    assert keys.find(key + "x") is None
    assert keys.find("") is None
    assert keys.all() == [ApiKey("app", ("ingest", "read"))]
    assert key not in str([*table.query("keys"), *table.query("key#")])


def test_an_id_is_taken_once(table: Table) -> None:
    keys = Keys(table)
    first = keys.create("app", ["read"])
    with pytest.raises(ConditionFailed):
        keys.create("app", ["admin"])
    assert keys.find(first) == ApiKey("app", ("read",))


def test_a_revoked_key_opens_nothing_and_its_id_is_free_again(table: Table) -> None:
    keys = Keys(table)
    key = keys.create("app", ["read"])
    keys.delete("app")
    assert keys.find(key) is None
    assert keys.all() == []
    with pytest.raises(NotFound):
        keys.delete("app")
    assert keys.create("app", ["read"]) != key
