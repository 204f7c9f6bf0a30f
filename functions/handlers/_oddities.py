"""What is odd about sessions: announced once it has stood for a minute, and never if it dissolved before. Law 4.5."""

from collections import Counter
from collections.abc import Iterable, Sequence

from adapters.events import KEPT_LONGER, EdgeKey
from adapters.watches import Suspect, suspect_of
from billing.settlement import Announcement
from handlers._door import count
from handlers._live import Live
from metering.packing import canonical, digest
from metering.sessions import Session
from metering.times import format_time

METRICS = {"start": "SessionsCutByAStart", "max_duration": "SessionsCutByTheirDuration", "orphan": "OrphanStops"}
"""What each odd way to end is counted as."""


def tell_oddities(key: EdgeKey, sessions: Sequence[Session], sorts: Iterable[str], live: Live) -> None:
    """Suspect what is odd about a resource's sessions, and announce or dissolve what has stood for long enough.

    Args:
        key: of the resource.
        sessions: all that the records concern.
        sorts: the sort keys of the records, of which some are pokes that say which suspect to conclude.
        live: the surroundings.
    """
    now = live.clock()
    kept_until = now + live.acceptance.past + KEPT_LONGER
    odd = {_name(key, session): session for session in sessions if session.closed_by in METRICS}
    counted: Counter[str] = Counter()
    concluded = dict(filter(None, (suspect_of(sort.split("#")[2]) for sort in sorts if "#~poke#" in sort)))
    for name, due_at in concluded.items():
        news = _announcement(key, name, odd[name]) if name in odd else None
        if live.watches.conclude(Suspect(key, name, due_at), news, now, kept_until):
            counted[METRICS[odd.pop(name).closed_by]] += 1
    for name, session in odd.items():
        live.watches.suspect(_at(key, session), name, now, kept_until)
    for metric, number in counted.items():
        count(metric, number)


def _at(key: EdgeKey, session: Session) -> EdgeKey:
    return EdgeKey(key.customer, key.meter, key.resource, session.start)


def _name(key: EdgeKey, session: Session) -> str:
    return digest(canonical([key.partition, session.start, session.id, session.closed_by]))


def _announcement(key: EdgeKey, name: str, session: Session) -> Announcement:
    detail = {
        "meter": key.meter,
        "event": session.id,
        "timestamp": format_time(session.start),
        "closed_by": session.closed_by,
    }
    return Announcement(f"anomaly-{name}", "session.anomaly", detail)
