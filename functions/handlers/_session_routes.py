"""GET /v1/sessions: what ran, from when to when. Contract: api.md, Reading and acting."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from operator import itemgetter
from typing import Any

from aws_lambda_powertools.event_handler.api_gateway import Response

from handlers import _live
from handlers._live import Live
from handlers._paging import page, place
from handlers._routes import Body, meter_named, needs, query, query_time, required_query, router
from metering.decimals import text
from metering.errors import Invalid
from metering.meters import Meter
from metering.sessions import Session, billed_until, known_at, without_explained
from metering.times import DAY, HOUR, floor, format_time
from metering.windows import latest_sessions

_ANOMALOUS = {"start", "max_duration", "orphan"}
_STATUSES = ("open", "closed", "anomalous")


@router.get("/v1/sessions")
@needs("read")
def get_sessions() -> Response[str]:
    """The sessions of a customer and meter that started in an interval (the last day unless told), newest first.

    What still runs is listed however long ago it began, unless `from` is given. What ran so long that nothing is kept
    of its start any more is listed with what started when it ended.
    """
    live = _live.live
    customer, meter = required_query("customer"), meter_named(required_query("meter"))
    status = query("status")
    if status and status not in _STATUSES:
        raise Invalid("`status` must be open, closed or anomalous")
    after, now = place(), live.clock()
    since, until = query_time("from"), query_time("to")
    if since is not None and until is not None and since >= until:
        raise Invalid("`from` must lie before `to`")
    # A page looks back as far as the first one did.
    start = after[0] if after else now - DAY if since is None else since
    end = now + live.acceptance.future if until is None else until
    last = tuple(after[1:]) if after else None
    ends_at = live.catalog.account(customer).customer.ends_at
    running = [
        session
        for session in (live.usage.open_sessions(customer, meter.key) if status in ("", "open") else ())
        if session.start < end and (since is None or session.start >= since)
    ]
    rows = (
        ([start, *where], _session_row(known_at(session, meter, now, ends_at), meter, now))
        for where, session in _sessions(
            customer, meter, (start, min(end, last[0] + 1) if last else end), running, status, live
        )
        # An edge counts when its time comes.
        if session.start <= now and (last is None or where < last)
    )
    return page((where, row) for where, row in rows if _is_wanted(row, status))


Place = tuple[int, str, str]
"""Where a session stands in the list: an instant, its id and its resource."""


def _is_wanted(row: Body, status: str) -> bool:
    # A session that something odd has ended is closed all the same.
    return not status or row["status"] == status or (status == "closed" and row["end"] is not None)


def _sessions(
    customer: str, meter: Meter, bounds: tuple[int, int], running: list[Session], status: str, live: Live
) -> Iterator[tuple[Place, Session]]:
    """The sessions that started in an interval and those that run, newest first, hour by hour as they are taken."""
    start, end = bounds
    kept = live.acceptance.written_since(live.clock())
    opened: defaultdict[int, list[Session]] = defaultdict(list)
    for session in running:
        if session.start < end:
            opened[floor(session.start, HOUR)].append(session)
    hours = set() if status == "open" or start >= end else set(live.usage.hours(customer, meter.key, start, end))
    for hour in sorted(hours | opened.keys(), reverse=True):
        found = {session.identity: (session.start, session) for session in opened[hour]}
        if hour in hours:
            # What is open by its facts is shown as such, though its window may not tell so yet.
            for session in without_explained(latest_sessions(live.raw_events.facts(customer, meter.key, hour))):
                at = _listed_at(session, kept)
                if max(start, hour) <= at < min(end, hour + HOUR):
                    found[session.identity] = (at, session)
        placed = [((at, each.id, each.resource), each) for at, each in found.values() if each.closed_by != "void"]
        yield from sorted(placed, key=itemgetter(0), reverse=True)


def _listed_at(session: Session, kept: int) -> int:
    """The start of a session; its end once it has ended, if nothing is kept of its start any more."""
    if session.start < kept and session.end is not None and session.counted_until is None:
        return session.end
    return session.start


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
