"""Sessions: start and stop edges of one resource become intervals. Laws 4.5 and 4.6."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import Literal
from zlib import crc32

from metering.decimals import EXACT, decimal_of
from metering.events import Dimensions, Event, winners
from metering.meters import Meter
from metering.packing import canonical, digest
from metering.times import hour_name

ClosedBy = Literal["stop", "start", "max_duration", "ends_at", "open", "orphan", "void"]


@dataclass(frozen=True, slots=True)
class Session:
    """One interval in which a resource ran, or what an edge left that makes none.

    Attributes:
        resource: the digest of its meter's session dimensions (`resource_of`).
        id: the id of its start edge; with resource and start it is the session's identity.
        end: exclusive; None while it is open.
        closed_by: why it ended. `orphan` is a stop that ended nothing, `void` a start that was taken back: neither
            counts.
        weight: what a millisecond of it counts.
        dimensions: those of its start edge.
        counted_until: while it runs, how far its usage is in the windows; whoever reads accrues from there. None once
            all of it is.
        ended_by: the mark of the stop that ended it (`mark_of`); None if none did.
    """

    resource: str
    id: str
    start: int
    end: int | None
    closed_by: ClosedBy
    weight: Decimal
    dimensions: Dimensions
    counted_until: int | None = None
    ended_by: int | None = None

    @property
    def counts(self) -> bool:
        """Whether it is a session that is billed."""
        return self.closed_by not in {"orphan", "void"}

    @property
    def identity(self) -> tuple[str, int, str]:
        """What makes a later fact about it supersede an earlier one."""
        return self.resource, self.start, self.id

    @property
    def accrues_from(self) -> int:
        """While it runs, from where its usage is left to whoever reads."""
        return self.start if self.counted_until is None else self.counted_until

    @property
    def edges(self) -> tuple[tuple[int, int], ...]:
        """The edges that it tells of, by instant and mark: its start (or an orphan), and the stop that ended it."""
        begin = self.start, mark_of(self.id)
        return (begin,) if self.ended_by is None or self.end is None else (begin, (self.end, self.ended_by))


def mark_of(id_: str) -> int:
    """24 bits of an edge's id. What shares an instant and these may be one edge; that it is, only the edges tell."""
    return crc32(id_.encode()) & 0xFFFFFF


def resource_of(meter: Meter, event: Event) -> str:
    """Name the resource whose edges tie together: the digest of the values of the meter's session dimensions.

    A void that lacks some of them tells of no resource: it is at home among the corrections of its hour.
    """
    try:
        return resource_with(meter.session, dict(event.dimensions))
    except KeyError:
        return corrections_of(event.timestamp)


def resource_with(names: Iterable[str], given: Mapping[str, str]) -> str:
    """Name the resource that has these dimensions, where those of these names tie its edges together.

    Raises:
        KeyError: one of them is missing.
    """
    return _named(tuple(given[name] for name in names))


# As many as a minute of much traffic has: it is folded again with each batch.
@lru_cache(maxsize=16_384)
def _named(values: tuple[str, ...]) -> str:
    return digest(canonical(values))


def corrections_of(instant: int) -> str:
    """Name what stands in for a resource where the corrections of an hour's edges are kept, whatever they are about."""
    return f"~{hour_name(instant)}"


def is_corrections(resource: str) -> bool:
    """Whether this stands in for a resource (`corrections_of`)."""
    return resource.startswith("~")


def at_home(edges: Iterable[Event], meter: Meter, resource: str) -> list[Event]:
    """What the edges that stand with a resource say of it, for `winners`, `live` and `pair` to take (law 4.1).

    The versions of one edge may belong to several resources, and then stand with each of them. One that holds and
    belongs elsewhere is a void here; one that belongs elsewhere and does not hold says nothing here.
    """
    versions: defaultdict[tuple[int, str], list[Event]] = defaultdict(list)
    for edge in edges:
        versions[edge.identity].append(edge)
    found: list[Event] = []
    for several in versions.values():
        here = [edge for edge in several if resource_of(meter, edge) == resource]
        found += here
        if here and len(several) > len(here):
            holder = max(several, key=Event.precedence)
            found += [] if holder in here else [_taken_away(here[0], holder, meter)]
    return found


def _taken_away(edge: Event, holder: Event, meter: Meter) -> Event:
    dimensions = tuple(pair for pair in edge.dimensions if pair[0] in meter.session)
    return replace(edge, value=None, type=None, amount=None, revision=holder.revision, void=True, dimensions=dimensions)


def pair(edges: Iterable[Event], meter: Meter, now: int, ends_at: int | None = None) -> list[Session]:
    """Pair the edges of ONE resource; orphan stops and voided starts come along as sessions that do not count.

    A session ends at the earliest of the next stop, the next start, its start + `max_duration` and `ends_at`; it is
    open while none of these has come by `now`. Edges at `ends_at` or later count nothing. The order and repetition of
    `edges` do not matter.
    """
    known = list(edges)
    kept, _ = winners(known)
    pairing = _Pairing(meter)
    counted = (edge for edge in kept if not edge.void and not _is_cut_off(edge, ends_at))
    for instant, together in groupby(counted, key=lambda edge: edge.timestamp):
        pairing.take(instant, list(together))
    pairing.finish(now, ends_at)
    # A start that was voided, revised into a stop or cut off leaves a session that takes back what was said of it; so
    # does a stop that was voided or cut off.
    began = {edge.identity for edge in known if edge.type == "start" or _is_cut_off(edge, ends_at)}
    said = {(session.start, session.id) for session in pairing.sessions}
    taken_back = [
        _session(meter, edge, edge.timestamp, "void")
        for edge in kept
        if (edge.void or edge.identity in began) and edge.identity not in said
    ]
    return sorted(pairing.sessions + taken_back, key=lambda session: session.identity)


