"""GET /v1/sessions: what ran, from when to when. Contract: api.md, Reading and acting."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any

from aws_lambda_powertools.event_handler.api_gateway import Response
from pydantic import TypeAdapter

from handlers import _live
from handlers._live import Live
from handlers._paging import Instant, page, place
from handlers._routes import meter_named, needs, query, query_time, required_query, router
from metering.decimals import text
from metering.errors import Invalid
from metering.meters import Meter
from metering.sessions import Session, billed_until, known_at, without_explained
from metering.times import DAY, HOUR, floor, format_time
from metering.windows import latest_sessions

_ANOMALOUS = {"start", "max_duration", "orphan"}
_STATUSES = ("open", "closed", "anomalous")

Place = tuple[Instant, str, str, str]
"""Where a session stands in the list: an instant, its id, its resource and its meter, greatest first."""

# With the instant at which the first page was asked for: how far back the list goes is the same on every page.
_PLACE: TypeAdapter[tuple[Instant, Place]] = TypeAdapter(tuple[Instant, Place])


@dataclass(frozen=True, slots=True)
class _Asked:
    """Whose sessions, of which meters and which interval.

    Attributes:
        start: milliseconds; what still runs is listed though it began before it, unless `began` says otherwise.
        began: the instant from which on what still runs began; None for whenever.
        as_listed: the clock when the first page was asked for.
    """

    customer: str
    meters: Mapping[str, Meter]
    status: str
    start: int
    end: int
    began: int | None
    as_listed: int
    live: Live


@router.get("/v1/sessions")
@needs("read")
def get_sessions() -> Response[str]:
    """The sessions of a customer, of one duration meter or of all of them, newest first.

    Without `from` they go back as far as what they are made of is kept (15 days longer than events are accepted), and
    what still runs is listed however long ago it began. What ran so long that nothing is kept of its start any more
    stands with what started when it ended. A stop that ended nothing is listed as anomalous, and is no session. Where a
    `status` is rare a page may hold fewer rows than `limit`, or none: the list ends where `next` is null.
    """
    live = _live.live
    account = live.catalog.account(required_query("customer"))
    status = query("status")
    if status and status not in _STATUSES:
        raise Invalid("`status` must be open, closed or anomalous")
    after, now = place(_PLACE), live.clock()
    since, until = query_time("from"), query_time("to")
    if since is not None and until is not None and since >= until:
        raise Invalid("`from` must lie before `to`")
    as_listed, last = after or (now, None)
    end = now + 1 if until is None else min(until, now + 1)
    asked = _Asked(
        customer=account.customer.id,
        meters=_meters(live),
        status=status,
        start=max(since or 0, as_listed - live.raw_events.kept_milliseconds),
        end=min(end, last[0] + 1) if last else end,
        began=since,
        as_listed=as_listed,
        live=live,
    )
    ends_at = account.customer.ends_at
    listed = (
        (where, known_at(session, asked.meters[where[3]], now, ends_at), asked.meters[where[3]])
        for where, session in _sessions(asked)
        # An edge counts when its time comes.
        if session.start <= now and (last is None or where < last)
    )
    return page(
        ((as_listed, where), _session_row(session, meter, now) if _is_wanted(session, status) else None)
        for where, session, meter in listed
    )


def _meters(live: Live) -> dict[str, Meter]:
    """Of the meter that is asked for, or of all, those that have sessions."""
    key = query("meter")
    meters = {key: meter_named(key)} if key else live.catalog.meters()
    return {key: meter for key, meter in meters.items() if meter.is_duration}


def _is_wanted(session: Session, status: str) -> bool:
    match status:
        case "open":
            return session.end is None
        case "closed":  # what something odd has ended is closed all the same
            return session.end is not None and session.counts
        case "anomalous":
            return session.closed_by in _ANOMALOUS
        case _:
            return True


def _sessions(asked: _Asked) -> Iterator[tuple[Place, Session]]:
    """The sessions that started in an interval and those that run, newest first, hour by hour as they are taken."""
    kept = asked.live.acceptance.written_since(asked.as_listed)
    running = _running(asked) if asked.status in ("", "open") else {}
    for hour, told in _hours(asked, running):
        found = {(key, session.identity): (session.start, session) for key, session in running.get(hour, ())}
        for key in sorted(told & asked.meters.keys()):
            # What is open by its facts is shown as such, though its window may not tell so yet.
            for session in without_explained(latest_sessions(asked.live.raw_events.facts(asked.customer, key, hour))):
                at = _listed_at(session, kept)
                if max(asked.start, hour) <= at < min(asked.end, hour + HOUR):
                    found[key, session.identity] = (at, session)
        placed = [
            ((at, session.id, session.resource, key), session)
            for (key, _), (at, session) in found.items()
            if session.closed_by != "void"
        ]
        yield from sorted(placed, key=itemgetter(0), reverse=True)


def _listed_at(session: Session, kept: int) -> int:
    """The start of a session; its end once it has ended, if nothing is kept of its start any more."""
    if session.start < kept and session.end is not None and session.counted_until is None:
        return session.end
    return session.start


def _running(asked: _Asked) -> dict[int, list[tuple[str, Session]]]:
    """The running sessions with their meters, by the hour in which they started."""
    found: defaultdict[int, list[tuple[str, Session]]] = defaultdict(list)
    for key, sessions in asked.live.usage.running(asked.customer).items():
        for session in sessions if key in asked.meters else ():
            if session.start < asked.end and (asked.began is None or session.start >= asked.began):
                found[floor(session.start, HOUR)].append((key, session))
    return dict(found)


def _hours(asked: _Asked, running: Mapping[int, object]) -> Iterator[tuple[int, set[str]]]:
    """The hours that can hold anything, newest first, each with the meters of which something is addressed to it.

    They are looked up day by day as they are taken; for running sessions alone there is nothing to look up.
    """
    day, left = floor(asked.end - 1, DAY), sorted(running)
    while asked.meters and asked.status != "open" and day + DAY > asked.start:
        told = asked.live.usage.addressed(asked.customer, max(asked.start, day), min(asked.end, day + DAY))
        for hour in sorted(told.keys() | {hour for hour in left if hour >= day}, reverse=True):
            yield hour, told.get(hour, set())
        left = [hour for hour in left if hour < day]
        day -= DAY
    for hour in reversed(left):
        yield hour, set()


def _session_row(session: Session, meter: Meter, now: int) -> dict[str, Any]:
    given = dict(session.dimensions)
    measured = replace(session, end=now) if session.end is None else session
    status = "anomalous" if session.closed_by in _ANOMALOUS else "open" if session.end is None else "closed"
    return {
        "id": session.id,
        "meter": meter.key,
        "key": {name: given.get(name) for name in meter.session},
        "dimensions": given,
        "start": format_time(session.start),
        "end": None if session.end is None else format_time(session.end),
        "status": status,
        "closed_by": session.closed_by,
        "quantity": text(billed_until(measured, meter, now + 1)),
    }
