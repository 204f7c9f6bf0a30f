"""Customers: what users write about them, and beside it what the catalogue keeps: which plan held when."""

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, get_args

from pydantic import Field, StrictBool

from billing.fields import (
    Amount,
    AnchorDay,
    CurrencyCode,
    Days,
    Instant,
    Opaque,
    Percent,
    Positive,
    Text,
    Timezone,
    instant_in,
    list_in,
    mapping_in,
    number_in,
    unkept_numbers,
)
from billing.money import check_digits, minor_units
from billing.periods import Calendar, PeriodUnit
from metering.errors import Invalid
from metering.faults import Contradiction, Written
from metering.meters import Key
from metering.times import format_time

AlertKind = Literal["balance_below", "spend_above", "usage_above"]


class Alert(Written):
    """A threshold: below is <, above is >. `spend_above` and `usage_above` look at the running period."""

    key: Key
    kind: AlertKind
    threshold: Amount
    meter: Key | None = None

    @classmethod
    def contradictions(cls, written: Mapping[str, Any]) -> Iterator[Contradiction]:
        """It names a meter if it looks at usage, and only then."""
        kind = written.get("kind")
        if kind in get_args(AlertKind) and (kind == "usage_above") != (written.get("meter") is not None):
            yield ("meter",), "belongs to usage_above alerts, and they need one"


class TopUpRule(Written):
    """When to buy credit, and how much; caps count open and succeeded attempts before tax."""

    threshold: Amount
    amount: Positive
    daily_cap: Amount | None = None
    monthly_cap: Amount | None = None
    enabled: StrictBool = True


class Customer(Written):
    """What users define with `PUT /v1/customers/{id}`. Instants are milliseconds inside, RFC 3339 in JSON."""

    id: Key
    name: Text = ""
    email: Text | None = None
    address: Opaque = Field(default_factory=dict)
    tax_id: Text | None = None
    plan: Key | None = None
    currency: CurrencyCode | None = None
    timezone: Timezone = "UTC"
    anchor_day: AnchorDay = 1
    starts_at: Instant | None = None
    ends_at: Instant | None = None
    prepaid_only: StrictBool = False
    tax_rate: Percent = Field(default="0", validate_default=True)
    tax_on: Literal["rest", "subtotal"] = "rest"
    collection: Literal["none", "charge_automatically", "send_invoice"] = "none"
    days_until_due: Days = 30
    stripe_customer: Text | None = None
    metadata: Opaque = Field(default_factory=dict)
    alerts: tuple[Alert, ...] = ()
    top_up: TopUpRule | None = None

    @classmethod
    def contradictions(cls, written: Mapping[str, Any]) -> Iterator[Contradiction]:
        """Alerts are told apart by their keys, the end lies after the start, and a top-up can be charged."""
        keys = [getattr(alert, "key", mapping_in(alert).get("key")) for alert in list_in(written.get("alerts"))]
        for place, key in enumerate(keys):
            if isinstance(key, str) and key in keys[:place]:
                yield ("alerts", place, "key"), f"another alert has the key {key}"
        for name in ("address", "metadata"):
            yield from unkept_numbers(written.get(name), (name,))
        starts_at, ends_at = instant_in(written.get("starts_at")), instant_in(written.get("ends_at"))
        if starts_at is not None and ends_at is not None and starts_at >= ends_at:
            yield ("ends_at",), f"must lie after `starts_at`, which is {format_time(starts_at)}"
        amount = number_in(mapping_in(written.get("top_up")).get("amount"))
        if amount is not None and isinstance(written.get("currency"), str):
            yield from _too_fine(amount, written["currency"])


def _too_fine(amount: Decimal, currency: str) -> Iterator[Contradiction]:
    try:
        minor_units(currency)
    except Invalid:
        return  # its own field tells of it
    try:
        check_digits(amount, currency)
    except Invalid as error:
        yield ("top_up", "amount"), error.detail


def misfits(written: object, meters: Container[str]) -> Iterator[Contradiction]:
    """What a customer, as it was written, asks of meters that are not there; what cannot be read is passed over."""
    for place, alert in enumerate(list_in(mapping_in(written).get("alerts"))):
        meter = mapping_in(alert).get("meter")
        if isinstance(meter, str) and meter not in meters:
            yield ("alerts", place, "meter"), f"there is no meter {meter}"


@dataclass(frozen=True, slots=True)
class PlanChange:
    """From when a plan version holds.

    Attributes:
        effective_at: milliseconds, on a quarter of an hour.
        plan: its key.
        version: its version.
        splits: True for a change that ends the running period at its instant (another plan, or a version with
            `plan_effective_at`); False for a new version, which holds from the next period.
    """

    effective_at: int
    plan: str
    version: int
    splits: bool = True


class NoCurrency(Invalid):
    """There is nothing to charge in: neither the customer nor a plan has named a currency yet."""


@dataclass(frozen=True, slots=True)
class Account:
    """A customer and the history of its plans, in the order of `effective_at`: all that billing asks about it."""

    customer: Customer
    plans: tuple[PlanChange, ...] = ()

    @property
    def currency(self) -> str:
        """The one currency of its plan, credits and invoices.

        Raises:
            NoCurrency: neither the customer nor a plan has named one yet.
        """
        if self.customer.currency is None:
            raise NoCurrency("the customer has no currency yet: name one, or a plan")
        return self.customer.currency

    @property
    def first_instant(self) -> int | None:
        """Where the first period begins; None without a plan."""
        if not self.plans:
            return None
        effective_at = self.plans[0].effective_at
        return max(self.customer.starts_at or effective_at, effective_at)

    def plan_at(self, instant: int) -> PlanChange:
        """The plan version in force when a period opens at this instant.

        Raises:
            Invalid: no plan holds yet.
        """
        in_force = [change for change in self.plans if change.effective_at <= instant]
        if not in_force:
            raise Invalid("the customer has no plan at that time")
        return in_force[-1]

    def first_split(self, after: int, before: int, held: tuple[str, int]) -> int:
        """The first instant strictly between the two at which a plan change or `ends_at` cuts, else `before`.

        A change to the plan version that the period has anyway (`held`) cuts nothing.
        """
        changes = [change for change in self.plans if change.splits and after < change.effective_at < before]
        cuts = [each.effective_at for each in changes if self._version_at(each.effective_at) != held]
        if self.customer.ends_at is not None:
            cuts.append(self.customer.ends_at)
        return min((cut for cut in cuts if after < cut < before), default=before)

    def _version_at(self, instant: int) -> tuple[str, int]:
        change = self.plan_at(instant)
        return change.plan, change.version

    def calendar(self, period: PeriodUnit) -> Calendar:
        """The calendar by which periods of this length open for the customer."""
        customer = self.customer
        return Calendar(period, customer.timezone, customer.anchor_day, self.first_instant or 0)
