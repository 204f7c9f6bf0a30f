"""The deployment that a replay works on: its tables are read, one kind of item is written, and a function is called."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from adapters.catalog import Catalog
    from adapters.events import Events
    from adapters.items import Key, Table
    from adapters.outbox import Outbox
    from adapters.raw_events import RawEvents
    from taximeter.operator import Deployment

_MINUTES = 60


@dataclass(frozen=True, slots=True)
class Kept:
    """What is looked at of a window: its version, and whether it is an hour that is kept by its minutes."""

    version: int
    by_minutes: bool


@dataclass(frozen=True, slots=True)
class Place:
    """What a replay needs of a deployment, reached with the operator's AWS credentials.

    Attributes:
        scan: the keys of all events of a kind, page by page, behind a key.
        aggregate: gives records to the deployed function and waits; None if it took them, else what it failed with.
        now: milliseconds, by the deployment's clock.
        accept_past: how old an event may be, in milliseconds.
    """

    catalog: "Catalog"
    events: "Events"
    raw_events: "RawEvents"
    events_table: "Table"
    usage_table: "Table"
    outbox: "Outbox"
    scan: "Callable[[str, Key | None], Iterator[tuple[list[Key], Key | None]]]"
    aggregate: Callable[[object], str | None]
    now: int
    accept_past: int

    def windows(self, customer: str, day: str, meters: Sequence[str]) -> dict[str, Kept]:
        """What is kept of a day (`2026-11-20`) and its hours, by sort key."""
        from adapters.windows import read_windows  # noqa: PLC0415 - the client needs none of it

        found = {}
        for first in (f"day#{day}#", f"hour#{day}T", f"open#{day}T"):
            for window in read_windows(self.usage_table, customer, first, f"{first}\U0010ffff"):
                # The mark of a day that is kept as a whole has no version.
                if "version" in window.head and window.sort.split("#", 2)[2] in meters:
                    found[window.sort] = Kept(window.version, "minutes" in window.head)
        return found

    def is_addressed(self, partition: str) -> bool:
        """Whether there is anything in an hour's partition of the Events table."""
        return next(self.events_table.query(partition, page=1), None) is not None

    def fold(self, partitions: Sequence[str], *, by_minute: bool) -> None:
        """Have aggregate fold some hours again, by nothing but its own code and role.

        Of an hour that is kept by its minutes only those are folded that a record tells of: `by_minute` tells of all.

        Raises:
            RuntimeError: the function failed.
        """
        minutes = range(_MINUTES if by_minute else 1)
        keys = [(partition, f"{minute:02d}#replay") for partition in partitions for minute in minutes]
        records = [{"eventName": "MODIFY", "dynamodb": {"Keys": {"pk": {"S": pk}, "sk": {"S": sk}}}} for pk, sk in keys]
        failure = self.aggregate({"Records": records, "at_once": True})
        if failure is not None:
            raise RuntimeError(f"aggregate failed: {failure}")

    def parked(self, customer: str, partitions: Sequence[str]) -> int:
        """How many of these hours wait as records that could not be processed."""
        waiting = [item for item in self.outbox.parked(customer) if item["function"] == "aggregate"]
        keys = [json.loads(str(item["record"]))["dynamodb"]["Keys"] for item in waiting]
        return len({key["pk"]["S"] for key in keys if key["sk"]["S"].endswith("#replay")} & set(partitions))


def place_of(deployment: "Deployment") -> Place:
    """The place that a deployment is."""
    from adapters.catalog import Catalog  # noqa: PLC0415 - the client needs none of it
    from adapters.clock import StoredClock, real_now  # noqa: PLC0415 - the same
    from adapters.events import Events  # noqa: PLC0415 - the same
    from adapters.outbox import Outbox  # noqa: PLC0415 - the same
    from adapters.raw_events import RawEvents  # noqa: PLC0415 - the same
    from metering.times import parse_duration  # noqa: PLC0415 - the same

    setting = deployment.settings("Aggregate")
    accept_past = parse_duration(setting["ACCEPT_PAST"])
    catalog, events = deployment.table("CatalogTable"), deployment.table("EventsTable")
    now = StoredClock(catalog)() if setting.get("LOCAL_CLOCK") == "stored" else real_now()
    return Place(
        catalog=Catalog(catalog),
        events=Events(events, accept_past),
        raw_events=RawEvents(events, accept_past),
        events_table=events,
        usage_table=deployment.table("UsageTable"),
        outbox=Outbox(deployment.table("LedgerTable")),
        scan=events.scan,
        aggregate=deployment.caller("Aggregate"),
        now=now,
        accept_past=accept_past,
    )
