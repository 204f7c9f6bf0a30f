"""A catalogue that is remembered for a while: what is unknown is looked up each time."""

from typing import Any

import pytest

from adapters.catalog import Catalog
from adapters.memory import MemoryTable
from adapters.remembered import Remembered
from billing.plans import PlanVersion
from metering.errors import NotFound
from metering.meters import Meter
from tests.billing.histories import START, account, plan


class Counting(MemoryTable):
    """A table that counts how often it was asked."""

    asked = 0

    def get(self, pk: str, sk: str) -> Any:
        self.asked += 1
        return super().get(pk, sk)

    def get_many(self, keys: Any) -> Any:
        self.asked += 1
        return super().get_many(keys)

    def query(self, pk: str, *args: Any, **named: Any) -> Any:
        self.asked += 1
        return super().query(pk, *args, **named)


@pytest.fixture
def now() -> list[float]:
    return [100.0]


@pytest.fixture
def counting() -> Counting:
    return Counting()


@pytest.fixture
def remembered(counting: Counting, now: list[float]) -> Remembered:
    return Remembered(Catalog(counting), 30, lambda: now[0])


def test_what_is_known_costs_no_read_until_it_is_old(
    remembered: Remembered, counting: Counting, now: list[float]
) -> None:
    remembered.catalog.put_meter(Meter(key="m", aggregation="count"))
    remembered.catalog.put_account(account(), None)
    counting.asked = 0
    for _ in range(3):
        assert remembered.meters(["m"]).keys() == {"m"}
        assert remembered.accounts(["acme"]) == {"acme": account()}
    assert counting.asked == 2
    remembered.catalog.put_account(account(name="new"), account())
    counting.asked = 2
    now[0] += 29.9
    assert remembered.accounts(["acme"]) == {"acme": account()}
    now[0] += 0.1
    assert remembered.accounts(["acme"]) == {"acme": account(name="new")}
    remembered.meters(["m"])
    assert counting.asked == 4


def test_meters_are_not_remembered_beyond_their_epoch_and_customers_are(counting: Counting, now: list[float]) -> None:
    epoch = [7]
    remembered = Remembered(Catalog(counting), 30, lambda: now[0], lambda: epoch[0])
    remembered.catalog.put_meter(Meter(key="m", aggregation="count"))
    remembered.catalog.put_account(account(), None)
    counting.asked = 0
    for asked in (2, 2, 3, 3):
        epoch[0] = 7 + asked // 3
        remembered.meters(["m"])
        remembered.accounts(["acme"])
        assert counting.asked == asked
    now[0] += 30
    remembered.meters(["m"])
    assert counting.asked == 4


def test_what_is_unknown_is_known_as_soon_as_it_is_there(remembered: Remembered) -> None:
    assert remembered.meters(["m"]) == {}
    assert remembered.accounts(["acme"]) == {}
    remembered.catalog.put_meter(Meter(key="m", aggregation="count"))
    remembered.catalog.put_account(account(), None)
    assert remembered.meters(["m"]).keys() == {"m"}
    assert remembered.accounts(["acme", "other"]) == {"acme": account()}


def test_meters_are_marked_as_used_once_and_their_mark_read_once(remembered: Remembered, counting: Counting) -> None:
    remembered.use_meters(["a", "b"])
    remembered.use_meters(["a"])
    assert counting.asked == 1
    assert remembered.catalog.used("meters") == {"a", "b"}


def test_a_plan_version_is_remembered_for_ever_and_the_list_of_versions_for_a_while(
    remembered: Remembered, counting: Counting, now: list[float]
) -> None:
    with pytest.raises(NotFound):
        remembered.plan("p", 1)
    remembered.catalog.put_plan(plan(), START)
    counting.asked = 0
    for _ in range(3):
        assert remembered.plan("p", 1) == plan()
        assert remembered.plan_versions("p") == [PlanVersion(START, 1, "USD")]
    assert counting.asked == 2
    now[0] += 30
    remembered.plan("p", 1)
    remembered.plan_versions("p")
    assert counting.asked == 3
