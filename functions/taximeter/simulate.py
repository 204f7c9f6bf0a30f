"""The whole system as one pure function: from a scenario to usage, sessions, wallets and invoices, without AWS.

It shares the laws (metering and billing) with the deployment and none of what carries them there: no windows that are
stored, no facts, no streams, no hours. What both say must be the same to the last digit.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from billing.alerts import DEPLETED, Edge
from billing.customers import Account
from billing.invoices import Invoice, draft, finalize, numbered
from billing.plans import Plan
from billing.rating import Line, rate
from billing.settlement import settle
from billing.wallet import Entry, OpenPeriod, Wallet, balance, conclude, grant, new_wallet
from metering.decimals import text
from metering.events import Event, live
from metering.meters import Meter
from metering.sessions import Session, billed_until, pair, resource_of
from metering.times import MINUTE, QUARTER, floor, format_time
from metering.totals import Totals
from metering.usage import Usage, usage_between
from metering.windows import Fact, Slots, fold, merge
from taximeter.scenario import Scenario, Subscriber, accepted, subscribers, without_top_up

Plans = Mapping[tuple[str, int], Plan]

ACCEPT_FUTURE = 5 * MINUTE
"""How far ahead of its clock a deployment accepts events, unless it is set to something else."""


def simulate(scenario: Scenario) -> dict[str, Any]:
    """Compute everything that follows from a scenario, as of its `now`.

    Periods are closed and invoiced at their end; numbers are given in the order of these ends.

    Returns:
        `{"rejected", "customers"}` as in api.md, ready to be written as JSON.

    Raises:
        Invalid, Conflict: the scenario contradicts itself.
    """
    taken, refused = accepted(scenario)
    meters, plans = scenario.meters_by_key(), {(key, 1): plan for key, plan in scenario.plans_by_key().items()}
    events: defaultdict[str, list[Event]] = defaultdict(list)
    for event in taken:
        events[event.customer].append(event)
    stories = {
        name: _Story(subscriber, plans, Known(meters, events[name], subscriber.account, scenario.now), scenario.now)
        for name, subscriber in subscribers(scenario, taken).items()
    }
    invoices = sorted(
        (invoice for story in stories.values() for invoice in story.invoices),
        key=lambda invoice: (invoice.finalized_at or 0, invoice.id),
    )
    numbers = {invoice.id: numbered(invoice, "", count) for count, invoice in enumerate(invoices, 1)}
    return {
        "rejected": [each.as_json() for each in refused],
        "customers": {name: story.as_json(numbers) for name, story in stories.items()},
    }


class Known:
    """What is known of one customer's usage, at any instant up to `now`.

    Attributes:
        sessions: by meter, in order of start.
    """

    def __init__(self, meters: Mapping[str, Meter], events: Iterable[Event], account: Account, now: int) -> None:
        self._meters = meters
        self._now = now
        by_meter: defaultdict[str, list[Event]] = defaultdict(list)
        for event in events:
            # What a deployment accepts ahead of its clock counts from then on, but an edge when its time comes.
            if event.timestamp <= (now if meters[event.meter].is_duration else now + ACCEPT_FUTURE):
                by_meter[event.meter].append(event)
        self._events = {key: live(several) for key, several in sorted(by_meter.items()) if not meters[key].is_duration}
        self.sessions = {
            key: _sessions(several, meters[key], now, account.customer.ends_at)
            for key, several in sorted(by_meter.items())
            if meters[key].is_duration
        }
        self._keys = sorted(by_meter)
        self._all = {key: Totals(self._folded(key, 0, now)) for key in self._keys}

    def instants(self) -> list[int]:
        """When something happened, in order."""
        found = {event.timestamp for several in self._events.values() for event in several}
        for sessions in self.sessions.values():
            found |= {instant for each in sessions for instant in (each.start, each.end) if instant is not None}
        return sorted(found)

    def usage(self, start: int, end: int, at: int | None, now: int) -> list[Usage]:
        """The usage of [start, end): without what is at and after `at`, a quarter, or as known at `now`."""
        until = end if at is None else min(end, at)
        rows: list[Usage] = []
        for key in self._keys:
            slots = self._all[key].between(start, until)
            if at is None and now < self._now:
                slots = self._by(key, start, until, now)
            rows += usage_between(self._meters[key], slots, (), start, until, now)
        return rows

    def _by(self, key: str, start: int, until: int, now: int) -> Slots:
        """What was known at an instant: whole quarters as they are, the running one folded anew."""
        quarter = floor(now, QUARTER)
        return merge(self._all[key].between(start, min(until, quarter)), self._folded(key, quarter, now))

    def _folded(self, key: str, start: int, now: int) -> Slots:
        """Fold from `start` on; a session that runs at `now` counts as if it stopped then."""
        events = self._events.get(key, ())
        first = bisect_left(events, start, key=_timestamp)
        last = len(events) if now >= self._now else bisect_right(events, now, key=_timestamp)
        facts = [
            Fact(_stopped_by(each, now), ("", 0))
            for each in self.sessions.get(key, ())
            if each.start <= now and (each.end is None or each.end >= start)
        ]
        return fold(self._meters[key], events[first:last], facts, start).slots

    def usage_rows(self) -> list[dict[str, Any]]:
        """All usage by meter and dimension combination."""
        return [
            {
                "meter": row.meter,
                "dimensions": dict(row.dimensions),
                "quantity": text(row.quantity),
                "events": row.events,
            }
            for row in self.usage(0, self._now + QUARTER, None, self._now)
        ]

    def session_rows(self) -> list[dict[str, Any]]:
        """All sessions by meter and start."""
        return [
            _session_row(self._meters[key], session, self._now)
            for key, sessions in self.sessions.items()
            for session in sessions
        ]


def _timestamp(event: Event) -> int:
    return event.timestamp


def _sessions(edges: Sequence[Event], meter: Meter, now: int, ends_at: int | None) -> list[Session]:
    resources: defaultdict[str, list[Event]] = defaultdict(list)
    for edge in live(edges):  # whatever resources its versions belong to (law 4.1)
        resources[resource_of(meter, edge)].append(edge)
    found = [each for together in resources.values() for each in pair(together, meter, now, ends_at) if each.counts]
    return sorted(found, key=lambda session: (session.start, session.id))


def _stopped_by(session: Session, instant: int) -> Session:
    """The session as if it had stopped at an instant, if it ran then (api.md, Sessions)."""
    runs = session.end is None or session.end > instant
    return replace(session, end=instant, closed_by="stop", counted_until=None) if runs else session


def _session_row(meter: Meter, session: Session, now: int) -> dict[str, Any]:
    given = dict(session.dimensions)
    return {
        "meter": meter.key,
        "key": {name: given[name] for name in meter.session},
        "start": format_time(session.start),
        "end": None if session.end is None else format_time(session.end),
        "closed_by": session.closed_by,
        "quantity": text(billed_until(_stopped_by(session, now), meter, now + 1)),
    }


@dataclass(slots=True)
class _Told:
    """What one customer's story has told so far; `entries` by hour, the running one left out."""

    invoices: list[Invoice]
    entries: dict[int, tuple[Entry, ...]]
    edges: list[Edge]


