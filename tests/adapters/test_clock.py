"""The clock that `taximeter advance` moves."""

import time

import pytest

from adapters.clock import StoredClock, real_now
from adapters.items import Table
from metering.times import DAY


def test_it_is_the_machines_clock_until_it_is_moved_and_then_ahead_of_it(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine, monotonic = [1_000_000], [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: monotonic[0])
    first, second = (StoredClock(table, lambda: machine[0]) for _ in range(2))
    assert first() == 1_000_000
    second.move_to(1_000_000 + DAY)
    assert first() == 1_000_000, "remembered for a moment"
    monotonic[0] = 1.0
    machine[0] += 7
    assert first() == second() == 1_000_007 + DAY


def test_the_machines_clock_counts_milliseconds_since_1970() -> None:
    assert 1_750_000_000_000 < real_now() < 1 << 45
