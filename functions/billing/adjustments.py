"""Late usage: what a concluded period owes beyond what was invoiced for it, and taking invoices back. Law 5.7.

A period is *concluded* when it is invoiced (or when its grace ends, with `prepaid_only`). Usage that changes later is
rated with the whole of its period again, and the difference to what was invoiced goes onto the next invoice: nothing is
added up by events, so it does not matter how often or in which order anyone looked.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from itertools import count

from billing.books import Books
from billing.credits import Credit, CreditRequest
from billing.customers import Account
from billing.money import exact, round_money, total
from billing.periods import Period, local_date
from billing.rating import Line, subtotal
from billing.wallet import Adjustment, OpenPeriod, OwedAgain, Wallet
from metering.times import HOUR, floor, format_time


@dataclass(frozen=True, slots=True)
class Concluded:
    """A period that is no longer in its wallet.

    Attributes:
        period: as it was when it left, with who paid for it.
        invoiced: what invoices have asked for its usage so far, before tax and credits.
        invoice: the id of the invoice that was made of it, the last if it was made anew; None if none was.
        forgiven: its invoice was voided, so nothing is owed for it, whatever was used; late usage changes nothing.
    """

    period: OpenPeriod
    invoiced: Decimal
    invoice: str | None = None
    forgiven: bool = False


@exact
def adjusted(wallet: Wallet, concluded: Concluded, rated: Decimal) -> Wallet:
    """SET what a concluded period is still to be adjusted by, to its new rating less what was invoiced for it."""
    owed = Decimal(0) if concluded.forgiven else rated
    return _pending(wallet, concluded.period.period, owed - concluded.invoiced)


@exact
def adjusted_by(wallet: Wallet, period: Period, amount: Decimal) -> Wallet:
    """The wallet with that much more of a period to be adjusted: an invoice that asked for it was taken back."""
    return _pending(wallet, period, pending(wallet, period.start) + amount)


def pending(wallet: Wallet, start: int) -> Decimal:
    """What the period that starts then is still to be adjusted by."""
    return total(each.amount for each in wallet.adjustments if each.period == start)


def _pending(wallet: Wallet, period: Period, amount: Decimal) -> Wallet:
    others = tuple(each for each in wallet.adjustments if each.period != period.start)
    new = (Adjustment(period.start, period.end, amount),) if amount else ()
    return replace(wallet, adjustments=tuple(sorted((*others, *new), key=lambda each: each.period)))


def adjustments_on(wallet: Wallet, start: int) -> tuple[Adjustment, ...]:
    """The adjustments that the invoice of an open period carries: all, if it is the next to be made."""
    return wallet.adjustments if start == wallet.periods[0].start else ()


@exact
def invoiced_anew(concluded: Concluded, amount: Decimal) -> Concluded:
    """A concluded period after an invoice asked for that much more of it; below zero: for that much less."""
    return replace(concluded, invoiced=concluded.invoiced + amount)


@exact
def concluded_now(wallet: Wallet, period: OpenPeriod, rated: Decimal, invoice: str | None) -> Concluded:
    """A period that leaves its wallet, with what was asked for it, by its own invoice (of that id) and by others.

    Of one whose invoice was voided to be made anew, other invoices may have asked for late usage: that is pending with
    the opposite sign, until an invoice carries it, which may be the new one.
    """
    carried = any(each.period == period.start for each in adjustments_on(wallet, period.start))
    return Concluded(period, rated if carried else rated - pending(wallet, period.start), invoice)


@exact
def with_adjustments(lines: Sequence[Line], adjustments: Iterable[Adjustment], account: Account) -> tuple[Line, ...]:
    """Add what earlier periods are adjusted by; and what would be left below zero, which becomes a credit instead.

    They take no further discount, minimum or maximum.
    """
    added = [_adjustment_line(each, account.customer.timezone) for each in adjustments]
    below = total((subtotal(lines), *(line.amount for line in added)))
    if below < 0:
        added.append(_line("Granted as credit", -below - _tax_returned(below, account), None))
    return (*lines, *added)


def _tax_returned(below: Decimal, account: Account) -> Decimal:
    """The tax of what was invoiced too much, below zero, where credits do not lower what is taxed later."""
    customer = account.customer
    if customer.tax_on == "rest" or customer.prepaid_only:  # of whom none was asked for
        return Decimal(0)
    return round_money(Fraction(below) * Fraction(customer.tax_rate) / 100, account.currency)


def granted(lines: Iterable[Line]) -> Decimal:
    """What an invoice with these lines grants as a credit."""
    of_none = (line for line in lines if line.period is None and line.credit is None)
    return total(line.amount for line in of_none if line.kind == "adjustment")


def remainders(start: int, amount: Decimal, reference: str) -> Iterator[CreditRequest]:
    """The credit for what the adjustments on the invoice of a period left below zero, under one id after the other.

    Clients may have taken any of them for credits of their own.
    """
    name = format_time(start).replace("-", "").replace(":", "")
    for place in count(1):
        again = f"-{place}" if place > 1 else ""
        yield CreditRequest(id=f"adjustment:{name}{again}", amount=amount, reference=reference)


def _adjustment_line(adjustment: Adjustment, timezone: str) -> Line:
    first, last = local_date(timezone, adjustment.period), local_date(timezone, adjustment.end - 1)
    return _line(f"Adjustment of {first} to {last}", adjustment.amount, (adjustment.period, adjustment.end))


@exact
def owe_again(wallet: Wallet, credit: str, amount: Decimal) -> Wallet:
    """Put what had been spent of a credit onto the running period, or onto the last one that is open."""
    owing = wallet.running or wallet.periods[-1]
    before = total(each.amount for each in owing.owed_again if each.credit == credit)
    others = tuple(each for each in owing.owed_again if each.credit != credit)
    after = replace(owing, owed_again=(*others, OwedAgain(credit, before + amount)))
    return replace(wallet, periods=tuple(after if each is owing else each for each in wallet.periods))


def owed_again_lines(period: OpenPeriod) -> tuple[Line, ...]:
    """What a period is asked for because credits had been spent whose payments went back, without any discount."""
    return tuple(
        replace(_line("Usage paid by a top-up that was returned", each.amount, None), credit=each.credit)
        for each in period.owed_again
    )


def _line(description: str, amount: Decimal, period: tuple[int, int] | None) -> Line:
    return Line(
        item=None,
        description=description,
        quantity=None,
        unit=None,
        unit_price=None,
        amount=amount,
        amount_exact=Fraction(amount),
        kind="adjustment",
        period=period,
    )


def forgive(wallet: Wallet, period: OpenPeriod, known: Iterable[Credit], now: int) -> Wallet:
    """Give back what credits paid for a concluded period.

    What belongs to a credit that has ended is lost, as it is when a period closes; both are entries.

    Args:
        wallet: settled up to now.
        period: as it was concluded.
        known: the credits that paid for it and have left the wallet, with nothing remaining.
        now: when it happens.
    """
    books = Books(restored(wallet, period, known), prepaid_only=False)
    books.hour = floor(now, HOUR)
    books.settle_period(period.start, Decimal(0))
    del books.periods[period.start]
    return books.close(wallet)


def reopen(wallet: Wallet, period: OpenPeriod, known: Iterable[Credit]) -> Wallet:
    """Take a concluded period back into the wallet, to be invoiced anew; what credits paid for it stays paid."""
    return restored(wallet, replace(period, issue=period.issue + 1), known)


def restored(wallet: Wallet, period: OpenPeriod, known: Iterable[Credit]) -> Wallet:
    """The wallet with a period that it no longer held, and the credits that paid for it.

    What was to be adjusted of it is not: its whole usage is rated again, or nothing of it.
    """
    held = {credit.id for credit in wallet.credits}
    again = (credit for credit in known if credit.id not in held)
    periods = sorted((*wallet.periods, period), key=lambda each: each.start)
    others = tuple(each for each in wallet.adjustments if each.period != period.start)
    return replace(wallet, credits=(*wallet.credits, *again), periods=tuple(periods), adjustments=others)


def closing_period(concluded: Concluded, start: int) -> OpenPeriod:
    """A period without length that carries the adjustments of a customer who has ended: an invoice of their own."""
    last = concluded.period
    return OpenPeriod(
        start=start, end=start, boundary=start, whole_milliseconds=1, plan=last.plan, version=last.version, closed=True
    )
