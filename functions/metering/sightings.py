"""Edges that may be one event though they stand with several resources, found by what sessions tell of them. Law 4.1.

What makes two edges the same one says nothing of their resource, and nothing corrects them: so only who looks at the
sessions of many resources can meet them. A fact tells of its session's start, and of the stop that ended it.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from metering.sessions import Session


class Sighting(NamedTuple):
    """An edge that a session tells of.

    Attributes:
        instant: when it happened, in milliseconds.
        mark: 24 bits of its id (`mark_of`).
        resource: 32 bits of the name of its session's resource.
    """

    instant: int
    mark: int
    resource: str


def sightings(sessions: Iterable[Session], start: int, end: int) -> set[Sighting]:
    """The edges in [start, end) that sessions tell of, but for those that were taken back."""
    return {
        Sighting(instant, mark, session.resource[:8])
        for session in sessions
        if session.closed_by != "void"
        for instant, mark in session.edges
        if start <= instant < end
    }


def met(found: Iterable[Sighting]) -> dict[tuple[int, int], list[str]]:
    """What stands with several resources: by instant and mark, the resources in order."""
    first: dict[tuple[int, int], str] = {}
    several: defaultdict[tuple[int, int], set[str]] = defaultdict(set)
    for instant, mark, resource in found:
        edge = instant, mark
        if (known := first.setdefault(edge, resource)) != resource:
            several[edge] |= {known, resource}
    return {edge: sorted(resources) for edge, resources in several.items()}
