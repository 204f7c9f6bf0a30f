"""The wallet: credits, what was drawn from them for which period, and the entries of the running hour.

Law 5.4: nothing here is counted up or down by events. A wallet is a value; `settlement.settle` makes the next one
from what is owed now, and everything that changes a balance leaves an entry, so a balance is the sum of entries.
"""

from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal

from billing.alerts import Fired
from billing.credits import Credit, CreditRequest, same_credit
from billing.customers import Account
from billing.money import check_digits, exact, total
from billing.periods import Period
from billing.top_ups import NO_TOP_UPS, TopUps
from metering.decimals import text
from metering.errors import Conflict, Fault, Invalid, NotFound
from metering.times import QUARTER, floor, format_time

EntryKind = Literal["grant", "draw", "return", "expiry", "revoke"]


@dataclass(frozen=True, slots=True)
class Draw:
    """What one period took from one credit, or (`credit` None) owes because prepaid credit ran out."""

    credit: str | None
    amount: Decimal


@dataclass(frozen=True, slots=True)
class OwedAgain:
    """What had been spent of a credit whose payment went back: owed with the period that ran when that was known."""

    credit: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class OpenPeriod:
    """A period that still moves the wallet: the running one, or an ended one in grace.

    Attributes:
        start: its first instant.
        end: its end: the boundary, or an earlier plan change or `ends_at`.
        boundary: where the calendar ends it; stored when it opens (law 5.8).
        whole_milliseconds: the length of the calendar's whole period, for what counts by share.
        plan: key of the plan.
        version: of the plan, stored when the period opens.
        owed: the rounded draft as last seen.
        drawn: who paid for it, in order; the last gives back first.
        held: what came back for credits that have ended: only this period can draw it again.
        closed: its end has passed.
        issue: how often its invoice was voided to be made anew.
        owed_again: what had been spent of credits whose payments went back while it ran.
    """

    start: int
    end: int
    boundary: int
    whole_milliseconds: int
    plan: str
    version: int
    owed: Decimal = Decimal(0)
    drawn: tuple[Draw, ...] = ()
    held: tuple[Draw, ...] = ()
    closed: bool = False
    issue: int = 0
    owed_again: tuple[OwedAgain, ...] = ()

    @property
    def period(self) -> Period:
        """Its start and end."""
        return Period(self.start, self.end)

    @property
    def share(self) -> Fraction:
        """How much of a whole period it is."""
        return Fraction(self.end - self.start, self.whole_milliseconds)

    @property
    def credits_applied(self) -> Decimal:
        """What credits paid of it: the field of its invoice."""
        return total(draw.amount for draw in self.drawn if draw.credit is not None)

    @property
    def debt(self) -> Decimal:
        """What it took below zero, with `prepaid_only`."""
        return total(draw.amount for draw in self.drawn if draw.credit is None)


@dataclass(frozen=True, slots=True)
class Debt:
    """What a concluded period of a prepaid customer still owes."""

    period: int
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Adjustment:
    """What a concluded period owes beyond what was invoiced for it; below zero, what was invoiced too much.

    Attributes:
        period: its start.
        end: its end.
        amount: rounded, as both ratings are.
    """

    period: int
    end: int
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the ledger: a signed change of the balance, and the balance after it.

    Draws and returns of one clock hour are one entry per credit and period as long as no grant, expiry or revocation
    lies between, and carry the start of that stretch of time; so the ledger does not depend on when anyone looked.
    """

    at: int
    kind: EntryKind
    amount: Decimal
    balance_after: Decimal
    credit: str | None = None
    period: int | None = None
    invoice: str | None = None
    reference: str | None = None

    @property
    def id(self) -> str:
        """Names the entry within its customer's ledger, the same one however often it is computed."""
        cause = "" if self.period is None else format_time(self.period)
        if self.kind == "revoke":  # a credit may be revoked twice in a millisecond, by two requests
            cause = self.reference or ""
        return f"{format_time(self.at)}:{self.kind}:{self.credit or ''}:{cause}"

    def as_json(self) -> dict[str, Any]:
        """The entry as the API lists it."""
        return {
            "id": self.id,
            "at": format_time(self.at),
            "kind": self.kind,
            "amount": text(self.amount),
            "balance_after": text(self.balance_after),
            "credit": self.credit,
            "period": None if self.period is None else format_time(self.period),
            "invoice": self.invoice,
            "reference": self.reference,
        }


