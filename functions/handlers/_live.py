"""The single composition root: the environment of a function becomes the adapters that it uses.

Everything is made when it is first asked for, so a function pays only for what it touches.
"""

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any

from adapters.attempts import Attempts
from adapters.bus import Bus
from adapters.catalog import Catalog
from adapters.clock import StoredClock, real_now
from adapters.deliveries import Deliveries
from adapters.dynamo import DynamoTable
from adapters.endpoints import Endpoints
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
from adapters.stripe_events import SeenEvents, StripeEvents
from adapters.usage import Usage
from adapters.watches import Watches
from adapters.webhooks import Webhooks
from handlers._reports import report_customer, report_item
from metering.errors import Invalid
from metering.events import Acceptance
from metering.packing import digest
from metering.times import HOUR, parse_duration, parse_time

if TYPE_CHECKING:
    from adapters.payments import Payments
    from adapters.stripe import Stripe
    from adapters.stripe_customers import StripeCustomers
    from adapters.stripe_invoice_payments import StripeInvoicePayments
    from adapters.stripe_invoices import StripeInvoices
    from adapters.stripe_pages import StripePages

STRIPE_INTERVAL_SECONDS = Decimal("0.25")
"""Between two calls of one worker: the five of a queue stay at 20 calls a second, below the 25 that Stripe allows."""


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
        return Catalog(self.catalog_table, report_customer)

    @cached_property
    def remembered(self) -> Remembered:
        """What operators define, remembered for half a minute; meters not beyond the first event of another hour."""
        return Remembered(
            self.catalog,
            monotonic=self._seconds,
            epoch=lambda: (self.clock() + self.acceptance.future) // HOUR,
        )

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
    def attempts(self) -> Attempts:
        """What was tried to be bought."""
        return Attempts(self.ledger_table, report_item)

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
        return Invoices(self.ledger_table, report_item)

    @cached_property
    def outbox(self) -> Outbox:
        """What is to be announced, and what could not be processed."""
        return Outbox(self.ledger_table)

    @cached_property
    def watches(self) -> Watches:
        """What has to be looked at again."""
        return Watches(self.ledger_table)

    @cached_property
    def endpoints(self) -> Endpoints:
        """Who is told by webhook."""
        return Endpoints(self.ledger_table)

    @cached_property
    def deliveries(self) -> Deliveries:
        """What was told to whom."""
        return Deliveries(self.ledger_table)

    @cached_property
    def webhooks(self) -> Webhooks:
        """Posts to users' servers; on the local cloud also to this machine."""
        return Webhooks(loopback=self.environment.get("LOCAL_WEBHOOKS") == "loopback")

    @cached_property
    def bus(self) -> Bus:
        """Where announcements go."""
        return Bus(self.setting("BUS_NAME"))

    @cached_property
    def stripe(self) -> "Stripe":
        """Stripe; its SDK is imported here, by the functions that pay, and nowhere else."""
        from adapters.stripe import Pace, Stripe  # noqa: PLC0415 - a hundred milliseconds that others do not spend

        url = self.environment.get("STRIPE_URL")
        return Stripe(self.secret, url, None if url else Pace(STRIPE_INTERVAL_SECONDS))

    @cached_property
    def payments(self) -> "Payments":
        """Payments of top-ups."""
        from adapters.payments import Payments  # noqa: PLC0415 - as above

        return Payments(self.stripe)

    @cached_property
    def stripe_customers(self) -> "StripeCustomers":
        """Customers as Stripe knows them."""
        from adapters.stripe_customers import StripeCustomers  # noqa: PLC0415 - as above

        return StripeCustomers(self.stripe)

    @cached_property
    def stripe_events(self) -> StripeEvents:
        """Events as Stripe lists them."""
        return StripeEvents(self.stripe)

    @cached_property
    def seen_events(self) -> SeenEvents:
        """Which of Stripe's events have been handed on."""
        return SeenEvents(self.ledger_table)

    @cached_property
    def stripe_invoices(self) -> "StripeInvoices":
        """Invoices as Stripe knows them."""
        from adapters.stripe_invoices import StripeInvoices  # noqa: PLC0415 - as above

        return StripeInvoices(self.stripe)

    @cached_property
    def stripe_invoice_payments(self) -> "StripeInvoicePayments":
        """Payments of invoices."""
        from adapters.stripe_invoice_payments import StripeInvoicePayments  # noqa: PLC0415 - as above

        return StripeInvoicePayments(self.stripe)

    @cached_property
    def stripe_pages(self) -> "StripePages":
        """Pages that Stripe hosts."""
        from adapters.stripe_pages import StripePages  # noqa: PLC0415 - as above

        return StripePages(self.stripe)

    @cached_property
    def secret(self) -> Secret:
        """The Stripe key and webhook secrets, and the key for signing our own webhooks."""
        return Secret(self.setting("STRIPE_SECRET_ARN"))

    @cached_property
    def deployment_id(self) -> str:
        """Names this deployment on what it makes at Stripe, where others may have customers of the same ids."""
        return digest(self.setting("STRIPE_SECRET_ARN").encode())[:12]

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

    @property
    def invoice_prefix(self) -> str:
        """What the numbers of invoices begin with."""
        return str(self.issuer.get("invoice_prefix") or "")

    @cached_property
    def clock(self) -> Callable[[], int]:
        """Milliseconds since 1970: the machine's, or on the local cloud the stored clock."""
        return StoredClock(self.catalog_table) if self._is_clock_stored else real_now

    @property
    def _is_clock_stored(self) -> bool:
        return self.environment.get("LOCAL_CLOCK") == "stored"

    def _seconds(self) -> float:
        """What passes: on the local cloud its own time, which leaps."""
        return self.clock() / 1000 if self._is_clock_stored else time.monotonic()

    def scheduled_now(self, event: dict[str, Any]) -> int:
        """The clock of a scheduled function: its event's `time`, or now where that does not say one (law 5.9)."""
        try:
            return parse_time(event.get("time"))
        except Invalid:
            return self.clock()


live = Live()
