"""Routes that read metering: usage and sessions. Contract: api.md, Reading and acting."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import reduce
from zoneinfo import ZoneInfo

from aws_lambda_powertools.event_handler.api_gateway import Response

from billing.periods import Calendar, Period, PeriodUnit, local_month, whole_period
from handlers import _live
from handlers._live import Live
from handlers._routes import (
    Body,
    needs,
    query,
    query_limit,
    query_matching,
    query_time,
    reply,
    required_query,
    router,
)
from metering.decimals import text
from metering.errors import Invalid, NotFound
from metering.events import Dimensions
from metering.meters import Meter
from metering.sessions import Session, billed_until
from metering.times import DAY, HOUR, QUARTER, floor, format_time, hour_name
from metering.windows import Tally, accrued_between, latest_sessions, merge_tallies, quantity

_ANOMALOUS = {"start", "max_duration", "orphan"}
_STATUSES = ("open", "closed", "anomalous")
_UNITS: dict[str, PeriodUnit] = {"day": "day", "month": "month"}

Rows = dict[tuple[int, Dimensions], Tally]


@router.get("/v1/usage")
@needs("read")
def get_usage() -> Response[str]:
    """The usage of one meter over an interval, by window and by some of its dimensions."""
    live = _live.live
    customer, meter = required_query("customer"), _meter_named(required_query("meter"))
    account = live.catalog.account(customer)
    now = live.clock()
    start, end = _interval(customer, now, live)
    window = _window(start, query("window", "total"), query("timezone", "UTC"))
    group_by = [name for name in query("group_by").split(",") if name]
    where = query_matching("where.")
    unknown = [name for name in (*group_by, *where) if name not in meter.dimensions]
    if unknown:
        raise Invalid(f"the meter has no dimension {', '.join(map(repr, unknown))}")
    measured = live.usage.read(customer, start, end)
    tallies: defaultdict[tuple[int, Dimensions], list[Tally]] = defaultdict(list)
    for (quarter, dimensions), tally in measured.slots.get(meter.key, {}).items():
        if start <= quarter < end and where.items() <= dict(dimensions).items():
            tallies[window(quarter).start, _projected(dimensions, group_by)].append(tally)
    for session in measured.open.get(meter.key, ()):
        if where.items() <= dict(session.dimensions).items():
            for part, tally in _accrued(session, meter, (start, end, now, account.customer.ends_at), window):
                tallies[part, _projected(session.dimensions, group_by)].append(tally)
    joined = {key: reduce(merge_tallies, several) for key, several in tallies.items()}
    return _page([_usage_row(meter, window, key, joined[key], end) for key in sorted(joined)])


def _meter_named(key: str) -> Meter:
    meter = _live.live.catalog.meters().get(key)
    if meter is None:
        raise NotFound(f"there is no meter {key!r}")
    return meter


def _interval(customer: str, now: int, live: Live) -> tuple[int, int]:
    """What `from` and `to` ask for, cut to quarters; the running period unless told."""
    wallet = live.ledger.wallet(customer)
    running = next((each.period for each in wallet.periods if not each.closed), None) if wallet else None
    default = running or local_month("UTC", now)
    start, end = query_time("from"), query_time("to")
    start = floor(default.start if start is None else start, QUARTER)
    end = floor(default.end if end is None else end, QUARTER)
    if not start < end:
        raise Invalid("`from` must lie before `to`")
    return start, end


def _window(start: int, window: str, timezone: str) -> Callable[[int], Period]:
    """Which window of the answer an instant falls in."""
    try:
        ZoneInfo(timezone)
    except (KeyError, ValueError, OSError):  # unknown, a path, or the name of a folder
        raise Invalid("`timezone` must be an IANA time zone such as Europe/Berlin") from None
    if window == "total":
        return lambda _: Period(start, 1 << 62)
    if window == "hour":
        return lambda instant: Period(floor(instant, HOUR), floor(instant, HOUR) + HOUR)
    if window in _UNITS:
        calendar = Calendar(_UNITS[window], timezone, 1, 0)
        return lambda instant: whole_period(calendar, instant)
    raise Invalid("`window` must be total, hour, day or month")


def _projected(dimensions: Dimensions, group_by: list[str]) -> Dimensions:
    return tuple(pair for pair in dimensions if pair[0] in group_by)


def _accrued(
    session: Session, meter: Meter, bounds: tuple[int, int, int, int | None], window: Callable[[int], Period]
) -> Iterator[tuple[int, Tally]]:
    """What an open session has used so far in each window."""
    start, end, now, ends_at = bounds
    reached = max(start, session.start)
    while reached < end and reached <= now:
        period = window(reached)
        tally = accrued_between(session, meter, max(period.start, start), min(period.end, end), now, ends_at)
        if tally:
            yield period.start, tally
        reached = period.end


def _usage_row(
    meter: Meter, window: Callable[[int], Period], key: tuple[int, Dimensions], tally: Tally, end: int
) -> Body:
    start, dimensions = key
    return {
        "start": format_time(start),
        "end": format_time(min(window(start).end, end)),
        "dimensions": dict(dimensions),
        "quantity": text(quantity(meter, tally)),
        "events": tally.events,
    }


def _page(rows: list[Body]) -> Response[str]:
    """A page of rows that were computed as a whole; `next` is the place of the first row of the next one."""
    given = query("next", "0")
    if not (given.isascii() and given.isdigit() and len(given) < 10):
        raise Invalid("`next` is not one that this API gave")
    place, limit = int(given), query_limit()
    following = str(place + limit) if place + limit < len(rows) else None
    return reply({"rows": rows[place : place + limit], "next": following})


@router.get("/v1/sessions")
@needs("read")
def get_sessions() -> Response[str]:
    """The sessions of a customer and meter that started in an interval (the last day unless told), newest first."""
    live = _live.live
    customer, meter = required_query("customer"), _meter_named(required_query("meter"))
    status = query("status")
    if status and status not in _STATUSES:
        raise Invalid("`status` must be open, closed or anomalous")
    now = live.clock()
    given_from, given_to = query_time("from"), query_time("to")
    start = now - DAY if given_from is None else given_from
    end = now + live.acceptance.future if given_to is None else given_to
    if not start < end:
        raise Invalid("`from` must lie before `to`")
    found = {} if status == "open" else _published(customer, meter, start, end, live)
    if given_from is None and status in ("", "open"):
        # Whatever still runs is shown, however long ago it began.
        found |= {each.identity: each for each in live.usage.open_sessions(customer, meter.key) if each.start < start}
    if status == "open":
        found |= {each.identity: each for each in live.usage.open_sessions(customer, meter.key) if each.start >= start}
    rows = [_session_row(session, meter, now) for session in found.values()]
    chosen = [row for row in rows if not status or row["status"] == status or (status == "closed" and row["end"])]
    return _page(sorted(chosen, key=lambda row: (row["start"], row["id"]), reverse=True))


def _published(customer: str, meter: Meter, start: int, end: int, live: Live) -> dict[tuple[str, int, str], Session]:
    found: dict[tuple[str, int, str], Session] = {}
    for hour in live.usage.hours(customer, meter.key, start, end):
        for session in latest_sessions(live.events.hour(customer, meter.key, hour_name(hour)).facts):
            if max(start, hour) <= session.start < min(end, hour + HOUR) and session.closed_by != "void":
                found[session.identity] = session
    return found


def _session_row(session: Session, meter: Meter, now: int) -> Body:
    given = dict(session.dimensions)
    until = now if session.end is None else session.end + 1
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
        "quantity": text(billed_until(session, meter, until)),
    }
