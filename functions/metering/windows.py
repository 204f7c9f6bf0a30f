"""Windows are caches of a fold: usage by quarter of an hour and dimension combination. Laws 4.3, 4.4, 4.6 and 4.7."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import reduce

from metering.decimals import EXACT
from metering.events import Conflict, Dimensions, Event, winners
from metering.meters import Meter
from metering.sessions import Session, billed_until, last_possible_end
from metering.times import DAY, HOUR, QUARTER, floor


@dataclass(frozen=True, slots=True)
class Tally:
    """What is known of the usage of one slot; enough for every aggregation, and mergeable for each of them.

    Attributes:
        events: live events; for durations, the sessions that start in the slot.
        quantity: the sum of values, or of milliseconds × weight.
        amount: the sum of the events' own amounts.
        least, most: the extremes of the values, None where there are none.
        latest: (timestamp, id, value) of the last event, None where there is none.
        values: the distinct values of the meter's `unique_by`.
    """

    events: int = 0
    quantity: Decimal = Decimal(0)
    amount: Decimal = Decimal(0)
    least: Decimal | None = None
    most: Decimal | None = None
    latest: tuple[int, str, Decimal] | None = None
    values: frozenset[str] = frozenset()


Slot = tuple[int, Dimensions]
"""The start of a quarter of an hour, and a combination of the meter's dimensions."""

Slots = Mapping[Slot, Tally]


@dataclass(frozen=True, slots=True)
class Fact:
    """What pair says about one session; of several about the same one the highest rank holds (law 4.5).

    Attributes:
        rank: (stream label, sequence number) of the record that made pair compute it.
    """

    session: Session
    rank: tuple[str, int]


@dataclass(frozen=True, slots=True)
class Folded:
    """What the fold of some events and facts gives: usage by slot, the sessions still open, and conflicts met."""

    slots: Slots
    open: tuple[Session, ...]
    conflicts: tuple[Conflict, ...]


def merge_tallies(*several: Tally) -> Tally:
    """Join tallies, many at once as well as two; associative and commutative, with `Tally()` as its identity."""
    return Tally(
        events=sum(each.events for each in several),
        quantity=reduce(EXACT.add, (each.quantity for each in several), Decimal(0)),
        amount=reduce(EXACT.add, (each.amount for each in several), Decimal(0)),
        least=min((each.least for each in several if each.least is not None), default=None),
        most=max((each.most for each in several if each.most is not None), default=None),
        latest=max((each.latest for each in several if each.latest), default=None),
        values=frozenset[str]().union(*(each.values for each in several)),
    )


def merge(*several: Slots) -> Slots:
    """Join windows slot by slot; associative and commutative, with no window at all as its identity."""
    found: defaultdict[Slot, list[Tally]] = defaultdict(list)
    for slots in several:
        for slot, tally in slots.items():
            found[slot].append(tally)
    return {slot: merge_tallies(*tallies) if len(tallies) > 1 else tallies[0] for slot, tallies in found.items()}


def add_slots(whole: dict[Slot, Tally], slots: Slots) -> None:
    """Merge a window into another one in place: of many large ones only one more is held at a time."""
    for slot, tally in slots.items():
        known = whole.get(slot)
        whole[slot] = tally if known is None else merge_tallies(known, tally)


def fold(
    meter: Meter,
    events: Iterable[Event] = (),
    facts: Iterable[Fact] = (),
    start: int | None = None,
    end: int | None = None,
) -> Folded:
    """Fold what happened into usage by slot, of the interval [start, end) only where one is given.

    The order and repetition of events and facts do not matter (law 4.1, and the rank of law 4.5). A running session is
    listed in the fold that holds the instant up to which it is counted; its usage from there on is added by whoever
    reads (law 4.7).
    """
    kept, conflicts = winners(events)
    tallies: defaultdict[Slot, list[Tally]] = defaultdict(list)
    for event in kept:
        if not event.void and _within(event.timestamp, start, end):
            tallies[_slot(meter, event.timestamp, event.dimensions)].append(_tally(meter, event))
    still_open = []
    for session in latest_sessions(facts):
        if session.counted_until is not None and _within(session.counted_until, start, end):
            still_open.append(session)
        for slot, tally in parts(meter, session, start, end):
            tallies[slot].append(tally)
    slots = {slot: merge_tallies(*several) for slot, several in tallies.items()}
    return Folded(slots, tuple(still_open), tuple(conflicts))


def _within(instant: int, start: int | None, end: int | None) -> bool:
    return (start is None or start <= instant) and (end is None or instant < end)


