"""POST /v1/events: judge each event, write what is good, answer when it is durable. Laws 4.1, 4.2 and 4.8."""

from collections.abc import Mapping
from typing import Any

from adapters.availability import available
from adapters.catalog import Damaged
from adapters.items import Item, string
from billing.customers import Account
from handlers import _live
from handlers._door import answer, body_of, refuse
from handlers._live import Live
from metering.arrival import MOST_BYTES, read_events
from metering.errors import TaximeterError
from metering.events import Event, Rejection, judge, minute_of
from metering.meters import Meter
from metering.segments import pack
from metering.sessions import corrections_of, resource_of
from metering.times import hour_name


def ingest(body: bytes, headers: Mapping[str, str], live: Live) -> tuple[int, list[Rejection]]:
    """Accept the good events of a request; returns how many, and why the others are refused.

    Raises:
        Invalid, TooLarge: the request as a whole cannot be read.
    """
    read = read_events(body, headers.get("content-type") or "", headers)
    events = [event for event in read if isinstance(event, Event)]
    remembered = live.remembered
    meters = remembered.meters({event.meter for event in events})
    accounts = remembered.accounts({event.customer for event in events})
    ends = {name: each.customer.ends_at for name, each in accounts.items() if isinstance(each, Account)}
    now = live.clock()
    verdicts: list[Event | Rejection] = []
    for index, event in enumerate(read):
        fault = judge(event, meters, ends, now, live.acceptance) if isinstance(event, Event) else None
        if fault and isinstance(event, Event) and isinstance(accounts.get(event.customer), Damaged):
            fault = "retry", "its customer cannot be read at the moment: send it again later"
        verdicts.append(Rejection(index, event.id, *fault) if isinstance(event, Event) and fault else event)
    accepted = [event for event in verdicts if isinstance(event, Event)]
    refused = _store(accepted, meters, live) if accepted else set()
    rejections = [_rejection(index, verdict, meters, refused) for index, verdict in enumerate(verdicts)]
    told = [rejection for rejection in rejections if rejection]
    return len(read) - len(told), told


def _store(events: list[Event], meters: dict[str, Meter], live: Live) -> set[tuple[str, str]]:
    """Write events; returns the partitions and minutes (or edge keys) of what the table did not take."""
    live.remembered.use_meters({event.meter for event in events})
    usage = [event for event in events if not meters[event.meter].is_duration]
    edges = [(_place_of(event, meters[event.meter]), event) for event in events if meters[event.meter].is_duration]
    return {_address_of_item(item) for item in live.events.add(pack(usage), dict.fromkeys(edges))}


def _place_of(edge: Event, meter: Meter) -> str:
    """Where an edge is kept: with its resource; or, if it may be about one of another resource, where pair spreads it.

    That is one item in either case, so that no edge is ever kept by half.
    """
    return corrections_of(edge.timestamp) if edge.is_correction else resource_of(meter, edge)


def _address_of_item(item: Item) -> tuple[str, str]:
    parts = string(item, "sk").split("#")
    return string(item, "pk"), "#".join(parts[:2]) if item["kind"] == "edge" else parts[0]


def _address_of_event(event: Event, meter: Meter) -> tuple[str, str]:
    if meter.is_duration:
        return f"{event.customer}#{event.meter}#{_place_of(event, meter)}", f"{event.timestamp:013d}#{event.id}"
    hour = hour_name(event.timestamp)
    return f"{event.customer}#{event.meter}#{hour}", f"{minute_of(event) // 60_000 % 60:02d}"


def _rejection(
    index: int, verdict: Event | Rejection, meters: dict[str, Meter], refused: set[tuple[str, str]]
) -> Rejection | None:
    if isinstance(verdict, Rejection):
        return verdict
    if refused and _address_of_event(verdict, meters[verdict.meter]) in refused:
        return Rejection(index, verdict.id, "retry", "nothing is wrong with it: send it again")
    return None


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """HTTP API, payload format 2.0."""
    try:
        body = body_of(event, MOST_BYTES)
        with available():
            accepted, rejections = ingest(body, event.get("headers") or {}, _live.live)
    except TaximeterError as error:
        return refuse(error)
    told = {"accepted": accepted, "rejected": [rejection.as_json() for rejection in rejections]}
    if accepted:
        return answer(202, told)
    if any(rejection.code == "retry" for rejection in rejections):
        return answer(503, {"status": 503, "code": "retry", "detail": "send it again", **told}, {"retry-after": "1"})
    return answer(400, {"status": 400, "code": "invalid", "detail": "no event was accepted", **told})
