"""What has to be looked at again though nothing arrives: kept in the Ledger table, whose index `due` lists it.

| what | partition | sort key |
|---|---|---|
| watch | `customer` | `watch`: of one who has no plan, and so no wallet that would be due, while sessions run |
| suspect | `customer` | `suspect#name`: something odd that is announced once it has stood for a while |

A suspect is *standing* and due, then *announced* or *dissolved*; only a dissolved one can stand again. It is kept in
its last state as long as it may be computed again, so what was announced is never announced twice.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from adapters.events import EdgeKey
from adapters.items import Absent, ConditionFailed, Equals, Item, Key, Put, Table, integer, string
from adapters.ledger import due_attributes
from adapters.outbox import outbox_item
from billing.settlement import Announcement
from metering.times import MINUTE

SHARDS = 4
"""Of the suspects in the index `due`; each is asked once a minute."""

PATIENCE = MINUTE
"""How long something odd has to stand before it is announced: an edge that would explain it may merely be late."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """Something odd about the sessions around an edge, standing until `due_at`."""

    key: EdgeKey
    name: str
    due_at: int

    @property
    def reason(self) -> str:
        """What the poke says that has it looked at again; `suspect_of` reads it back."""
        return f"suspect-{self.due_at}-{self.name}"


def suspect_of(reason: str) -> tuple[str, int] | None:
    """The name and instant of the suspect that a poke is about; None if it is about something else."""
    word, _, rest = reason.partition("-")
    due_at, _, name = rest.partition("-")
    return (name.partition("-")[0], int(due_at)) if word == "suspect" else None


class Watches:
    """Who and what is to be looked at again, and when."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def of_customer(self, customer: str) -> int | None:
        """When a customer without a plan is to be looked after; None if nobody has to."""
        item = self._table.get(customer, "watch")
        return integer(item, "due_at") if item else None

    def watch(self, customer: str, due_at: int | None) -> None:
        """Have a customer without a plan looked after at an instant; None: no longer."""
        if due_at is None:
            self._table.delete(customer, "watch")
        else:
            self._table.put(Put({"pk": customer, "sk": "watch", "kind": "watch", **due_attributes(customer, due_at)}))

    def suspect(self, key: EdgeKey, name: str, now: int, kept_until: int) -> None:
        """Have something odd announced once it has stood for a minute; nothing if it stands or was announced.

        Args:
            key: where it is met, the session's start.
            name: derived from its identity, hexadecimal.
            now: milliseconds.
            kept_until: when nobody can come to compute it again.
        """
        due: Item = {"due_shard": f"suspect#{int(name[:8], 16) % SHARDS}", "due_at": now + PATIENCE}
        item = _item(key, name, "standing", kept_until) | due
        for condition in (Absent(), Equals("state", "dissolved")):
            try:
                self._table.put(Put(item, condition))
            except ConditionFailed:
                continue
            return

    def due_suspects(self, shard: int, until: int, most: int) -> list[Key]:
        """The keys of suspects that have stood for long enough, earliest first."""
        return self._table.due(f"suspect#{shard}", until, most)

    def suspects(self, keys: Iterable[Key]) -> list[Suspect]:
        """Read those suspects that still stand."""
        items = self._table.get_many(list(keys))
        return [_read(item) for item in items if "due_at" in item]

    def conclude(self, suspect: Suspect, announcement: Announcement | None, now: int, kept_until: int) -> bool:
        """Announce a suspect, in one transaction with its state, or dissolve it; says whether it was announced now.

        A suspect that stands for another instant than this one, or does not stand, is left as it is.
        """
        key = suspect.key
        item = _item(key, suspect.name, "announced" if announcement else "dissolved", kept_until)
        news = [Put(outbox_item(key.customer, announcement, now))] if announcement else []
        try:
            self._table.transact([Put(item, Equals("due_at", suspect.due_at)), *news])
        except ConditionFailed:
            return False
        return announcement is not None


def _item(key: EdgeKey, name: str, state: str, kept_until: int) -> Item:
    return {
        "pk": key.customer,
        "sk": f"suspect#{name}",
        "kind": "suspect",
        "state": state,
        "meter": key.meter,
        "resource": key.resource,
        "timestamp": key.timestamp,
        "ttl": kept_until // 1000,
    }


def _read(item: Item) -> Suspect:
    key = EdgeKey(string(item, "pk"), string(item, "meter"), string(item, "resource"), integer(item, "timestamp"))
    return Suspect(key, string(item, "sk").removeprefix("suspect#"), integer(item, "due_at"))
