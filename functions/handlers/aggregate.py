"""Events stream, segments and facts: refresh the windows they belong to. Law 4.3."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from adapters.items import ConditionFailed
from handlers import _live
from handlers._door import UNPROCESSABLE, count, logger
from handlers._live import Live
from handlers._news import conflict_of
from metering.errors import Invalid, Unavailable, Unreadable
from metering.meters import Meter
from metering.times import HOUR, hour_of_name
from metering.windows import fold

Record = Mapping[str, Any]

_ATTEMPTS = 8


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
            refresh(partition, live)
        except UNPROCESSABLE as error:
            _park(partition, together, error, live)


def refresh(partition: str, live: Live) -> bool:
    """Fold everything addressed to an hour and SET its window where it changed; says whether it did.

    The stored version is read before the inputs and is the condition of the write, so a refresh that read less than
    another one can never overwrite it.

    Raises:
        Unreadable: an input is damaged, or the hour's meter is gone.
        Unavailable: others kept refreshing it.
    """
    customer, meter_key, hour, meter = _address(partition, live)
    start = hour_of_name(hour)
    for _ in range(_ATTEMPTS):
        versions = live.usage.versions(customer, meter_key, start)
        events, facts = live.events.hour(customer, meter_key, hour)
        folded = fold(meter, events, facts, start, start + HOUR)
        now = live.clock()
        try:
            changed = live.usage.put(customer, meter_key, start, (folded.slots, folded.open), versions, now)
        except ConditionFailed:
            continue
        for conflict in folded.conflicts:
            live.outbox.announce(customer, conflict_of(conflict), now)
        return changed
    raise Unavailable("the hour is being refreshed by others")


def _address(partition: str, live: Live) -> tuple[str, str, str, Meter]:
    try:
        customer, meter_key, hour = partition.split("#")
        hour_of_name(hour)
    except (ValueError, Invalid):
        raise Unreadable("the partition is not that of an hour") from None
    meter = live.remembered.meters([meter_key]).get(meter_key)
    if meter is None:
        raise Unreadable(f"there is no meter {meter_key!r}")
    return customer, meter_key, hour, meter


def _park(partition: str, records: Sequence[Record], error: Exception, live: Live) -> None:
    logger.exception("parked", extra={"records": len(records)})
    count("ParkedRecords", len(records))
    customer, _, _ = partition.partition("#")
    for record in records:
        live.outbox.park(customer, "aggregate", record, str(error), live.clock())


def handler(event: dict[str, Any], _context: object) -> None:
    """DynamoDB stream, filtered to segments and facts."""
    aggregate_records(event["Records"], _live.live)
