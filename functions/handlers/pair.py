"""Events stream, edges and pokes: pair the starts and stops of each resource and publish facts. Law 4.5."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from adapters.catalog import Damaged
from adapters.events import EdgeKey, Neighbourhood, Published, edge_key
from adapters.items import from_wire
from handlers import _live
from handlers._corrections import notes_of, spread
from handlers._door import UNPROCESSABLE, count, logger
from handlers._live import Live
from handlers._news import conflict_of
from handlers._oddities import tell_oddities
from metering.errors import Unavailable, Unreadable
from metering.events import Event, winners
from metering.events import live as live_events
from metering.packing import canonical, digest
from metering.sessions import Session, at_home, counted, is_corrections, pair
from metering.times import DAY, HOUR, floor
from metering.window_items import facts_segments
from metering.windows import Fact

Record = Mapping[str, Any]
HourFacts = dict[tuple[str, str, tuple[str, ...], int], list[Fact]]
"""By customer, meter, its session dimensions, and hour."""
Days = tuple[EdgeKey, Event, Published]
"""What is to be remembered of a session once the facts that count its past days are written."""

_BY_TIME = {"max_duration", "ends_at"}


def pair_records(records: Sequence[Record], live: Live) -> None:
    """Compute the sessions around every edge again and publish them; a batch handled twice changes nothing.

    A resource whose records cannot be processed is parked, and its neighbours go on.

    Raises:
        Unavailable: the table did not take everything; the batch is to be handled again.
    """
    resources: defaultdict[str, list[Record]] = defaultdict(list)
    hours: defaultdict[tuple[str, str, int], list[Record]] = defaultdict(list)
    for record in records:
        resources[record["dynamodb"]["Keys"]["pk"]["S"]].append(record)
    facts: HourFacts = defaultdict(list)
    days: list[Days] = []
    for partition, together in resources.items():
        try:
            _add_facts_of(together, live, facts, days)
        except UNPROCESSABLE as error:
            _park(partition, together, error, live)
            continue
        for record, key in zip(together, _keys(together), strict=True):
            hours[key.customer, key.meter, floor(key.timestamp, HOUR)].append(record)
    segments = [each for address, several in sorted(facts.items()) for each in facts_segments(*address, several)]
    if segments and live.events.add_facts(segments):
        raise Unavailable("the table did not take every fact")
    for key, start, told in days:
        live.events.publish(key, start, told)
    # Only now: who meets a correction meanwhile finds these facts, and who has kept one already is found here.
    for (customer, meter, _), together in hours.items():
        try:
            spread(_keys(together), live.remembered.meters([meter])[meter], live)
        except UNPROCESSABLE as error:
            _park(customer, together, error, live)


def _add_facts_of(records: Sequence[Record], live: Live, facts: HourFacts, days: list[Days]) -> None:
    """Add the facts about one resource's sessions around its new edges, and which past days they count."""
    keys = _keys(records)
    key, first, last = keys[0], min(each.timestamp for each in keys), max(each.timestamp for each in keys)
    meter = live.remembered.meters([key.meter]).get(key.meter)
    if meter is None:
        raise Unreadable(f"there is no meter {key.meter!r}")
    rank = max(_rank(record) for record in records)
    if is_corrections(key.resource):
        for note in notes_of(keys, live):
            facts[key.customer, key.meter, meter.session, floor(note.start, HOUR)].append(Fact(note, rank))
        return
    # A poke comes once: what it is about may be newer than what is remembered.
    accounts = live.catalog.accounts if any(map(_is_poke, records)) else live.remembered.accounts
    account = accounts([key.customer]).get(key.customer)
    if isinstance(account, Damaged):
        raise account.error
    now = live.clock()
    around = live.events.around(key, meter, first, last)
    edges = at_home(around.edges, meter, key.resource)
    sessions = pair(edges, meter, now, account.customer.ends_at if account else None)
    concerned = [session for session in sessions if _is_concerned(session, first, around.end)]
    concerned += _no_orphans(key, live_events(edges), around.end, sessions, records)
    _announce(key, concerned, around, records, live)
    for session in concerned:
        told = counted(session, floor(now, DAY), now)
        hours, past_days = _publish(key, told, around, now, live)
        days += past_days
        for hour in hours:
            facts[key.customer, key.meter, meter.session, hour].append(Fact(told, rank))


def _is_concerned(session: Session, first: int, end: int | None) -> bool:
    """Whether the new edges can have changed a session.

    What starts where the neighbourhood ends is read in part only. What an edge ended before the first new one was
    published when that edge was handled; what time alone ended may not have been.
    """
    ended_before = session.end is not None and session.end < first and session.closed_by not in _BY_TIME
    return not ended_before and (end is None or session.start < end)


