"""The books of one settlement: a wallet laid open, in which money moves and every move leaves its entry.

A mutable working copy that lives inside one computation (`settlement.settle`) and ends as a wallet again. Whatever
changes a balance does so here, next to its entry, so that the ledger sums to the balance (law 5.4).
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from decimal import Decimal

from billing.credits import Credit, burn_order
from billing.money import total
from billing.wallet import Debt, Draw, Entry, EntryKind, OpenPeriod, Wallet, balance
from metering.times import HOUR, floor


class Books:
    """A wallet's credits, periods, debts and running entries while they are being settled.

    Attributes:
        hour: start of the clock hour to which draws made now belong.
        late: (credit, period) → how much late usage from before the credit's end may still draw on it.
    """

    def __init__(self, wallet: Wallet, *, prepaid_only: bool) -> None:
        self.credits = {credit.id: credit for credit in wallet.credits}
        self.periods = {period.start: period for period in wallet.periods}
        self.debts = wallet.debts
        self._adjustments = total(each.amount for each in wallet.adjustments)
        self.prepaid_only = prepaid_only
        self.hour = 0
        self.late: dict[tuple[str, int], Decimal] = {}
        self._entries = list(wallet.entries)
        self._carried = balance(wallet) - sum((each.amount for each in wallet.entries), Decimal(0))

    @property
    def balance(self) -> Decimal:
        """The balance right now."""
        return self._carried + sum((entry.amount for entry in self._entries), Decimal(0))

    def begin(self, credit: Credit, at: int) -> None:
        """Enter a credit's grant."""
        self.credits[credit.id] = replace(credit, begun_at=at)
        self._enter(Entry(at, "grant", credit.remaining, Decimal(0), credit.id, reference=credit.reference))

    def end(self, credit: Credit, at: int, seen: Iterable[tuple[int, Decimal]]) -> None:
        """Enter a credit's expiry; what was left stays known for late usage from before its end."""
        left = credit.remaining
        self.credits[credit.id] = replace(credit, remaining=Decimal(0), lapsed=left, ended_at=at, seen=tuple(seen))
        self._enter(Entry(at, "expiry", -left, Decimal(0), credit.id, reference=credit.reference))

    def settle_period(self, start: int, owed: Decimal) -> None:
        """Make what was drawn for a period equal to what it owes, as far as there is anything to draw on."""
        if owed != self.periods[start].owed:
            self.periods[start] = replace(self.periods[start], owed=owed)
        paid = sum((draw.amount for draw in self.periods[start].drawn), Decimal(0))
        debt = self.periods[start].debt
        if debt and (not self.prepaid_only or self._payers(start)):
            self._give_back(start, debt)
            paid -= debt
        if owed < paid:
            self._give_back(start, paid - owed)
        elif owed > paid:
            self._draw(start, owed - paid)

    def adjusted(self, start: int, owed: Decimal) -> Decimal:
        """What a period owes together with what earlier ones are adjusted by, if it is the oldest: never below zero."""
        return owed if start > min(self.periods) else max(owed + self._adjustments, Decimal(0))

    def pay_debts(self) -> None:
        """Let credits pay what concluded periods still owe, the oldest first."""
        rest = []
        for debt in self.debts:
            left = debt.amount
            for credit in self._payers(debt.period):
                part = min(left, credit.remaining)
                left -= part
                if part:
                    self._move(None, debt.period, part)
                    self._take(credit, debt.period, part)
            rest += [Debt(debt.period, left)] if left else []
        self.debts = tuple(rest)

    def finished(self) -> dict[int, tuple[Entry, ...]]:
        """Take out the entries of the hours before the one that runs now, by hour, with their balances."""
        entries = self._with_balances()
        done = [entry for entry in entries if floor(entry.at, HOUR) < self.hour]
        self._entries = entries[len(done) :]
        self._carried += sum((entry.amount for entry in done), Decimal(0))
        hours: dict[int, tuple[Entry, ...]] = {}
        for entry in (each for each in done if each.amount):
            hour = floor(entry.at, HOUR)
            hours[hour] = (*hours.get(hour, ()), entry)
        return hours

    def drop(self, gone: Callable[[Credit], bool]) -> tuple[Credit, ...]:
        """Take out the credits that will never move again."""
        dropped = tuple(credit for credit in self.credits.values() if gone(credit))
        for credit in dropped:
            del self.credits[credit.id]
        return dropped

    def close(self, wallet: Wallet) -> Wallet:
        """The wallet that these books make of the one they were opened from."""
        return replace(
            wallet,
            credits=tuple(self.credits.values()),
            periods=tuple(self.periods[start] for start in sorted(self.periods)),
            debts=self.debts,
            entries=tuple(self._with_balances()),
        )

    def _with_balances(self) -> list[Entry]:
        """The entries in their order, each with the balance after it.

        What came to nothing keeps its place for its hour: if it comes to something again it stands where it would if
        nobody had looked meanwhile.
        """
        after, entries = self._carried, []
        for entry in self._entries:
            after += entry.amount
            entries.append(replace(entry, balance_after=after))
        return entries

    def _payers(self, start: int) -> list[Credit]:
        """The credits that may pay for a period, in burn order.

        A credit that began after the period's end does not, unless nothing is ever invoiced.
        """
        period = self.periods.get(start)
        payers = [
            credit
            for credit in self.credits.values()
            if (credit.live and credit.remaining and self._began_in_time(credit, period))
            or (credit.lapsed and self.late.get((credit.id, start)))
        ]
        return sorted(payers, key=burn_order)

    def _began_in_time(self, credit: Credit, period: OpenPeriod | None) -> bool:
        if self.prepaid_only or period is None:
            return True
        return credit.begun_at is not None and credit.begun_at < period.end

    def _draw(self, start: int, amount: Decimal) -> None:
        while amount and self.periods[start].held:
            *held, last = self.periods[start].held
            part = min(amount, last.amount)
            rest = [Draw(last.credit, last.amount - part)] if part < last.amount else []
            self.periods[start] = replace(self.periods[start], held=(*held, *rest))
            self._move(last.credit, start, part, expiry=True)
            self._push(start, last.credit, part)
            amount -= part
        for credit in self._payers(start):
            part = min(amount, self._available(credit, start))
            amount -= part
            if part:
                self._take(credit, start, part)
                self._remember(start, Draw(credit.id, part))
        if amount and self.prepaid_only:
            self._push(start, None, amount)

    def _available(self, credit: Credit, start: int) -> Decimal:
        if credit.live:
            return credit.remaining
        return min(credit.lapsed, self.late.get((credit.id, start), Decimal(0)))

    def _take(self, credit: Credit, start: int, amount: Decimal) -> None:
        """Draw on a credit; on an ended one by taking back that much of its expiry."""
        if credit.live:
            self.credits[credit.id] = replace(credit, remaining=credit.remaining - amount)
        else:
            self.credits[credit.id] = replace(credit, lapsed=credit.lapsed - amount)
            self.late[credit.id, start] -= amount
            self._move(credit.id, start, amount, expiry=True)
        self._move(credit.id, start, -amount)

    def _push(self, start: int, credit: str | None, amount: Decimal) -> None:
        self._move(credit, start, -amount)
        self._remember(start, Draw(credit, amount))

    def _remember(self, start: int, draw: Draw) -> None:
        drawn = self.periods[start].drawn
        if drawn and drawn[-1].credit == draw.credit:
            draw = Draw(draw.credit, drawn[-1].amount + draw.amount)
            drawn = drawn[:-1]
        self.periods[start] = replace(self.periods[start], drawn=(*drawn, draw))

    def _give_back(self, start: int, amount: Decimal) -> None:
        """Undo draws, the last first; what belongs to an ended credit is held for this period alone."""
        while amount:
            period = self.periods[start]
            *drawn, last = period.drawn
            part = min(amount, last.amount)
            amount -= part
            rest = [Draw(last.credit, last.amount - part)] if part < last.amount else []
            self._move(last.credit, start, part)
            credit = None if last.credit is None else self.credits.get(last.credit)
            held = period.held
            if credit and credit.live:
                self.credits[credit.id] = replace(credit, remaining=credit.remaining + part)
            elif last.credit is not None:
                held = (*held, Draw(last.credit, part))
                self._move(last.credit, start, -part, expiry=True)
            self.periods[start] = replace(period, drawn=(*drawn, *rest), held=held)

    def _move(self, credit: str | None, period: int, amount: Decimal, *, expiry: bool = False) -> None:
        """Enter a draw, a return, or the expiry of what belongs to an ended credit.

        Moves of one stretch (a clock hour since its last grant, expiry or revocation) are one entry, whatever way
        the amount went meanwhile.
        """
        fixed = (entry.at for entry in self._entries if _cuts(entry))
        at = max(self.hour, period, max(fixed, default=0))
        for place, entry in enumerate(self._entries):
            same = (entry.at, entry.credit, entry.period) == (at, credit, period)
            if same and (entry.kind == "expiry") == expiry:
                amount += entry.amount
                self._entries[place] = replace(entry, amount=amount, kind=_kind(amount, expiry=expiry))
                return
        self._entries.append(Entry(at, _kind(amount, expiry=expiry), amount, Decimal(0), credit, period))

    def _enter(self, entry: Entry) -> None:
        if entry.amount:
            self._entries.append(entry)


def _cuts(entry: Entry) -> bool:
    """Whether draws before and after the entry stay apart: those that no period caused do."""
    return entry.period is None


def _kind(amount: Decimal, *, expiry: bool) -> EntryKind:
    if expiry:
        return "expiry"
    return "return" if amount > 0 else "draw"
