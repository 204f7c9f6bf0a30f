"""The single composition root: the environment of a function becomes the adapters that it uses.

Everything is made when it is first asked for, so a function pays only for what it touches.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from adapters.bus import Bus
from adapters.catalog import Catalog
from adapters.clock import StoredClock, real_now
from adapters.dynamo import DynamoTable
from adapters.events import Events
from adapters.invoices import Invoices
from adapters.items import Table
from adapters.keys import Keys
from adapters.lag import Lag
from adapters.ledger import Ledger
from adapters.outbox import Outbox
from adapters.periods import Periods
from adapters.queues import Queue
from adapters.raw_events import RawEvents
from adapters.remembered import Remembered
from adapters.revocations import Revocations
from adapters.secrets import Secret
from adapters.sightings import Sightings
from adapters.usage import Usage
from adapters.watches import Watches
from metering.errors import Invalid
from metering.events import Acceptance
from metering.times import parse_duration, parse_time

if TYPE_CHECKING:
    from adapters.stripe import Payments


@dataclass
class Live:
    """A function's surroundings, from its environment; tests give their own tables and clock."""

    environment: dict[str, str] = field(default_factory=lambda: dict(os.environ))
    table: Callable[[str], Table] = DynamoTable

    def setting(self, name: str) -> str:
        """An environment variable that the template gives to this function."""
        return self.environment[name]

    @cached_property
    def catalog_table(self) -> Table:
        """The table of the catalogue, the API keys and the local clock."""
        return self.table(self.setting("CATALOG_TABLE"))

    @cached_property
    def ledger_table(self) -> Table:
        """The table of the ledger and the outbox."""
        return self.table(self.setting("LEDGER_TABLE"))

    @cached_property
    def catalog(self) -> Catalog:
        """What operators define, read anew each time."""
        return Catalog(self.catalog_table)

    @cached_property
    def remembered(self) -> Remembered:
        """What operators define, remembered for half a minute."""
        return Remembered(self.catalog)

    @cached_property
    def keys(self) -> Keys:
        """Who may call the API."""
        return Keys(self.catalog_table)

    @cached_property
    def events(self) -> Events:
        """What happened."""
        return Events(self.table(self.setting("EVENTS_TABLE")), parse_duration(self.setting("ACCEPT_PAST")))

    @cached_property
    def raw_events(self) -> RawEvents:
        """What happened, as it was sent."""
        return RawEvents(self.table(self.setting("EVENTS_TABLE")), parse_duration(self.setting("ACCEPT_PAST")))

    @cached_property
    def sightings(self) -> Sightings:
        """Which edges were noted."""
        return Sightings(self.table(self.setting("EVENTS_TABLE")), parse_duration(self.setting("ACCEPT_PAST")))

    @cached_property
    def usage(self) -> Usage:
        """What was used."""
        return Usage(self.table(self.setting("USAGE_TABLE")))

    @cached_property
    def ledger(self) -> Ledger:
        """What is owed."""
        return Ledger(self.ledger_table)

    @cached_property
    def revocations(self) -> Revocations:
        """What was taken back."""
        return Revocations(self.ledger_table)

    @cached_property
    def lag(self) -> Lag:
        """How far the consumers of the streams are behind."""
        return Lag(self.setting("STREAM_CONSUMERS").split(","))

    @cached_property
    def periods(self) -> Periods:
        """What has ended."""
        return Periods(self.ledger_table)

    @cached_property
    def invoices(self) -> Invoices:
        """What was invoiced."""
        return Invoices(self.ledger_table)

    @cached_property
    def outbox(self) -> Outbox:
        """What is to be announced, and what could not be processed."""
        return Outbox(self.ledger_table)

    @cached_property
    def watches(self) -> Watches:
        """What has to be looked at again."""
        return Watches(self.ledger_table)

    @cached_property
    def bus(self) -> Bus:
        """Where announcements go."""
        return Bus(self.setting("BUS_NAME"))

    @cached_property
    def payments(self) -> "Payments":
        """Stripe; its SDK is imported here, by the functions that pay, and nowhere else."""
        from adapters.stripe import Payments  # noqa: PLC0415 - a hundred milliseconds that other functions do not spend

        return Payments(self.secret, self.environment.get("STRIPE_URL"))

    @cached_property
    def secret(self) -> Secret:
        """The Stripe key and webhook secrets."""
        return Secret(self.setting("STRIPE_SECRET_ARN"))

    def queue(self, name: str) -> Queue:
        """The queue whose URL the environment has under `{name}_QUEUE_URL`."""
        return Queue(self.setting(f"{name}_QUEUE_URL"))

    @cached_property
    def acceptance(self) -> Acceptance:
        """How old and how far ahead an event may be."""
        return Acceptance(parse_duration(self.setting("ACCEPT_PAST")), parse_duration(self.setting("ACCEPT_FUTURE")))

    @cached_property
    def grace_milliseconds(self) -> int:
        """How long after its end a period waits for late usage."""
        return parse_duration(self.setting("GRACE"))

    @cached_property
    def freshness_milliseconds(self) -> int:
        """How long the consumers of streams gather records."""
        return parse_duration(self.setting("FRESHNESS"))

    @cached_property
    def issuer(self) -> dict[str, Any]:
        """Who invoices: name, address, tax_id, invoice_prefix."""
        issuer = json.loads(self.setting("ISSUER"))
        assert isinstance(issuer, dict)  # noqa: S101 - the template writes it
        return issuer

    @cached_property
    def clock(self) -> Callable[[], int]:
        """Milliseconds since 1970: the machine's, or on the local cloud the stored clock."""
        return StoredClock(self.catalog_table) if self.environment.get("LOCAL_CLOCK") == "stored" else real_now

    def scheduled_now(self, event: dict[str, Any]) -> int:
        """The clock of a scheduled function: its event's `time`, or now where that does not say one (law 5.9)."""
        try:
            return parse_time(event.get("time"))
        except Invalid:
            return self.clock()


live = Live()
