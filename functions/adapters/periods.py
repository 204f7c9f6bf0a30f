"""Ended periods in the Ledger table: those that wait to be invoiced, and what is kept of them afterwards. Law 5.7.

| kind | partition | sort key |
|---|---|---|
| period | `customer` | `period#start` |

One that waits is listed in the index `due`; one that is concluded is kept as it left its wallet, with what was invoiced
for it, so that late usage can be compared with that, and its invoice be voided. Of one whose customer began anew before
anything was charged only the key is left; it is none any more.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from adapters.items import Item, Put, Table, binary, integer, string
from adapters.shards import SHARDS, shard_of
from billing.adjustments import Concluded
from billing.packing import pack_period, unpack_period
from metering.decimals import text
from metering.times import format_time, parse_time

# Ended periods that are read at once: a page of a ledger seldom looks at more.
_PAGE = 50


@dataclass(frozen=True, slots=True)
class EndedPeriod:
    """A period whose end has passed and that was not invoiced yet."""

    customer: str
    start: int
    due_at: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where a period that waits stands in the index."""

    shard: int
    due_at: int
    customer: str
    sort: str


class Periods:
    """The periods of customers that have ended."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def due(self, shard: int, until: int, most: int) -> list[EndedPeriod]:
        """Ended periods whose grace is over, earliest first."""
        keys = self._table.due(f"period#{shard:02d}", until, most)
        # The index may be a moment behind: what was concluded meanwhile is no longer due.
        return [_ended_period(item) for item in self._table.get_many(keys) if "due_at" in item]

    def ended(self, after: Place | None, page: int) -> Iterator[tuple[Place, str, int]]:
        """The periods that wait to be invoiced, those in their grace too: the place, customer and start of each.

        Places have an order of their own, in which the earliest periods of a shard come first.
        """
        reached = (after.due_at, (after.customer, after.sort)) if after else None
        for shard in range(after.shard if after else 0, SHARDS):
            while found := self._table.listed(f"period#{shard:02d}", reached, page):
                for due_at, (customer, sort) in found:
                    start = parse_time(sort.removeprefix("period#"))
                    yield Place(shard, due_at, customer, sort), customer, start
                reached = found[-1]
            reached = None

    def concluded(self, customer: str, start: int) -> Concluded | None:
        """A period that has left its wallet; None for one that has not."""
        item = self._table.get(customer, _period_key(start))
        return _read_concluded(item) if item and "data" in item else None

    def concluded_between(self, customer: str, start: int, end: int) -> list[Concluded]:
        """The periods that have left their wallet and touch [start, end), newest first."""
        found = []
        for item in self._table.query(customer, "period#", _period_key(end - 1), newest_first=True, page=2):
            if "data" not in item:
                continue
            concluded = _read_concluded(item)
            if start < concluded.period.end:
                found.append(concluded)
            elif concluded.period.start < concluded.period.end:
                break
        return found

    def starts(self, customer: str) -> Iterator[int]:
        """Where the periods that have ended began, oldest first."""
        for item in self._table.query(customer, "period#", "period#\U0010ffff"):
            if "data" in item or "due_at" in item:
                yield integer(item, "start")

    def any_charged(self, customer: str) -> bool:
        """Whether anything was charged for a period that has left its wallet, or an invoice was made of it."""
        found = self._table.query(customer, "period#", "period#\U0010ffff")
        return any("invoice" in item or Decimal(string(item, "invoiced")) for item in found if "data" in item)

    def invoices(self, customer: str) -> Iterator[tuple[int, str]]:
        """The starts of the periods of which invoices were made, newest first, each with its invoice's id."""
        for item in self._table.query(customer, "period#", "period#\U0010ffff", newest_first=True, page=_PAGE):
            if "invoice" in item:
                yield integer(item, "start"), string(item, "invoice")


def _period_key(start: int) -> str:
    return f"period#{format_time(start)}"


def _period_item(customer: str, start: int, due_at: int) -> Item:
    return {
        "pk": customer,
        "sk": _period_key(start),
        "kind": "period",
        "start": start,
        "due_shard": f"period#{shard_of(customer):02d}",
        "due_at": due_at,
    }


def due_period(customer: str, start: int, due_at: int) -> Put:
    """A period that is to be invoiced from an instant on."""
    return Put(_period_item(customer, start, due_at))


def left_period(customer: str, start: int) -> Put:
    """A period that is none any more: its customer begins anew, at another start or in another currency."""
    return Put({"pk": customer, "sk": _period_key(start), "kind": "period", "start": start})


def concluded_period(customer: str, concluded: Concluded) -> Put:
    """A period that is no longer due: it was invoiced, or there was nothing to invoice."""
    start = concluded.period.start
    item: Item = {
        "pk": customer,
        "sk": _period_key(start),
        "kind": "period",
        "start": start,
        "data": pack_period(concluded.period),
        "invoiced": text(concluded.invoiced),
    }
    if concluded.invoice is not None:
        item["invoice"] = concluded.invoice
    return Put({**item, "forgiven": 1} if concluded.forgiven else item)


def _read_concluded(item: Item) -> Concluded:
    return Concluded(
        unpack_period(binary(item, "data")),
        Decimal(string(item, "invoiced")),
        string(item, "invoice") if "invoice" in item else None,
        "forgiven" in item,
    )


def _ended_period(item: Item) -> EndedPeriod:
    return EndedPeriod(string(item, "pk"), integer(item, "start"), integer(item, "due_at"))
