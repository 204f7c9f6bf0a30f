"""The Usage table: windows of hours, of the minutes of some of them, and of days. Laws 4.3, 4.4 and 4.7.

| kind | partition | sort key |
|---|---|---|
| window | `customer` | `hour#2026-11-20T16#meter`; `minutes` says how it is kept, if not folded at once |
| open | `customer` | `open#2026-11-20T16#meter`: the running sessions counted up to that hour |
| minute | `customer` | `by-minute#meter#2026-11-20T16:05`: of an hour whose minutes are items of their own |
| day, late | `customer` | `day#2026-11-20#meter`; `late` if it changed once it was kept |
| closed | `customer` | `day#2026-11-20#`: the placeholder of a day, then its mark |
| chunk | `customer` | behind the head of a large window (`adapters.windows`) |

One partition holds all of a customer, so one Query reads all meters, and one consumer of the stream sees all windows
of a wallet.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property, partial

from adapters.hours import LAST, Hour, Stored, last_key_before, sessions_of, stretches
from adapters.items import Absent, ConditionFailed, Item, Put, Table, string
from adapters.windows import Window, read_window, read_windows, write_window
from metering.errors import TooLarge
from metering.minutes import Minutes
from metering.sessions import Session
from metering.spreading import spread_sessions, spread_slots
from metering.times import DAY, HOUR, floor, format_time, hour_name, hour_of_name
from metering.totals import Totals
from metering.window_items import pack_minutes, unpack_slots
from metering.windows import Slot, Slots, Tally, add_slots, merge

MOST_SLOTS = 500_000
"""Of an hour, each a combination of dimensions in a quarter of an hour: what fits into aggregate's memory."""

_TOMBSTONE_LIFE = 2 * DAY


@dataclass(frozen=True)
class Measured:
    """The usage of one customer over some time, by meter: slots, and the running sessions.

    Attributes:
        unclosed: past days that could have been read whole but had to be read by their hours.
    """

    slots: dict[str, Slots] = field(default_factory=dict)
    open: dict[str, list[Session]] = field(default_factory=dict)
    unclosed: tuple[int, ...] = ()

    @cached_property
    def totals(self) -> Mapping[str, Totals]:
        """What the slots add up to, by meter."""
        return {meter: Totals(slots) for meter, slots in self.slots.items()}


