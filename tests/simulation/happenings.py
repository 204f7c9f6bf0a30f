"""What may happen in a world: hard times, events of every meter, and what corrects or contradicts them."""

from collections.abc import Sequence

from hypothesis import strategies as st

from metering.times import DAY, HOUR, MINUTE, QUARTER, SECOND, floor, format_time, parse_time
from tests.simulation.catalogue import METERS, Json

# Just before: summer time ends in Berlin, and in St John's with a month; a year ends; summer time begins in St John's.
BEGINNINGS = [
    parse_time(each)
    for each in ("2026-10-24T20:40:00Z", "2026-10-31T21:10:00Z", "2026-12-31T17:59:58Z", "2027-03-13T22:00:00Z")
]
NAMES = ("berlin", "kolkata", "st-johns", "utc", "free")
VALUES = ("1", "2.5", "-1.25", 3, 0.001, "1e-12", "123456789012345678901234567890", "-0.0000000000000000000000000001")

_BACK = (0, 1, SECOND, 59_999, MINUTE, 7 * MINUTE, QUARTER, HOUR - 1, HOUR, 3 * HOUR, 26 * HOUR, 9 * DAY, 34 * DAY)
_BESIDE_MIDNIGHT = (-HOUR, -42 * MINUTE, -7 * MINUTE, -1, 0, 1, 7 * MINUTE, HOUR)
_AHEAD = (1, MINUTE, 5 * MINUTE - 1, 5 * MINUTE)
_UNITS = (1, MINUTE, QUARTER, HOUR, DAY)


@st.composite
def instants(draw: st.DrawFn, now: int) -> int:
    """An instant of which a deployment at `now` accepts events; often at or beside a boundary, often the same one."""
    kind = draw(st.integers(0, 7))
    if kind == 0:
        return now + draw(st.sampled_from(_AHEAD))
    if kind == 1:  # beside the midnight at which windows are rolled, a running session of the last hour among them
        return min(now, floor(now, DAY) + draw(st.sampled_from(_BESIDE_MIDNIGHT)))
    back = now - draw(st.sampled_from(_BACK))
    return max(now - 35 * DAY, floor(back, draw(st.sampled_from(_UNITS))) - draw(st.sampled_from((0, 0, 1))))


def written(instant: int) -> st.SearchStrategy[int | str]:
    """The ways to write an instant: with an offset, with digits that are cut, as a number."""
    text = format_time(instant)
    digits = f"{text[:19]}.{instant % 1000:03d}987Z"
    return st.sampled_from((instant, text, digits, _in_kolkata(instant)))


def _in_kolkata(instant: int) -> str:
    return format_time(instant + 330 * MINUTE).replace("Z", "+05:30")


@st.composite
def events(draw: st.DrawFn, names: Sequence[str], now: int, at: int | None = None) -> Json:
    """An event of one of these customers and of any meter, every other one an edge of one of a few sessions."""
    meter = draw(st.sampled_from([each for each in METERS if "session" in each] if draw(st.booleans()) else METERS))
    instant = draw(instants(now)) if at is None else at
    event: Json = {
        "id": draw(st.sampled_from(("a", "b", "c"))),
        "customer": draw(st.sampled_from(names)),
        "meter": meter["key"],
        "timestamp": draw(written(instant)),
        "dimensions": draw(dimensions(meter)),
    }
    if meter["aggregation"] == "duration":
        event["type"] = draw(st.sampled_from(("start", "stop")))
    elif meter["aggregation"] not in ("count", "unique") or draw(st.booleans()):
        event["value"] = draw(st.sampled_from(VALUES))
    if draw(st.integers(0, 4)) == 0:
        event["amount"] = draw(st.sampled_from(("0.1", "2", "-1")))
    return event


@st.composite
def dimensions(draw: st.DrawFn, meter: Json) -> Json:
    """Dimensions that a meter asks for, some that it declares, and one that nobody knows."""
    given: Json = {name: draw(st.sampled_from(("1", "1", "2"))) for name in meter.get("session", [])}
    for name, values in (("provider", ("aws", "azure")), ("region", ("eu", ""))):
        if name in meter.get("session", []) or draw(st.booleans()):
            given[name] = draw(st.sampled_from(values))
    if "weight" in meter:
        given[meter["weight"]] = draw(st.sampled_from(("1", "2", "0.5", 4)))
    if "unique_by" in meter:
        given[meter["unique_by"]] = draw(st.sampled_from(("ada", "bob", "ćiril")))
    return given | draw(st.sampled_from(({}, {"trace": "t-1"})))


def spoilt(event: Json) -> st.SearchStrategy[Json]:
    """The same event with something wrong, under an id of its own."""
    faults: list[Json] = [
        {"meter": "nobody-made-this"},
        {"customer": "nobody"},
        {"dimensions": {}},
        {"value": "1,5"},
        {"type": "pause"},
        {"revision": -1},
        {"value": None, "type": None},
    ]
    return st.sampled_from(faults).map(lambda fault: {**event, **fault, "id": "spoilt"})


def amended(event: Json) -> st.SearchStrategy[Json]:
    """What may come of the same identity: a repetition, a void, a revision, or another content at one revision."""
    revision = event.get("revision", 0)
    changes: list[Json] = [
        {},
        {"void": True},
        {"void": True, "revision": revision + 1},
        {"revision": revision + 1},
        {"dimensions": {**event["dimensions"], "provider": "gcp"}},
        {"dimensions": {**event["dimensions"], "provider": "gcp"}, "revision": revision + 1},
    ]
    if "value" in event:
        changes += [{"value": "8"}, {"value": "7", "revision": revision + 1}]
    if "type" in event:
        other = "stop" if event["type"] == "start" else "start"
        changes += [{"type": other}, {"type": other, "revision": revision + 1}]
    return st.sampled_from(changes).map(lambda change: {**event, **change})


def steps(now: int) -> st.SearchStrategy[int]:
    """How far the clock goes: a little, much, or to a boundary and to its either side."""
    short = st.sampled_from((1, SECOND, MINUTE, 5 * MINUTE, 17 * MINUTE, HOUR, 3 * HOUR, 11 * HOUR, DAY, 4 * DAY))
    ahead = st.sampled_from((MINUTE, QUARTER, HOUR, DAY)).map(lambda unit: floor(now, unit) + unit - now)
    beside = st.tuples(ahead, st.sampled_from((-1, 0, 1))).map(lambda pair: max(0, sum(pair)))
    return short | beside
