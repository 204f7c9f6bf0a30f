"""Events stream, segments and facts: refresh the windows they belong to. Law 4.3.

The refresh of a large window is put off to the end of its pause, in which more comes to it: a message says which of its
minutes are to be folded again. Whatever waits for the same instant is done at once then, and what was put off is not
put off again. So nothing is left undone, and nothing has to be remembered but the messages.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from adapters.events import Addressed
from adapters.hours import Hour, Stored
from adapters.items import ConditionFailed
from handlers import _live
from handlers._door import UNPROCESSABLE, count, logger
from handlers._live import Live
from handlers._news import conflict_of
from handlers._sightings import look_into_hour, look_into_minute
from metering.errors import Invalid, Unavailable, Unreadable
from metering.meters import Meter
from metering.minutes import Minutes
from metering.sessions import Session
from metering.spreading import next_refresh, pause_between_refreshes
from metering.times import DAY, HOUR, MINUTE, SECOND, floor, hour_of_name
from metering.window_items import fitting, minute_within
from metering.windows import Folded, fold

Record = Mapping[str, Any]

_ATTEMPTS = 8
_LIGHT_BYTES = 16 * 1024
"""Of an hour's segments; beyond it its minutes are kept too."""
_MOST_BYTES_INSIDE = 640
"""Of an hour with its last minutes, so that its item is one write unit, whatever its keys."""
_MINUTES = {f"{minute:02d}" for minute in range(60)}
_CLOCKS_APART = 10 * MINUTE
"""More than any two functions' clocks differ: nobody closes a day that another one takes for running."""


def aggregate_records(records: Sequence[Record], live: Live, *, at_once: bool = False) -> None:
    """Refresh every hour that something was written to; a batch handled twice changes nothing.

    Args:
        records: of the stream, or messages of the queue.
        live: the surroundings.
        at_once: whether no refresh is put off; what was put off never is again.

    Raises:
        Unavailable: an hour was refreshed by others all the time; the batch is to be handled again.
    """
    hours: defaultdict[str, list[Record]] = defaultdict(list)
    for record in records:
        hours[_told(record)[0]].append(record)
    stored = _stored(hours, live)
    days: defaultdict[tuple[str, int], list[Record]] = defaultdict(list)
    for partition, together in hours.items():
        minutes = {minute for record in together for minute in _told(record)[1]}
        waits = not at_once and all("dynamodb" in record for record in together)
        with _parking(partition, together, live):
            refresh(partition, minutes, live, may_wait=waits, stored=stored.get(partition))
            customer, _, hour = partition.split("#")
            days[customer, floor(hour_of_name(hour), DAY)] += together
    # After all its hours, once: what comes late in thousands comes to many hours of few days.
    for (customer, day), together in days.items():
        with _parking(customer, together, live):
            _reach_day(customer, day, live)


@contextmanager
def _parking(partition: str, records: Sequence[Record], live: Live) -> Iterator[None]:
    """Park records that something cannot be done for; their neighbours go on."""
    try:
        yield
    except UNPROCESSABLE as error:
        _park(partition, records, error, live)


def _told(record: Record) -> tuple[str, list[str]]:
    """The partition of an hour and those of its minutes that a record or message tells of."""
    if "body" in record:
        message = json.loads(record["body"])
        return message["partition"], message["minutes"]
    keys = record["dynamodb"]["Keys"]
    return keys["pk"]["S"], [keys["sk"]["S"][:2]]


def _stored(partitions: Iterable[str], live: Live) -> dict[str, Stored]:
    """What is stored of several hours; those that nothing can be made of are left to `refresh`."""
    hours: dict[str, Hour] = {}
    for partition in partitions:
        with suppress(Unreadable):
            hours[partition], _ = _address(partition, live)
    found = live.usage.stored_at_once(hours.values())
    return {partition: found[hour] for partition, hour in hours.items()}


