"""The catalogue: what operators define, in immutable versions and on conditions."""

from collections.abc import Sequence
from itertools import islice

import pytest

from adapters.catalog import Catalog
from adapters.items import ConditionFailed, Put, Table
from billing.customers import Account, Customer, PlanChange
from billing.plans import PlanVersion
from metering.errors import NotFound
from metering.meters import Meter
from tests.billing.histories import START, account, plan


def named(customer: str) -> Account:
    return Account(Customer.model_validate({"id": customer, "name": "Ünï", "metadata": {"a": [1, None]}}))


def test_a_meter_is_read_as_it_was_written_until_it_is_removed(table: Table) -> None:
    catalog = Catalog(table)
    meter = Meter.model_validate(
        {"key": "runtime", "aggregation": "duration", "session": ["vm"], "max_duration": "15m", "dimensions": ["é"]}
    )
    other = Meter(key="a", aggregation="count")
    catalog.put_meter(meter)
    catalog.put_meter(other)
    assert catalog.meters() == {"runtime": meter, "a": other}
    catalog.delete_meter("runtime")
    assert catalog.meters() == {"a": other}


def test_a_changed_plan_is_a_new_version_and_the_same_one_is_not(table: Table) -> None:
    catalog = Catalog(table)
    first, second = plan(unit_price="1"), plan(unit_price="2")
    assert catalog.put_plan(first, START) == (1, True)
    assert catalog.put_plan(first, START + 1) == (1, False)
    assert catalog.put_plan(second, START + 2) == (2, True)
    assert catalog.put_plan(first, START + 3) == (3, True)
    assert catalog.plan("p") == (first, 3)
    assert catalog.plan("p", 2) == (second, 2)
    expected = [PlanVersion(START, 1, "USD"), PlanVersion(START + 2, 2, "USD"), PlanVersion(START + 3, 3, "USD")]
    assert catalog.plan_versions("p") == expected
    assert catalog.plans() == {"p": (first, 3)}
    for missing in (("q", None), ("p", 4), ("q", 1)):
        with pytest.raises(NotFound):
            catalog.plan(*missing)
    catalog.delete_plan("p")
    assert catalog.plans() == {}
    assert catalog.plan_versions("p") == []


def test_two_who_change_a_plan_at_once_make_two_versions(table: Table) -> None:
    class Raced:
        """The table, on which somebody else writes a version first."""

        def __init__(self) -> None:
            self.raced = False

        def __getattr__(self, name: str) -> object:
            return getattr(table, name)

        def transact(self, puts: Sequence[Put]) -> None:
            if not self.raced:
                self.raced = True
                Catalog(table).put_plan(plan(unit_price="7"), START)
            table.transact(puts)

    assert Catalog(Raced()).put_plan(plan(unit_price="2"), START) == (2, True)  # type: ignore[arg-type]  # a table in all but name
    assert Catalog(table).plan("p", 1)[0] == plan(unit_price="7")


def test_a_customer_is_written_only_over_what_was_read(table: Table) -> None:
    catalog = Catalog(table)
    first = account(changes=[PlanChange(START, "p", 1), PlanChange(START + 900_000, "p", 2, splits=False)])
    catalog.put_account(first, None)
    with pytest.raises(ConditionFailed):
        catalog.put_account(first, None)
    assert catalog.account("acme") == first
    second = account(name="Acme")
    catalog.put_account(second, catalog.account("acme"))
    with pytest.raises(ConditionFailed):
        catalog.put_account(first, first)
    assert catalog.account("acme") == second
    catalog.delete_customer("acme")
    with pytest.raises(NotFound):
        catalog.account("acme")


def test_several_customers_are_read_at_once_and_unknown_ones_left_out(table: Table) -> None:
    catalog = Catalog(table)
    for name in ("a", "b"):
        catalog.put_account(named(name), None)
    assert catalog.accounts(["a", "b", "c", "a"]) == {"a": named("a"), "b": named("b")}
    assert catalog.accounts([]) == {}


def test_pages_of_customers_hold_each_of_them_once(table: Table) -> None:
    catalog = Catalog(table)
    names = {f"customer-{number}" for number in range(25)}
    for name in names:
        catalog.put_account(named(name), None)
    seen: list[str] = []
    while page := list(islice(catalog.customers(seen[-1] if seen else "", 4), 4)):
        assert len(page) == min(4, len(names) - len(seen))
        seen += [name for name, _ in page]
    assert len(seen) == len(names)
    assert set(seen) == names


def test_what_was_used_is_remembered_by_kind(table: Table) -> None:
    catalog = Catalog(table)
    catalog.use("meters", "a")
    catalog.use("meters", "a")
    catalog.use("plans", "b")
    assert catalog.used("meters") == {"a"}
    assert catalog.is_used("plans", "b")
    assert not catalog.is_used("plans", "a")
