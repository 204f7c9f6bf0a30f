"""One attempt to buy credit: a table of states, each stored before the call that it names. Law 5.6.

So what a crash or a lost answer left open is found in the state whose call may have been made, and settled by asking
Stripe; no call is ever made again under another key.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal

from billing.customers import Customer
from billing.money import exact, round_money
from metering.decimals import text
from metering.errors import Conflict
from metering.packing import canonical, digest
from metering.times import HOUR, MINUTE, format_time

State = Literal["requested", "creating", "confirming", "linking", "action_required", "succeeded", "failed", "canceled"]
Call = Literal["create", "confirm", "link"]

# Which state may follow which. `creating`, `confirming` and `linking` name the call that may have been made;
# `linking` and `action_required` have cancelled their payment: the customer pays on a page, or not at all.
TRANSITIONS: dict[State, frozenset[State]] = {
    "requested": frozenset({"creating", "failed", "canceled"}),
    "creating": frozenset({"confirming", "failed", "canceled"}),
    "confirming": frozenset({"succeeded", "failed", "linking", "canceled"}),
    "linking": frozenset({"action_required", "failed", "canceled"}),
    "action_required": frozenset({"succeeded", "failed", "canceled"}),
    "succeeded": frozenset(),
    "failed": frozenset(),
    "canceled": frozenset(),
}

PATIENCE = HOUR
"""How long an outcome may be unknown before the attempt is ended in a way after which nothing can be charged."""
_STANDSTILL = 15 * MINUTE
_PAGE_LIFE = 23 * HOUR


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to buy credit.

    Attributes:
        id: stable; Stripe's idempotency keys are made of it.
        amount: what is credited, before tax.
        tax: what is charged on top.
        requested_at: counts against the caps of that day and month.
        changed_at: when it came into its state.
        card_holder: the Stripe customer who pays, stored before the first call like all that the calls are made of.
        deployment: whose it is, as several may share an account at Stripe and have customers and ids alike.
        payment_method: the card that pays.
        payment_intent: Stripe's payment, once it is known.
        reason: why it failed, in the words of Stripe's code.
        automatic: False for one that a person asked for.
        page: the id of the page where the customer is asked to pay.
        url: of that page.
        returned: how much of what was charged went back, by refunds and lost disputes.
        owed_again: how much of its credit had been spent by then, and was put onto an invoice.
    """

    id: str
    customer: str
    currency: str
    amount: Decimal
    tax: Decimal
    state: State
    requested_at: int
    changed_at: int
    card_holder: str | None = None
    deployment: str = ""
    payment_method: str | None = None
    payment_intent: str | None = None
    reason: str | None = None
    automatic: bool = True
    page: str | None = None
    url: str | None = None
    returned: Decimal = Decimal(0)
    owed_again: Decimal = Decimal(0)

    @property
    def open(self) -> bool:
        """Whether its outcome is not known yet."""
        return bool(TRANSITIONS[self.state])

    @property
    @exact
    def charged(self) -> Decimal:
        """What the customer pays."""
        return self.amount + self.tax

    @property
    def metadata(self) -> Mapping[str, str]:
        """What is written on everything that Stripe keeps for it: ids only."""
        return {
            "taximeter_deployment": self.deployment,
            "taximeter_customer": self.customer,
            "taximeter_top_up": self.id,
        }

    @property
    def page_expires_at(self) -> int:
        """When the page ends that was decided on when it came into the state `linking`: below Stripe's 24 hours."""
        return self.changed_at + _PAGE_LIFE

    @property
    def stands_still_at(self) -> int:
        """From when on it is looked at again though nobody tells anything of it."""
        return self.page_expires_at if self.state == "action_required" else self.changed_at + _STANDSTILL

    def idempotency_key(self, call: Call) -> str:
        """The key under which Stripe makes a call for this attempt at most once; other calls may be made again.

        An account at Stripe has one set of keys, and people choose ids: so all that an attempt is named by is in it.
        """
        return f"top_up:{digest(canonical([self.deployment, self.customer, self.id]))}:{call}"

    def as_json(self) -> dict[str, Any]:
        """The attempt as the API lists it."""
        return {
            "id": self.id,
            "customer": self.customer,
            "currency": self.currency,
            "amount": text(self.amount),
            "tax": text(self.tax),
            "charged": text(self.charged),
            "status": self.state,
            "automatic": self.automatic,
            "requested_at": format_time(self.requested_at),
            "changed_at": format_time(self.changed_at),
            "payment_intent": self.payment_intent,
            "reason": self.reason,
            "url": self.url if self.state == "action_required" else None,
            "returned": text(self.returned),
        }


def attempt(customer: Customer, currency: str, amount: Decimal, now: int, identity: str | None = None) -> Attempt:
    """A new attempt; one that a person asked for brings its own id.

    With `tax_on: rest` credit is bought with tax on top, rounded once; with `subtotal` the invoice taxes all usage, so
    buying credit is not taxed.
    """
    rate = customer.tax_rate if customer.tax_on == "rest" else Decimal(0)
    return Attempt(
        id=identity or f"{customer.id}:{now}",
        customer=customer.id,
        currency=currency,
        amount=amount,
        tax=round_money(Fraction(amount) * Fraction(rate) / 100, currency),
        state="requested",
        requested_at=now,
        changed_at=now,
        automatic=identity is None,
    )


def moved(current: Attempt, state: State, now: int, **known: Any) -> Attempt:  # noqa: ANN401 - fields of an attempt
    """The attempt in its next state, with what is known from then on; the state it is in already changes nothing.

    Raises:
        Conflict: `top_up_state`, the table does not allow it.
    """
    if state == current.state:
        return current
    if state not in TRANSITIONS[current.state]:
        raise Conflict(f"a top-up that is {current.state} cannot become {state}", "top_up_state")
    return replace(current, state=state, changed_at=now, **known)


@exact
def credit_returned(bought: Attempt, returned: Decimal) -> Decimal:
    """How much of its credit an attempt loses when so much of what was charged went back: the same share of it."""
    if not bought.charged:
        return Decimal(0)
    share = Fraction(min(returned, bought.charged)) / Fraction(bought.charged)
    return round_money(Fraction(bought.amount) * share, bought.currency)
