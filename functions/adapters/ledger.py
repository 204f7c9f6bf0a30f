"""The Ledger table: wallets, ledger entries and credits. Law 5.4.

| kind | partition | sort key |
|---|---|---|
| wallet | `customer` | `wallet` |
| credit | `customer` | `credit#id`: its grant, for ever; that makes a grant idempotent |
| entries | `customer` | `entries#2026-11-20T16`: those of a finished clock hour, packed |

Top-ups, ended periods, invoices, the outbox, parked records and watches live in the same table (`adapters.attempts`,
`adapters.periods`, `adapters.invoices`, `adapters.outbox`, `adapters.watches`). The sparse index `due` lists wallets
by the instant at which something has to happen.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from adapters.attempts import attempt_put
from adapters.items import Absent, ConditionFailed, Equals, Item, Put, Table, binary, integer, string
from adapters.outbox import outbox_item
from adapters.periods import due_period
from adapters.shards import shard_of
from billing.credits import Credit, CreditRequest
from billing.packing import pack, unpack
from billing.settlement import Settlement
from billing.wallet import Entry, Wallet
from metering.packing import canonical, compress, unpack_json
from metering.times import MINUTE, hour_name

_MOST_IN_A_TRANSACTION = 100
_STANDSTILL = 15 * MINUTE
_Hours = Mapping[int, tuple[Entry, ...]]


@dataclass(frozen=True, slots=True)
class StoredWallet:
    """A wallet as it was read, with the instant at which it is to be settled without new usage."""

    wallet: Wallet
    due_at: int | None


class Ledger:
    """What is owed. Every write of a wallet is conditional on the version that it was computed from."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def wallet(self, customer: str) -> Wallet | None:
        """Read a wallet; None before its customer was first settled."""
        stored = self.stored(customer)
        return stored.wallet if stored else None

    def stored(self, customer: str) -> StoredWallet | None:
        """Read a wallet and when it is due; None before its customer was first settled."""
        item = self._table.get(customer, "wallet")
        if item is None:
            return None
        wallet = replace(unpack(binary(item, "data")), version=integer(item, "version"))
        return StoredWallet(wallet, integer(item, "due_at") if "due_at" in item else None)

    def commit(
        self,
        settlement: Settlement,
        due_at: int | None,
        grace_milliseconds: int,
        extra: Sequence[Put] = (),
    ) -> None:
        """Write what a settlement made, the wallet with all that belongs to it, at once.

        Finished hours too: two who settle at an hour's end may know of different usage, and only what the winner made
        of the hour fits its wallet (law 5.4).

        Args:
            settlement: with the wallet at the version that was read.
            due_at: when the wallet is to be settled again without new usage.
            grace_milliseconds: how long after its end a period waits for late usage.
            extra: what else belongs into the same transaction.

        Raises:
            ConditionFailed: somebody else wrote the wallet, or what `extra` depends on.
        """
        wallet, customer = settlement.wallet, settlement.wallet.customer
        hours = [
            Put(_entries_item(customer, hour, entries)) for hour, entries in sorted(settlement.entries.items())[::-1]
        ]
        periods = [
            due_period(customer, period.start, period.end + grace_milliseconds)
            for period in settlement.closed_periods[::-1]
        ]
        attempts = [attempt_put(None, settlement.top_up)] if settlement.top_up else []
        news = [outbox_item(customer, each, wallet.settled_at) for each in settlement.announcements]
        puts = [Put(_wallet_item(wallet, due_at), Equals("version", wallet.version or None)), *extra]
        puts += [*attempts, *periods, *hours, *(Put(item) for item in news)]
        # Longer than one transaction only after years without a look: the oldest hours and periods are harmless to
        # repeat, but for a period that somebody has concluded meanwhile.
        for put in puts[_MOST_IN_A_TRANSACTION:]:
            with suppress(ConditionFailed):
                self._table.put(replace(put, condition=Absent()) if put in periods else put)
        if len(puts) == 1:
            self._table.put(puts[0])
        else:
            self._table.transact(puts[:_MOST_IN_A_TRANSACTION])

    def entries(
        self, wallet: Wallet, finished: _Hours | None = None, until: int | None = None, page: int = 0
    ) -> Iterator[dict[str, Any]]:
        """The ledger of a customer, newest first, as the API lists it; those of clock hours after `until` are left out.

        `finished` are hours that settling finished and nobody stored; `page` is how many are read at once, if few.
        """
        entries = [entry for _, several in sorted((finished or {}).items()) for entry in several]
        entries += wallet.moves
        yield from (entry.as_json() for entry in reversed(entries) if until is None or entry.at < until)
        running = {hour_name(entry.at) for entry in entries}
        last = f"entries#{'~' if until is None else hour_name(until - 1)}"
        for item in self._table.query(wallet.customer, "entries#", last, newest_first=True, page=page):
            if string(item, "sk").removeprefix("entries#") not in running:
                yield from reversed(unpack_json(binary(item, "data")))

    def grant_of(self, customer: str, credit: str) -> tuple[CreditRequest, dict[str, Any]] | None:
        """The request that granted a credit and what was answered; None if there is no such credit."""
        item = self._table.get(customer, f"credit#{credit}")
        if item is None:
            return None
        body = json.loads(string(item, "body"))
        return CreditRequest.model_validate(body["request"]), body["credit"]

    def credits(self, wallet: Wallet) -> list[dict[str, Any]]:
        """All credits of a customer as the API lists them: what has left the wallet remains zero."""
        held = {credit.id: credit for credit in wallet.credits}
        shown = []
        for item in self._table.query(wallet.customer, "credit#", "credit#\U0010ffff"):
            granted = json.loads(string(item, "body"))["credit"]
            credit = held.get(granted["id"])
            shown.append(credit.as_json() if credit else {**granted, "remaining": "0"})
        return shown

    def is_touched(self, customer: str) -> bool:
        """Whether there is a credit, a charge, a ledger entry or an invoice of this customer."""
        wallet = self.wallet(customer)
        if wallet and (wallet.credits or wallet.moves or any(period.owed for period in wallet.periods)):
            return True
        return self._has(customer, "credit#", "entries#", "invoice#", "period#", "attempt#")

    def is_funded(self, customer: str) -> bool:
        """Whether there is a credit or a top-up of this customer, or an entry in its ledger."""
        wallet = self.wallet(customer)
        return bool(wallet and wallet.moves) or self._has(customer, "credit#", "entries#", "attempt#")

    def _has(self, customer: str, *kinds: str) -> bool:
        return any(next(self._table.query(customer, kind, f"{kind}\U0010ffff"), None) for kind in kinds)

    def forget(self, customer: str) -> None:
        """Remove the empty wallet of a customer that is deleted."""
        self._table.delete(customer, "wallet")

    def due_wallets(self, shard: int, until: int, most: int) -> tuple[list[str], list[str]]:
        """Customers whose wallets are due, and those whose watches are, earliest first."""
        keys = self._table.due(f"wallet#{shard:02d}", until, most)
        return [pk for pk, sk in keys if sk == "wallet"], [pk for pk, sk in keys if sk == "watch"]


