"""A replay from its first day to its last: pair what ran anew, fold the hours anew, and see what that changed.

Doing it twice changes nothing: windows are a fold of what is addressed to them, and are SET (laws 4.3 and 4.5).
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from metering.meters import Meter
from metering.times import DAY, HOUR, floor, format_time, hour_name
from metering.windows import latest_sessions
from taximeter.replaying.place import Kept, Place
from taximeter.replaying.progress import Progress, Tally

_WRITTEN_LONGER = 14 * DAY
"""How long beyond `accept_past` a window may be written (law 4.8)."""
_HOURS_OF_A_CALL = 10
_DAYS_UNDER_WAY = 50
_PATIENCE_SECONDS = 120.0
_PAUSE_SECONDS = 1.0

Identity = tuple[str, int, str]
Ranks = dict[Identity, tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be replayed.

    Attributes:
        start: milliseconds, on an hour; so is `end`, exclusive.
        customers: whose; None for all.
        meters: by key.
        scan: whether edges that were never paired are looked for too.
    """

    start: int
    end: int
    customers: Sequence[str] | None
    meters: dict[str, Meter]
    scan: bool = False

    @property
    def days(self) -> list[int]:
        """The days that the interval touches."""
        return list(range(floor(self.start, DAY), self.end, DAY))

    def hours(self, day: int) -> range:
        """The hours of a day that lie in the interval."""
        return range(max(self.start, day), min(self.end, day + DAY), HOUR)


