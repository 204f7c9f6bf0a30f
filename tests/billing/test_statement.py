"""The ledger by windows: nothing is lost, nothing is told twice, and the newest comes first."""

from collections import defaultdict
from decimal import Decimal
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.statement import WindowUnit, read_entry, timeline, window_at
from billing.wallet import Entry, EntryKind
from metering.times import DAY, HOUR, MINUTE, floor
from tests.billing.histories import START, at

units = st.sampled_from(get_args(WindowUnit))
zones = st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata", "Asia/Kathmandu", "Pacific/Chatham"])
entries = st.builds(
    Entry,
    at=st.integers(0, 70 * DAY // MINUTE).map(lambda minutes: START + minutes * MINUTE),
    kind=st.sampled_from(get_args(EntryKind)),
    amount=st.integers(-900, 900).map(lambda cents: Decimal(cents) / 100),
    balance_after=st.just(Decimal(0)),
    credit=st.sampled_from([None, "a", "b"]),
    period=st.sampled_from([None, START, START + 30 * DAY]),
)
# As the ledger is kept: hour by hour, within an hour as the entries were made.
ledgers = st.lists(entries, max_size=30).map(lambda found: sorted(found, key=lambda entry: -floor(entry.at, HOUR)))


@given(ledgers, units, zones)
def test_every_entry_is_in_one_row_of_its_window_newest_first(
    ledger: list[Entry], unit: WindowUnit, timezone: str
) -> None:
    rows = list(timeline(ledger, unit, timezone))
    expected: defaultdict[tuple[int, str | None, int | None, EntryKind], Decimal] = defaultdict(Decimal)
    for entry in ledger:
        window = window_at(unit, timezone, entry.at)
        assert window.start <= entry.at < window.end
        expected[window.start, entry.credit, entry.period, entry.kind] += entry.amount
    told = {
        (row.window.start, row.credit, row.period, kind): amount for row in rows for kind, amount in row.moved.items()
    }
    assert told == expected
    assert len({tuple(row.place) for row in rows}) == len(rows)
    assert [row.place for row in rows] == sorted(row.place for row in rows)
    assert sum(Decimal(row.as_json()["amount"]) for row in rows) == sum(entry.amount for entry in ledger)


@given(entries)
def test_an_entry_is_read_back_as_it_was_told(entry: Entry) -> None:
    assert read_entry(entry.as_json()) == entry


@pytest.mark.parametrize(
    ("kind", "amount", "name", "told"),
    [
        ("draw", "-3", "drawn", "3"),
        ("return", "3", "returned", "3"),
        ("grant", "3", "granted", "3"),
        ("expiry", "-3", "expired", "3"),
        ("expiry", "3", "expired", "-3"),
        ("revoke", "-3", "revoked", "3"),
    ],
)
def test_sums_are_quantities_and_the_amount_is_signed(kind: EntryKind, amount: str, name: str, told: str) -> None:
    [row] = timeline([Entry(at("02T10:10"), kind, Decimal(amount), Decimal(0), "c")], "hour", "UTC")
    shown = row.as_json()
    assert (shown[name], shown["amount"], shown["start"]) == (told, amount, "2026-11-02T10:00:00Z")
    assert [shown[other] for other in ("drawn", "returned", "granted", "expired", "revoked")].count("0") == 4


def test_no_more_entries_are_taken_than_the_rows_need() -> None:
    ledger = iter([Entry(at(f"{day:02}T10:00"), "draw", Decimal(-1), Decimal(0), "c") for day in range(20, 0, -1)])
    first = next(timeline(ledger, "day", "UTC"))
    assert (first.window.start, len(list(ledger))) == (at("20T00:00"), 17)
