"""Moving one wallet to now: read it, then its usage, settle, write on the condition of what was read. Law 5.4."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from adapters.items import ConditionFailed, Put
from adapters.usage import Measured
from billing.accounts import with_versions
from billing.customers import Account
from billing.plans import Plan
from billing.rating import Line, rate
from billing.settlement import Settlement, plans_needed, settle
from billing.wallet import OpenPeriod, Wallet, new_wallet
from handlers._live import Live
from metering.errors import Unavailable
from metering.times import HOUR
from metering.windows import Usage, usage_between

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

    def usage(self, start: int, end: int, at: int | None) -> list[Usage]:
        """The usage of [start, end), open sessions measured as of `at`, or of now."""
        meters = self.live.remembered.meters(self.measured.slots.keys() | self.measured.open.keys())
        rows: list[Usage] = []
        for key in sorted(self.measured.slots.keys() | self.measured.open.keys()):
            if key in meters:
                rows += usage_between(
                    meters[key],
                    self.measured.slots.get(key, {}),
                    self.measured.open.get(key, ()),
                    start,
                    end if at is None else min(end, at),
                    self.now if at is None else at,
                    self.account.customer.ends_at,
                )
        return rows

    def settle(self, wallet: Wallet) -> Settlement:
        """Settle a wallet from the same usage."""
        return settle(wallet, self.account, self.plans, self.usage, self.now)

    def lines(self, period: OpenPeriod) -> tuple[Line, ...]:
        """The invoice lines of a period as of now."""
        plan = self.plans[period.plan, period.version]
        return rate(plan, self.usage(period.start, period.end, None), period.share, over=period.end <= self.now)

    def next_due(self) -> int | None:
        """When to look again without new usage: while sessions run that is always, by an instant that stays."""
        if any(self.measured.open.values()):
            return self.now if self.due_at is None else min(self.due_at, self.now)
        return self.settlement.due_at


def look(customer: str, live: Live, now: int) -> View:
    """Read a customer, strongly and in the order that law 5.4 asks for, and settle in memory.

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
    measured = _measured(wallet, account, now, live) if account.plans else Measured()
    view = View(
        live, account, plans, measured, max(now, wallet.settled_at), _unmoved(wallet), stored.due_at if stored else None
    )
    return replace(view, settlement=view.settle(wallet))


def without_wallet(account: Account, live: Live, now: int) -> View:
    """What is known of a customer that has no currency yet: an empty wallet, in none."""
    return View(live, account, {}, Measured(), now, _unmoved(Wallet(account.customer.id, "", now)), None)


def _unmoved(wallet: Wallet) -> Settlement:
    return Settlement(wallet, {}, (), (), (), (), None, None, changed=False)


def _measured(wallet: Wallet, account: Account, now: int, live: Live) -> Measured:
    """The usage from the first open period on, or from where the next one begins.

    Days may be read whole that end an hour before the wallet was settled: nothing looks into them any more. Those in
    which a period begins or ends are read by their hours.
    """
    starts = [period.start for period in wallet.periods]
    opening = account.first_instant if wallet.opened_until is None else wallet.opened_until
    starts += [] if opening is None else [opening]
    start = min(starts, default=max(now, wallet.settled_at))
    cuts = [*starts, *(period.end for period in wallet.periods)]
    return live.usage.read(wallet.customer, start, None, wallet.settled_at - HOUR, cuts)


Change = Callable[[View], tuple[Wallet, Sequence[Put]] | None]
"""What to make of a settled wallet, and what else to write with it; None for nothing."""


def settle_customer(customer: str, live: Live, now: int, change: Change | None = None) -> View:
    """Move a customer's wallet to now and write it if it changed; then `change` it, and write that too.

    Whoever wrote it meanwhile wins, and this starts over from what they wrote: `change` may be called several times.

    Raises:
        NotFound: there is no such customer.
        NoCurrency: the customer has no currency yet; or what `change` raises.
        Unavailable: others kept writing it.
    """
    for _ in range(_ATTEMPTS):
        view = look(customer, live, now)
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
