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
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from adapters.items import Absent, ConditionFailed, Equals, Item, Put, Table, integer, string
from billing.customers import Account, Customer, PlanChange
from billing.plans import Plan
from metering.errors import NotFound
from metering.meters import Meter
from metering.packing import digest

_SHARDS = 16


class Catalog:
    """What operators define. Reads are strongly consistent."""

    def __init__(self, table: Table) -> None:
        self._table = table

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

    def plan_versions(self, key: str) -> list[tuple[int, int]]:
        """From when each version of a plan holds for periods that open, and its number; oldest first."""
        return [(integer(item, "effective_at"), integer(item, "version")) for item in self._table.query(f"plan#{key}")]

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
        """
        found = self.accounts([customer])
        if not found:
            raise NotFound(f"there is no customer {customer!r}")
        return found[customer]

    def accounts(self, customers: Iterable[str]) -> dict[str, Account]:
        """Read several customers; unknown ones are left out."""
        items = self._table.get_many([(_shard(customer), customer) for customer in customers])
        return {string(item, "sk"): _account(json.loads(string(item, "body"))) for item in items}

    def customers(self, after: str, most: int) -> list[Account]:
        """A page of customers, in a fixed order that is not alphabetical, after a customer's id."""
        found: list[Account] = []
        for shard in range(int(_shard(after)[-2:]) if after else 0, _SHARDS):
            partition = f"customers#{shard:02d}"
            first = f"{after}\x00" if after and partition == _shard(after) else ""
            for item in self._table.query(partition, first):
                if len(found) == most:
                    return found
                found.append(_account(json.loads(string(item, "body"))))
        return found

    def put_account(self, account: Account, replaces: Account | None) -> None:
        """Write a customer, on the condition that it is still what was read.

        Raises:
            ConditionFailed: it is not.
        """
        condition = Equals("body", _account_json(replaces) if replaces else None)
        customer = account.customer.id
        self._table.put(Put({"pk": _shard(customer), "sk": customer, "body": _account_json(account)}, condition))

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


def _account(body: Any) -> Account:  # noqa: ANN401 - JSON has no narrower type
    return Account(Customer.model_validate(body["customer"]), tuple(PlanChange(*change) for change in body["plans"]))


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