def too_old(start: int, place: Place) -> str | None:
    """Why an interval that begins there cannot be replayed; None if it can (law 4.8)."""
    earliest = -(-(place.now - place.accept_past - _WRITTEN_LONGER) // HOUR) * HOUR
    if start >= earliest:
        return None
    days = (place.accept_past + _WRITTEN_LONGER) // DAY
    return (
        f"windows are never written again after {days} days, as the events that they are folded from begin to expire: "
        f"the earliest hour is {format_time(earliest)}"
    )


@dataclass(slots=True)
class _Day:
    """One customer's day under way.

    Attributes:
        before: its windows as they were.
        hours: by meter, those to which something is addressed, or of which a window is kept.
        pokes: meter, resource and start of the sessions that are met in it for the first time.
        awaited: the ranks of its sessions, by the meter and hour in which pair tells of them again.
    """

    customer: str
    start: int
    is_last: bool
    before: dict[str, Kept]
    hours: list[tuple[str, int]]
    pokes: set[tuple[str, str, int]] = field(default_factory=set)
    awaited: dict[tuple[str, int], Ranks] = field(default_factory=dict)


class Replay:
    """The replay of one interval of one deployment.

    Args:
        place: the deployment.
        asked: what of it.
        progress: how far it is; moved on after each customer's day, in their order.
        run: names the pokes of this run: those of another one are no news to pair.
        concurrency: how many hours are looked at, and calls are under way, at a time.
        told: called whenever the progress has moved.
        sleep: waits for pair, in seconds.
    """

    def __init__(
        self,
        place: Place,
        asked: Asked,
        progress: Progress,
        run: str,
        *,
        concurrency: int = 8,
        told: Callable[[], None] = lambda: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._place = place
        # What has come since this began is folded as it comes: it is replayed to the same end for every customer.
        progress.tally = replace(progress.tally, end=progress.tally.end or asked.end)
        self._asked = replace(asked, end=progress.tally.end)
        self._progress = progress
        self._run = run
        self._told = told
        self._sleep = sleep
        self._concurrency = concurrency

    def run(self) -> Tally:
        """Replay all that is left, and forget the progress; returns what was done.

        Raises:
            RuntimeError: the deployment's function fails; what is done is remembered.
        """
        with ThreadPoolExecutor(self._concurrency, "replay") as self._threads:
            if self._asked.scan and not self._progress.tally.scan_done:
                self._scan()
            for days in self._groups():
                self._pair(days)
                deadline = time.monotonic() + _PATIENCE_SECONDS
                for day in days:
                    self._finish(day, deadline)
        self._progress.finish()
        return self._progress.tally

    def _groups(self) -> Iterator[list[_Day]]:
        """The days that are left, some customers' at a time: what they were is known before anything changes them.

        No session belongs to two customers, so no group changes what another one has yet to see.
        """
        done, days = self._progress.tally.days_done, self._asked.days
        group: list[_Day] = []
        for customer in self._customers():
            group += [self._seen(customer, day, is_last=day == days[-1]) for day in days[done:]]
            done = 0
            if len(group) >= _DAYS_UNDER_WAY:
                yield group
                group = []
        yield group

    def _customers(self) -> Iterator[str]:
        after = self._progress.tally.after
        if self._asked.customers is not None:
            names = list(self._asked.customers)
            yield from names[names.index(after) + 1 if after else 0 :]
            return
        yield from (name for name, _ in self._place.catalog.customers(after))

    def _seen(self, customer: str, day: int, *, is_last: bool) -> _Day:
        """What there is of a day, before anything is done about it."""
        before = self._windows(customer, day)
        known = {tuple(sort.split("#", 2)[1:]) for sort in before if not sort.startswith("day#")}
        wanted = [(meter, hour) for meter in self._asked.meters for hour in self._asked.hours(day)]
        kept = [(hour_name(hour), meter) in known for meter, hour in wanted]
        unknown = [address for address, is_kept in zip(wanted, kept, strict=True) if not is_kept]
        sent = self._threads.map(lambda address: self._place.is_addressed(_partition(customer, *address)), unknown)
        addressed = {address for address, is_there in zip(unknown, sent, strict=True) if is_there}
        hours = [each for each, is_kept in zip(wanted, kept, strict=True) if is_kept or each in addressed]
        return _Day(customer, day, is_last, before, hours)

    def _windows(self, customer: str, day: int) -> dict[str, Kept]:
        return self._place.windows(customer, format_time(day)[:10], list(self._asked.meters))

    def _pair(self, days: Sequence[_Day]) -> None:
        """Poke every session that the facts of these days tell of: nothing but pair writes facts (law 4.5)."""
        known: set[tuple[str, str, str, int]] = set()
        for day in days:
            for meter, hour in day.hours:
                if self._asked.meters[meter].is_duration:
                    self._look_for_sessions(day, meter, hour)
            day.pokes = {poke for poke in day.pokes if (day.customer, *poke) not in known}
            known |= {(day.customer, *poke) for poke in day.pokes}
        for _ in self._threads.map(lambda poke: self._poke("replay", *poke), sorted(known)):
            continue

    def _look_for_sessions(self, day: _Day, meter: str, hour: int) -> None:
        """Remember an hour's sessions, and with what rank each was told of last where pair tells of it again."""
        oldest = self._place.now - self._place.accept_past - _WRITTEN_LONGER
        ranks: dict[int, Ranks] = {}
        for session in latest_sessions(self._place.raw_events.facts(day.customer, meter, hour)):
            day.pokes.add((meter, session.resource, session.start))
            start = floor(session.start, HOUR)
            if session.start <= oldest:
                continue  # the hour of its start is not written again
            if start not in ranks:
                ranks[start] = self._ranks(day.customer, meter, start)
            if session.identity in ranks[start]:
                day.awaited.setdefault((meter, start), {})[session.identity] = ranks[start][session.identity]

    def _poke(self, why: str, customer: str, meter: str, resource: str, instant: int) -> None:
        from adapters.events import EdgeKey  # noqa: PLC0415 - the client needs none of it

        self._place.events.poke(EdgeKey(customer, meter, resource, instant), f"{why}-{self._run}")

    def _ranks(self, customer: str, meter: str, hour: int) -> Ranks:
        """The rank of what holds of each session in an hour."""
        ranks: Ranks = {}
        for fact in self._place.raw_events.facts(customer, meter, hour):
            identity = fact.session.identity
            ranks[identity] = max(fact.rank, ranks.get(identity, fact.rank))
        return ranks

    def _unanswered(self, day: _Day) -> int:
        """Of how many poked sessions pair has not told again; those of which it has are awaited no longer."""
        for (meter, hour), awaited in list(day.awaited.items()):
            ranks = self._ranks(day.customer, meter, hour)
            left = {each: rank for each, rank in awaited.items() if ranks.get(each, rank) <= rank}
            if left:
                day.awaited[meter, hour] = left
            else:
                del day.awaited[meter, hour]
        return sum(map(len, day.awaited.values()))

    def _finish(self, day: _Day, deadline: float) -> None:
        """Fold the day's hours anew and compare; the progress is behind it then."""
        while (unanswered := self._unanswered(day)) and time.monotonic() < deadline:
            self._sleep(_PAUSE_SECONDS)
        partitions = self._fold(day)
        after = self._windows(day.customer, day.start)
        changed = sorted(
            sort
            for sort in day.before.keys() | after.keys()
            if sort not in day.before or sort not in after or day.before[sort] != after[sort]
        )
        tally = self._progress.tally
        moved = replace(
            tally,
            after=day.customer if day.is_last else tally.after,
            days_done=0 if day.is_last else tally.days_done + 1,
            customers=tally.customers + day.is_last,
            hours=tally.hours + len(day.hours),
            sessions=tally.sessions + len(day.pokes),
            unanswered=tally.unanswered + unanswered,
            parked=tally.parked + (self._place.parked(day.customer, partitions) if partitions else 0),
        )
        self._progress.advance(moved.with_changed([f"{day.customer} {sort}" for sort in changed]))
        self._told()

    def _fold(self, day: _Day) -> list[str]:
        """Fold the hours, several light ones a call, a heavy one by itself; returns their partitions."""
        heavy: list[str] = []
        light: list[str] = []
        for meter, hour in day.hours:
            kept = day.before.get(f"hour#{hour_name(hour)}#{meter}")
            (heavy if kept and kept.by_minutes else light).append(_partition(day.customer, meter, hour))
        calls = [(light[place : place + _HOURS_OF_A_CALL], False) for place in range(0, len(light), _HOURS_OF_A_CALL)]
        calls += [([each], True) for each in heavy]
        for _ in self._threads.map(lambda call: self._place.fold(call[0], by_minute=call[1]), calls):
            continue
        return light + heavy

    def _scan(self) -> None:
        """Poke every edge of the interval, paired or not; pair and aggregate do the rest as it comes to them."""
        tally = self._progress.tally
        after = (tally.scanned_to[0], tally.scanned_to[1]) if tally.scanned_to else None
        for keys, reached in self._place.scan("edge", after):
            edges = sorted({edge for key in keys if (edge := self._edge(*key)) is not None})
            for _ in self._threads.map(lambda edge: self._poke("replay-scan", *edge), edges):
                continue
            tally = replace(tally, scanned_to=reached or (), edges=tally.edges + len(edges))
            self._progress.advance(tally)
            self._told()
        self._progress.advance(replace(tally, scan_done=True))

    def _edge(self, pk: str, sk: str) -> tuple[str, str, str, int] | None:
        """Customer, meter, resource and instant of an edge that is asked for."""
        customer, meter, resource = pk.split("#")
        instant = int(sk[:13])
        wanted = self._asked.customers is None or customer in self._asked.customers
        inside = self._asked.start <= instant < self._asked.end
        return (customer, meter, resource, instant) if wanted and inside and meter in self._asked.meters else None


def _partition(customer: str, meter: str, hour: int) -> str:
    return f"{customer}#{meter}#{hour_name(hour)}"
