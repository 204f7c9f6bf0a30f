"""The notify queue: an announcement becomes a delivery to each endpoint that wants it, and each is posted there.

A message is what the bus told of, or names a delivery. That a delivery is being made is stored before the call, so a
message that comes again, or a sweep's about the same one, finds it under way; what a crash left open is found by its
age and tried again, under the same `webhook-id`.
"""

from contextlib import suppress
from typing import Any

from adapters.clock import real_now
from adapters.endpoints import change_put
from adapters.items import ConditionFailed, Put
from adapters.outbox import outbox_item
from billing.deliveries import Answer, Cancellation, Delivery, abandoned, begun, canceled, ended, new_delivery
from billing.endpoints import Endpoint, after_failure, after_success, disabling
from billing.signing import endpoint_secret, signed_headers
from handlers import _live
from handlers._deliveries import have_made, have_made_soon
from handlers._door import count, logger
from handlers._live import Live
from handlers._messages import take_each
from metering.times import SECOND, parse_time

_ATTEMPTS = 5


def announce(event: dict[str, Any], live: Live, now: int) -> None:
    """Make a delivery of an announcement for each endpoint that wants it; seen twice it is delivered once."""
    detail_type, detail = event["detail-type"], event["detail"]
    # Read each time: it costs less than the message did, and a new endpoint misses nothing.
    wanting = [endpoint for endpoint in live.endpoints.all() if endpoint.wants(detail_type, detail)]
    deliveries = [new_delivery(each.id, detail_type, detail, parse_time(event["time"]), now) for each in wanting]
    for delivery in deliveries:
        with suppress(ConditionFailed):  # it was seen before: maybe by somebody who came no further than this
            live.deliveries.begin(delivery)
    have_made([(delivery.endpoint, delivery.id) for delivery in deliveries], live)


def deliver(endpoint_id: str, delivery_id: str, live: Live, now: int) -> None:
    """Make the next try of a delivery, if it is due.

    Raises:
        ConditionFailed: somebody else moved it meanwhile.
        Unavailable: there is no key to sign it with.
    """
    delivery = live.deliveries.find(endpoint_id, delivery_id)
    if delivery is None or not delivery.is_due(now):
        return
    endpoint = live.endpoints.find(endpoint_id)
    if endpoint is None or endpoint.disabled:
        reason: Cancellation = "endpoint_disabled" if endpoint else "endpoint_deleted"
        live.deliveries.move(delivery, canceled(delivery, reason, now))
    elif delivery.state == "sending":
        after = abandoned(delivery, now)
        live.deliveries.move(delivery, after)
        _tell(after, live, now)
    else:
        _post(endpoint, delivery, live, now)


def _post(endpoint: Endpoint, delivery: Delivery, live: Live, now: int) -> None:
    secret = endpoint_secret(live.secret.signing_key(), endpoint.id, endpoint.version)
    sending = begun(delivery, now)
    live.deliveries.move(delivery, sending)
    # Whoever checks the signature's time has a real clock, also where that of the local cloud was moved.
    headers = signed_headers(secret, delivery.message, delivery.payload, real_now() // SECOND)
    answer = live.webhooks.post(endpoint.url, headers, delivery.payload)
    _conclude(sending, answer, live, live.clock())


def _conclude(sending: Delivery, answer: Answer, live: Live, now: int) -> None:
    """Write what came of a call: the delivery's next state and, where it changes, the endpoint's, at once."""
    after = ended(sending, answer, now)
    for _ in range(_ATTEMPTS):
        try:
            live.deliveries.move(sending, after, _noted(sending.endpoint, answer, live, now))
            break
        except ConditionFailed:
            if live.deliveries.find(sending.endpoint, sending.id) != sending:
                return  # it took so long that somebody took it for abandoned
    else:
        live.deliveries.move(sending, after)  # others keep noting of the endpoint: the next one does it for this one
    _tell(after, live, now)


def _noted(endpoint_id: str, answer: Answer, live: Live, now: int) -> list[Put]:
    """What changes of the endpoint with an answer, and what is to be told of that; nothing in the usual case."""
    endpoint = live.endpoints.find(endpoint_id)
    if endpoint is None:
        return []
    after = after_success(endpoint) if answer.succeeded else after_failure(endpoint, now, gone=answer.gone)
    if after == endpoint:
        return []
    news = [Put(outbox_item(None, disabling(after), now))] if after.disabled else []
    return [change_put(endpoint, after), *news]


def _tell(delivery: Delivery, live: Live, now: int) -> None:
    """Log and count what did not arrive, never with its content or address; have it tried again soon if it is to be."""
    have_made_soon(delivery, live, now)
    if delivery.state == "succeeded":
        return
    last = delivery.attempts[-1]
    said = {"endpoint": delivery.endpoint, "delivery": delivery.id, "status": last.status, "reason": last.reason}
    logger.warning("webhook not delivered", extra={**said, "state": delivery.state})
    count("WebhooksFailed", int(delivery.state == "failed"))


def take(message: dict[str, Any], live: Live, now: int) -> None:
    """Handle one message: a bus event, or the endpoint and id of a delivery."""
    if "detail-type" in message:
        announce(message, live, now)
    else:
        deliver(message["endpoint"], message["delivery"], live, now)


def handler(event: dict[str, Any], _context: object) -> None:
    """SQS; a message that cannot be processed is parked, one that waits for something comes again."""
    take_each(event, "notify", take, _live.live, "NOTIFY")
