"""One hour of a meter as it is kept in the Usage table: which items, and what of them a refresh needs. Law 4.3.

An hour is kept in one of three ways, and never goes back. With few segments it is folded whole. Then its last minutes
are kept inside its item (`minutes` is `inside`), and only those that something came to are folded again. Once that
does not do, because so many combinations do not fit or something came to a minute that is sealed, its minutes are
items of their own (`apart`). The running sessions are one list whichever way: of each its minute is known.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from adapters.windows import Window
from metering.minutes import Minutes
from metering.sessions import Session
from metering.times import DAY, hour_name
from metering.window_items import unpack_minutes, unpack_sessions

LAST = "\U0010ffff"
"""Behind every sort key that begins with what stands before it."""


@dataclass(frozen=True, slots=True)
class Hour:
    """Which hour of a customer's meter.

    Attributes:
        name: as the keys have it, `2026-11-20T16`.
        tied_by: the meter's session dimensions.
    """

    customer: str
    meter: str
    name: str
    tied_by: Sequence[str] = ()

    @property
    def sort(self) -> str:
        """The sort key of its window."""
        return f"hour#{self.name}#{self.meter}"

    @property
    def open_sort(self) -> str:
        """The sort key of its running sessions."""
        return f"open#{self.name}#{self.meter}"

    def minute_sort(self, minute: str) -> str:
        """The sort key of one of its minutes (`05`): not between the hours and the open ones, which are one stretch."""
        return f"by-minute#{self.meter}#{self.name}:{minute}"


@dataclass(frozen=True, slots=True)
class Stored:
    """What was stored of an hour before its inputs were read: the condition of writing it (law 4.3)."""

    window: Window | None
    open: Window | None

    @property
    def kept(self) -> Literal["whole", "inside", "apart"]:
        """How the hour is kept (see the module)."""
        kept = "whole" if self.window is None else self.window.head.get("minutes", "whole")
        return "whole" if kept == "whole" else "inside" if kept == "inside" else "apart"

    @property
    def bytes(self) -> int:
        """The size of its window's parts: what a refresh reads, and rewrites at the most."""
        return sum(map(len, self.window.parts)) if self.window else 0

    def minutes(self) -> Minutes:
        """The hour with its last minutes; nothing for an hour that is not kept with them.

        Raises:
            Unreadable: the window is damaged.
        """
        return unpack_minutes(self.window.parts[0]) if self.window and self.kept == "inside" else Minutes()

    def running(self) -> list[Session]:
        """The hour's running sessions.

        Raises:
            Unreadable: they are damaged.
        """
        return sessions_of([self.open]) if self.open else []


def sessions_of(windows: Iterable[Window]) -> list[Session]:
    """The running sessions that some windows hold.

    Raises:
        Unreadable: one is damaged.
    """
    return [session for window in windows for part in window.parts for session in unpack_sessions(part)]


def last_key_before(end: int) -> str:
    """The last sort key of the hours before an instant."""
    return f"hour#{hour_name(end - 1)}#{LAST}"


def stretches(start: int, end: int | None, days: Sequence[int]) -> list[tuple[str, str]]:
    """The sort keys between which the hours stand that some days leave, then those of the running sessions."""
    keys = []
    for day in days:
        if start < day:
            keys.append((f"hour#{hour_name(start)}#", last_key_before(day)))
        start = day + DAY
    if end is None:
        return [*keys, (f"hour#{hour_name(start)}#", f"open#{LAST}")]
    if start < end:
        keys.append((f"hour#{hour_name(start)}#", last_key_before(end)))
    return [*keys, ("open#", f"open#{LAST}")]