@dataclass(frozen=True, slots=True)
class Wallet:
    """All that changes when a customer uses something.

    Attributes:
        customer: whose it is.
        currency: of every amount in it.
        settled_at: the instant up to which everything that had to happen has happened.
        credits: live and future ones, and ended ones for an hour.
        periods: the open ones, oldest first.
        opened_until: where the next period begins; None before the first has closed.
        debts: of concluded periods (`prepaid_only`).
        adjustments: of concluded periods, for the next invoice: that of the oldest open period.
        entries: of the running clock hour, those that came to nothing among them (`moves`).
        fired: alerts that have fired and not armed again.
        funded: whether a credit has ever begun: until then, balance alerts are silent.
        top_ups: the open attempt, the cool-off and what counts against the caps.
        version: of the stored item: whoever stores the wallet raises it, on the condition of the one it read.
    """

    customer: str
    currency: str
    settled_at: int
    credits: tuple[Credit, ...] = ()
    periods: tuple[OpenPeriod, ...] = ()
    opened_until: int | None = None
    debts: tuple[Debt, ...] = ()
    adjustments: tuple[Adjustment, ...] = ()
    entries: tuple[Entry, ...] = ()
    fired: tuple[Fired, ...] = ()
    funded: bool = False
    top_ups: TopUps = NO_TOP_UPS
    version: int = 0

    @property
    def moves(self) -> tuple[Entry, ...]:
        """The entries of the running clock hour that move the balance."""
        return tuple(entry for entry in self.entries if entry.amount)

    @property
    def running(self) -> OpenPeriod | None:
        """The period that has not ended; None before the first one, and once the customer has ended."""
        return next((period for period in self.periods if not period.closed), None)


def new_wallet(account: Account, now: int) -> Wallet:
    """A customer's first wallet, settled up to where its first period begins, or up to now if that lies ahead."""
    first = account.first_instant
    settled_at = now if first is None else min(first, now)
    return Wallet(account.customer.id, account.currency, settled_at)


@exact
def balance(wallet: Wallet) -> Decimal:
    """What can be spent: live credits, less what is owed without one. Always the sum of all entries ever made."""
    credit = sum((credit.remaining for credit in wallet.credits if credit.live), Decimal(0))
    debt = sum((debt.amount for debt in wallet.debts), Decimal(0))
    return credit - debt - sum((period.debt for period in wallet.periods), Decimal(0))


def grant(wallet: Wallet, request: CreditRequest, now: int) -> Wallet:
    """Add a credit; it begins, with its entry, when the wallet is settled at or after its `effective_at`.

    Settle the wallet up to `now` first, and again after. A known id with the same content changes nothing.

    Raises:
        Conflict: `id_conflict`, the id is known with another content.
        Invalid: it has more digits than its currency, or ends before it can begin.
    """
    for known in wallet.credits:
        if known.id == request.id:
            if same_credit(known, request):
                return wallet
            raise Conflict(f"credit {request.id} exists with another content", "id_conflict")
    check_digits(request.amount, wallet.currency)
    effective_at = floor(now, QUARTER) if request.effective_at is None else request.effective_at
    if request.expires_at is not None and request.expires_at <= max(effective_at, wallet.settled_at):
        said = "`expires_at` must lie after the credit's beginning, and ahead"
        raise Invalid(said, faults=[Fault("/expires_at", said)])
    credit = Credit(
        id=request.id,
        amount=request.amount,
        remaining=request.amount,
        kind=request.kind,
        priority=request.priority,
        effective_at=effective_at,
        expires_at=request.expires_at,
        reference=request.reference,
    )
    return replace(wallet, credits=(*wallet.credits, credit))


@exact
def revoke(
    wallet: Wallet, credit: str, now: int, amount: Decimal | None = None, reference: str | None = None
) -> tuple[Wallet, Decimal]:
    """Take back what remains of a credit, or at most `amount` of it; returns what was taken too.

    Settle the wallet up to `now` first, and again after. A credit that has not begun shrinks without an entry: its
    grant is entered with what is left of it, and with nothing left it never begins.

    Raises:
        NotFound: the wallet holds no such credit.
        Invalid: `amount` has more digits than the currency.
    """
    if amount is not None:
        check_digits(amount, wallet.currency)
    found = next((each for each in wallet.credits if each.id == credit), None)
    if found is None:
        raise NotFound(f"there is no credit {credit}")
    taken = found.remaining if amount is None else min(amount, found.remaining)
    before = balance(wallet)
    after = replace(found, remaining=found.remaining - taken)
    never_begins = found.begun_at is None and not after.remaining
    others = tuple(after if each is found else each for each in wallet.credits if not (each is found and never_begins))
    entries = wallet.entries
    if taken and found.live:
        at = max(now, wallet.settled_at)
        entry = Entry(at, "revoke", -taken, before - taken, credit=credit, reference=reference)
        entries = (*entries, entry)
    return replace(wallet, credits=others, entries=entries), taken


@exact
def conclude(wallet: Wallet, start: int) -> tuple[Wallet, OpenPeriod]:
    """Take a closed period out of the wallet, when its invoice is finalised (or its grace ends, with `prepaid_only`).

    What it still owes below zero stays as a debt; what it held for ended credits is lost. The oldest one takes the
    adjustments of earlier periods along.

    Raises:
        NotFound: the wallet holds no such period.
        Conflict: `period_open`, it has not ended.
    """
    found = next((period for period in wallet.periods if period.start == start), None)
    if found is None:
        raise NotFound("there is no open period that starts then")
    if not found.closed:
        raise Conflict("the period has not ended", "period_open")
    debts = (*wallet.debts, Debt(start, found.debt)) if found.debt else wallet.debts
    adjustments = () if found is wallet.periods[0] else wallet.adjustments
    periods = tuple(period for period in wallet.periods if period is not found)
    return replace(wallet, periods=periods, debts=debts, adjustments=adjustments), found