class Usage:
    """Windows, each SET on the condition of the version that its refresh began with."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def stored(self, hour: Hour, *, of_sessions: bool) -> Stored:
        """Read what is stored of an hour; call it before reading the hour's inputs.

        Only the meters of sessions have running ones.
        """
        window = read_window(self._table, hour.customer, hour.sort)
        return Stored(window, read_window(self._table, hour.customer, hour.open_sort) if of_sessions else None)

    def put(
        self,
        hour: Hour,
        usage: Slots | Minutes,
        sessions: Sequence[Session],
        read: Stored,
        now: int,
        *,
        apart: bool = False,
    ) -> bool:
        """Write an hour's window and running sessions where they changed; says whether anything did.

        What closed leaves the running ones before its usage is in the window, so that a crash in between makes it dip
        and never counts it twice (law 4.7). An emptied item stays for two days, so that its version still guards it;
        an empty window stays, and tells that something is addressed to the hour, if only what does not count.

        Args:
            hour: which.
            usage: all of it; its last minutes apart, if they are to be kept inside.
            sessions: the running ones.
            read: what was stored before the inputs were read.
            now: milliseconds.
            apart: whether its minutes are items of their own.

        Raises:
            ConditionFailed: somebody else refreshed the hour meanwhile.
            Unavailable: the table did not take everything.
        """
        changed = False
        if sessions or (read.open and "ttl" not in read.open.head):
            extra: Item = {} if sessions else {"ttl": (now + _TOMBSTONE_LIFE) // 1000}
            packs = partial(spread_sessions, sessions, hour.tied_by)
            changed = write_window(self._table, hour.customer, hour.open_sort, "open", packs, read.open, extra)
        by_minutes = "inside" if isinstance(usage, Minutes) else "apart" if apart else ""
        mark: Item = {"minutes": by_minutes} if by_minutes else {}
        packs = partial(_packed, usage)
        return write_window(self._table, hour.customer, hour.sort, "window", packs, read.window, mark) or changed

    def minute(self, hour: Hour, minute: str) -> Window | None:
        """Read what is stored of a minute that is an item of its own; call it before reading the minute's inputs."""
        return read_window(self._table, hour.customer, hour.minute_sort(minute))

    def put_minute(self, hour: Hour, minute: str, slots: Slots, read: Window | None) -> None:
        """Write a minute as an item of its own, where it changed and there was ever anything in it.

        Raises:
            ConditionFailed: somebody else refreshed the minute meanwhile.
            Unavailable: the table did not take everything.
        """
        if slots or read:
            spread = partial(spread_slots, slots)
            write_window(self._table, hour.customer, hour.minute_sort(minute), "minute", spread, read, {})

    def minutes(self, hour: Hour) -> Slots:
        """Merge what is stored of an hour's minutes that are items of their own.

        Raises:
            TooLarge: they hold more than an hour's window may; they stay as they are, and so does the window.
        """
        first = hour.minute_sort("")
        whole: dict[Slot, Tally] = {}
        for window in read_windows(self._table, hour.customer, first, f"{first}{LAST}"):
            for part in window.parts:
                add_slots(whole, unpack_slots(part))
                if len(whole) > MOST_SLOTS:
                    raise TooLarge(
                        f"an hour holds at most {MOST_SLOTS} combinations of dimensions by quarter of an hour"
                    )
        return whole

    def read(
        self,
        customer: str,
        start: int,
        end: int | None,
        whole_until: int | None = None,
        cuts: Iterable[int] = (),
    ) -> Measured:
        """Read all meters of a customer: what touches [start, end), then the running sessions.

        Windows come first, so a session that closes in between is missed for a moment and never counted twice.

        Args:
            customer: whose.
            start: milliseconds.
            end: milliseconds; None for all that is there, which takes one Query less.
            whole_until: days that end by then may be read as wholes, their usage standing at the day's start; none
                without it.
            cuts: instants at which the usage must be cuttable: the days around them are read by their hours.
        """
        until = whole_until if end is None or whole_until is None else min(end, whole_until)
        cut_days = {floor(cut, DAY) for cut in cuts if cut % DAY}

        def may_be_whole(day: int) -> bool:
            return until is not None and start <= day <= until - DAY and day not in cut_days

        days = self._closed_days(customer, start, until, may_be_whole)
        shared: dict[str, str] = {}
        slots: defaultdict[str, list[Slots]] = defaultdict(list)
        for windows in days.values():
            for window in windows:
                slots[_meter(window)].append(_unpacked(window, shared))
        touched: set[int] = set()
        running: defaultdict[str, list[Session]] = defaultdict(list)
        for first, last in stretches(floor(start, HOUR), end, sorted(days)):
            for window in read_windows(self._table, customer, first, last):
                grain, hour, meter = window.sort.split("#", 2)
                if grain == "open":
                    running[meter] += sessions_of([window])
                else:
                    slots[meter].append(_unpacked(window, shared))
                    touched.add(floor(hour_of_name(hour), DAY))
        unclosed = tuple(filter(may_be_whole, sorted(touched)))
        return Measured({meter: merge(*several) for meter, several in slots.items()}, dict(running), unclosed)

    def _closed_days(
        self, customer: str, start: int, until: int | None, may_be_whole: Callable[[int], bool]
    ) -> dict[int, list[Window]]:
        """The days that are kept as wholes and may be read so, with their windows."""
        if until is None or until - start < DAY:
            return {}
        days: dict[int, list[Window]] = {}
        marked: set[int] = set()
        for window in read_windows(self._table, customer, f"day#{_day(start)}#", f"day#{_day(until)}#"):
            day = hour_of_name(f"{window.sort.split('#')[1]}T00")
            if window.head["kind"] != "closed":
                days.setdefault(day, []).append(window)
            elif window.head["state"] == "closed":
                marked.add(day)
        return {day: days.get(day, []) for day in filter(may_be_whole, marked)}

    def is_marked(self, customer: str, day: int) -> bool:
        """Whether a day is kept as a whole, or about to be: then a change of its hours has to reach it."""
        return self._table.get(customer, f"day#{_day(day)}#") is not None

    def close_day(self, customer: str, day: int, *, late: bool = False) -> None:
        """Keep a day that is over as a whole: the placeholder first, then what its hours hold, then its mark.

        Whoever refreshes one of its hours after the placeholder is there refreshes the day too; whoever did before is
        read here. Doing it twice is doing it once.

        Args:
            customer: whose.
            day: its start.
            late: whether an hour has just changed: who was told of that may have read the day without it, so the
                change of the day is told too, by its kind.

        Raises:
            Unavailable: the hours were being rewritten all the time.
        """
        mark: Item = {"pk": customer, "sk": f"day#{_day(day)}#", "kind": "closed", "state": "closing"}
        with suppress(ConditionFailed):  # closing or closed already: the rest is harmless to repeat
            self._table.put(Put(mark, Absent()))
        while not self._refresh_day(customer, day, late=late):
            continue
        self._table.put(Put({**mark, "state": "closed"}))

    def _refresh_day(self, customer: str, day: int, *, late: bool) -> bool:
        """Merge a day anew from its hours; says whether nobody else did meanwhile."""
        first, first_hour = f"day#{_day(day)}#", f"hour#{_day(day)}T"
        days = {window.sort: window for window in read_windows(self._table, customer, first, f"{first}{LAST}")}
        hours: defaultdict[str, list[Slots]] = defaultdict(list)
        for window in read_windows(self._table, customer, first_hour, f"{first_hour}{LAST}"):
            hours[f"{first}{_meter(window)}"] += map(unpack_slots, window.parts)
        try:
            for sort, slots in hours.items():
                whole = merge(*({(day, dimensions): tally} for (_, dimensions), tally in merge(*slots).items()))
                kind = "late" if late or sort in days else "day"
                write_window(self._table, customer, sort, kind, partial(spread_slots, whole), days.get(sort), {})
        except ConditionFailed:
            return False
        return True

    def running(self, customer: str) -> dict[str, list[Session]]:
        """The running sessions, by meter."""
        found: defaultdict[str, list[Session]] = defaultdict(list)
        for window in read_windows(self._table, customer, "open#", f"open#{LAST}"):
            found[_meter(window)] += sessions_of([window])
        return dict(found)

    def open_sessions(self, customer: str, meter: str) -> list[Session]:
        """The running sessions of one meter."""
        return self.running(customer).get(meter, [])

    def addressed(self, customer: str, start: int, end: int) -> dict[int, set[str]]:
        """The hours in [start, end) to which anything is addressed, newest first, each with its meters."""
        first, last = f"hour#{hour_name(start)}#", last_key_before(max(start + 1, end))
        found: defaultdict[int, set[str]] = defaultdict(set)
        for item in self._table.query(customer, first, last, newest_first=True):
            if item["kind"] == "window":
                _, hour, meter = string(item, "sk").split("#")
                found[hour_of_name(hour)].add(meter)
        return dict(found)

    def hours(self, customer: str, meter: str, start: int, end: int) -> list[int]:
        """The hours in [start, end) to which anything of a meter is addressed, newest first."""
        return [hour for hour, meters in self.addressed(customer, start, end).items() if meter in meters]

    def has_any(self, customer: str) -> bool:
        """Whether anything was ever measured of a customer."""
        return next(self._table.query(customer), None) is not None


def _unpacked(window: Window, shared: dict[str, str]) -> Slots:
    """A window put together before the next one is read, so that of a large one no more is held than what it is."""
    return merge(*(unpack_slots(part, shared) for part in window.parts))


def _packed(usage: Slots | Minutes, count: int) -> list[bytes]:
    return [pack_minutes(usage)] if isinstance(usage, Minutes) else spread_slots(usage, count)


def _meter(window: Window) -> str:
    return window.sort.split("#", 2)[2]


def _day(instant: int) -> str:
    return format_time(floor(instant, DAY))[:10]
