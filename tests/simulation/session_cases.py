"""The table of the cases of sessions: which edges are sent, and the sessions and quantities that are to come of them.

Everything expected here was worked out by hand, in milliseconds; nothing is computed by what is tested.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from metering.times import MINUTE, SECOND, format_time, parse_time

Json = dict[str, Any]
Ran = tuple[str, str, str | None, str, int]
"""A session: its machine, start, end, why it ended and its quantity; a stop that ended nothing is an `orphan`."""


@dataclass(frozen=True)
class Case:
    """One row.

    Attributes:
        edges: native events of the one meter, in the order of their time; `arrives` is when one is sent where that
            matters, as late edges do.
        sessions: what is told at `now`, in order of start.
        quantity: of all of them.
        meter: what its meter says besides.
        parts: what falls in windows: the window, its time zone, and for each its start, end and quantity.
        customer: what the customer says besides; the first of two is written at `begin`, the second is a patch of then.
        billed: the quantities on the lines of its invoices and of the running draft, in minutes.
        lived: whether its edges are too far apart to be sent at once.
    """

    name: str
    edges: tuple[Json, ...]
    sessions: tuple[Ran, ...]
    quantity: int
    now: str = "16:00"
    meter: Mapping[str, Any] = field(default_factory=dict)
    parts: tuple[tuple[str, str, tuple[tuple[str, str, int], ...]], ...] = ()
    customer: tuple[Json, ...] = ()
    begin: str = ""
    billed: tuple[str, ...] = ()
    lived: bool = False


def instant(written: str) -> int:
    """An instant of 2026-11-20, or of the day that is written before it."""
    day, _, time = written.rpartition("T")
    return parse_time(f"{day or '2026-11-20'}T{time}{'' if time.count(':') == 2 else ':00'}Z")


def edge(kind: str, at: str, vm: str, fields: Json) -> Json:
    dimensions = {"vm": vm} | fields.pop("dimensions", {})
    known: Json = {"id": f"{kind}-{at}", "type": kind, "timestamp": format_time(instant(at)), "dimensions": dimensions}
    return known | {"customer": "acme", "meter": "runtime"} | fields


def start(at: str, vm: str = "1", **fields: Any) -> Json:
    return edge("start", at, vm, fields)


def stop(at: str, vm: str = "1", **fields: Any) -> Json:
    return edge("stop", at, vm, fields)


def void(taken_back: Json, **fields: Any) -> Json:
    return taken_back | {"revision": 1, "void": True} | fields


def ran(begin: str, end: str | None, closed_by: str, quantity: int, vm: str = "1") -> Ran:
    written = None if end is None else format_time(instant(end))
    return vm, format_time(instant(begin)), written, closed_by, quantity


OF_SIX_HOURS = {"max_duration": "6h"}
OF_A_MINUTE = {"minimum": "1m"}
WEIGHED = {"weight": "gb"}

CASES = [
    Case("a stop before any start", (stop("15:05"), start("15:35")),
         (ran("15:05", "15:05", "orphan", 0), ran("15:35", None, "open", 1_500_000)), 1_500_000),
    Case("stop first, its start later", (start("15:05", arrives="15:50"), stop("15:35", arrives="15:40")),
         (ran("15:05", "15:35", "stop", 1_800_000),), 1_800_000),
    Case("start twice, then a stop", (start("15:05"), start("15:20"), stop("15:35")),
         (ran("15:05", "15:20", "start", 900_000), ran("15:20", "15:35", "stop", 900_000)), 1_800_000),
    Case("start twice, without a stop", (start("15:05"), start("15:20")),
         (ran("15:05", "15:20", "start", 900_000), ran("15:20", None, "open", 2_400_000)), 3_300_000),
    Case("the same start twice", (start("15:05"), start("15:05"), stop("15:35")),
         (ran("15:05", "15:35", "stop", 1_800_000),), 1_800_000),
    Case("stop twice", (start("15:05"), stop("15:20"), stop("15:35")),
         (ran("15:05", "15:20", "stop", 900_000), ran("15:35", "15:35", "orphan", 0)), 900_000),
    Case("the same stop twice", (start("15:05"), stop("15:20"), stop("15:20")),
         (ran("15:05", "15:20", "stop", 900_000),), 900_000),
    Case("stop without start", (stop("15:35"),), (ran("15:35", "15:35", "orphan", 0),), 0),
    Case("start without stop", (start("15:05"),), (ran("15:05", None, "open", 3_300_000),), 3_300_000),
    Case("start without stop, weighed", (start("15:05", dimensions={"gb": "2.5"}),),
         (ran("15:05", None, "open", 8_250_000),), 8_250_000, meter=WEIGHED),
    Case("start without stop, within max_duration", (start("10:00:00.001"),),
         (ran("10:00:00.001", None, "open", 21_599_999),), 21_599_999, meter=OF_SIX_HOURS),
    Case("start without stop, up to max_duration", (start("10:00"),),
         (ran("10:00", "16:00", "max_duration", 21_600_000),), 21_600_000, meter=OF_SIX_HOURS),
    Case("start without stop, beyond max_duration", (start("08:00"),),
         (ran("08:00", "14:00", "max_duration", 21_600_000),), 21_600_000, meter=OF_SIX_HOURS),
    Case("a stop at max_duration", (start("08:00"), stop("14:00")),
         (ran("08:00", "14:00", "stop", 21_600_000),), 21_600_000, meter=OF_SIX_HOURS),
    Case("a stop after max_duration", (start("08:00"), stop("14:00:00.001")),
         (ran("08:00", "14:00", "max_duration", 21_600_000), ran("14:00:00.001", "14:00:00.001", "orphan", 0)),
         21_600_000, meter=OF_SIX_HOURS),
    Case("zero length", (start("15:05"), stop("15:05")), (ran("15:05", "15:05", "stop", 0),), 0),
    Case("zero length, with a minimum", (start("15:05"), stop("15:05")),
         (ran("15:05", "15:05", "stop", 60_000),), 60_000, meter=OF_A_MINUTE),
    Case("equal timestamps: a restart", (start("15:05"), stop("15:20"), start("15:20"), stop("15:35")),
         (ran("15:05", "15:20", "stop", 900_000), ran("15:20", "15:35", "stop", 900_000)), 1_800_000),
    Case("equal timestamps: two starts", (start("15:05", id="a"), start("15:05", id="b"), stop("15:35")),
         (ran("15:05", "15:05", "start", 0), ran("15:05", "15:35", "stop", 1_800_000)), 1_800_000),
    Case("equal timestamps: two stops", (start("15:05"), stop("15:35", id="a"), stop("15:35", id="b")),
         (ran("15:05", "15:35", "stop", 1_800_000), ran("15:35", "15:35", "orphan", 0)), 1_800_000),
    Case("equal timestamps: a start and two stops", (start("15:05"), stop("15:05", id="a"), stop("15:05", id="b")),
         (ran("15:05", "15:05", "stop", 0), ran("15:05", "15:05", "orphan", 0)), 0),
    Case("interleaved sessions of three resources",
         (start("15:00", "a"), start("15:05", "b"), start("15:10", "c"), stop("15:15", "a"), start("15:20", "a"),
          stop("15:30", "c"), stop("15:35", "b"), stop("15:50", "a")),
         (ran("15:00", "15:15", "stop", 900_000, "a"), ran("15:05", "15:35", "stop", 1_800_000, "b"),
          ran("15:10", "15:30", "stop", 1_200_000, "c"), ran("15:20", "15:50", "stop", 1_800_000, "a")), 5_700_000),
    # Forty machines: the nth starts n seconds after three, and runs for ten minutes and n seconds.
    # 40 × 600 s + (0 + 1 + … + 39) s = 24,780 s
    Case("interleaved sessions of forty resources",
         (*(start(f"15:00:{n:02}", f"{n:02}") for n in range(40)),
          *(stop(f"15:{10 + 2 * n // 60}:{2 * n % 60:02}", f"{n:02}") for n in range(40))),
         tuple(ran(f"15:00:{n:02}", f"15:{10 + 2 * n // 60}:{2 * n % 60:02}", "stop", 600_000 + 1_000 * n, f"{n:02}")
               for n in range(40)), 24_780_000),
    Case("one resource in several sessions",
         (start("14:00"), stop("14:10"), start("15:00"), stop("15:01"), start("15:30")),
         (ran("14:00", "14:10", "stop", 600_000), ran("15:00", "15:01", "stop", 60_000),
          ran("15:30", None, "open", 1_800_000)), 2_460_000),
    Case("a late stop", (start("15:05", arrives="15:05"), stop("15:35", arrives="15:59")),
         (ran("15:05", "15:35", "stop", 1_800_000),), 1_800_000),
    Case("a late stop, after days", (start("2026-11-10T12:00", arrives="2026-11-10T12:00"),
                                     stop("2026-11-12T12:00", arrives="15:00")),
         (ran("2026-11-10T12:00", "2026-11-12T12:00", "stop", 172_800_000),), 172_800_000),
    Case("a late stop, before the one that ended it", (start("15:05", arrives="15:05"), stop("15:20", arrives="15:59"),
                                                       stop("15:35", arrives="15:35")),
         (ran("15:05", "15:20", "stop", 900_000), ran("15:35", "15:35", "orphan", 0)), 900_000),
    Case("a late start", (start("15:05", arrives="15:05"), start("15:20", arrives="15:59"),
                          stop("15:35", arrives="15:35")),
         (ran("15:05", "15:20", "start", 900_000), ran("15:20", "15:35", "stop", 900_000)), 1_800_000),
    Case("a late start, after days", (start("2026-11-10T12:00", arrives="2026-11-20T15:00"),
                                      start("2026-11-15T12:00", arrives="2026-11-15T12:00")),
         (ran("2026-11-10T12:00", "2026-11-15T12:00", "start", 432_000_000),
          ran("2026-11-15T12:00", None, "open", 446_400_000)), 878_400_000),
    Case("a void of a stop", (start("15:05"), stop("15:35"), void(stop("15:35"))),
         (ran("15:05", None, "open", 3_300_000),), 3_300_000),
    Case("a void of a stop, which a later one follows", (start("15:05"), stop("15:20"), void(stop("15:20")),
                                                         stop("15:35")),
         (ran("15:05", "15:35", "stop", 1_800_000),), 1_800_000),
    Case("a void of a start", (start("15:05"), void(start("15:05")), stop("15:35")),
         (ran("15:35", "15:35", "orphan", 0),), 0),
    Case("a void of the second start", (start("15:05"), start("15:20"), void(start("15:20")), stop("15:35")),
         (ran("15:05", "15:35", "stop", 1_800_000),), 1_800_000),
    Case("a void of an orphan", (stop("15:35"), void(stop("15:35"))), (), 0),
    Case("a void of both", (start("15:05"), void(start("15:05")), stop("15:35"), void(stop("15:35"))), (), 0),
    Case("a void of a stop, after days", (start("2026-11-10T12:00", arrives="2026-11-10T12:00"),
                                          stop("2026-11-12T12:00", arrives="2026-11-12T12:00"),
                                          void(stop("2026-11-12T12:00"), arrives="15:00")),
         (ran("2026-11-10T12:00", None, "open", 878_400_000),), 878_400_000),
    Case("a void of a start, after days", (start("2026-11-10T12:00", arrives="2026-11-10T12:00"),
                                           void(start("2026-11-10T12:00"), arrives="15:00")), (), 0),
    Case("a void that is taken back", (start("15:05"), stop("15:20"), void(stop("15:20")),
                                       stop("15:20", revision=2)),
         (ran("15:05", "15:20", "stop", 900_000),), 900_000),
    Case("over an hour", (start("14:50"), stop("15:10")), (ran("14:50", "15:10", "stop", 1_200_000),), 1_200_000,
         parts=(("hour", "UTC", (("14:00", "15:00", 600_000), ("15:00", "16:00", 600_000))),)),
    Case("over a day", (start("2026-11-19T22:30"), stop("01:30")),
         (ran("2026-11-19T22:30", "01:30", "stop", 10_800_000),), 10_800_000,
         parts=(("day", "UTC", (("2026-11-19T00:00", "00:00", 5_400_000), ("00:00", "16:00", 5_400_000))),
                ("hour", "UTC", (("2026-11-19T22:00", "2026-11-19T23:00", 1_800_000),
                                 ("2026-11-19T23:00", "00:00", 3_600_000), ("00:00", "01:00", 3_600_000),
                                 ("01:00", "02:00", 1_800_000))))),
    Case("over a day, running", (start("2026-11-18T22:30", arrives="2026-11-18T22:30"),),
         (ran("2026-11-18T22:30", None, "open", 149_400_000),), 149_400_000,
         parts=(("day", "UTC", (("2026-11-18T00:00", "2026-11-19T00:00", 5_400_000),
                                ("2026-11-19T00:00", "00:00", 86_400_000), ("00:00", "16:00", 57_600_000))),)),
    Case("over a day, running, by the minute", (start("2026-11-18T22:30", arrives="2026-11-18T22:30"),),
         (ran("2026-11-18T22:30", None, "open", 149_400_000),), 149_400_000,
         parts=(("minute", "UTC", (("2026-11-18T23:59", "2026-11-19T00:00", 60_000),
                                   ("2026-11-19T00:00", "2026-11-19T00:01", 60_000))),
                ("minute", "UTC", (("2026-11-19T23:59", "00:00", 60_000), ("00:00", "00:01", 60_000))))),
    Case("over a day, its stop late, by the minute", (start("2026-11-19T20:00", arrives="2026-11-19T20:00"),
                                                      stop("00:01", arrives="09:00")),
         (ran("2026-11-19T20:00", "00:01", "stop", 14_460_000),), 14_460_000,
         parts=(("minute", "UTC", (("2026-11-19T21:59", "2026-11-19T22:00", 60_000),
                                   ("2026-11-19T22:00", "2026-11-19T22:01", 60_000))),
                ("minute", "UTC", (("2026-11-19T23:59", "00:00", 60_000), ("00:00", "00:01", 60_000))))),
    # What begins in the last hour of a day is listed, once the day is over, in the hour right after that of its start.
    Case("in the last hour of a day", (start("2026-11-19T23:18"), stop("2026-11-19T23:45")),
         (ran("2026-11-19T23:18", "2026-11-19T23:45", "stop", 1_620_000),), 1_620_000),
    Case("in the last hour of a day, its stop late", (start("2026-11-19T23:18", arrives="2026-11-19T23:18"),
                                                      stop("2026-11-19T23:45", arrives="09:00")),
         (ran("2026-11-19T23:18", "2026-11-19T23:45", "stop", 1_620_000),), 1_620_000),
    Case("in the last hour of a day, up to its end", (start("2026-11-19T23:18"), stop("00:00"), void(stop("00:00"))),
         (ran("2026-11-19T23:18", None, "open", 60_120_000),), 60_120_000),
    Case("in the last hour of a day, voided", (start("2026-11-19T23:18"), void(start("2026-11-19T23:18"))), (), 0),
    Case("in the last hour of a day, of another machine after all",
         (start("2026-11-19T23:18"), start("2026-11-19T23:18", "2", revision=1)),
         (ran("2026-11-19T23:18", None, "open", 60_120_000, "2"),), 60_120_000),
    Case("in the last hour of a day, with another start", (start("2026-11-19T23:18"), start("2026-11-19T23:48")),
         (ran("2026-11-19T23:18", "2026-11-19T23:48", "start", 1_800_000),
          ran("2026-11-19T23:48", None, "open", 58_320_000)), 60_120_000),
    Case("a void of a stop at the first instant of an hour", (start("14:41"), stop("15:00"), void(stop("15:00"))),
         (ran("14:41", None, "open", 4_740_000),), 4_740_000,
         parts=(("minute", "UTC", (("14:59", "15:00", 60_000), ("15:00", "15:01", 60_000),
                                   ("15:01", "15:02", 60_000))),)),
    Case("a stop ahead of the clock", (start("12:00", arrives="12:00"), stop("15:04", arrives="15:00")),
         (ran("12:00", "15:04", "stop", 11_040_000),), 11_040_000),
    Case("a void of a stop ahead of the clock", (start("12:00", arrives="12:00"), stop("15:04", arrives="15:00"),
                                                 void(stop("15:04"), dimensions={}, arrives="15:01")),
         (ran("12:00", None, "open", 14_400_000),), 14_400_000),
    # Of one identity and revision the one of the greatest content holds: here that of machine 2.
    Case("two starts of one identity", (start("15:05", "1"), start("15:05", "2"), stop("15:35", "1", id="a"),
                                        stop("15:45", "2", id="b")),
         (ran("15:05", "15:45", "stop", 2_400_000, "2"), ran("15:35", "15:35", "orphan", 0, "1")), 2_400_000),
    Case("two stops of one identity", (start("15:05", "1"), start("15:10", "2"), stop("15:35", "1"),
                                       stop("15:35", "2")),
         (ran("15:05", None, "open", 3_300_000, "1"), ran("15:10", "15:35", "stop", 1_500_000, "2")), 4_800_000),
    Case("two stops of one identity, one of which ends nothing", (start("15:05", "1"), stop("15:35", "1"),
                                                                  stop("15:35", "2")),
         (ran("15:05", None, "open", 3_300_000, "1"), ran("15:35", "15:35", "orphan", 0, "2")), 3_300_000),
    Case("two orphans of one identity", (stop("15:35", "1"), stop("15:35", "2")),
         (ran("15:35", "15:35", "orphan", 0, "2"),), 0),
    Case("a start and a stop of one identity", (start("15:05", "1"), stop("15:35", "1", id="a"),
                                                start("15:35", "2", id="a")),
         (ran("15:05", None, "open", 3_300_000, "1"), ran("15:35", None, "open", 1_500_000, "2")), 4_800_000),
    Case("over a month", (start("2026-11-30T23:00"), stop("2026-12-01T01:30")),
         (ran("2026-11-30T23:00", "2026-12-01T01:30", "stop", 9_000_000),), 9_000_000, now="2026-12-01T06:00",
         parts=(("month", "UTC", (("2026-11-01T00:00", "2026-12-01T00:00", 3_600_000),
                                  ("2026-12-01T00:00", "2026-12-01T06:00", 5_400_000))),),
         begin="2026-11-30T12:00", billed=("60", "90")),
    # The 25th has 25 hours in Berlin, from 22:00Z to 23:00Z; its hour of two is there twice, from 00:00Z and 01:00Z.
    Case("over the end of summer time", (start("2026-10-24T20:00"), stop("2026-10-26T00:00")),
         (ran("2026-10-24T20:00", "2026-10-26T00:00", "stop", 100_800_000),), 100_800_000, now="2026-10-26T06:00",
         parts=(("day", "Europe/Berlin", (("2026-10-23T22:00", "2026-10-24T22:00", 7_200_000),
                                          ("2026-10-24T22:00", "2026-10-25T23:00", 90_000_000),
                                          ("2026-10-25T23:00", "2026-10-26T06:00", 3_600_000))),
                ("hour", "Europe/Berlin", (("2026-10-25T00:00", "2026-10-25T01:00", 3_600_000),
                                           ("2026-10-25T01:00", "2026-10-25T02:00", 3_600_000)))),
         customer=({"timezone": "Europe/Berlin"},)),
    # The 28th has 23 hours there, from 23:00Z to 22:00Z.
    Case("over the begin of summer time", (start("2027-03-27T20:00"), stop("2027-03-29T00:00")),
         (ran("2027-03-27T20:00", "2027-03-29T00:00", "stop", 100_800_000),), 100_800_000, now="2027-03-29T06:00",
         parts=(("day", "Europe/Berlin", (("2027-03-26T23:00", "2027-03-27T23:00", 10_800_000),
                                          ("2027-03-27T23:00", "2027-03-28T22:00", 82_800_000),
                                          ("2027-03-28T22:00", "2027-03-29T06:00", 7_200_000))),),
         customer=({"timezone": "Europe/Berlin"},)),
    # The last day of October ends there at 23:00Z, two days after summer time: the month is billed up to then.
    Case("over a month of a time zone", (start("2026-10-31T22:30"), stop("2026-11-01T00:15")),
         (ran("2026-10-31T22:30", "2026-11-01T00:15", "stop", 6_300_000),), 6_300_000, now="2026-11-01T06:00",
         customer=({"timezone": "Europe/Berlin"},), begin="2026-10-31T12:00", billed=("30", "75")),
    Case("over a change of plan", (start("15:05"), stop("15:50")),
         (ran("15:05", "15:50", "stop", 2_700_000),), 2_700_000, now="18:00", begin="15:00",
         customer=({}, {"plan": "second", "plan_effective_at": format_time(instant("15:30"))}), billed=("25", "20")),
    Case("over a change of plan, running", (start("15:05"),),
         (ran("15:05", None, "open", 10_500_000),), 10_500_000, now="18:00", begin="15:00",
         customer=({}, {"plan": "second", "plan_effective_at": format_time(instant("15:30"))}), billed=("25", "150")),
    Case("over the end of its customer", (start("15:05"),),
         (ran("15:05", "15:30", "ends_at", 1_500_000),), 1_500_000, now="18:00", begin="15:00",
         customer=({}, {"ends_at": format_time(instant("15:30"))}), billed=("25",)),
]  # fmt: skip
"""Every row is sent in one request, reversed and one by one; where `arrives` is written, also as it came."""

LONG = [
    # 41 days and 8.5 hours of 2026, 358 days and 15.5 hours of 2027.
    Case("a session of 400 days", (start("15:30", arrives="15:30"),
                                   stop("2027-12-25T15:30", arrives="2027-12-25T15:30")),
         (ran("15:30", "2027-12-25T15:30", "stop", 34_560_000_000),), 34_560_000_000, now="2027-12-25T18:00",
         parts=(("year", "UTC", (("2026-01-01T00:00", "2027-01-01T00:00", 3_573_000_000),
                                 ("2027-01-01T00:00", "2027-12-25T18:00", 30_987_000_000))),), lived=True),
]  # fmt: skip


def many_open() -> Case:
    """Ten thousand machines of one customer: the nth started n tenths of a second after three, and none has stopped."""
    began = [format_time(instant("15:00") + n * SECOND // 10)[11:-1] for n in range(10_000)]
    return Case(
        "10,000 open sessions of one customer",
        tuple(start(at, f"m{n:04}") for n, at in enumerate(began)),
        tuple(ran(at, None, "open", 60 * MINUTE - 100 * n, f"m{n:04}") for n, at in enumerate(began)),
        31_000_500_000,  # 10,000 × 3,600,000 − 100 × (0 + 1 + … + 9,999)
    )