def _no_orphans(
    key: EdgeKey, edges: Sequence[Event], end: int | None, sessions: Sequence[Session], records: Sequence[Record]
) -> list[Session]:
    """Stops that came before their starts and were published as orphans: each ends a session now, so that is undone."""
    told = {(session.start, session.id) for session in sessions}  # orphans, and what is taken back already
    arrived = _identities(records)
    first = min(instant for instant, _ in arrived)
    # A record may come again: a stop that comes with its start was an orphan if it came without it before. What was
    # published as one is suspected (`_oddities`), and the poke that has it looked at again finds it here.
    new = set() if any(map(_is_poke, records)) else arrived
    return [
        Session(key.resource, edge.id, edge.timestamp, edge.timestamp, "void", Decimal(1), edge.dimensions)
        for edge in edges
        if edge.type == "stop"
        and edge.identity not in told | new
        and edge.timestamp >= first
        and (end is None or edge.timestamp < end)
    ]


def _keys(records: Sequence[Record]) -> list[EdgeKey]:
    return [edge_key(from_wire(record["dynamodb"]["Keys"])) for record in records]


def _identities(records: Sequence[Record]) -> set[tuple[int, str]]:
    """The timestamps and ids of the edges that are new."""
    sorts = [record["dynamodb"]["Keys"]["sk"]["S"].split("#") for record in records]
    return {(int(sort[0]), sort[1]) for sort in sorts}


def _is_poke(record: Record) -> bool:
    return "#~poke#" in record["dynamodb"]["Keys"]["sk"]["S"]


def _rank(record: Record) -> tuple[str, int]:
    return record["eventSourceARN"].rsplit("/", 1)[1], int(record["dynamodb"]["SequenceNumber"])


def _publish(
    key: EdgeKey, session: Session, around: Neighbourhood, now: int, live: Live
) -> tuple[list[int], list[Days]]:
    """The hours that a fact goes to: those it touches, those it was once said to touch, and where it is listed.

    The past days of a running session were counted as they ended, and no part depends on what comes later: so unless
    something else about it changed, only what follows them, or its end, is written again, and the hour of its start,
    where it is looked up, as long as windows of that age may be written (law 4.8).

    An end that is known and has yet to come is told to its hour at once: there its edge is looked for.

    What is remembered of a session is written before its facts; that they count its past days, which comes along, is
    to be remembered once they are written, so that a crash in between loses none.
    """
    start = floor(session.start, HOUR)
    said = digest(canonical([str(session.weight), session.dimensions]))
    known = around.published.get((session.start, session.id))
    listed = session.counted_until
    told_until = listed if listed is not None else session.end or session.start
    reach = max(told_until, session.end or 0)
    sure = min(known.rolled, told_until) if known and session.counts and known.said == said else 0
    end = max(reach, known.end) if known else reach
    remembered = known or Published(end, 0, said)
    # An end at the first instant of an hour is told to that hour too, so it has to be remembered like a later one.
    if known != (told := Published(end, sure, said, remembered.version)) and (known or reach >= start + HOUR):
        remembered = live.events.publish(key, _start_edge(session, around), told)
    days = []
    if listed is not None and listed > max(sure, session.start):  # the start of a day, so beyond the hour of its start
        days = [(key, _start_edge(session, around), replace(remembered, rolled=listed))]
    first = floor(sure, HOUR) if sure > session.start else start
    oldest = live.acceptance.written_since(now)
    return [hour for hour in sorted({start, *range(first, end + 1, HOUR)}) if hour > oldest], days


def _start_edge(session: Session, around: Neighbourhood) -> Event:
    return next(edge for edge in winners(around.edges)[0] if edge.identity == (session.start, session.id))


def _announce(
    key: EdgeKey, sessions: Sequence[Session], around: Neighbourhood, records: Sequence[Record], live: Live
) -> None:
    """Announce what is odd about the new edges and their sessions, once however often it is met."""
    tell_oddities(key, sessions, [record["dynamodb"]["Keys"]["sk"]["S"] for record in records], live)
    new = _identities(records)
    for conflict in winners(around.edges)[1]:
        if conflict.kept.identity in new:
            live.outbox.announce(key.customer, conflict_of(conflict), live.clock())


def _park(partition: str, records: Sequence[Record], error: Exception, live: Live) -> None:
    logger.exception("parked", extra={"records": len(records)})
    count("ParkedRecords", len(records))
    customer, _, _ = partition.partition("#")
    for record in records:
        live.outbox.park(customer, "pair", record, str(error), live.clock())


def handler(event: dict[str, Any], _context: object) -> None:
    """DynamoDB stream, filtered to edges and pokes."""
    pair_records(event["Records"], _live.live)
