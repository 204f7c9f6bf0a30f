"""Events, edges, sessions and windows as Hypothesis draws them: small worlds, in which things collide."""

from decimal import Decimal
from typing import get_args

from hypothesis import strategies as st

from metering.events import Dimensions, Event
from metering.meters import Aggregation, Meter
from metering.sessions import ClosedBy, Session
from metering.times import HOUR, QUARTER, parse_time
from metering.windows import Fact, Slots, Tally

NOON = parse_time("2026-11-20T12:00:00Z")

digits = st.integers(-(10**30) + 1, 10**30 - 1)
"""Up to thirty digits."""

exact = st.one_of(
    st.integers(-3, 3).map(Decimal),
    st.builds(lambda whole, places: Decimal(f"{whole}e-{places}"), st.integers(-(10**6), 10**6), st.integers(0, 6)),
    st.builds(lambda whole, places: Decimal(f"{whole}e-{places}"), digits, st.integers(0, 30)),
)
"""Decimals as clients send them, the smallest and the longest among them."""

not_negative = exact.map(abs)

names = st.sampled_from(["region", "provider", "user", 'ü "quoted"'])
words = st.one_of(st.sampled_from(["", "eu", "us", "0"]), st.text(st.characters(exclude_categories=["Cs"]), max_size=5))


def dimensions(keys: st.SearchStrategy[str] = names) -> st.SearchStrategy[Dimensions]:
    """Names and values, sorted by name."""
    return st.dictionaries(keys, words, max_size=3).map(lambda given: tuple(sorted(given.items())))


def events(meter: str = "requests") -> st.SearchStrategy[Event]:
    """Events of one meter within two hours; few ids and instants, so that identities collide."""
    return st.builds(
        Event,
        customer=st.just("acme"),
        meter=st.just(meter),
        id=st.sampled_from("abc"),
        timestamp=st.one_of(st.sampled_from([NOON, NOON + 1, NOON + 60_000]), st.integers(NOON, NOON + 2 * HOUR - 1)),
        value=exact,
        amount=st.none() | exact,
        revision=st.integers(0, 2),
        void=st.booleans(),
        dimensions=dimensions().map(lambda given: tuple(sorted((dict(given) | {"user": "u"}).items()))),
    )


def meters(aggregation: Aggregation) -> Meter:
    """A meter of each aggregation that keeps two dimensions."""
    extra = {"unique_by": "user"} if aggregation == "unique" else {}
    return Meter.model_validate(
        {"key": "requests", "aggregation": aggregation, "dimensions": ["region", "user"], **extra}
    )


def duration_meter(
    round_up: int = 1, minimum: int = 0, max_duration: int | None = None, weight: str | None = None
) -> Meter:
    """A duration meter whose sessions are tied by `vm`; durations in milliseconds."""
    longest = {} if max_duration is None else {"max_duration": f"{max_duration}ms"}
    return Meter.model_validate(
        {
            "key": "runtime",
            "aggregation": "duration",
            "session": ["vm"],
            "dimensions": ["region"],
            "round_up": f"{round_up}ms",
            "minimum": f"{minimum}ms",
            "weight": weight,
            **longest,
        }
    )


duration_meters = st.builds(
    duration_meter,
    round_up=st.sampled_from([1, 7, 1_000, QUARTER, HOUR + 1]),
    minimum=st.sampled_from([0, 1, 500, QUARTER, 3 * HOUR]),
    max_duration=st.none() | st.sampled_from([1, HOUR, 5 * HOUR]),
)


@st.composite
def sessions(draw: st.DrawFn) -> Session:
    """Sessions within a day: open, closed, without length, and the kinds that do not count."""
    start = draw(st.one_of(st.sampled_from([NOON, NOON + QUARTER]), st.integers(NOON, NOON + 6 * HOUR)))
    length = draw(st.one_of(st.sampled_from([0, 1, QUARTER]), st.integers(0, 6 * HOUR)))
    closed_by: ClosedBy = draw(st.sampled_from(get_args(ClosedBy)))
    ends: dict[ClosedBy, int | None] = {"open": None, "orphan": start, "void": start}
    return Session(
        resource=draw(st.sampled_from(["r1", "r2"])),
        id=draw(st.sampled_from("abc")),
        start=start,
        end=ends.get(closed_by, start + length),
        closed_by=closed_by,
        weight=draw(not_negative),
        dimensions=draw(dimensions()),
        counted_until=start if closed_by == "open" else None,
        ended_by=draw(st.integers(0, 2**24 - 1)) if closed_by == "stop" else None,
    )


facts = st.builds(
    Fact,
    session=sessions(),
    rank=st.tuples(st.sampled_from(["2026-11-01T00:00", "2026-11-02T00:00"]), st.integers(0, 12)),
)

tallies = st.builds(
    Tally,
    events=st.integers(0, 10**9),
    quantity=exact,
    amount=exact,
    least=st.none() | exact,
    most=st.none() | exact,
    latest=st.none() | st.tuples(st.integers(NOON, NOON + 9), st.sampled_from("ab"), exact),
    values=st.frozensets(words, max_size=3),
)


def slots_of(most: int, least: int = 0) -> st.SearchStrategy[Slots]:
    """So many slots within an hour and a half."""
    quarters = st.integers(0, 5).map(lambda number: NOON + number * QUARTER)
    return st.dictionaries(st.tuples(quarters, dimensions()), tallies, min_size=least, max_size=most)


slots = slots_of(6)
