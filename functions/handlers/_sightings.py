"""Whoever folds an hour brings together edges of one identity that count with several resources. Law 4.1.

The fold of a whole hour sees them all. An hour that is kept by its minutes is not read whole: there a session stands in
the minute of its start, and the stop that ended it in a later one is noted in that, once. What is noted comes through
the stream like a fact. So of two such edges whichever is written last is met with the other, as all reads are strong.
"""

from collections import defaultdict
from collections.abc import Iterable

from adapters.events import Addressed
from adapters.hours import Hour
from handlers._corrections import bring_together
from handlers._live import Live
from metering.sightings import Sighting, sightings
from metering.times import HOUR, hour_of_name
from metering.window_items import minute_within
from metering.windows import latest_sessions


def look_into_hour(hour: Hour, addressed: Addressed, live: Live) -> None:
    """Bring together what stands in an hour that is read whole."""
    bring_together(hour.customer, hour.meter, _seen(hour, addressed), live)


def look_into_minute(hour: Hour, minute: str, addressed: Addressed, live: Live) -> None:
    """Bring together what stands in a minute, and note in later minutes which edges its sessions tell of there.

    Raises:
        Unreadable: what was noted in a later minute is damaged.
    """
    seen = _by_minute(hour, _seen(hour, addressed))
    bring_together(hour.customer, hour.meter, seen.pop(minute, set()) | addressed.sightings, live)
    for later in sorted(seen):
        fresh = seen[later] - live.sightings.noted(hour.customer, hour.meter, hour.name, later)
        live.sightings.note(hour.customer, hour.meter, fresh)


def _seen(hour: Hour, addressed: Addressed) -> set[Sighting]:
    start = hour_of_name(hour.name)
    return sightings(latest_sessions(addressed.facts), start, start + HOUR)


def _by_minute(hour: Hour, found: Iterable[Sighting]) -> defaultdict[str, set[Sighting]]:
    start = hour_of_name(hour.name)
    minutes: defaultdict[str, set[Sighting]] = defaultdict(set)
    for each in found:
        minutes[minute_within(start, each.instant)].add(each)
    return minutes
