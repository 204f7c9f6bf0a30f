"""The Events table: edges noted in the minute in which they happened, as their sessions stand in earlier ones. Law 4.1.

| kind | partition | sort key |
|---|---|---|
| sightings | `customer#meter#hour` | `minute#seen#hash-of-content` |

Only hours that are kept by their minutes have any (`handlers._sightings`); they are read with the minute's facts.
"""

from collections.abc import Iterable

from adapters.events import KEPT_LONGER
from adapters.items import Item, Put, Table, binary
from metering.sightings import Sighting
from metering.window_items import sightings_segments, unpack_sightings


class Sightings:
    """What was noted; append-only."""

    def __init__(self, table: Table, accept_past_milliseconds: int) -> None:
        self._table = table
        self._kept = accept_past_milliseconds + KEPT_LONGER

    def noted(self, customer: str, meter: str, hour: str, minute: str) -> set[Sighting]:
        """Everything that was noted in a minute (`05`) of an hour.

        Raises:
            Unreadable: an item is damaged.
        """
        items = self._table.query(f"{customer}#{meter}#{hour}", f"{minute}#seen#", f"{minute}#seen$")
        return {each for item in items for each in unpack_sightings(binary(item, "data"))}

    def note(self, customer: str, meter: str, found: Iterable[Sighting]) -> None:
        """Note edges that happened in one minute."""
        for segment in sightings_segments(customer, meter, found):
            item: Item = {"pk": segment.partition, "sk": segment.sort, "kind": "sightings", "data": segment.data}
            self._table.put(Put(item | {"ttl": (segment.minute + self._kept) // 1000}))
