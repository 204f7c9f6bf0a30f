"""A function's surroundings: on the local cloud its clock is one that is moved."""

import time

import pytest

from adapters.clock import StoredClock
from adapters.memory import MemoryTable
from billing.plans import Plan
from handlers._live import Live
from metering.times import HOUR
from tests.billing.histories import START, plan


@pytest.mark.parametrize(("environment", "known"), [({"LOCAL_CLOCK": "stored"}, [1, 2]), ({}, [1])])
def test_what_is_remembered_is_looked_at_again_when_the_stored_clock_leaps(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], known: list[int]
) -> None:
    # A new version has more notice than it takes to be heard of, by whichever clock decides when it holds.
    machine = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: machine[0])
    table = MemoryTable()
    live = Live({"CATALOG_TABLE": "Catalog", **environment}, lambda _: table)
    first = plan()
    live.catalog.put_plan(first, START)
    assert [each.version for each in live.remembered.plan_versions(first.key)] == [1]
    live.catalog.put_plan(Plan.model_validate({**first.model_dump(), "minimum": "7"}), START + HOUR)
    machine[0] += 1
    assert [each.version for each in live.remembered.plan_versions(first.key)] == [1]
    StoredClock(table).move_to(live.clock() + HOUR)
    machine[0] += 1
    assert [each.version for each in live.remembered.plan_versions(first.key)] == known
