"""Deliveries of webhooks: a table of states, what may follow what, and when it is tried again.

The schedule, and what each answer means, are those of the Standard Webhooks specification.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from metering.errors import Conflict
from metering.packing import canonical, digest
from metering.times import DAY, HOUR, MINUTE, SECOND, format_time

State = Literal["pending", "sending", "succeeded", "failed", "canceled"]
Cancellation = Literal["endpoint_disabled", "endpoint_deleted"]
Failure = Literal[
    "timeout", "connection", "certificate", "tls", "not_http", "host_unknown", "address_refused", "interrupted"
]

# Which state may follow which. `sending` is stored before the call, so that what a crash left open is found there and
# nobody else makes the same call meanwhile; what has ended is pending again only when a person asks for it.
TRANSITIONS: Mapping[State, frozenset[State]] = {
    "pending": frozenset({"sending", "canceled"}),
    "sending": frozenset({"succeeded", "pending", "failed", "canceled"}),
    "succeeded": frozenset({"pending"}),
    "failed": frozenset({"pending"}),
    "canceled": frozenset({"pending"}),
}

DELAYS = (
    *(0, 5 * SECOND, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR),
    *(10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR),
)
"""How long each try waits after the one before; there are no more than these."""

LEASE = 2 * MINUTE
"""How long a call may be under way before nobody is believed to end it any more: longer than a function runs."""

_SOON = MINUTE
_EARLY = SECOND  # clocks of two machines differ by less
_MOST_ATTEMPTS = 50


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a call.

    Attributes:
        status: of HTTP; None where there was no answer.
        reason: in one word, why there was none.
        retry_after_seconds: how long the other side asks to be left alone.
    """

    status: int | None
    reason: Failure | None = None
    retry_after_seconds: int = 0

    @property
    def succeeded(self) -> bool:
        """Whether it arrived; a redirect has not."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def gone(self) -> bool:
        """Whether nothing is wanted there any more."""
        return self.status == 410


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call that was made, when it ended, and what came of it."""

    at: int
    status: int | None
    reason: Failure | None

    def as_json(self) -> dict[str, Any]:
        """The attempt as the log shows it."""
        return {"at": format_time(self.at), "status": self.status, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Delivery:
    """One announcement on its way to one endpoint.

    Attributes:
        id: in the order of announcing; the same announcement has the same id each time it is seen.
        message: the `webhook-id`, which stays the same however often it is sent.
        event: the detail-type.
        payload: what is posted, to the byte.
        announced_at: when the bus was told of it.
        due_at: while pending, when it is tried next.
        tries: since it was announced, or last redelivered.
        attempts: the calls that were made, oldest first; of very many the last.
        reason: why it was canceled.
    """

    id: str
    endpoint: str
    message: str
    event: str
    payload: str
    state: State
    announced_at: int
    changed_at: int
    due_at: int | None
    tries: int = 0
    attempts: tuple[Attempt, ...] = ()
    reason: Cancellation | None = None

    def is_due(self, now: int) -> bool:
        """Whether somebody has to do something about it: try it, or find that whoever did has not come back."""
        if self.state == "sending":
            return now >= self.changed_at + LEASE
        return self.due_at is not None and now >= self.due_at - _EARLY

    def waits_briefly(self, now: int) -> bool:
        """Whether its next try comes sooner than a schedule of minutes would find it."""
        return self.due_at is not None and self.due_at - now < _SOON

    def as_json(self) -> dict[str, Any]:
        """The delivery as the log shows it."""
        return {
            "id": self.id,
            "webhook_id": self.message,
            "type": self.event,
            "status": self.state,
            "announced_at": format_time(self.announced_at),
            "changed_at": format_time(self.changed_at),
            "next_attempt_at": None if self.due_at is None else format_time(self.due_at),
            "reason": self.reason,
            "attempts": [attempt.as_json() for attempt in self.attempts],
            "payload": json.loads(self.payload),
        }


def new_delivery(endpoint: str, detail_type: str, detail: Mapping[str, Any], announced_at: int, now: int) -> Delivery:
    """The delivery of an announcement to an endpoint, to be tried at once."""
    # Neither header nor id can hold what announcements are named by, and a full stop would blur what is signed.
    name = digest(canonical([detail_type, detail["id"]]))
    moment = format_time(announced_at).replace("-", "").replace(":", "")
    payload = {"type": detail_type, "timestamp": format_time(announced_at), "data": dict(detail)}
    return Delivery(
        id=f"{moment}-{name}",
        endpoint=endpoint,
        message=f"msg_{name}",
        event=detail_type,
        payload=json.dumps(payload, separators=(",", ":")),
        state="pending",
        announced_at=announced_at,
        changed_at=now,
        due_at=now,
    )


def begun(delivery: Delivery, now: int) -> Delivery:
    """A delivery whose next try is about to be made."""
    return replace(_moved(delivery, "sending", now), tries=delivery.tries + 1)


def ended(delivery: Delivery, answer: Answer, now: int) -> Delivery:
    """A delivery after a try: it arrived, or is tried again later, or that was the last time."""
    attempts = (*delivery.attempts, Attempt(now, answer.status, answer.reason))[-_MOST_ATTEMPTS:]
    if answer.succeeded:
        after = _moved(delivery, "succeeded", now)
    elif answer.gone or delivery.tries >= len(DELAYS):
        after = _moved(delivery, "failed", now)
    else:
        after = _moved(delivery, "pending", now, due_at=now + _pause(delivery, answer))
    return replace(after, attempts=attempts)


def abandoned(delivery: Delivery, now: int) -> Delivery:
    """A delivery whose try was begun and never ended: what came of it is unknown, and so it is tried again."""
    return ended(delivery, Answer(None, "interrupted"), now)


def canceled(delivery: Delivery, reason: Cancellation, now: int) -> Delivery:
    """A delivery that is not tried any more, because its endpoint is not there or disabled."""
    return replace(_moved(delivery, "canceled", now), reason=reason)


def redelivered(delivery: Delivery, now: int) -> Delivery:
    """A delivery that a person wants made now, with all its tries; one that is just being made stays as it is."""
    if delivery.state == "sending" and not delivery.is_due(now):
        return delivery
    if delivery.state == "pending":
        return replace(delivery, changed_at=now, due_at=now, tries=0)
    return replace(_moved(delivery, "pending", now, due_at=now), tries=0, reason=None)


def _pause(delivery: Delivery, answer: Answer) -> int:
    """How long the next try waits: by the schedule, or as long as was asked for, at most a day.

    And up to a tenth longer, by its id: what failed together is not all tried again at the same moment.
    """
    delay = DELAYS[delivery.tries]
    spread = delay * int(delivery.message[-4:], 16) // (10 * 16**4)
    return max(delay + spread, min(answer.retry_after_seconds * SECOND, DAY))


def _moved(delivery: Delivery, state: State, now: int, due_at: int | None = None) -> Delivery:
    if state not in TRANSITIONS[delivery.state]:
        raise Conflict(f"a delivery that is {delivery.state} cannot become {state}", "delivery_state")
    return replace(delivery, state=state, changed_at=now, due_at=due_at)
