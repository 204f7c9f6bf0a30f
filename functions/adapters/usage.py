"""The Usage table: windows of hours and the open sessions of each hour. Laws 4.3 and 4.7.

| kind | partition | sort key |
|---|---|---|
| window | `customer` | `hour#2026-11-20T16#meter` |
| open | `customer` | `open#2026-11-20T16#meter` |

One partition holds all of a customer, so one Query reads all meters, and one consumer of the stream sees all windows
of a wallet.
"""

from collections import defaultdict
from dataclasses import dataclass, field

from adapters.items import Equals, Item, Put, Table, binary, integer, string
from metering.sessions import Session
from metering.times import DAY, HOUR, floor, hour_name, hour_of_name
from metering.window_items import pack_sessions, pack_slots, unpack_sessions, unpack_slots
from metering.windows import Slots, merge

_TOMBSTONE_LIFE = 2 * DAY


@dataclass(frozen=True, slots=True)
class Versions:
    """What was stored of an hour before its inputs were read: the condition of writing it (law 4.3)."""

    window: Item | None
    open: Item | None


@dataclass(frozen=True, slots=True)
class Measured:
    """The usage of one customer over some hours, by meter: slots, and the sessions still open."""

    slots: dict[str, Slots] = field(default_factory=dict)
    open: dict[str, list[Session]] = field(default_factory=dict)


class Usage:
    """Windows, each SET on the condition of the version that its refresh began with."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def versions(self, customer: str, meter: str, hour: int) -> Versions:
        """Read what is stored of an hour; call it before reading the hour's inputs."""
        name = hour_name(hour)
        return Versions(
            self._table.get(customer, f"hour#{name}#{meter}"), self._table.get(customer, f"open#{name}#{meter}")
        )

    def put(
        self, customer: str, meter: str, hour: int, folded: tuple[Slots, tuple[Session, ...]], read: Versions, now: int
    ) -> bool:
        """Write an hour's window and open sessions where they changed; says whether anything did.

        What closed leaves the open ones before its usage is in the window, so that a crash in between makes it dip
        and never counts it twice (law 4.7). An emptied item stays for two days, so that its version still guards it.

        Raises:
            ConditionFailed: somebody else refreshed the hour meanwhile.
        """
        slots, sessions = folded
        name = hour_name(hour)
        changed = False
        if sessions or read.open:
            extra: Item = {} if sessions else {"ttl": (now + _TOMBSTONE_LIFE) // 1000}
            changed = self._set(customer, f"open#{name}#{meter}", "open", pack_sessions(sessions), read.open, extra)
        # Also an empty window is kept: it tells that something is addressed to the hour, if only what does not count.
        return self._set(customer, f"hour#{name}#{meter}", "window", pack_slots(slots), read.window, {}) or changed

    def _set(self, customer: str, sort: str, kind: str, data: bytes, stored: Item | None, extra: Item) -> bool:
        if stored and stored["data"] == data:
            return False
        version = integer(stored, "version") if stored else None
        item: Item = {"pk": customer, "sk": sort, "kind": kind, "data": data, "version": (version or 0) + 1, **extra}
        self._table.put(Put(item, Equals("version", version)))
        return True

    def read(self, customer: str, start: int, end: int) -> Measured:
        """Read all meters of a customer: the hours that touch [start, end), then the open sessions.

        Windows come first, so a session that closes in between is missed for a moment and never counted twice.
        """
        slots: defaultdict[str, list[Slots]] = defaultdict(list)
        last = f"hour#{hour_name(max(start, end - 1))}#\U0010ffff"
        for item in self._table.query(customer, f"hour#{hour_name(floor(start, HOUR))}#", last):
            slots[_meter(item)].append(unpack_slots(binary(item, "data")))
        open_sessions: defaultdict[str, list[Session]] = defaultdict(list)
        for item in self._table.query(customer, "open#", "open#\U0010ffff"):
            open_sessions[_meter(item)] += unpack_sessions(binary(item, "data"))
        return Measured({meter: merge(*several) for meter, several in slots.items()}, dict(open_sessions))

    def open_sessions(self, customer: str, meter: str) -> list[Session]:
        """The open sessions of one meter, of the hours that they started in."""
        items = self._table.query(customer, "open#", "open#\U0010ffff")
        return [each for item in items if _meter(item) == meter for each in unpack_sessions(binary(item, "data"))]

    def hours(self, customer: str, meter: str, start: int, end: int) -> list[int]:
        """The hours in [start, end) to which anything of a meter is addressed, newest first."""
        first, last = f"hour#{hour_name(start)}#", f"hour#{hour_name(max(start, end - 1))}#\U0010ffff"
        items = self._table.query(customer, first, last, newest_first=True)
        return [hour_of_name(string(item, "sk").split("#")[1]) for item in items if _meter(item) == meter]

    def has_any(self, customer: str) -> bool:
        """Whether anything was ever measured of a customer."""
        return next(self._table.query(customer), None) is not None


def _meter(item: Item) -> str:
    return string(item, "sk").split("#", 2)[2]
