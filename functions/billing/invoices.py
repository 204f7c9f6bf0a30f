"""Invoices: a draft is computed whenever it is asked for; finalising freezes all but its status. Law 5.7."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal

from pydantic import JsonValue

from billing.adjustments import granted
from billing.collecting import NOT_BEGUN, STANDSTILL, Collecting
from billing.customers import Account
from billing.money import exact, round_money
from billing.periods import Period
from billing.rating import Line, subtotal
from metering.decimals import text
from metering.errors import Conflict, Invalid
from metering.packing import canonical, digest
from metering.times import DAY, format_time, parse_time

Status = Literal["draft", "finalized", "paid", "past_due", "void", "uncollectible"]

# Which status may follow which. A paid invoice falls back only when its payment is lost in a dispute.
TRANSITIONS: dict[Status, frozenset[Status]] = {
    "draft": frozenset({"finalized", "paid"}),
    "finalized": frozenset({"paid", "past_due", "void", "uncollectible"}),
    "past_due": frozenset({"paid", "void", "uncollectible"}),
    "uncollectible": frozenset({"paid", "void"}),
    "paid": frozenset({"past_due"}),
    "void": frozenset(),
}

_IDENTITY = re.compile(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)Z(?:-\d+)?", re.ASCII)
_BILL_TO = ("name", "email", "address", "tax_id", "timezone")


@dataclass(frozen=True, slots=True)
class Invoice:
    """What a customer owes for one period, and what became of it. Amounts are in `currency`.

    Attributes:
        id: customer and start of the period.
        bill_to: whom it asks for the money; its `timezone` is the one whose dates the invoice shows.
        number: without gaps per issuer; put on after finalising, with the issuer's counter.
        plan: key and version.
        credits_applied: what the wallet paid of the lines; never of the tax.
        amount_due: total − credits_applied.
        credit_granted: what adjustments left below zero: it becomes a credit when the invoice has its number.
        credit: the id of that credit once it is there.
        reissued_as: the id of the invoice that was made anew of its period after it was voided.
        collecting: how far Stripe has it.
        frozen: names the lines that belong to it, by their content; nothing for a draft.
        finalized_at: milliseconds, like every instant here.
    """

    id: str
    customer: str
    status: Status
    plan: tuple[str, int]
    currency: str
    period: Period
    issuer: Mapping[str, JsonValue]
    bill_to: Mapping[str, JsonValue]
    lines: tuple[Mapping[str, Any], ...]
    subtotal: Decimal
    credits_applied: Decimal
    tax_rate: Decimal
    tax: Decimal
    total: Decimal
    amount_due: Decimal
    number: str | None = None
    amount_refunded: Decimal = field(default=Decimal(0))
    finalized_at: int | None = None
    due_at: int | None = None
    paid_at: int | None = None
    stripe_invoice: str | None = None
    hosted_invoice_url: str | None = None
    credit_granted: Decimal = field(default=Decimal(0))
    credit: str | None = None
    reissued_as: str | None = None
    collecting: Collecting = NOT_BEGUN
    frozen: str = ""

    @property
    def payable(self) -> bool:
        """Whether it is still to be collected."""
        return self.status in {"finalized", "past_due"} and bool(self.amount_due)

    @property
    def falls_due_at(self) -> int | None:
        """From when on it is past due if it is not paid; never while another is to be collected with it."""
        waits = self.status != "finalized" or self.collecting.stage in {"held", "carried"}
        return None if waits else self.due_at or self.finalized_at or 0

    @property
    def look_at(self) -> int | None:
        """When its collecting goes on by itself; None when others have to do something."""
        state, at_once = self.collecting, (self.finalized_at or 0) + STANDSTILL
        if self.payable:
            return at_once if state.stage == "waiting" and state.look_at is None else state.look_at
        return at_once if state.at_stripe and state.closed != self.status else None

    def idempotency_key(self, call: str) -> str:
        """The key under which Stripe makes a call for its Stripe invoice at most once."""
        return f"invoice:{self.collecting.deployment}:{self.id}:{self.collecting.issue}:{call}"

    def as_json(self) -> dict[str, Any]:
        """The invoice as the API shows it."""
        return {**self.kept_as_json(), **self._collected_as_json()}

    def kept_as_json(self) -> dict[str, Any]:
        """What is kept of it, but for its collecting."""
        return {
            "id": self.id,
            "number": self.number,
            "customer": self.customer,
            "status": self.status,
            "plan": {"key": self.plan[0], "version": self.plan[1]},
            "currency": self.currency,
            "period": {"start": format_time(self.period.start), "end": format_time(self.period.end)},
            "issuer": dict(self.issuer),
            "bill_to": dict(self.bill_to),
            "lines": [dict(line) for line in self.lines],
            "subtotal": text(self.subtotal),
            "credits_applied": text(self.credits_applied),
            "tax_rate": text(self.tax_rate),
            "tax": text(self.tax),
            "total": text(self.total),
            "amount_due": text(self.amount_due),
            "amount_refunded": text(self.amount_refunded),
            "finalized_at": _time(self.finalized_at),
            "due_at": _time(self.due_at),
            "paid_at": _time(self.paid_at),
            "stripe_invoice": self.stripe_invoice,
            "hosted_invoice_url": self.hosted_invoice_url,
            "credit_granted": text(self.credit_granted),
            "credit": self.credit,
            "reissued_as": self.reissued_as,
        }

    def _collected_as_json(self) -> dict[str, Any]:
        state = self.collecting
        again = state.look_at if self.payable and state.reason and state.stage in {"waiting", "open"} else None
        return {
            "held": state.stage == "held" and self.payable,
            "carried_by": state.carried_by,
            "attempt_count": state.tries,
            "payment_failure": state.reason if self.status in {"finalized", "past_due", "uncollectible"} else None,
            "next_payment_attempt": _time(again),
        }


@exact
def asked_of(invoice: Invoice) -> dict[Period, Decimal]:
    """What an invoice with its lines asks for, before tax: of its own period, and of each that it adjusts."""
    asked = {invoice.period: Decimal(0)}
    for line in invoice.lines:
        period = invoice.period
        if line["kind"] == "adjustment" and "period" in line:
            period = Period(parse_time(line["period"]["start"]), parse_time(line["period"]["end"]))
        asked[period] = asked.get(period, Decimal(0)) + Decimal(line["amount"])
    return asked


def invoice_id(customer: str, start: int, issue: int = 0) -> str:
    """Names the invoice of a customer's period that starts at an instant: `acme:20261101T0000Z`.

    One that is made anew after it was voided has the count of its issues behind it: `acme:20261101T0000Z-2`.
    """
    written = format_time(start)
    again = f"-{issue + 1}" if issue else ""
    return f"{customer}:{written[:16].replace('-', '').replace(':', '')}Z{again}"


def start_in(identity: str) -> int | None:
    """Where the period of the invoice of this id starts; None for what is no id."""
    found = _IDENTITY.fullmatch(identity.rpartition(":")[2])
    try:
        return parse_time("{}-{}-{}T{}:{}:00Z".format(*found.groups())) if found else None
    except Invalid:
        return None


@exact
def draft(
    account: Account,
    plan: tuple[str, int],
    period: Period,
    lines: Sequence[Line],
    credits_applied: Decimal,
    issuer: Mapping[str, JsonValue],
    issue: int = 0,
) -> Invoice:
    """Add the lines up: tax once, on what credits leave (`rest`) or on everything (`subtotal`), rounded once.

    What is granted as a credit is not taxed: on `subtotal` the tax of what was asked too much comes back.

    Nobody makes an invoice without lines, nor one for a `prepaid_only` customer; drafts are shown all the same.
    """
    customer = account.customer
    before_tax = subtotal(lines)
    usage = before_tax if customer.prepaid_only else before_tax - granted(lines)
    taxed = before_tax - credits_applied if customer.tax_on == "rest" else usage
    tax = round_money(Fraction(taxed) * Fraction(customer.tax_rate) / 100, account.currency)
    return Invoice(
        id=invoice_id(customer.id, period.start, issue),
        customer=customer.id,
        status="draft",
        plan=plan,
        currency=account.currency,
        period=period,
        issuer=issuer,
        bill_to={name: getattr(customer, name) for name in _BILL_TO},
        lines=tuple(line.as_json() for line in lines),
        subtotal=before_tax,
        credits_applied=credits_applied,
        tax_rate=customer.tax_rate,
        tax=tax,
        total=before_tax + tax,
        amount_due=before_tax + tax - credits_applied,
        credit_granted=granted(lines),
    )


def finalize(invoice: Invoice, account: Account, now: int) -> Invoice:
    """Freeze a draft. With nothing due it is paid at once; an invoice to be sent is due after `days_until_due`.

    Raises:
        Conflict: `period_open`, its period has not ended; `invoice_status`, it is no draft.
    """
    if now < invoice.period.end:
        raise Conflict("the period has not ended", "period_open")
    days = 0 if account.customer.collection == "charge_automatically" else account.customer.days_until_due
    named = digest(canonical([dict(line) for line in invoice.lines]))
    frozen = replace(invoice, finalized_at=now, due_at=now + days * DAY, frozen=named)
    return moved(frozen, "finalized" if invoice.amount_due else "paid", now)


def numbered(invoice: Invoice, prefix: str, count: int) -> Invoice:
    """Put the number on: the issuer's prefix and the count of its invoices, six digits or more.

    Raises:
        Conflict: `invoice_status`, it is a draft or has a number already.
    """
    if invoice.status == "draft" or invoice.number is not None:
        raise Conflict("only a finalised invoice without a number gets one", "invoice_status")
    return replace(invoice, number=f"{prefix}{count:06d}")


def moved(invoice: Invoice, status: Status, now: int, carrier: str | None = None) -> Invoice:
    """The invoice in its next status; the status it has already changes nothing.

    One whose sum stands on the Stripe invoice of another, its `carrier`, moves with that alone until it is paid.

    Raises:
        Conflict: `invoice_paid` when a paid one was to be voided, `invoice_carried` when it moves with
            another, else `invoice_status`: the table does not allow it.
    """
    if status == invoice.status:
        return invoice
    carried = invoice.collecting.stage == "carried" and invoice.status != "paid"
    if carried and invoice.collecting.carried_by != carrier:
        raise Conflict(f"it is collected with {invoice.collecting.carried_by}: decide about that", "invoice_carried")
    if status not in TRANSITIONS[invoice.status]:
        paid = invoice.status == "paid" and status == "void"
        code = "invoice_paid" if paid else "invoice_status"
        raise Conflict(f"an invoice that is {invoice.status} cannot become {status}", code)
    return replace(invoice, status=status, paid_at=now if status == "paid" else None)


def check_collectable(invoice: Invoice) -> None:
    """Hold an invoice that a person wants to be collected now against what became of it.

    Raises:
        Conflict: `invoice_status`, nothing of it is to be collected, or only another way, as its payment was lost;
            `invoice_carried`, it is collected with another one.
    """
    if not invoice.payable:
        raise Conflict(f"an invoice that is {invoice.status} is not collected", "invoice_status")
    if invoice.collecting.stage == "lost":
        raise Conflict("its payment was lost in a dispute: it is to be paid another way", "invoice_status")
    if invoice.collecting.stage == "carried":
        raise Conflict(f"it is collected with {invoice.collecting.carried_by}", "invoice_carried")


def _time(instant: int | None) -> str | None:
    return None if instant is None else format_time(instant)
