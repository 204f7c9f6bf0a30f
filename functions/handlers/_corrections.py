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
from metering.sessions import Session, corrections_of, is_corrections, mark_of, resource_of
from metering.sightings import Sighting, met
from metering.times import HOUR, floor
from metering.windows import Fact

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

    Where the corrections of an instant are looked at for their own sake, edges that stand with several resources and
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


def bring_together(customer: str, meter: str, found: Iterable[Sighting], live: Live) -> None:
    """Have pair look at the edges that count with several resources though nothing corrects them: one of them holds.

    The same poke twice is one; that another resource has come along is news.
    """
    for (instant, mark), resources in met(found).items():
        key = EdgeKey(customer, meter, corrections_of(instant), instant)
        live.events.poke(key, f"twice-{digest(canonical([mark, resources]))}")


def _read(versions: Versions, key: EdgeKey, resource: str, instants: set[int], live: Live) -> None:
    for edge in live.raw_events.edges(key.customer, key.meter, resource, min(instants), max(instants)):
        if edge.timestamp in instants:
            versions[edge.identity][resource].add(edge)


def _homes(standing: dict[str, set[Event]], meter: Meter) -> set[str]:
    return {resource_of(meter, event) for events in standing.values() for event in events}


def _resources(facts: Iterable[Fact], corrected: Iterable[Identity], asked: set[int]) -> set[str]:
    """Where versions of corrected edges may stand, or edges that stand with several resources at instants asked for."""
    wanted = {(instant, mark_of(id_)) for instant, id_ in corrected}
    told: defaultdict[tuple[int, int], set[str]] = defaultdict(set)
    for session in (fact.session for fact in facts if not is_corrections(fact.session.resource)):
        for edge in session.edges:
            if edge in wanted or edge[0] in asked:
                told[edge].add(session.resource)
    return set[str]().union(*(several for edge, several in told.items() if edge in wanted or len(several) > 1))
