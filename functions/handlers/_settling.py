"""Moving one wallet to now: read it, then its usage, settle, write on the condition of what was read. Law 5.4."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from adapters.items import ConditionFailed, Put
from adapters.usage import Measured
from billing.accounts import with_versions
from billing.adjustments import adjustments_on, owed_again_lines, with_adjustments
from billing.customers import Account, NoCurrency
from billing.periods import Period
from billing.plans import Plan
from billing.rating import Line, rate
from billing.settlement import Settlement, plans_needed, settle
from billing.wallet import OpenPeriod, Wallet, new_wallet
from handlers._live import Live
from metering.errors import NotFound, Unavailable
from metering.times import HOUR
from metering.usage import Usage, usage_between

_ATTEMPTS = 10


@dataclass(frozen=True, slots=True)
class View:
    """All that is known of one customer at one moment: the wallet settled in memory, and what it was settled from.

    Attributes:
        settlement: what settling the stored wallet up to now gives.
        due_at: when the stored wallet is due.
    """

    live: Live
    account: Account
    plans: dict[tuple[str, int], Plan]
    measured: Measured
    now: int
    settlement: Settlement
    due_at: int | None

    @property
    def wallet(self) -> Wallet:
        """The wallet as of now, stored or not."""
        return self.settlement.wallet

    @property
    def running(self) -> OpenPeriod:
        """The period that has not ended.

        Raises:
            NotFound: none is running.
        """
        if self.wallet.running is None:
            raise NotFound("no period is running")
        return self.wallet.running

    def usage(self, start: int, end: int, at: int | None) -> list[Usage]:
        """The usage of [start, end), open sessions measured as of `at`, or of now."""
        until = end if at is None else min(end, at)
        meters = self.live.remembered.meters(self.measured.slots.keys() | self.measured.open.keys())
        rows: list[Usage] = []
        for key in sorted(self.measured.slots.keys() | self.measured.open.keys()):
            if key in meters:
                rows += usage_between(
                    meters[key],
                    self.measured.totals[key].between(start, until) if key in self.measured.slots else {},
                    self.measured.open.get(key, ()),
                    start,
                    until,
                    self.now if at is None else at,
                    self.account.customer.ends_at,
                )
        return rows

    def settle(self, wallet: Wallet) -> Settlement:
        """Settle a wallet from the same usage."""
        return settle(wallet, self.account, self.plans, self.usage, self.now)

    def lines(self, period: OpenPeriod) -> tuple[Line, ...]:
        """The invoice lines of an open period as of now, with what earlier ones are adjusted by."""
        adjustments = adjustments_on(self.wallet, period.start)
        return with_adjustments(self.rated(period), adjustments, self.account)

    def rated(self, period: OpenPeriod) -> tuple[Line, ...]:
        """What a period is asked for by itself, as of now: for its usage, and for what was owed again in it."""
        plan = self.live.remembered.plan(period.plan, period.version)
        usage = self.usage(period.start, period.end, None)
        return (*rate(plan, usage, period.share, over=period.end <= self.now), *owed_again_lines(period))

    def next_due(self) -> int | None:
        """When to look again without new usage: while sessions run that is always, by an instant that stays."""
        if any(self.measured.open.values()):
            return self.now if self.due_at is None else min(self.due_at, self.now)
        return self.settlement.due_at


def look(customer: str, live: Live, now: int, since: int | None = None, *, with_usage: bool = True) -> View:
    """Read a customer, strongly and in the order that law 5.4 asks for, and settle in memory.

    With `since` the usage from then on is read too, for a concluded period that is opened again. Without usage only
    what does not depend on it is right: when periods begin and end.

    Raises:
        NotFound: there is no such customer.
        NoCurrency: the customer has no currency yet.
    """
    stored = live.ledger.stored(customer)
    account = live.catalog.account(customer)
    account = with_versions(
        account, {change.plan: live.remembered.plan_versions(change.plan) for change in account.plans}
    )
    wallet = stored.wallet if stored else new_wallet(account, now)
    plans = {needed: live.remembered.plan(*needed) for needed in plans_needed(wallet, account)}
    measured = _measured(wallet, account, now, live, since) if account.plans and with_usage else Measured()
    view = View(
        live, account, plans, measured, max(now, wallet.settled_at), unmoved(wallet), stored.due_at if stored else None
    )
    return replace(view, settlement=view.settle(wallet))


def view_of(customer: str, live: Live, now: int) -> View:
    """What there is to show of a customer; of one without a currency yet, an empty wallet in none.

    Raises:
        NotFound: there is no such customer.
    """
    try:
        return look(customer, live, now)
    except NoCurrency:
        account = live.catalog.account(customer)
        return View(live, account, {}, Measured(), now, unmoved(Wallet(account.customer.id, "", now)), None)


def running_period(customer: str, live: Live, now: int) -> Period | None:
    """The period that runs now, whoever has settled the wallet since it began; None where none does.

    Raises:
        NotFound: there is no such customer.
    """
    try:
        running = look(customer, live, now, with_usage=False).wallet.running
    except NoCurrency:
        return None
    return running.period if running else None


def unmoved(wallet: Wallet) -> Settlement:
    """A wallet in which nothing happened, or what did is told elsewhere."""
    return Settlement(wallet, {}, (), (), (), (), None, None, changed=False)


def _measured(wallet: Wallet, account: Account, now: int, live: Live, since: int | None) -> Measured:
    """The usage from the first open period on, or from where the next one begins.

    Days may be read whole that end an hour before the wallet was settled: nothing looks into them any more. Those in
    which a period begins or ends are read by their hours.
    """
    starts = [period.start for period in wallet.periods]
    opening = account.first_instant if wallet.opened_until is None else wallet.opened_until
    starts += [each for each in (opening, since) if each is not None]
    start = min(starts, default=max(now, wallet.settled_at))
    cuts = [*starts, *(period.end for period in wallet.periods)]
    return live.usage.read(wallet.customer, start, None, wallet.settled_at - HOUR, cuts)


Change = Callable[[View], tuple[Wallet, Sequence[Put]] | None]
"""What to make of a settled wallet, and what else to write with it; None for nothing."""


def settle_customer(
    customer: str, live: Live, now: int, change: Change | None = None, since: int | None = None
) -> View:
    """Move a customer's wallet to now and write it if it changed; then `change` it, and write that too.

    Whoever wrote it meanwhile wins, and this starts over from what they wrote: `change` may be called several times.

    Raises:
        NotFound: there is no such customer.
        NoCurrency: the customer has no currency yet; or what `change` raises.
        Unavailable: others kept writing it.
    """
    for _ in range(_ATTEMPTS):
        view = look(customer, live, now, since)
        try:
            if _must_write(view):
                live.ledger.commit(view.settlement, view.next_due(), live.grace_milliseconds)
                if change is None:
                    return view
            elif change is None or (wanted := change(view)) is None:
                return view
            else:
                wallet, puts = wanted
                after = replace(view, settlement=view.settle(wallet))
                live.ledger.commit(after.settlement, after.next_due(), live.grace_milliseconds, puts)
                return after
        except ConditionFailed:
            continue
    raise Unavailable("the wallet is being written by others")


def _must_write(view: View) -> bool:
    return not view.wallet.version or view.settlement.changed or view.next_due() != view.due_at
