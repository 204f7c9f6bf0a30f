"""The index `due` of the Ledger table: what has to be looked at, and when; in shards, so that no one is too hot."""

from metering.packing import digest

SHARDS = 16
"""Each is asked once a minute."""


def shard_of(customer: str) -> int:
    """Which shard a customer belongs to."""
    return int(digest(customer.encode())[:8], 16) % SHARDS
