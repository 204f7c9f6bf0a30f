"""Events stream, segments and facts: refresh the windows they belong to. Law 4.3."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from adapters.events import Addressed
from adapters.items import ConditionFailed
from adapters.usage import Frame, Stored
from handlers import _live
from handlers._corrections import bring_together
from handlers._door import UNPROCESSABLE, count, logger
from handlers._live import Live
from handlers._news import conflict_of
from metering.errors import Invalid, Unavailable, Unreadable
from metering.meters import Meter
from metering.times import DAY, HOUR, MINUTE, floor, hour_of_name
from metering.windows import Folded, fold

Record = Mapping[str, Any]

_ATTEMPTS = 8
_LIGHT_BYTES = 16 * 1024
"""Of an hour's segments; beyond it the minutes are kept too."""
_CLOCKS_APART = 10 * MINUTE
"""More than any two functions' clocks differ: nobody closes a day that another one takes for running."""


def aggregate_records(records: Sequence[Record], live: Live) -> None:
    """Refresh every hour that something was written to; a batch handled twice changes nothing.

    Raises:
        Unavailable: an hour was refreshed by others all the time; the batch is to be handled again.
    """
    hours: defaultdict[str, list[Record]] = defaultdict(list)
    for record in records:
        hours[record["dynamodb"]["Keys"]["pk"]["S"]].append(record)
    for partition, together in hours.items():
        try:
            refresh(partition, {record["dynamodb"]["Keys"]["sk"]["S"][:2] for record in together}, live)
        except UNPROCESSABLE as error:
            _park(partition, together, error, live)


def refresh(partition: str, minutes: Iterable[str], live: Live) -> bool:
    """Fold everything addressed to an hour and SET its window where it changed; says whether it did.

    The stored version is read before the inputs and is the condition of the write, so a refresh that read less than
    another one can never overwrite it. Of an hour with many segments the minutes are kept too, and only those that
    something was written to are folded again.

    Raises:
        Unreadable: an input is damaged, or the hour's meter is gone.
        Unavailable: others kept refreshing it.
    """
    hour, meter = _address(partition, live)
    touched = set(minutes)
    for _ in range(_ATTEMPTS):
        stored = live.usage.stored(hour, of_sessions=meter.is_duration)
        try:
            changed = _refresh(hour, meter, stored, touched, live)
        except ConditionFailed:
            continue
        _reach_day(hour.customer, floor(hour_of_name(hour.name), DAY), live)
        return changed
    raise Unavailable("the hour is being refreshed by others")


def _refresh(hour: Frame, meter: Meter, stored: Stored, touched: set[str], live: Live) -> bool:
    addressed = None if stored.is_heavy else live.events.hour(hour.customer, hour.meter, hour.name)
    if addressed is not None and addressed.bytes <= _LIGHT_BYTES:
        folded = _folded(hour, meter, addressed, live)
        return live.usage.put(hour, folded.slots, folded.open, stored, live.clock())
    for minute in sorted(addressed.minutes if addressed else touched):
        _refresh_minute(hour, minute, meter, live)
    slots, sessions = live.usage.minutes(hour)
    return live.usage.put(hour, slots, sessions, stored, live.clock(), heavy=True)


def _refresh_minute(hour: Frame, minute: str, meter: Meter, live: Live) -> None:
    frame = hour.minute(minute)
    stored = live.usage.stored(frame, of_sessions=meter.is_duration)
    addressed = live.events.hour(hour.customer, hour.meter, hour.name, minute)
    folded = _folded(hour, meter, addressed, live)
    live.usage.put(frame, folded.slots, folded.open, stored, live.clock())


def _folded(hour: Frame, meter: Meter, addressed: Addressed, live: Live) -> Folded:
    start = hour_of_name(hour.name)
    folded = fold(meter, addressed.events, addressed.facts, start, start + HOUR)
    bring_together(hour.customer, hour.meter, addressed.facts, live)
    for conflict in folded.conflicts:
        live.outbox.announce(hour.customer, conflict_of(conflict), live.clock())
    return folded


def _reach_day(customer: str, day: int, live: Live) -> None:
    """Bring a late change of an hour into its day, if that is kept as a whole."""
    if day + DAY <= live.clock() + _CLOCKS_APART and live.usage.is_marked(customer, day):
        live.usage.close_day(customer, day, late=True)


def _address(partition: str, live: Live) -> tuple[Frame, Meter]:
    try:
        customer, meter_key, hour = partition.split("#")
        hour_of_name(hour)
    except (ValueError, Invalid):
        raise Unreadable("the partition is not that of an hour") from None
    meter = live.remembered.meters([meter_key]).get(meter_key)
    if meter is None:
        raise Unreadable(f"there is no meter {meter_key!r}")
    return Frame(customer, meter_key, "hour", hour), meter


def _park(partition: str, records: Sequence[Record], error: Exception, live: Live) -> None:
    logger.exception("parked", extra={"records": len(records)})
    count("ParkedRecords", len(records))
    customer, _, _ = partition.partition("#")
    for record in records:
        live.outbox.park(customer, "aggregate", record, str(error), live.clock())


def handler(event: dict[str, Any], _context: object) -> None:
    """DynamoDB stream, filtered to segments and facts."""
    aggregate_records(event["Records"], _live.live)
