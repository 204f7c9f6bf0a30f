"""The Catalog table: meters, plans in immutable versions, customers; API keys are beside them (`adapters.keys`).

| what | partition | sort key |
|---|---|---|
| meter | `meters` | key |
| plan, newest version | `plans` | key |
| plan version | `plan#key` | version, six digits |
| customer | `customers#shard` | id |
| what has been used | `in_use#meters`, `in_use#plans`, `in_use#customers` | key |
"""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pydantic import ValidationError

from adapters.items import UNREADABLE, Absent, ConditionFailed, Equals, Item, Put, Table, Value, integer, string
from billing.customers import Account, Customer, PlanChange
from billing.plans import Plan, PlanVersion
from metering.errors import NotFound, Unreadable
from metering.meters import Meter
from metering.packing import digest

_SHARDS = 16


@dataclass(frozen=True, slots=True)
class Damaged:
    """A stored customer that cannot be read. It can be written anew or removed, and takes no other one along.

    Attributes:
        customer: its id.
        body: what is stored.
        reason: why it cannot be read, without what it holds.
        plans: its plans, where these can be read.
    """

    customer: str
    body: Value | None
    reason: str
    plans: tuple[PlanChange, ...] = ()

    @property
    def error(self) -> Unreadable:
        """What to raise where this customer is needed."""
        return Unreadable(f"the customer {self.customer!r} cannot be read: {self.reason}")


Report = Callable[[Damaged], None]
"""Who is told of each customer that was to be read and could not."""


class Catalog:
    """What operators define. Reads are strongly consistent."""

    def __init__(self, table: Table, report: Report = lambda _damaged: None) -> None:
        self._table = table
        self._report = report

    def meters(self) -> dict[str, Meter]:
        """All meters by key."""
        items = self._table.query("meters")
        return {string(item, "sk"): _meter(string(item, "body")) for item in items}

    def put_meter(self, meter: Meter) -> None:
        """Write a meter, new or changed."""
        self._table.put(Put({"pk": "meters", "sk": meter.key, "body": _json(meter.model_dump(mode="json"))}))

    def delete_meter(self, key: str) -> None:
        """Remove a meter."""
        self._table.delete("meters", key)

    def plan(self, key: str, version: int | None = None) -> tuple[Plan, int]:
        """Read a version of a plan, the newest by default.

        Raises:
            NotFound: there is none.
        """
        item = self._table.get("plans", key) if version is None else self._table.get(f"plan#{key}", f"{version:06d}")
        if item is None:
            raise NotFound(f"there is no such plan or version: {key!r}")
        return _plan(string(item, "body")), integer(item, "version")

    def plans(self) -> dict[str, tuple[Plan, int]]:
        """The newest version of every plan."""
        return {
            string(item, "sk"): (_plan(string(item, "body")), integer(item, "version"))
            for item in self._table.query("plans")
        }

    def plan_versions(self, key: str) -> list[PlanVersion]:
        """The versions of a plan, oldest first."""
        return [
            PlanVersion(integer(item, "effective_at"), integer(item, "version"), _plan(string(item, "body")).currency)
            for item in self._table.query(f"plan#{key}")
        ]

    def put_plan(self, plan: Plan, effective_at: int) -> tuple[int, bool]:
        """Write a plan: a new immutable version if anything changed; returns its version and whether it is new."""
        while True:
            newest = self._table.get("plans", plan.key)
            body = _json(plan.model_dump(mode="json"))
            version = integer(newest, "version") if newest else 0
            if newest and newest["body"] == body:
                return version, False
            item: Item = {"version": version + 1, "effective_at": effective_at, "body": body}
            try:
                self._table.transact(
                    [
                        Put(
                            {"pk": "plans", "sk": plan.key, **item},
                            Equals("version", version if newest else None),
                        ),
                        Put({"pk": f"plan#{plan.key}", "sk": f"{version + 1:06d}", **item}, Absent()),
                    ]
                )
            except ConditionFailed:
                continue
            return version + 1, True

    def delete_plan(self, key: str) -> None:
        """Remove a plan and its versions; only for what was never used."""
        for item in list(self._table.query(f"plan#{key}")):
            self._table.delete(string(item, "pk"), string(item, "sk"))
        self._table.delete("plans", key)

    def account(self, customer: str) -> Account:
        """Read a customer and the history of its plans.

        Raises:
            NotFound: there is none.
            Unreadable: it is damaged.
        """
        found = self.accounts([customer]).get(customer)
        if found is None:
            raise NotFound(f"there is no customer {customer!r}")
        if isinstance(found, Damaged):
            raise found.error
        return found

    def accounts(self, customers: Iterable[str]) -> dict[str, Account | Damaged]:
        """Read several customers; unknown ones are left out."""
        items = self._table.get_many([(_shard(customer), customer) for customer in customers])
        return {string(item, "sk"): self._account(item) for item in items}

    def customers(self, after: str = "", page: int = 0) -> Iterator[tuple[str, Account | Damaged]]:
        """All customers by id, in a fixed order that is not alphabetical, after a customer's id.

        They are read as far as they are taken; `page` is how many at once, if few are wanted.
        """
        for shard in range(int(_shard(after)[-2:]) if after else 0, _SHARDS):
            partition = f"customers#{shard:02d}"
            first = f"{after}\x00" if after and partition == _shard(after) else ""
            for item in self._table.query(partition, first, page=page):
                yield string(item, "sk"), self._account(item)

    def _account(self, item: Item) -> Account | Damaged:
        try:
            return _account(item)
        except UNREADABLE as error:
            damaged = Damaged(string(item, "sk"), item.get("body"), _reason(error), _plans_in(item))
            self._report(damaged)
            return damaged

    def put_account(self, account: Account, replaces: Account | Damaged | None) -> None:
        """Write a customer, on the condition that it is still what was read.

        Raises:
            ConditionFailed: it is not.
        """
        customer = account.customer.id
        stored = self._table.get(_shard(customer), customer)
        if _as_read(stored) != (replaces.body if isinstance(replaces, Damaged) else replaces):
            raise ConditionFailed(f"the customer {customer!r} is no longer what was read")
        # On the text that is stored, which an older release may have written in other words.
        body = stored.get("body") if stored else None
        condition = Equals("body", body) if body is not None or stored is None else None
        item: Item = {"pk": _shard(customer), "sk": customer, "body": _account_json(account)}
        self._table.put(Put(item, condition))

    def delete_customer(self, customer: str) -> None:
        """Remove a customer; only for one that never used anything."""
        self._table.delete(_shard(customer), customer)

    def use(self, kind: str, key: str) -> None:
        """Remember that something has been used, so that it can no longer be changed or removed."""
        self._table.put(Put({"pk": f"in_use#{kind}", "sk": key}))

    def used(self, kind: str) -> set[str]:
        """All keys of a kind that have been used."""
        return {string(item, "sk") for item in self._table.query(f"in_use#{kind}")}

    def is_used(self, kind: str, key: str) -> bool:
        """Whether something has been used."""
        return self._table.get(f"in_use#{kind}", key) is not None


