"""Usage by the minute: folded from the raw events and facts themselves, as long as these are kept."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from billing.spans import Grid
from handlers._live import Live
from metering.events import Dimensions
from metering.meters import Meter
from metering.sessions import Session
from metering.times import HOUR, MINUTE, floor
from metering.windows import Tally, accrued_by_dimensions, fold, latest_sessions, merge_tallies, parts

Tallies = dict[Dimensions, Tally]
"""What one window holds, by the dimensions that are asked for."""

_Running = dict[tuple[str, int, str], Session]
"""Running sessions by their identities."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What usage is asked for.

    Attributes:
        grid: the interval and its windows.
        group_by: the dimensions that rows are kept apart by.
        where: values that usage must have to count; None where it must lack the dimension.
        now: until when open sessions are measured.
        ends_at: the customer's end, at which they end at the latest.
    """

    customer: str
    meter: Meter
    grid: Grid
    group_by: tuple[str, ...]
    where: Mapping[str, str | None]
    now: int
    ends_at: int | None
    live: Live

    def wants(self, dimensions: Dimensions) -> bool:
        """Whether usage with these dimensions is asked for."""
        return fits(dimensions, self.where)

    def group(self, dimensions: Dimensions) -> Dimensions:
        """Of these dimensions those that rows are kept apart by."""
        return tuple(pair for pair in dimensions if pair[0] in self.group_by)


def fits(dimensions: Dimensions, where: Mapping[str, str | None]) -> bool:
    """Whether dimensions have the values that are asked for; None asks that the dimension is missing."""
    given = dict(dimensions)
    return all(given.get(name) == value for name, value in where.items())


def accrued(session: Session, asked: Asked, first: int, last: int) -> Iterator[tuple[int, Dimensions, Tally]]:
    """What an open session has used so far, as far as it is asked for.

    Given by the windows that begin from `first` and before `last`, and by the dimensions that rows are kept apart by.
    """
    reached = max(first, session.accrues_from)
    while reached < last and reached <= asked.now:
        window = asked.grid.at(reached)
        used = accrued_by_dimensions(session, asked.meter, window.start, window.end, asked.now, asked.ends_at)
        for dimensions, tally in used:
            if asked.wants(dimensions):
                yield window.start, asked.group(dimensions), tally
        reached = window.end


def read(asked: Asked, first: int) -> Iterator[tuple[int, Tallies]]:
    """The minutes from `first` to the end of the interval in which anything was used, in order, hour by hour."""
    running = _running(asked)
    for hour in _hours(asked, first, running):
        if asked.meter.is_duration:
            yield from _session_minutes(asked, hour, first, running)
        else:
            yield from _event_minutes(asked, hour, first)


def _running(asked: Asked) -> _Running:
    if not asked.meter.is_duration:
        return {}
    sessions = asked.live.usage.open_sessions(asked.customer, asked.meter.key)
    return {session.identity: session for session in sessions}


def _hours(asked: Asked, first: int, running: _Running) -> Iterator[int]:
    """The hours that can hold anything: those of which a window is kept, those just begun, those of open sessions."""
    end = asked.grid.end
    known = set(asked.live.usage.hours(asked.customer, asked.meter.key, first, end))
    # What has just arrived may not be folded yet.
    known |= set(range(floor(asked.now, HOUR) - HOUR, asked.now + asked.live.acceptance.future + 1, HOUR))
    earliest = min((session.accrues_from for session in running.values()), default=None)
    if earliest is not None:
        known |= set(range(floor(max(first, earliest), HOUR), min(end, asked.now + 1), HOUR))
    yield from sorted(hour for hour in known if first < hour + HOUR and hour < end)


def _event_minutes(asked: Asked, hour: int, first: int) -> Iterator[tuple[int, Tallies]]:
    end = asked.grid.end
    read = asked.live.raw_events.minutes(asked.customer, asked.meter.key, hour, first, end - 1)
    for minute, events in read:
        tallies: defaultdict[Dimensions, list[Tally]] = defaultdict(list)
        for (_, dimensions), tally in fold(asked.meter, events).slots.items():
            if asked.wants(dimensions):
                tallies[asked.group(dimensions)].append(tally)
        if tallies:
            yield minute, _joined(tallies)


def _session_minutes(asked: Asked, hour: int, first: int, running: _Running) -> Iterator[tuple[int, Tallies]]:
    """The parts of an hour's sessions: what is counted of them, as in its window, and what runs beyond that."""
    start, end = max(first, hour), min(asked.grid.end, hour + HOUR)
    minutes: defaultdict[int, defaultdict[Dimensions, list[Tally]]] = defaultdict(lambda: defaultdict(list))
    for session in latest_sessions(asked.live.raw_events.facts(asked.customer, asked.meter.key, hour)):
        _catch_up(running, session, hour)
        for (minute, dimensions), tally in parts(asked.meter, session, start, end, MINUTE):
            if asked.wants(dimensions):
                minutes[minute][asked.group(dimensions)].append(tally)
    for session in running.values():
        for minute, group, tally in accrued(session, asked, start, end):
            minutes[minute][group].append(tally)
    for minute in sorted(minutes):
        yield minute, _joined(minutes[minute])


def _catch_up(running: _Running, told: Session, hour: int) -> None:
    """What ran as it was listed may be counted further by now, or whole: from the hour on up to which it was."""
    known = running.get(told.identity)
    if known is None or hour + HOUR <= known.accrues_from:
        return
    if told.counted_until is None:
        del running[told.identity]
    elif told.counted_until > known.accrues_from:
        running[told.identity] = told


def _joined(tallies: Mapping[Dimensions, list[Tally]]) -> Tallies:
    return {group: merge_tallies(*several) for group, several in tallies.items()}
