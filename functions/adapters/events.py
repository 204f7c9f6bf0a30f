"""The Events table: segments, facts, edges, pokes and what was published of long sessions. Laws 4.2, 4.5 and 4.8.

| kind | partition | sort key |
|---|---|---|
| usage | `customer#meter#hour` | `minute#hash-of-content` |
| facts | `customer#meter#hour` | `minute#facts#hash-of-content`: of the minute in which their sessions start |
| sightings | `customer#meter#hour` | `minute#seen#hash-of-content`: see `adapters.sightings` |
| edge | `customer#meter#resource` | `timestamp#id#revision#hash-of-content` |
| edge, a correction | `customer#meter#~hour`, and from there as above | `timestamp#id#revision#hash-of-content` |
| published | `customer#meter#resource` | `timestamp#id#~` (beside the session's start edge) |
| poke | `customer#meter#resource` | `timestamp#~poke#reason` |
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, groupby, islice
from typing import Any

from adapters.items import ConditionFailed, Equals, Item, Put, Table, binary, integer, string
from metering.arrival import event_from_json
from metering.errors import Unavailable, Unreadable
from metering.events import Event, live
from metering.meters import Meter
from metering.packing import canonical, digest
from metering.segments import Segment, unpack
from metering.sessions import at_home
from metering.sightings import Sighting
from metering.times import DAY, MINUTE, floor
from metering.window_items import unpack_facts, unpack_sightings
from metering.windows import Fact

_Home = Callable[[Iterable[Event]], list[Event]]
"""What edges say of the resource that is looked at (`at_home`)."""

_EDGES = ("edge", "published")  # the second keeps the start edge of a session
KEPT_LONGER = 15 * DAY
"""How long a segment outlives `accept_past` (law 4.8)."""

_PAGE = 16
"""Edges that are read at once: about four kilobytes, one read unit."""


@dataclass(frozen=True, slots=True)
class EdgeKey:
    """Which edge a stream record tells of: its resource's partition and its instant."""

    customer: str
    meter: str
    resource: str
    timestamp: int

    @property
    def partition(self) -> str:
        """The partition that all edges of the resource share."""
        return f"{self.customer}#{self.meter}#{self.resource}"


@dataclass(frozen=True, slots=True)
class Published:
    """What is remembered of a session whose facts reached beyond the hour of its start.

    Attributes:
        end: the furthest instant that facts ever reached; it never goes back.
        rolled: up to where the facts of its past days are written and hold whatever its end; 0 if none do.
        said: a digest of what it was published with, apart from its end.
        version: raised by every write; the condition of the next one.
    """

    end: int
    rolled: int
    said: str
    version: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """The edges of one resource around some instants, and what was published of the sessions among them.

    Attributes:
        edges: all that decide about the sessions that start in it, for `at_home`; a start edge that has expired while
            its session runs is kept with what was published.
        published: by start and id of a session.
        end: where what follows does not depend on these edges any more; None if nothing follows.
    """

    edges: tuple[Event, ...]
    published: dict[tuple[int, str], Published]
    end: int | None


@dataclass(slots=True)
class Addressed:
    """What is addressed to an hour or a minute: events, facts, the minutes they stand in, and their size in bytes.

    And which edges were noted there (`adapters.sightings`).
    """

    events: list[Event] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    sightings: set[Sighting] = field(default_factory=set)
    minutes: set[str] = field(default_factory=set)
    bytes: int = 0


