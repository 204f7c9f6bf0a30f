"""The way of a wallet from the instant up to which it is settled to now. Laws 5.4, 5.8 and 5.9.

Nothing is skipped: every instant in between at which something had to happen (credits beginning and ending, periods
ending, plans changing) is visited in order, and so is every clock hour's end by which there was new usage, so that the
ledger does not depend on when anyone looked. At one instant: draw for earlier usage, close the period, end credits,
begin credits, draw what is still unpaid.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from billing.books import Books
from billing.credits import Credit
from billing.customers import Account
from billing.money import total
from billing.periods import next_period, whole_period
from billing.plans import Plan
from billing.rating import rate, subtotal
from billing.wallet import Entry, OpenPeriod, Wallet
from metering.times import HOUR, floor
from metering.usage import Usage

# usage(start, end, at): the usage in [start, end) as far as known now. With `at` on a quarter of an hour, without the
# events at and after it, open sessions measured up to it; with None, everything known, sessions measured up to now.
UsageOf = Callable[[int, int, int | None], Sequence[Usage]]


class Timeline:
    """The way of one wallet to now: its books, and what was met.

    Attributes:
        books: the wallet laid open.
        opened_until: where the next period begins, once one has closed.
        closed: periods that ended on the way.
        begun: credits that began, with the instant.
        ended: credits that ended with something left, with the instant.
        entries: of the clock hours that were finished.
    """

    def __init__(
        self,
        wallet: Wallet,
        account: Account,
        plans: Mapping[tuple[str, int], Plan],
        usage: UsageOf,
        now: int,
    ) -> None:
        self.account = account
        self.customer = account.customer
        self.plans = plans
        self._usage_of = usage
        self._usage: dict[tuple[int, int, int | None], Sequence[Usage]] = {}
        self.now = now
        self.settled_at = wallet.settled_at
        self.opened_until = wallet.opened_until
        self.books = Books(wallet, prepaid_only=self.customer.prepaid_only)
        self.entries: dict[int, tuple[Entry, ...]] = {}
        self.closed: list[OpenPeriod] = []
        self.begun: list[tuple[int, Credit]] = []
        self.ended: list[tuple[int, Credit]] = []
        self._owed: dict[tuple[int, int, int | None, bool], Decimal] = {}

    def visits(self) -> Iterator[tuple[int, int | None]]:
        """Visit every instant on the way, then now; gives each as (instant, `at` of its usage)."""
        self._adjust_running()
        self._remember_late_usage()
        reached = self.settled_at
        if self.now > reached:
            self._start_what_waits()
        while (instant := self.next_instant(reached)) is not None and instant <= self.now:
            yield from self._visit_hours(reached, instant - 1)
            yield self._visit(instant, instant)
            reached = instant
        yield from self._visit_hours(reached, self.now)
        yield self._visit(self.now, None)
        self._forget_late_usage()

    def _start_what_waits(self) -> None:
        """Begin the credits, and open the period, that were decided on after the wallet was last settled."""
        self._begin_credits(self.settled_at)
        opening = self._opening()
        if opening is not None and opening <= self.settled_at:
            self.books.periods[opening] = self._opened(opening)

    @property
    def running(self) -> OpenPeriod | None:
        """The period that has not ended."""
        return next((each for each in self.books.periods.values() if not each.closed), None)

    def usage_in(self, period: OpenPeriod, at: int | None) -> Sequence[Usage]:
        """The usage of a period, read once per instant."""
        known = (period.start, period.end, None if at is None or at >= period.end else at)
        if known not in self._usage:
            self._usage[known] = self._usage_of(*known)
        return self._usage[known]

    def next_instant(self, after: int) -> int | None:
        """The next instant at which something happens by itself."""
        instants: list[int] = []
        for credit in self.books.credits.values():
            if credit.begun_at is None:
                instants.append(credit.effective_at)
            if credit.expires_at is not None and credit.ended_at is None:
                instants.append(credit.expires_at)
        instants += [period.end for period in self.books.periods.values() if not period.closed]
        opening = self._opening()
        instants += [] if opening is None else [opening]
        return min((instant for instant in instants if instant > after), default=None)

    def _visit_hours(self, after: int, until: int) -> Iterator[tuple[int, int | None]]:
        """Visit the ends of clock hours in (after, until]: the first, and later ones where usage was added."""
        first, last = floor(after, HOUR) + HOUR, floor(until, HOUR)
        if first > last or not self.books.periods:
            return
        yield self._visit(first, first)
        for hour in self._busy_hours(first, last):
            yield self._visit(hour, hour)

    def _busy_hours(self, low: int, high: int) -> Iterator[int]:
        """The ends of hours in (low, high] by which there was more usage than an hour before."""
        if low == high or self._usage_at(low) == self._usage_at(high):
            return
        if high - low == HOUR:
            yield high
            return
        middle = floor((low + high) // 2, HOUR)
        yield from self._busy_hours(low, middle)
        yield from self._busy_hours(middle, high)

    def _usage_at(self, at: int) -> list[frozenset[Usage]]:
        periods = self.books.periods.values()
        return [frozenset(self.usage_in(period, at)) for period in periods]

    def _visit(self, instant: int, at: int | None) -> tuple[int, int | None]:
        """Everything that happens at one instant, in the order of the contract."""
        self.books.hour = floor(instant if at is None else instant - 1, HOUR)
        self._draw(instant, at)
        self._turn_periods(instant, at)
        self._end_credits(instant, at)
        self._begin_credits(instant)
        self.books.hour = floor(instant, HOUR)
        self._draw(instant, at)
        self.entries.update(self.books.finished())
        return instant, at

    def _draw(self, instant: int, at: int | None) -> None:
        self.books.pay_debts()
        for start in sorted(self.books.periods):
            owed = self._owes(self.books.periods[start], instant, at)
            self.books.settle_period(start, self.books.adjusted(start, owed))

    def _owes(self, period: OpenPeriod, instant: int, at: int | None) -> Decimal:
        """The rounded draft of a period; minimum and arrears fees are due once it is over."""
        over = period.end <= instant
        known = (period.start, period.end, None if over else at, over)
        if known not in self._owed:
            plan = self.plans[period.plan, period.version]
            rows = self.usage_in(period, at)
            again = total(each.amount for each in period.owed_again)
            self._owed[known] = subtotal(rate(plan, rows, period.share, over=over)) + again
        return self._owed[known]

    def _turn_periods(self, instant: int, at: int | None) -> None:
        """Close the periods that have ended and open those that follow, one after the other."""
        for start, period in sorted(self.books.periods.items()):
            if not period.closed and period.end <= instant:
                self._close(start)
        while (opening := self._opening()) is not None and opening <= instant:
            period = self._opened(opening)
            self.books.periods[opening] = period
            if period.end > instant:
                return
            self.books.settle_period(opening, self.books.adjusted(opening, self._owes(period, instant, at)))
            self._close(opening)

    def _close(self, start: int) -> None:
        self.books.periods[start] = replace(self.books.periods[start], closed=True)
        self.closed.append(self.books.periods[start])
        self.opened_until = self.books.periods[start].end

    def _opening(self) -> int | None:
        """Where the next period begins; None while one runs, without a plan, and after `ends_at`."""
        if self.running:
            return None
        start = self.account.first_instant if self.opened_until is None else self.opened_until
        ends_at = self.customer.ends_at
        if start is None or (ends_at is not None and start >= ends_at):
            return None
        return start

    def _opened(self, start: int) -> OpenPeriod:
        change = self.account.plan_at(start)
        calendar = self.account.calendar(self.plans[change.plan, change.version].period)
        boundary = next_period(calendar, start).end
        return OpenPeriod(
            start=start,
            end=self.account.first_split(start, boundary, (change.plan, change.version)),
            boundary=boundary,
            whole_milliseconds=whole_period(calendar, start).length_milliseconds,
            plan=change.plan,
            version=change.version,
        )

    def _adjust_running(self) -> None:
        """Let what was decided since about the running period take hold: plan changes and `ends_at`."""
        for start, period in self.books.periods.items():
            if period.closed:
                continue
            change = self.account.plan_at(start)
            current = (change.plan, change.version) == (period.plan, period.version)
            if change.splits and change.effective_at == start and not current:
                fresh = self._opened(start)
                period = replace(  # noqa: PLW2901 - the same one, anew
                    fresh, drawn=period.drawn, held=period.held, owed_again=period.owed_again
                )
            end = self.account.first_split(start, period.boundary, (period.plan, period.version))
            self.books.periods[start] = replace(period, end=end)

    def _end_credits(self, instant: int, at: int | None) -> None:
        for credit in sorted(self.books.credits.values(), key=lambda each: each.id):
            if credit.live and credit.expires_at is not None and credit.expires_at <= instant:
                seen = [
                    (start, self._owes(period, instant, at))
                    for start, period in self.books.periods.items()
                    if start < credit.expires_at
                ]
                if credit.remaining:
                    self.ended.append((instant, credit))
                self.books.end(credit, instant, seen)

    def _begin_credits(self, instant: int) -> None:
        ahead = [credit for credit in self.books.credits.values() if credit.begun_at is None]
        for credit in sorted(ahead, key=lambda each: (each.effective_at, each.id)):
            if credit.effective_at <= instant:
                self.books.begin(credit, instant)
                self.begun.append((instant, credit))

    def _remember_late_usage(self) -> None:
        """Find what is owed more than was known up to the end of a credit that ended within the hour."""
        for credit, start, seen in self._recently_ended():
            more = self._owed_before(self.books.periods[start], credit) - seen
            self.books.late[credit.id, start] = max(more, Decimal(0))

    def _forget_late_usage(self) -> None:
        """What was known now is dealt with, whoever paid it."""
        for credit, start, _ in list(self._recently_ended()):
            current = self.books.credits[credit.id]
            owed = self._owed_before(self.books.periods[start], credit)
            seen = tuple((s, owed if s == start else known) for s, known in current.seen)
            self.books.credits[credit.id] = replace(current, seen=seen)

    def _recently_ended(self) -> Iterator[tuple[Credit, int, Decimal]]:
        for credit in self.books.credits.values():
            if credit.ended_at is not None and credit.lapsed and self.now - credit.ended_at < HOUR:
                for start, seen in credit.seen:
                    if start in self.books.periods:
                        yield credit, start, seen

    def _owed_before(self, period: OpenPeriod, credit: Credit) -> Decimal:
        at = credit.expires_at or 0
        return self._owes(period, at, at)