class _Story:
    """One customer's wallet, moved from its beginning to `now` through every instant at which something happens."""

    def __init__(self, subscriber: Subscriber, plans: Plans, known: Known, now: int) -> None:
        self._account = without_top_up(subscriber.account)
        self._credits = subscriber.credits
        self._plans, self._known, self._now = plans, known, now
        self._told = _Told([], {}, [])
        self._wallet: Wallet | None = None
        if self._account.customer.currency is not None:
            self._wallet = self._first(now)
            for instant in self._stops(now):
                self._move(instant)

    @property
    def invoices(self) -> list[Invoice]:
        """The invoices, without numbers."""
        return self._told.invoices

    def as_json(self, numbers: Mapping[str, Invoice]) -> dict[str, Any]:
        """What is told of a customer; invoices as they are in `numbers`."""
        wallet = self._wallet
        running = list(wallet.moves) if wallet else []
        ledger = [entry for hour in sorted(self._told.entries) for entry in self._told.entries[hour]] + running
        left = {credit.id: credit.remaining for credit in wallet.credits} if wallet else {}
        return {
            "usage": self._known.usage_rows(),
            "sessions": self._known.session_rows(),
            "charges": [line.as_json() for line in self._charges()],
            "balance": text(balance(wallet)) if wallet else "0",
            "credits": [{"id": each.id, "remaining": text(left.get(each.id, 0))} for each in self._credits],
            "ledger": [self._entry(entry) for entry in reversed(ledger)],
            "invoices": [numbers[invoice.id].as_json() for invoice in self.invoices],
            "alerts": [
                {"key": edge.key, "at": format_time(edge.at), "edge": edge.edge}
                for edge in self._told.edges
                if edge.key != DEPLETED
            ],
        }

    def _entry(self, entry: Entry) -> dict[str, Any]:
        """An entry of the ledger, with the invoice of its period where one was made."""
        made = {invoice.period.start: invoice.id for invoice in self.invoices}
        invoice = None if entry.period is None else made.get(entry.period)
        return {**entry.as_json(), "invoice": invoice}

    def _first(self, now: int) -> Wallet:
        """The wallet before anything happened; a credit without `effective_at` is there before everything."""
        instants = [each.effective_at for each in self._credits if each.effective_at is not None]
        instants += [each.expires_at - QUARTER for each in self._credits if each.expires_at is not None]
        wallet = new_wallet(self._account, min([now, *instants]))
        for credit in self._credits:
            wallet = grant(wallet, credit, 0)
        return wallet

    def _stops(self, now: int) -> Iterator[int]:
        """The instants to settle at: the ends of periods, where someone watches every event's too, and now."""
        watched = self._known.instants() if self._account.customer.alerts else []
        first = self._account.first_instant
        reached = self._wallet.settled_at if self._wallet else now
        yield reached
        while self._wallet and reached < now:
            place = bisect_right(watched, reached)
            ahead = [*watched[place : place + 1], *(period.end for period in self._wallet.periods)]
            ahead += [] if first is None else [first]
            reached = min((each for each in ahead if reached < each < now), default=now)
            yield reached

    def _move(self, now: int) -> None:
        """Settle up to an instant, and invoice the periods that end there."""
        assert self._wallet is not None  # noqa: S101 - there is one where there are stops
        told = self._told
        settled = settle(
            self._wallet, self._account, self._plans, lambda start, end, at: self._known.usage(start, end, at, now), now
        )
        told.entries |= settled.entries
        told.edges += settled.edges
        wallet = settled.wallet
        for ended in settled.closed_periods:
            wallet, period = conclude(wallet, ended.start)
            lines = self._lines(period, now)
            if lines and not self._account.customer.prepaid_only:
                of_plan = (period.plan, period.version)
                made = draft(self._account, of_plan, period.period, lines, period.credits_applied, {})
                told.invoices.append(finalize(made, self._account, now))
        self._wallet = wallet

    def _charges(self) -> Sequence[Line]:
        running = self._wallet.running if self._wallet else None
        return self._lines(running, self._now) if running else ()

    def _lines(self, period: OpenPeriod, now: int) -> tuple[Line, ...]:
        usage = self._known.usage(period.start, period.end, None, now)
        return rate(self._plans[period.plan, period.version], usage, period.share, over=period.end <= now)
