"""Customers: what users write about them, and beside it what the catalogue keeps: which plan held when."""

from dataclasses import dataclass
from typing import Literal

from pydantic import Field, JsonValue, StrictBool, model_validator

from billing.fields import Amount, AnchorDay, CurrencyCode, Days, Instant, Percent, Positive, Text, Timezone
from billing.money import check_digits
from billing.periods import Calendar, PeriodUnit
from metering.errors import Invalid
from metering.faults import Written
from metering.meters import Key

AlertKind = Literal["balance_below", "spend_above", "usage_above"]


class Alert(Written):
    """A threshold: below is <, above is >. `spend_above` and `usage_above` look at the running period."""

    key: Key
    kind: AlertKind
    threshold: Amount
    meter: Key | None = None

    @model_validator(mode="after")
    def _names_a_meter_only_for_usage(self) -> "Alert":
        if (self.kind == "usage_above") != (self.meter is not None):
            raise ValueError("`meter` belongs to usage_above alerts, and they need one")
        return self


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
    address: dict[str, JsonValue] = Field(default_factory=dict)
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
    metadata: dict[str, JsonValue] = Field(default_factory=dict)
    alerts: tuple[Alert, ...] = ()
    top_up: TopUpRule | None = None

    @model_validator(mode="after")
    def _is_consistent(self) -> "Customer":
        faults = list(self._inconsistencies())
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def _inconsistencies(self) -> list[str]:
        keys = [alert.key for alert in self.alerts]
        instants = (self.starts_at, self.ends_at)
        faults = []
        if len(set(keys)) < len(keys):
            faults.append("two alerts have the same key")
        if None not in instants and instants[0] >= instants[1]:  # type: ignore[operator]  # neither is None
            faults.append("`ends_at` must lie after `starts_at`")
        if self.top_up and self.currency:
            try:
                check_digits(self.top_up.amount, self.currency)
            except Invalid as error:
                faults.append(f"`top_up.amount` {error.detail}")
        return faults


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

    def first_split(self, after: int, before: int) -> int:
        """The first instant strictly between the two at which a plan change or `ends_at` cuts, else `before`."""
        cuts = [change.effective_at for change in self.plans if change.splits]
        if self.customer.ends_at is not None:
            cuts.append(self.customer.ends_at)
        return min((cut for cut in cuts if after < cut < before), default=before)

    def calendar(self, period: PeriodUnit) -> Calendar:
        """The calendar by which periods of this length open for the customer."""
        customer = self.customer
        return Calendar(period, customer.timezone, customer.anchor_day, self.first_instant or 0)
