"""What the Events table still holds of what was sent, read piece by piece: for those who look, not for the folds."""

from collections.abc import Iterator
from itertools import groupby

from adapters.events import KEPT_LONGER, read_edge
from adapters.items import Item, Table, binary, integer, string
from metering.events import Event
from metering.segments import unpack
from metering.times import MINUTE, hour_name
from metering.window_items import unpack_facts
from metering.windows import Fact


class RawEvents:
    """Reads that never hold more than one minute of an hour, or one resource's edges of an interval.

    Attributes:
        kept_milliseconds: how long after its minute an event can be read.
    """

    def __init__(self, table: Table, accept_past_milliseconds: int) -> None:
        self._table = table
        self.kept_milliseconds = accept_past_milliseconds + KEPT_LONGER

    def minutes(
        self, customer: str, meter: str, hour: int, first: int, last: int, *, newest_first: bool = False
    ) -> Iterator[tuple[int, list[Event]]]:
        """The usage events of an hour, minute by minute: of those that touch the instants from `first` to `last`.

        Every version and repetition is among them.

        Raises:
            Unreadable: an item is damaged.
        """
        partition = f"{customer}#{meter}#{hour_name(hour)}"
        earliest, latest = max(0, (first - hour) // MINUTE), min(59, (last - hour) // MINUTE)
        items = self._table.query(partition, f"{earliest:02d}#", f"{latest:02d}#~", newest_first=newest_first)
        for minute, together in groupby((item for item in items if item["kind"] == "usage"), key=_minute):
            yield minute, [event for item in together for event in unpack(partition, minute, binary(item, "data"))]

    def facts(self, customer: str, meter: str, hour: int) -> Iterator[Fact]:
        """Everything that pair ever said to an hour, item by item.

        Raises:
            Unreadable: an item is damaged.
        """
        partition = f"{customer}#{meter}#{hour_name(hour)}"
        for item in self._table.query(partition):
            if item["kind"] == "facts":
                yield from unpack_facts(binary(item, "data"))

    def edges(self, customer: str, meter: str, resource: str, first: int, last: int) -> list[Event]:
        """The edges of a resource from one instant to another, both inclusive, every version among them.

        Raises:
            Unreadable: an item is damaged.
        """
        items = self._table.query(f"{customer}#{meter}#{resource}", f"{first:013d}", f"{last + 1:013d}")
        return [read_edge(item) for item in items if string(item, "kind") == "edge"]


def _minute(item: Item) -> int:
    return integer(item, "minute")
