"""GET /v1/events: what was sent, as long as it is kept. Contract: api.md, Reading and acting."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial

from aws_lambda_powertools.event_handler.api_gateway import Response
from pydantic import TypeAdapter

from handlers import _live
from handlers._live import Live
from handlers._minutes import fits
from handlers._paging import Instant, page, place
from handlers._routes import Body, meter_named, needs, query_limit, query_time, query_where, required_query, router
from metering.errors import Invalid
from metering.events import Event
from metering.meters import Meter
from metering.sessions import resource_of
from metering.times import DAY, HOUR, floor
from metering.windows import Fact

_MOST_SUPERSEDED = 20

Place = tuple[Instant, str, str]
"""What orders the rows: timestamp, resource (of edges) and id, greatest first."""

_PLACE: TypeAdapter[Place] = TypeAdapter(Place)


@dataclass(frozen=True, slots=True)
class _Asked:
    """Whose events of which interval with which dimensions, and how many at most."""

    customer: str
    meter: Meter
    start: int
    end: int
    where: Mapping[str, str | None]
    limit: int
    now: int
    live: Live


@router.get("/v1/events")
@needs("read")
def get_events() -> Response[str]:
    """The events of a customer and meter, newest first: of each the version that holds, and those that it replaced.

    Usage events are there once they are accepted and their hour is folded, edges of sessions once they are paired.
    """
    live = _live.live
    customer, meter = required_query("customer"), meter_named(required_query("meter"))
    customer = live.catalog.account(customer).customer.id
    now = live.clock()
    since, until = query_time("from"), query_time("to")
    start = max(since or 0, now - live.raw_events.kept_milliseconds)
    end = now + live.acceptance.future + 1
    end = end if until is None else min(end, until)
    if since is not None and until is not None and not since < until:
        raise Invalid("`from` must lie before `to`")
    last = place(_PLACE)
    if last:
        end = min(end, last[0] + 1)
    asked = _Asked(customer, meter, start, end, query_where(), query_limit(), now, live)
    found = _edges(asked, last) if meter.is_duration else _usage(asked)
    return page((where, row) for where, row in found if last is None or where < last)


def _usage(asked: _Asked) -> Iterator[tuple[Place, Body]]:
    for hour in _hours(asked):
        first, last = max(asked.start, hour), min(asked.end, hour + HOUR) - 1
        read = asked.live.raw_events.minutes
        for _, events in read(asked.customer, asked.meter.key, hour, first, last, newest_first=True):
            wanted = ((event, "") for event in events if first <= event.timestamp <= last)
            yield from _rows(wanted, lambda _: "", asked.where)


def _hours(asked: _Asked) -> Iterator[int]:
    """The hours that can hold anything, newest first, looked up day by day as they are taken."""
    # What has just arrived may not be folded yet.
    recent = set(range(floor(asked.now, HOUR) - HOUR, asked.now + asked.live.acceptance.future + 1, HOUR))
    day = floor(asked.end - 1, DAY)
    while day + DAY > asked.start:
        # An edge at the first instant of an hour is told of by the hour before, in which its session ended.
        first = day - HOUR if asked.meter.is_duration else day
        hours = set(asked.live.usage.hours(asked.customer, asked.meter.key, max(0, first), day + DAY))
        if asked.meter.is_duration:
            hours |= {hour + HOUR for hour in hours}
        for hour in sorted(hours | recent, reverse=True):
            if day <= hour < day + DAY and asked.start < hour + HOUR and hour < asked.end:
                yield hour
        day -= DAY


def _edges(asked: _Asked, last: Place | None) -> Iterator[tuple[Place, Body]]:
    """Edges lie in the partitions of their resources; which these are, facts tell (law 4.5)."""

    @lru_cache(maxsize=2)
    def facts(hour: int) -> list[Fact]:
        return list(asked.live.raw_events.facts(asked.customer, asked.meter.key, hour))

    for hour in _hours(asked):
        told = {
            (instant, session.resource)
            for session in (fact.session for each in (hour, hour - HOUR) for fact in facts(each))
            for instant in (session.start, session.end)
            if instant is not None and max(asked.start, hour) <= instant < min(asked.end, hour + HOUR)
        }
        places = sorted((each for each in told if last is None or each <= last[:2]), reverse=True)
        for begin in range(0, len(places), asked.limit + 1):
            yield from _edges_at(asked, places[begin : begin + asked.limit + 1])


def _edges_at(asked: _Asked, places: list[tuple[int, str]]) -> Iterator[tuple[Place, Body]]:
    """The edges at some instants of some resources, one query for each resource."""
    instants: defaultdict[str, set[int]] = defaultdict(set)
    for instant, resource in places:
        instants[resource].add(instant)
    edges = [
        (edge, resource)
        for resource, wanted in instants.items()
        for edge in asked.live.raw_events.edges(asked.customer, asked.meter.key, resource, min(wanted), max(wanted))
        if edge.timestamp in wanted
    ]
    yield from _rows(edges, partial(resource_of, asked.meter), asked.where)


def _rows(
    events: Iterable[tuple[Event, str]],
    resource_of_event: Callable[[Event], str],
    where: Mapping[str, str | None],
) -> Iterator[tuple[Place, Body]]:
    """A row for each event, newest first: the version that holds, if it is asked for, with those that it replaced.

    The versions of a corrected edge stand with every resource of theirs: the row is where the one that holds belongs.
    """
    versions: defaultdict[Place, set[Event]] = defaultdict(set)
    for event, resource in events:
        versions[event.timestamp, resource, event.id].add(event)
    for at in sorted(versions, reverse=True):
        holder, *superseded = sorted(versions[at], key=Event.precedence, reverse=True)
        if resource_of_event(holder) != at[1] or not fits(holder.dimensions, where):
            continue
        yield (
            at,
            {
                **holder.as_json(),
                "status": "void" if holder.void else "live",
                "superseded": [event.as_json() for event in superseded[:_MOST_SUPERSEDED]],
            },
        )