def refresh(
    partition: str, minutes: Iterable[str], live: Live, *, may_wait: bool = False, stored: Stored | None = None
) -> bool:
    """Fold everything addressed to an hour and SET its window where it changed; says whether it did.

    The stored version is read before the inputs and is the condition of the write, so a refresh that read less than
    another one can never overwrite it. Of an hour with many segments only those minutes are folded again that something
    was written to (see `adapters.usage`).

    Args:
        partition: of the hour's segments.
        minutes: of the hour, to which something was written.
        live: the surroundings.
        may_wait: whether the refresh of a large window may be put off.
        stored: what is stored of the hour, where it has just been read.

    Raises:
        Unreadable: an input is damaged, or the hour's meter is gone.
        TooLarge: the hour holds more than can be kept of it.
        Unavailable: others kept refreshing it, or the queue did not take what is put off.
    """
    hour, meter = _address(partition, live)
    touched = set(minutes)
    for _ in range(_ATTEMPTS):
        stored = stored or live.usage.stored(hour, of_sessions=meter.is_duration)
        if may_wait and (wait := _wait(partition, hour, stored, live)):
            message = {"partition": partition, "minutes": sorted(touched)}
            live.queue("REFRESH").send([message], -(-wait // SECOND))
            return False
        try:
            return _refresh(hour, meter, stored, touched, live)
        except ConditionFailed:
            stored = None
    raise Unavailable("the hour is being refreshed by others")


def _wait(partition: str, hour: Hour, stored: Stored, live: Live) -> int:
    """How long the refresh of a window has to wait, in milliseconds; 0 for one that is made at once.

    Never so long that an invoice would not wait for it. Of days that are over nothing waits; nor do sessions: several
    hours are told of an end, and one that lists as running what another one counts already would count it twice.
    """
    now = live.clock()
    if hour.tied_by or floor(hour_of_name(hour.name), DAY) + DAY <= now:
        return 0
    pause = pause_between_refreshes(stored.bytes, live.freshness_milliseconds, live.grace_milliseconds // 2)
    return next_refresh(partition, pause, now) - now if pause else 0


def _refresh(hour: Hour, meter: Meter, stored: Stored, touched: set[str], live: Live) -> bool:
    if stored.kept == "whole":
        addressed = live.events.hour(hour.customer, hour.meter, hour.name)
        if addressed.bytes <= _LIGHT_BYTES:
            folded = _folded(hour, meter, addressed, live)
            look_into_hour(hour, addressed, live)
            return live.usage.put(hour, folded.slots, folded.open, stored, live.clock())
        touched = addressed.minutes
    changed = None if stored.kept == "apart" else _refresh_inside(hour, meter, stored, touched, live)
    return _refresh_apart(hour, meter, stored, touched, live) if changed is None else changed


def _refresh_inside(hour: Hour, meter: Meter, stored: Stored, touched: set[str], live: Live) -> bool | None:
    """Fold some minutes again that are kept inside the hour's item; None if they cannot be, or no longer."""
    anew = stored.kept == "whole" or touched >= _MINUTES
    before = Minutes() if anew else stored.minutes()
    if before.has_sealed(touched):
        return None
    folded = {minute: _folded_minute(hour, minute, meter, live) for minute in sorted(touched)}
    minutes = fitting(before.replacing({name: each.slots for name, each in folded.items()}), _MOST_BYTES_INSIDE)
    if minutes is None:
        return None
    running = [] if anew else _running_elsewhere(hour, stored, touched)
    running += [session for each in folded.values() for session in each.open]
    return live.usage.put(hour, minutes, running, stored, live.clock())


def _refresh_apart(hour: Hour, meter: Meter, stored: Stored, touched: set[str], live: Live) -> bool:
    """Fold some minutes again that are items of their own; all of them where they are to become that."""
    minutes = touched if stored.kept == "apart" else _MINUTES
    running = [] if minutes >= _MINUTES else _running_elsewhere(hour, stored, minutes)
    for minute in sorted(minutes):
        window = live.usage.minute(hour, minute)
        folded = _folded_minute(hour, minute, meter, live)
        live.usage.put_minute(hour, minute, folded.slots, window)
        running += folded.open
    return live.usage.put(hour, live.usage.minutes(hour), running, stored, live.clock(), apart=True)


def _running_elsewhere(hour: Hour, stored: Stored, minutes: set[str]) -> list[Session]:
    """The hour's running sessions but those of some minutes."""
    start = hour_of_name(hour.name)
    return [session for session in stored.running() if minute_within(start, session.start) not in minutes]


def _folded_minute(hour: Hour, minute: str, meter: Meter, live: Live) -> Folded:
    addressed = live.events.hour(hour.customer, hour.meter, hour.name, minute)
    look_into_minute(hour, minute, addressed, live)
    return _folded(hour, meter, addressed, live)


def _folded(hour: Hour, meter: Meter, addressed: Addressed, live: Live) -> Folded:
    start = hour_of_name(hour.name)
    folded = fold(meter, addressed.events, addressed.facts, start, start + HOUR)
    for conflict in folded.conflicts:
        live.outbox.announce(hour.customer, conflict_of(conflict), live.clock())
    return folded


def _reach_day(customer: str, day: int, live: Live) -> None:
    """Bring a late change of an hour into its day, if that is kept as a whole."""
    if day + DAY <= live.clock() + _CLOCKS_APART:
        live.usage.reach_day(customer, day)


def _address(partition: str, live: Live) -> tuple[Hour, Meter]:
    try:
        customer, meter_key, hour = partition.split("#")
        hour_of_name(hour)
    except (ValueError, Invalid):
        raise Unreadable("the partition is not that of an hour") from None
    meter = live.remembered.meters([meter_key]).get(meter_key)
    if meter is None:
        raise Unreadable(f"there is no meter {meter_key!r}")
    return Hour(customer, meter_key, hour, meter.session), meter


def _park(partition: str, records: Sequence[Record], error: Exception, live: Live) -> None:
    logger.exception("parked", extra={"records": len(records)})
    count("ParkedRecords", len(records))
    customer, _, _ = partition.partition("#")
    for record in records:
        kept = {"body": record["body"]} if "body" in record else record
        live.outbox.park(customer, "aggregate", kept, str(error), live.clock())


def handler(event: dict[str, Any], _context: object) -> None:
    """DynamoDB stream, filtered to segments, facts and noted edges, or the queue of put-off refreshes.

    With `at_once` none waits.
    """
    aggregate_records(event["Records"], _live.live, at_once=bool(event.get("at_once")))