def _slot(meter: Meter, instant: int, dimensions: Dimensions) -> Slot:
    return floor(instant, QUARTER), meter.kept(dimensions, instant)


def _tally(meter: Meter, event: Event) -> Tally:
    counted = Tally(events=1, amount=event.amount or Decimal(0))
    value = event.value
    if meter.aggregation == "unique":
        return replace(counted, values=frozenset({dict(event.dimensions)[meter.unique_by or ""]}))
    if value is None or meter.aggregation == "count":
        return counted
    return {
        "sum": lambda: replace(counted, quantity=value),
        "min": lambda: replace(counted, least=value),
        "max": lambda: replace(counted, most=value),
        "latest": lambda: replace(counted, latest=(event.timestamp, event.id, value)),
    }[meter.aggregation]()


def latest_sessions(facts: Iterable[Fact]) -> list[Session]:
    """Of each session the fact of the highest rank; at one rank a fixed rule, whatever the order of arrival."""
    kept: dict[tuple[str, int, str], Fact] = {}
    for fact in facts:
        holder = kept.get(fact.session.identity)
        if holder is None or _fact_precedence(fact) > _fact_precedence(holder):
            kept[fact.session.identity] = fact
    return [kept[identity].session for identity in sorted(kept)]


def _fact_precedence(fact: Fact) -> tuple[object, ...]:
    session = fact.session
    return (
        fact.rank,
        session.end is not None,
        session.end or 0,
        session.closed_by,
        session.weight,
        session.dimensions,
        -1 if session.counted_until is None else session.counted_until,
        session.ended_by or 0,
    )


def parts(
    meter: Meter, session: Session, start: int | None, end: int | None, width: int = QUARTER
) -> Iterator[tuple[Slot, Tally]]:
    """Cut what is counted of one session at every `width`, in [start, end); where nothing falls there is no part.

    `width` is a divisor of an hour, and `start` lies on one. Each part has the dimensions that count as it begins.
    """
    until = session.counted_until
    if not session.counts or until == session.start:
        return
    reached = session.start if session.end is None else session.end
    last = max(session.start, (reached if until is None else until) - 1)
    begin = floor(max(session.start, start or 0), width)
    while begin <= last and (end is None or begin < end):
        part = part_of(session, meter, begin, begin + width)
        begun = 1 if begin <= session.start < begin + width else 0
        if part or begun:
            yield (begin, meter.kept(session.dimensions, begin)), Tally(events=begun, quantity=part)
        begin += width


def part_of(session: Session, meter: Meter, start: int, end: int) -> Decimal:
    """The part of a session's quantity that falls in [start, end): Q(end) − Q(start)."""
    return EXACT.subtract(billed_until(session, meter, end), billed_until(session, meter, start))


def accrued_between(
    session: Session, meter: Meter, start: int, end: int, at: int, ends_at: int | None = None
) -> Tally | None:
    """What a running session has used in [start, end) as of `at`, beyond what is counted; None if nothing yet."""
    limit = last_possible_end(session, meter, ends_at)
    until = at if limit is None else min(at, limit)
    if session.start > until or session.accrues_from >= end:
        return None
    part = part_of(replace(session, end=until), meter, max(start, session.accrues_from), end)
    begun = 1 if start <= session.start < end and session.accrues_from == session.start else 0
    return Tally(events=begun, quantity=part) if part or begun else None


def accrued_by_dimensions(
    session: Session, meter: Meter, start: int, end: int, at: int, ends_at: int | None = None
) -> Iterator[tuple[Dimensions, Tally]]:
    """`accrued_between`, apart by the dimensions that counted when it was used (law 4.9)."""
    for first, last in meter.stretches(start, end):
        accrued = accrued_between(session, meter, first, last, at, ends_at)
        if accrued:
            yield meter.kept(session.dimensions, first), accrued


def cover(start: int, end: int) -> tuple[list[int], list[int], list[int]]:
    """Split [start, end) into whole days, whole hours and quarters, the fewest there are (law 4.4).

    `start` and `end` are cut to the quarter of an hour. Returns the starts of the days, hours and quarters.
    """
    start, end = floor(start, QUARTER), floor(end, QUARTER)
    days: list[int] = []
    hours: list[int] = []
    quarters: list[int] = []
    while start < end:
        if start % DAY == 0 and start + DAY <= end:
            days.append(start)
            start += DAY
        elif start % HOUR == 0 and start + HOUR <= end:
            hours.append(start)
            start += HOUR
        else:
            quarters.append(start)
            start += QUARTER
    return days, hours, quarters