def _shard(customer: str) -> str:
    return f"customers#{int(digest(customer.encode())[:8], 16) % _SHARDS:02d}"


# The same text is the same value, which nobody changes: it is checked once in a process, not with every read.
@lru_cache(maxsize=256)
def _meter(body: str) -> Meter:
    return Meter.model_validate_json(body)


@lru_cache(maxsize=256)
def _plan(body: str) -> Plan:
    return Plan.model_validate_json(body)


def _account_json(account: Account) -> str:
    changes = [[change.effective_at, change.plan, change.version, change.splits] for change in account.plans]
    return _json({"customer": account.customer.model_dump(mode="json"), "plans": changes})


def _account(item: Item) -> Account:
    body = json.loads(string(item, "body"))
    return Account(Customer.model_validate(body["customer"]), _changes(body))


def _changes(body: Any) -> tuple[PlanChange, ...]:  # noqa: ANN401 - JSON has no narrower type
    return tuple(PlanChange(int(at), str(plan), int(version), bool(cut)) for at, plan, version, cut in body["plans"])


def _plans_in(item: Item) -> tuple[PlanChange, ...]:
    with suppress(*UNREADABLE):
        return _changes(json.loads(string(item, "body")))
    return ()


def _as_read(item: Item | None) -> Account | Value | None:
    """A stored customer, or what is stored of one that cannot be read."""
    with suppress(*UNREADABLE):
        return _account(item) if item else None
    return item.get("body") if item else None


def _reason(error: Exception) -> str:
    """Where it is damaged, without what stands there."""
    if isinstance(error, ValidationError):
        return "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['type']}" for each in error.errors())
    return type(error).__name__


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