class Events:
    """What happened. Append-only: a put of the same content changes nothing and is no stream record."""

    def __init__(self, table: Table, accept_past_milliseconds: int) -> None:
        self._table = table
        self._kept = accept_past_milliseconds + KEPT_LONGER

    def add(self, segments: Iterable[Segment], edges: Iterable[tuple[str, Event]] = ()) -> list[Item]:
        """Write segments of usage and edges (with their resources); returns the items that were not taken."""
        items = [self._segment("usage", segment) for segment in segments]
        items += [self._edge(resource, event) for resource, event in edges]
        return self._table.put_many(items)

    def add_facts(self, segments: Iterable[Segment]) -> list[Item]:
        """Write segments of facts; returns the items that were not taken."""
        return self._table.put_many([self._segment("facts", segment) for segment in segments])

    def poke(self, key: EdgeKey, reason: str) -> None:
        """Make pair compute the sessions around an instant again; the same poke twice is one."""
        item: Item = {"pk": key.partition, "sk": f"{key.timestamp:013d}#~poke#{reason}", "kind": "poke"}
        self._table.put(Put(item | {"ttl": self._ttl(key.timestamp)}))

    def hour(self, customer: str, meter: str, hour: str, minute: str = "") -> Addressed:
        """Read everything that is addressed to an hour, or to one minute (`05`) of it.

        Raises:
            Unreadable: an item is damaged.
        """
        addressed = Addressed()
        last = f"{minute}$" if minute else "\U0010ffff"  # `$` comes right after the `#` behind a minute
        for item in self._table.query(f"{customer}#{meter}#{hour}", f"{minute}#" if minute else "", last):
            data = binary(item, "data")
            addressed.bytes += len(data)
            addressed.minutes.add(string(item, "sk")[:2])
            if item["kind"] == "usage":
                addressed.events += unpack(string(item, "pk"), integer(item, "minute"), data)
            elif item["kind"] == "facts":
                addressed.facts += unpack_facts(data)
            else:
                addressed.sightings |= unpack_sightings(data)
        return addressed

    def around(self, key: EdgeKey, meter: Meter, first: int, last: int) -> Neighbourhood:
        """Read the edges of a resource from the live start before `first` to the live start after `last`.

        That is all that the sessions starting between them, and the one running as they begin, depend on. Where a
        start and a stop share an instant, what they mean depends on what ran before them: so it goes on, both ways, to
        a start that stands alone.

        Nearly always that is among the resource's newest edges, which one page holds: one read unit instead of three.
        """
        home = partial(at_home, meter=meter, resource=key.resource)
        newest = list(islice(self._table.query(key.partition, newest_first=True, page=_PAGE), _PAGE))
        oldest = _instant(newest[-1]) if len(newest) == _PAGE else -1  # of the page; nothing is older than -1
        if last < oldest:
            after, end = _until_a_start(self._table.query(key.partition, f"{last + 1:013d}", page=_PAGE), home)
            older: Iterator[Item] = self._table.query(
                key.partition, last=f"{last + 1:013d}", newest_first=True, page=_PAGE
            )
        else:
            after, end = _until_a_start((item for item in reversed(newest) if _instant(item) > last), home)
            older = (item for item in newest if oldest < _instant(item) <= last)
            if oldest >= 0:  # the page may have cut its oldest instant in two, so that one is read again, whole
                rest = self._table.query(key.partition, last=f"{oldest + 1:013d}", newest_first=True, page=_PAGE)
                older = chain(older, rest)
        items = [*_back_to_a_start(older, first, home), *after]
        return Neighbourhood(
            edges=tuple(read_edge(item) for item in items if item["kind"] in _EDGES),
            published={
                read_edge(item).identity: _read_published(item) for item in items if item["kind"] == "published"
            },
            end=end,
        )

    def publish(self, key: EdgeKey, start: Event, told: Published) -> Published:
        """Remember of a session how far its facts reach, on the condition of the version that was read.

        Its start edge is kept along, so that a session can outlive it.

        Raises:
            Unavailable: somebody else remembered something else meanwhile.
        """
        written = replace(told, version=told.version + 1)
        item: Item = {
            "pk": key.partition,
            "sk": f"{start.timestamp:013d}#{start.id}#~",
            "kind": "published",
            "body": _body(start),
            "end": written.end,
            "rolled": written.rolled,
            "said": written.said,
            "version": written.version,
            "ttl": self._ttl(written.end),
        }
        try:
            self._table.put(Put(item, Equals("version", told.version or None)))
        except ConditionFailed:
            raise Unavailable("the resource is being paired by others") from None
        return written

    def _segment(self, kind: str, segment: Segment) -> Item:
        return {
            "pk": segment.partition,
            "sk": segment.sort,
            "kind": kind,
            "minute": segment.minute,
            "data": segment.data,
            "ttl": self._ttl(segment.minute),
        }

    def _edge(self, resource: str, event: Event) -> Item:
        content = _body(event)
        sort = f"{event.timestamp:013d}#{event.id}#{event.revision:016d}#{digest(content.encode())}"
        return {
            "pk": f"{event.customer}#{event.meter}#{resource}",
            "sk": sort,
            "kind": "edge",
            "body": content,
            "ttl": self._ttl(event.timestamp),
        }

    def _ttl(self, instant: int) -> int:
        """Seconds since 1970; a function of the event's minute alone, so that a re-sent item stays the same."""
        return (floor(instant, MINUTE) + self._kept) // 1000


def _body(event: Event) -> str:
    return canonical(event.as_json()).decode()


def _instant(item: Item) -> int:
    return int(string(item, "sk")[:13])


def _back_to_a_start(newest_first: Iterator[Item], first: int, home: _Home) -> list[Item]:
    """All that is not older than `first`, and of what is older, back to a start that stands alone."""
    taken: list[Item] = []
    for item in newest_first:
        if _instant(item) < first:
            return taken + _until_a_start(chain([item], newest_first), home)[0]
        taken.append(item)
    return taken


def _until_a_start(items: Iterator[Item], home: _Home) -> tuple[list[Item], int | None]:
    """Take items until a whole instant has been read that has a live start and no live stop beside it; which one.

    An instant is whole once the next one begins; until then a revision of its edges may still follow.
    """
    taken: list[Item] = []
    for instant, group in groupby(items, key=lambda item: string(item, "sk")[:13]):
        together = list(group)
        taken += together
        edges = [read_edge(item) for item in together if item["kind"] in _EDGES]
        types = {edge.type for edge in live(home(edges))}
        if "start" in types and "stop" not in types:
            return taken, int(instant)
    return taken, None


def _read_published(item: Item) -> Published:
    return Published(integer(item, "end"), integer(item, "rolled"), string(item, "said"), integer(item, "version"))


def read_edge(item: Item) -> Event:
    """Read an edge back from its item.

    Raises:
        Unreadable: the item is damaged.
    """
    try:
        body: Any = json.loads(string(item, "body"))
        return event_from_json(body)
    except (KeyError, ValueError, TypeError):
        raise Unreadable("the edge cannot be read") from None


def edge_key(item: Item) -> EdgeKey:
    """Which resource and instant an edge or poke is about, from its keys.

    Raises:
        Unreadable: the keys are not of the documented form.
    """
    try:
        customer, meter, resource = string(item, "pk").split("#")
        return EdgeKey(customer, meter, resource, int(string(item, "sk").split("#")[0]))
    except ValueError:
        raise Unreadable("the keys are not those of an edge") from None
