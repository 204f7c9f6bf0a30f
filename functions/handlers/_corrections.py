"""Revisions and voids of edges reach every resource that their edge ever belonged to. Laws 4.1 and 4.5.

What makes two edges the same one says nothing of their resource. So a correction is kept with the others of its hour,
and once pair meets it, all versions of its edge are written to every resource with which one of them stands, where the
ordinary law then finds the one that holds (`at_home`).

Of an edge and its correction, whichever is met last sees the other, so none is missed: an edge's facts are written
before its hour's corrections are read, a correction is kept before its hour's facts are read, and all reads are strong.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal

from adapters.events import EdgeKey
from handlers._live import Live
from metering.errors import Unavailable
from metering.events import Event
from metering.meters import Meter
from metering.packing import canonical, digest
from metering.sessions import Session, corrections_of, is_corrections, resource_of
from metering.times import HOUR, floor
from metering.windows import Fact, latest_sessions

Identity = tuple[int, str]
Versions = defaultdict[Identity, defaultdict[str, set[Event]]]
"""By identity and by resource with which they stand."""


def notes_of(keys: Sequence[EdgeKey], live: Live) -> list[Session]:
    """Corrections as sessions that do not count: by the facts about them they are found again, like any edge."""
    key, instants = keys[0], {each.timestamp for each in keys}
    edges = live.raw_events.edges(key.customer, key.meter, key.resource, min(instants), max(instants))
    found = sorted({edge.identity for edge in edges if edge.timestamp in instants})
    return [Session(key.resource, id_, instant, instant, "void", Decimal(1), ()) for instant, id_ in found]


def spread(keys: Sequence[EdgeKey], meter: Meter, live: Live) -> None:
    """Write the versions of all corrected edges at the instants of some edges of one hour to wherever they belong.

    Where the corrections of an instant are looked at for their own sake, starts that stand with several resources and
    have none are brought together too (`bring_together`). What is there already is not written again, so this ends.

    Raises:
        Unavailable: the table did not take everything.
        Unreadable: an edge or a fact is damaged.
    """
    key, instants = keys[0], {each.timestamp for each in keys}
    corrections = corrections_of(key.timestamp)
    versions: Versions = defaultdict(lambda: defaultdict(set))
    _read(versions, key, corrections, instants, live)
    asked = {each.timestamp for each in keys if each.resource == corrections}
    if not versions and not asked:
        return  # nearly always
    facts = live.raw_events.facts(key.customer, key.meter, floor(key.timestamp, HOUR))
    for resource in sorted(_resources(facts, versions.keys(), asked)):
        _read(versions, key, resource, instants, live)
    missing = {
        (resource, event)
        for standing in versions.values()
        if len(standing) > 1 or corrections in standing
        for resource in {corrections, *standing, *_homes(standing, meter)}
        for event in set[Event]().union(*standing.values()) - standing.get(resource, set())
    }
    in_order = sorted(missing, key=lambda each: (each[0], each[1].identity, each[1].precedence()))
    if in_order and live.events.add((), in_order):
        raise Unavailable("the table did not take every correction")


def bring_together(customer: str, meter: str, facts: Iterable[Fact], live: Live) -> None:
    """Have pair look at the starts that count with several resources though nothing corrects them: one of them holds.

    The same poke twice is one; that another resource has come along is news.
    """
    told: defaultdict[Identity, list[Fact]] = defaultdict(list)
    for fact in facts:
        told[fact.session.start, fact.session.id].append(fact)
    for (instant, _), several in told.items():
        if len({fact.session.resource for fact in several}) > 1:
            counting = [each.resource for each in latest_sessions(several) if each.closed_by != "void"]
            if len(counting) > 1:
                key = EdgeKey(customer, meter, corrections_of(instant), instant)
                live.events.poke(key, f"twice-{digest(canonical(counting))}")


def _read(versions: Versions, key: EdgeKey, resource: str, instants: set[int], live: Live) -> None:
    for edge in live.raw_events.edges(key.customer, key.meter, resource, min(instants), max(instants)):
        if edge.timestamp in instants:
            versions[edge.identity][resource].add(edge)


def _homes(standing: dict[str, set[Event]], meter: Meter) -> set[str]:
    return {resource_of(meter, event) for events in standing.values() for event in events}


def _resources(facts: Iterable[Fact], corrected: Iterable[Identity], asked: set[int]) -> set[str]:
    """Where versions of corrected edges may stand, or starts that stand with several resources at instants asked for.

    A start is told of by its id, a stop by an end at its instant, or as a start where it ended nothing.
    """
    wanted = set(corrected)
    ends = {instant for instant, _ in wanted}
    starts: defaultdict[Identity, set[str]] = defaultdict(set)
    found: set[str] = set()
    for session in (fact.session for fact in facts if not is_corrections(fact.session.resource)):
        if session.start in asked or session.start in ends:
            starts[session.start, session.id].add(session.resource)
        if session.closed_by == "stop" and session.end in ends:
            found.add(session.resource)
    return found.union(*(several for each, several in starts.items() if each in wanted or len(several) > 1))
