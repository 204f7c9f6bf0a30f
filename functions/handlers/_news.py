"""What several doors announce in the same words."""

from typing import Any

from billing.settlement import Announcement
from metering.events import Conflict
from metering.packing import canonical, digest
from metering.times import format_time


def conflict_of(conflict: Conflict) -> Announcement:
    """Two contents of one event at one revision; the id is derived from both, so it is told once (law 4.1)."""
    event = conflict.kept
    said = [event.customer, event.meter, event.id, event.timestamp, event.content(), conflict.lost.content()]
    detail: dict[str, Any] = {
        "meter": event.meter,
        "event": event.id,
        "timestamp": format_time(event.timestamp),
        "revision": event.revision,
    }
    return Announcement(f"conflict-{digest(canonical(said))}", "event.conflict", detail)