def _is_cut_off(edge: Event, ends_at: int | None) -> bool:
    return ends_at is not None and edge.timestamp >= ends_at


class _Pairing:
    """The state of one walk along the edges of a resource."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self.sessions: list[Session] = []
        self.running: Event | None = None

    def take(self, instant: int, together: Sequence[Event]) -> None:
        """Take all live edges of one instant: stops first where a session is open as it comes, else starts."""
        limit = self._limit()
        if limit is not None and limit < instant:
            self._close(limit, "max_duration")
        stops = [edge for edge in together if edge.type == "stop"]
        starts = [edge for edge in together if edge.type == "start"]
        for edge in stops + starts if self.running else starts + stops:
            if edge.type == "start":
                self._close(instant, "start")
                self.running = edge
            elif self.running:
                self._close(instant, "stop", edge)
            else:
                self.sessions.append(_session(self.meter, edge, instant, "orphan"))

    def finish(self, now: int, ends_at: int | None) -> None:
        """Decide about the session that no edge has ended."""
        if self.running is None:
            return
        session = replace(_session(self.meter, self.running, None, "open"), counted_until=self.running.timestamp)
        self.sessions.append(known_at(session, self.meter, now, ends_at))

    def _limit(self) -> int | None:
        if self.running is None or self.meter.max_duration is None:
            return None
        return self.running.timestamp + self.meter.max_duration

    def _close(self, instant: int, reason: ClosedBy, stop: Event | None = None) -> None:
        if self.running:
            session = _session(self.meter, self.running, instant, reason)
            self.sessions.append(replace(session, ended_by=mark_of(stop.id)) if stop else session)
        self.running = None


def _session(meter: Meter, edge: Event, end: int | None, closed_by: ClosedBy) -> Session:
    weight = dict(edge.dimensions).get(meter.weight) if meter.weight else None
    counts = closed_by not in {"orphan", "void"}
    return Session(
        resource=resource_of(meter, edge),
        id=edge.id,
        start=edge.timestamp,
        end=end,
        closed_by=closed_by,
        weight=decimal_of(weight) if counts and weight is not None else Decimal(1),
        dimensions=edge.dimensions,
    )


def billed_until(session: Session, meter: Meter, instant: int) -> Decimal:
    """Q(t): what the session is billed up to an instant, in milliseconds × weight; 0 up to its start.

    Its part in [a, b) is Q(b) − Q(a), so parts telescope to the whole and none depends on what comes later (law 4.6).
    A session without length is billed its `minimum`, in the moment it begins.
    """
    if instant <= session.start or not session.counts:
        return Decimal(0)
    end = instant if session.end is None else min(instant, session.end)
    length = max(end - session.start, meter.minimum)
    rounded = -(-length // meter.round_up) * meter.round_up
    return EXACT.multiply(Decimal(rounded), session.weight)


def counted(session: Session, until: int, now: int) -> Session:
    """The session as windows that are complete up to `until` hold it: what runs beyond `now` is left to readers.

    `until` is the start of a day (law 4.7). What has ended by now is counted whole.
    """
    if not session.counts or (session.end is not None and session.end <= now):
        return session
    return replace(session, counted_until=max(session.start, until))


def without_explained(sessions: Iterable[Session]) -> list[Session]:
    """Leave out the orphans that ended a session of their resource after all.

    A stop that came without its start and comes again with it is told of as both, until what is odd about it is looked
    at again.
    """
    told = list(sessions)
    ends = {(each.resource, each.end, each.ended_by) for each in told if each.ended_by is not None}
    return [
        each for each in told if each.closed_by != "orphan" or (each.resource, each.start, mark_of(each.id)) not in ends
    ]


def known_at(session: Session, meter: Meter, now: int, ends_at: int | None = None) -> Session:
    """The session as it is at an instant: ended by time alone since, or still running as its end has yet to come.

    Of several ends at one instant the first holds: an edge, its longest duration, the customer's end.
    """
    limits: list[tuple[int | None, ClosedBy]] = [
        (session.end, session.closed_by),
        (None if meter.max_duration is None else session.start + meter.max_duration, "max_duration"),
        (ends_at, "ends_at"),
    ]
    ends = [(end, reason) for end, reason in limits if end is not None]
    end, closed_by = min(ends, key=itemgetter(0), default=(None, session.closed_by))
    if not session.counts or (end == session.end and (end is None or end <= now)):
        return session
    if end is None or end > now:
        return replace(session, end=None, closed_by="open")
    return replace(session, end=end, closed_by=closed_by, counted_until=None)


def last_possible_end(session: Session, meter: Meter, ends_at: int | None = None) -> int | None:
    """When a running session ends at the latest without any further edge; None if it may run for ever."""
    limits = [limit for limit in (ends_at, session.end) if limit is not None]
    if meter.max_duration is not None:
        limits.append(session.start + meter.max_duration)
    return min(limits, default=None)
