"""The ledger by windows of time: what each credit was drawn, window by window. Contract: api.md, Reading and acting.

Draws of the ledger carry the start of their stretch of a clock hour (README, decision 1), so hours are the finest
windows that there are; in a zone whose days begin within a clock hour, a draw belongs to the day in which it starts.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import groupby
from typing import Any, Literal

from billing.money import total
from billing.periods import Period, local_day, local_month
from billing.wallet import Entry, EntryKind
from metering.decimals import text
from metering.times import HOUR, floor, format_time, parse_time

WindowUnit = Literal["hour", "day", "month"]

# What entries of a kind are called where they are summed up, and which sign makes them a quantity.
_SUMS: Mapping[str, tuple[EntryKind, int]] = {
    "drawn": ("draw", -1),
    "returned": ("return", 1),
    "granted": ("grant", 1),
    "expired": ("expiry", -1),
    "revoked": ("revoke", -1),
}


@dataclass(slots=True)
class Row:
    """What moved in one window on one credit for one period.

    Attributes:
        credit: None for what was owed without one (`prepaid_only`).
        period: the start of the period that it was for; None for what no period caused.
        moved: the sum of the entries of each kind, signed as they are.
    """

    window: Period
    credit: str | None
    period: int | None
    moved: dict[EntryKind, Decimal] = field(default_factory=dict)

    @property
    def place(self) -> tuple[int, str, int]:
        """What orders the rows: the newest window first, then by credit and period."""
        return -self.window.start, self.credit or "", -1 if self.period is None else self.period

    def as_json(self) -> dict[str, Any]:
        """The row as the API lists it; `amount` is signed and sums to the balance."""
        sums = {name: text(sign * self.moved.get(kind, Decimal(0))) for name, (kind, sign) in _SUMS.items()}
        return {
            "start": format_time(self.window.start),
            "end": format_time(self.window.end),
            "credit": self.credit,
            "period": None if self.period is None else format_time(self.period),
            **sums,
            "amount": text(total(self.moved.values())),
        }


def read_entry(shown: Mapping[str, Any]) -> Entry:
    """Read an entry back from what `Entry.as_json` made of it."""
    return Entry(
        at=parse_time(shown["at"]),
        kind=shown["kind"],
        amount=Decimal(shown["amount"]),
        balance_after=Decimal(shown["balance_after"]),
        credit=shown["credit"],
        period=None if shown["period"] is None else parse_time(shown["period"]),
        invoice=shown["invoice"],
        reference=shown["reference"],
    )


def window_at(unit: WindowUnit, timezone: str, instant: int) -> Period:
    """The window around an instant: a clock hour, or a day or month of a time zone."""
    match unit:
        case "hour":
            return Period(floor(instant, HOUR), floor(instant, HOUR) + HOUR)
        case "day":
            return local_day(timezone, instant)
        case "month":
            return local_month(timezone, instant)


def timeline(entries: Iterable[Entry], unit: WindowUnit, timezone: str) -> Iterator[Row]:
    """Sum the ledger up by window, credit and period, newest window first; windows in which nothing moved are left out.

    Args:
        entries: clock hour by clock hour, the newest first; no more are taken than the rows that are taken need.
        unit: how long the windows are.
        timezone: whose days or months they are.
    """
    window: Period | None = None
    rows: dict[tuple[str | None, int | None], Row] = {}
    for entry in _newest_first(entries):
        if window is None or entry.at < window.start:
            yield from _in_order(rows)
            window, rows = window_at(unit, timezone, entry.at), {}
        row = rows.setdefault((entry.credit, entry.period), Row(window, entry.credit, entry.period))
        row.moved[entry.kind] = total((row.moved.get(entry.kind, Decimal(0)), entry.amount))
    yield from _in_order(rows)


def _in_order(rows: Mapping[Any, Row]) -> list[Row]:
    return sorted(rows.values(), key=lambda row: row.place)


def _newest_first(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Within a clock hour entries stand as they were made, which is not quite in the order of time."""
    for _, several in groupby(entries, key=lambda entry: floor(entry.at, HOUR)):
        yield from sorted(several, key=lambda entry: -entry.at)
