"""GET /v1/usage: how much was used, window by window and by some dimensions. Contract: api.md, Reading and acting."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import get_args

from aws_lambda_powertools.event_handler.api_gateway import Response
from pydantic import TypeAdapter

from adapters.usage import Measured
from billing.periods import Period, local_month
from billing.spans import Grid, SpanUnit
from handlers import _live, _minutes
from handlers._live import Live
from handlers._minutes import Asked, Tallies, accrued
from handlers._paging import Instant, not_given, page, place
from handlers._routes import (
    Body,
    meter_named,
    needs,
    query,
    query_time,
    query_timezone,
    query_where,
    required_query,
    router,
)
from handlers._settling import running_period
from metering.decimals import text
from metering.errors import Invalid
from metering.events import Dimensions
from metering.meters import Meter
from metering.times import DAY, HOUR, MINUTE, QUARTER, floor, format_time
from metering.usage import quantity
from metering.windows import Tally, merge_tallies

Place = tuple[Instant, Dimensions]
"""What orders the rows: the start of a window, then the values of the dimensions."""

# With the interval, so that it is the same one on every page.
_PLACE: TypeAdapter[tuple[Instant, Instant, Place]] = TypeAdapter(tuple[Instant, Instant, Place])


@router.get("/v1/usage")
@needs("read")
def get_usage() -> Response[str]:
    """The usage of one meter over an interval, by window and by some of its dimensions."""
    live = _live.live
    customer, meter = required_query("customer"), meter_named(required_query("meter"))
    account = live.catalog.account(customer)
    now = live.clock()
    after = place(_PLACE)
    if after and not after[0] <= after[2][0] < after[1]:
        raise not_given()
    grid = _grid(customer, now, live, after)
    group_by = tuple(dict.fromkeys(name for name in query("group_by").split(",") if name))
    where = query_where()
    unknown = [name for name in (*group_by, *where) if name not in meter.dimensions]
    if unknown:
        raise Invalid(f"the meter has no dimension {', '.join(map(repr, unknown))}")
    asked = Asked(customer, meter, grid, group_by, where, now, account.customer.ends_at, live)
    rows = _rows(asked, after[2] if after else None, fill=_fill())
    return page(
        ([grid.start, grid.end, where], _row(meter, grid.at(where[0]), where[1], tally)) for where, tally in rows
    )


def _fill() -> bool:
    fill = query("fill", "none")
    if fill not in ("none", "zero"):
        raise Invalid("`fill` must be none or zero")
    return fill == "zero"


def _grid(customer: str, now: int, live: Live, after: tuple[int, int, Place] | None) -> Grid:
    """The windows of what `from` and `to` ask for; of the running period unless told, the same one on every page."""
    unit, timezone = query("window", "total"), query_timezone("UTC")
    units: tuple[SpanUnit, ...] = get_args(SpanUnit)
    known = next((each for each in units if each == unit), None)
    if known is None:
        raise Invalid(f"`window` must be one of {', '.join(units)}")
    cut = MINUTE if known == "minute" else QUARTER
    start, end = (after[0], after[1]) if after else _interval(customer, now, live, cut)
    oldest = floor(now - live.raw_events.kept_milliseconds, MINUTE) + MINUTE
    if known == "minute" and start < oldest:
        if query("from") and not after:
            days = live.raw_events.kept_milliseconds // DAY
            raise Invalid(f"minutes can be read for {days} days, as long as the events themselves are kept")
        start = min(oldest, end - MINUTE)
    return Grid(known, timezone, start, end)


def _interval(customer: str, now: int, live: Live, cut: int) -> tuple[int, int]:
    start, end = query_time("from"), query_time("to")
    if start is None or end is None:
        default = running_period(customer, live, now) or local_month("UTC", now)
        start = default.start if start is None else start
        end = default.end if end is None else end
    start, end = floor(start, cut), floor(end, cut)
    if not start < end:
        raise Invalid("`from` must lie before `to`")
    return start, end


def _rows(asked: Asked, last: Place | None, *, fill: bool) -> Iterator[tuple[Place, Tally]]:
    """The rows after a place, in order; no more is read than the rows that are taken need."""
    grid = asked.grid
    first = last[0] if last else grid.start
    found = _minutes.read(asked, first) if grid.unit == "minute" else _measured(asked, first)
    if fill:
        # The combinations of the whole interval, so that each window of a chart has the same ones.
        groups = _groups(asked) if asked.group_by else {()}
        found = _filled(found, asked, groups, first) if groups else found
    for start, tallies in found:
        for group in sorted(tallies):
            if last is None or (start, group) > last:
                yield (start, group), tallies[group]


def _read(asked: Asked, first: int) -> Measured:
    """The fewest windows that cover the interval from `first` on (law 4.4): whole days where they can be used."""
    grid = asked.grid
    whole_until = asked.now - HOUR if grid.falls_on_days else None
    return asked.live.usage.read(asked.customer, first, grid.end, whole_until, (grid.start, grid.end))


def _groups(asked: Asked) -> set[Dimensions]:
    """The combinations that occur in the interval: in its whole quarters of an hour by windows, else by minutes."""
    grid = asked.grid
    first, last = -(-grid.start // QUARTER) * QUARTER, floor(grid.end, QUARTER)
    if first >= last:
        return _groups_by_minutes(asked)
    cut = [_groups_by_minutes(_within(asked, *each)) for each in ((grid.start, first), (last, grid.end))]
    return _groups_of_quarters(_within(asked, first, last)).union(*cut)


def _within(asked: Asked, start: int, end: int) -> Asked:
    return replace(asked, grid=replace(asked.grid, start=start, end=end))


def _groups_by_minutes(asked: Asked) -> set[Dimensions]:
    start, end = asked.grid.start, asked.grid.end
    return {group for _, tallies in _minutes.read(asked, start) for group in tallies} if start < end else set()


def _groups_of_quarters(asked: Asked) -> set[Dimensions]:
    grid, key = asked.grid, asked.meter.key
    measured = _read(asked, grid.start)
    used = {dimensions for quarter, dimensions in measured.slots.get(key, {}) if grid.start <= quarter < grid.end}
    used |= {
        asked.meter.kept(session.dimensions, first)
        for session in measured.open.get(key, ())
        for first, _ in asked.meter.stretches(max(grid.start, session.start), min(grid.end, asked.now + 1))
    }
    return {asked.group(dimensions) for dimensions in used if asked.wants(dimensions)}


def _measured(asked: Asked, first: int) -> Iterator[tuple[int, Tallies]]:
    """The windows of the interval from the one that begins at `first`, from the windows that are kept."""
    grid, meter = asked.grid, asked.meter
    measured = _read(asked, first)
    tallies: defaultdict[Place, list[Tally]] = defaultdict(list)
    slots = {slot: tally for slot, tally in measured.slots.get(meter.key, {}).items() if first <= slot[0] < grid.end}
    starts = grid.starts(quarter for quarter, _ in slots)
    for (quarter, dimensions), tally in slots.items():
        if asked.wants(dimensions):
            tallies[starts[quarter], asked.group(dimensions)].append(tally)
    for session in measured.open.get(meter.key, ()):
        for start, group, tally in accrued(session, asked, first, grid.end):
            tallies[start, group].append(tally)
    windows: defaultdict[int, Tallies] = defaultdict(dict)
    for (start, group), several in tallies.items():
        windows[start][group] = merge_tallies(*several)
    yield from sorted(windows.items())


def _filled(
    found: Iterator[tuple[int, Tallies]], asked: Asked, groups: Iterable[Dimensions], first: int
) -> Iterator[tuple[int, Tallies]]:
    """A gap is a window that has begun and in which a combination of the interval used nothing."""
    waiting = next(found, None)
    for window in asked.grid.windows(first):
        begun = window.start <= asked.now
        if waiting is None and not begun:
            return
        tallies = {group: Tally() for group in groups} if begun else {}
        if waiting and waiting[0] == window.start:
            tallies |= waiting[1]
            waiting = next(found, None)
        yield window.start, tallies


def _row(meter: Meter, window: Period, group: Dimensions, tally: Tally) -> Body:
    return {
        "start": format_time(window.start),
        "end": format_time(window.end),
        "dimensions": dict(group),
        "quantity": text(quantity(meter.aggregation, tally)),
        "events": tally.events,
    }
