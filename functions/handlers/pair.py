"""Events stream, edges and pokes: pair the starts and stops of each resource and publish facts. Law 4.5."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from adapters.events import EdgeKey, Neighbourhood, edge_key
from adapters.items import from_wire
from billing.settlement import Announcement
from handlers import _live
from handlers._door import UNPROCESSABLE, count, logger
from handlers._live import Live
from metering.errors import Unavailable, Unreadable
from metering.packing import canonical, digest
from metering.sessions import Session, pair
from metering.times import HOUR, floor, format_time
from metering.window_items import facts_segments
from metering.windows import Fact

Record = Mapping[str, Any]
HourFacts = dict[tuple[str, str, int], list[Fact]]

_ANOMALIES = {"start", "max_duration", "orphan"}


def pair_records(records: Sequence[Record], live: Live) -> None:
    """Compute the sessions around every edge again and publish them; a batch handled twice changes nothing.

    A resource whose records cannot be processed is parked, and its neighbours go on.

    Raises:
        Unavailable: the table did not take everything; the batch is to be handled again.
    """
    resources: defaultdict[str, list[Record]] = defaultdict(list)
    for record in records:
        resources[record["dynamodb"]["Keys"]["pk"]["S"]].append(record)
    facts: HourFacts = defaultdict(list)
    for partition, together in resources.items():
        try:
            for hour, fact in _facts_of(together, live):
                facts[hour].append(fact)
        except UNPROCESSABLE as error:
            _park(partition, together, error, live)
    segments = [each for address, several in sorted(facts.items()) for each in facts_segments(*address, several)]
    if segments and live.events.add_facts(segments):
        raise Unavailable("the table did not take every fact")


def _facts_of(records: Sequence[Record], live: Live) -> Iterable[tuple[tuple[str, str, int], Fact]]:
    """The facts about one resource's sessions around its new edges, each with the hours it is addressed to."""
    keys = [edge_key(from_wire(record["dynamodb"]["Keys"])) for record in records]
    key, instants = keys[0], [each.timestamp for each in keys]
    meter = live.remembered.meters([key.meter]).get(key.meter)
    if meter is None:
        raise Unreadable(f"there is no meter {key.meter!r}")
    account = live.remembered.accounts([key.customer]).get(key.customer)
    now = live.clock()
    around = live.events.around(key, min(instants), max(instants))
    sessions = pair(around.edges, meter, now, account.customer.ends_at if account else None)
    # What starts where the neighbourhood ends is read in part only, and no edge of this batch changes it.
    concerned = [session for session in sessions if around.end is None or session.start < around.end]
    rank = max(_rank(record) for record in records)
    for session in concerned:
        _announce_anomaly(key, session, now, live)
    return [
        ((key.customer, key.meter, hour), Fact(session, rank))
        for session in concerned
        for hour in _hours(key, session, around, live)
    ]


def _rank(record: Record) -> tuple[str, int]:
    return record["eventSourceARN"].rsplit("/", 1)[1], int(record["dynamodb"]["SequenceNumber"])


def _hours(key: EdgeKey, session: Session, around: Neighbourhood, live: Live) -> range:
    """The hours that facts about a session go to: those that it touches, and those that it was once said to touch."""
    published = around.published.get((session.start, session.id), session.start)
    end = session.start if session.end is None else session.end
    first = floor(session.start, HOUR)
    if end > published and end > first + HOUR:
        live.events.publish(key, session, end)
    last = max(end, published, session.start + 1)
    return range(first, last, HOUR)


def _announce_anomaly(key: EdgeKey, session: Session, now: int, live: Live) -> None:
    if session.closed_by not in _ANOMALIES:
        return
    name = digest(canonical([key.partition, session.start, session.id, session.closed_by]))
    detail: dict[str, Any] = {
        "meter": key.meter,
        "event": session.id,
        "timestamp": format_time(session.start),
        "closed_by": session.closed_by,
    }
    live.outbox.announce(key.customer, Announcement(f"anomaly-{name}", "session.anomaly", detail), now)


def _park(partition: str, records: Sequence[Record], error: Exception, live: Live) -> None:
    logger.exception("parked", extra={"records": len(records)})
    count("ParkedRecords", len(records))
    customer, _, _ = partition.partition("#")
    for record in records:
        live.outbox.park(customer, "pair", record, str(error), live.clock())


def handler(event: dict[str, Any], _context: object) -> None:
    """DynamoDB stream, filtered to edges and pokes."""
    pair_records(event["Records"], _live.live)