def grant_put(customer: str, credit: Credit, request: CreditRequest) -> Put:
    """What makes a grant idempotent for ever: its id can be taken once."""
    body = {"request": request.model_dump(mode="json"), "credit": credit.as_json()}
    item: Item = {
        "pk": customer,
        "sk": f"credit#{credit.id}",
        "kind": "credit",
        "body": json.dumps(body, sort_keys=True, separators=(",", ":")),
    }
    return Put(item, Absent())


def _wallet_item(wallet: Wallet, due_at: int | None) -> Item:
    item: Item = {
        "pk": wallet.customer,
        "sk": "wallet",
        "kind": "wallet",
        "version": wallet.version + 1,
        "data": pack(replace(wallet, version=0)),
    }
    return item if due_at is None else {**item, **due_attributes(wallet.customer, due_at)}


def due_attributes(customer: str, due_at: int) -> Item:
    """What has the index list a customer's wallet or watch."""
    return {"due_shard": f"wallet#{shard_of(customer):02d}", "due_at": due_at}


def _entries_item(customer: str, hour: int, entries: Sequence[Entry]) -> Item:
    data = compress(canonical([entry.as_json() for entry in entries]))
    return {"pk": customer, "sk": f"entries#{hour_name(hour)}", "kind": "entries", "data": data}
