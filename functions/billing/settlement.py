"""Settling a wallet: moving it to now (timeline.py), and telling what that made. Laws 5.4 to 5.6 and 5.9."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from billing import top_ups
from billing.alerts import DEPLETED, Edge, Readings, edges
from billing.attempts import Attempt
from billing.credits import Credit
from billing.customers import Account
from billing.money import exact
from billing.plans import Plan
from billing.timeline import Timeline, UsageOf
from billing.wallet import Entry, OpenPeriod, Wallet, balance
from metering.decimals import text
from metering.times import HOUR, format_time
from metering.usage import join


@dataclass(frozen=True, slots=True)
class Announcement:
    """Something for the bus; the outbox adds its id and customer to the detail.

    Attributes:
        id: derived from what it tells, so that the same thing told twice is told once.
        detail_type: as listed in api.md.
        detail: JSON values, amounts as text.
    """

    id: str
    detail_type: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Settlement:
    """What settling made.

    Attributes:
        wallet: the wallet, settled up to now; its version is the one that was read.
        entries: of finished clock hours, by hour: to be stored before the wallet that no longer holds them.
        ended_credits: credits that left the wallet.
        closed_periods: periods that ended: to be invoiced after the grace. They stay in the wallet until `conclude`.
        edges: alerts fired and armed.
        announcements: for the bus, in the wallet's transaction.
        top_up: an attempt that was requested: to be stored in the wallet's transaction.
        due_at: the next instant at which something happens without new usage.
        changed: whether there is anything to write.
    """

    wallet: Wallet
    entries: Mapping[int, tuple[Entry, ...]]
    ended_credits: tuple[Credit, ...]
    closed_periods: tuple[OpenPeriod, ...]
    edges: tuple[Edge, ...]
    announcements: tuple[Announcement, ...]
    top_up: Attempt | None
    due_at: int | None
    changed: bool


@exact
def settle(
    wallet: Wallet, account: Account, plans: Mapping[tuple[str, int], Plan], usage: UsageOf, now: int
) -> Settlement:
    """Move a wallet to now, or to where it already is if that is later.

    Args:
        wallet: as it was read.
        account: its customer and the plans that held and hold.
        plans: every version that an open or opening period needs (`plans_needed`).
        usage: what is known of the usage; see `UsageOf`.
        now: the clock of the caller.
    """
    timeline = Timeline(wallet, account, plans, usage, max(now, wallet.settled_at))
    fired, funded = wallet.fired, wallet.funded
    met: list[Edge] = []
    for instant, at in timeline.visits():
        funded = funded or bool(timeline.begun)
        fired, new = edges(account.customer.alerts, fired, _readings(timeline, at, funded=funded), instant)
        met += new
    ended = timeline.books.drop(lambda credit: _is_over(credit, timeline))
    settled = replace(timeline.books.close(wallet), fired=fired, funded=funded, opened_until=timeline.opened_until)
    decision = top_ups.decide(account.customer, wallet.currency, wallet.top_ups, balance(settled), timeline.now)
    if decision.attempt:
        opened = top_ups.opened(wallet.top_ups, decision.attempt, account.customer.timezone)
        settled = replace(settled, top_ups=opened)
    dues = (timeline.next_instant(timeline.now), decision.due_at)
    return Settlement(
        wallet=replace(settled, settled_at=timeline.now),
        entries=timeline.entries,
        ended_credits=ended,
        closed_periods=tuple(timeline.books.periods[period.start] for period in timeline.closed),
        edges=tuple(met),
        announcements=tuple(_announcements(timeline, wallet.currency, met, decision.attempt)),
        top_up=decision.attempt,
        due_at=min((due for due in dues if due is not None), default=None),
        changed=settled != wallet or bool(timeline.entries),
    )


def plans_needed(wallet: Wallet | None, account: Account) -> set[tuple[str, int]]:
    """The plan versions to read before settling."""
    needed = {(change.plan, change.version) for change in account.plans}
    return needed | {(period.plan, period.version) for period in (wallet.periods if wallet else ())}


def _readings(timeline: Timeline, at: int | None, *, funded: bool) -> Readings:
    running = timeline.running
    watched = {alert.meter for alert in timeline.customer.alerts if alert.meter}
    rows = timeline.usage_in(running, at) if running and watched else ()
    joined = (join(row for row in rows if row.meter == meter) for meter in watched)
    return Readings(
        balance=timeline.books.balance if funded else None,
        period=running.start if running else None,
        spend=running.owed if running else Decimal(0),
        usage={each.meter: each.quantity for each in joined if each},
    )


def _is_over(credit: Credit, timeline: Timeline) -> bool:
    """Whether a credit will never move again: an hour after its end, or used up by periods that are concluded."""
    if credit.ended_at is not None:
        return timeline.now - credit.ended_at >= HOUR
    drawn = (draw.credit for period in timeline.books.periods.values() for draw in period.drawn)
    return credit.live and not credit.remaining and credit.id not in drawn


def _announcements(
    timeline: Timeline, currency: str, met: list[Edge], attempt: Attempt | None
) -> Iterator[Announcement]:
    customer = timeline.customer.id
    common = {"currency": currency}
    for name, happened in (("credit.granted", timeline.begun), ("credit.expired", timeline.ended)):
        for instant, credit in happened:
            detail = {"credit": credit.id, "amount": text(credit.remaining), "kind": credit.kind}
            yield _announcement(name, f"{customer}:{name}:{credit.id}", instant, detail | common)
    for edge in met:
        if name_on_bus := edge.detail_type:
            value = "balance" if edge.kind in ("balance_below", "depleted") else "value"
            detail = {value: text(edge.value), "threshold": text(edge.threshold)}
            detail |= {} if edge.key == DEPLETED else {"alert": edge.key}
            identity = f"{customer}:{name_on_bus}:{edge.key}:{format_time(edge.at)}"
            yield _announcement(name_on_bus, identity, edge.at, detail | common)
    if attempt:
        detail = {"attempt": attempt.id, "amount": text(attempt.amount)}
        identity = f"{customer}:top_up.requested:{attempt.id}"
        yield _announcement("top_up.requested", identity, attempt.requested_at, detail | common)


def _announcement(name: str, identity: str, at: int, detail: Mapping[str, Any]) -> Announcement:
    return Announcement(identity, name, {"at": format_time(at), **detail})
