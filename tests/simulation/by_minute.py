"""Usage by the minute as the pure function has it: of the events that hold, and of the sessions as `simulate` has them.

Nothing of it is shared with the windows: minutes are found from the events and sessions alone.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

from billing.periods import Period
from billing.spans import Grid
from metering.decimals import text
from metering.events import Dimensions
from metering.meters import Meter
from metering.times import format_time
from metering.usage import quantity
from metering.windows import Tally, fold, merge_tallies, part_of
from tests.simulation.catalogue import METERS, Json
from tests.simulation.record import Expected


def minutes_expected(expected: Expected, grid: Grid) -> list[Json]:
    """Usage by meter, minute and combination of all the meter's dimensions."""
    found = []
    for meter in map(Meter.model_validate, METERS):
        for window in grid.windows(grid.start):
            tallies: defaultdict[Dimensions, list[Tally]] = defaultdict(list)
            for dimensions, tally in _used(expected, meter, window):
                tallies[dimensions].append(tally)
            for dimensions, several in tallies.items():
                tally = merge_tallies(*several)
                found.append(
                    {
                        "meter": meter.key,
                        "start": format_time(window.start),
                        "end": format_time(window.end),
                        "dimensions": dict(dimensions),
                        "quantity": text(quantity(meter.aggregation, tally)),
                        "events": tally.events,
                    }
                )
    return found


def _used(expected: Expected, meter: Meter, window: Period) -> Iterator[tuple[Dimensions, Tally]]:
    for event in expected.events:
        if event.meter == meter.key and window.start <= event.timestamp < window.end:
            ((_, dimensions), tally), *_ = fold(meter, [event]).slots.items()
            yield dimensions, tally
    for session in expected.known.sessions.get(meter.key, ()):
        ran = replace(session, end=expected.now) if session.end is None else session
        part = part_of(ran, meter, window.start, window.end)
        begun = int(window.start <= session.start < window.end)
        if part or begun:
            yield meter.kept(session.dimensions, window.start), Tally(events=begun, quantity=part)
