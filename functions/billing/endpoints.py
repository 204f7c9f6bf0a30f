"""Webhook endpoints: who is told of what, and when one that only fails is told nothing more. Contract: api.md."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, StringConstraints

from billing.settlement import Announcement
from metering.faults import Written
from metering.meters import Key
from metering.packing import canonical, digest
from metering.times import DAY, HOUR, format_time

DISABLED = "webhook_endpoint.disabled"
DETAIL_TYPES = (
    *("balance.low", "balance.depleted", "balance.recovered", "spend.above", "usage.above"),
    *("top_up.requested", "top_up.succeeded", "top_up.failed", "top_up.action_required", "top_up.returned"),
    *("credit.granted", "credit.expired"),
    *("invoice.finalized", "invoice.paid", "invoice.payment_failed", "invoice.voided"),
    *("session.anomaly", "event.conflict", DISABLED),
)
"""What is told on the bus, and so to endpoints: api.md, On the bus."""

EVERYTHING = "*"

# Nothing but failures for so long, and the endpoint is disabled.
_FAILING = 5 * DAY
# After so long without any attempt a failure is a first one again: longer than a delivery ever waits for its next try.
_QUIET = 2 * DAY
# How exactly the last failure is remembered: an endpoint that is down is not written with every attempt.
_NOTED = HOUR

Reason = Literal["gone", "failing"]


def _known(name: str) -> str:
    if name not in (*DETAIL_TYPES, EVERYTHING):
        raise ValueError(f"must be * or one of {', '.join(DETAIL_TYPES)}")
    return name


def _listed(value: object) -> object:
    return [value] if value == EVERYTHING else value


def _each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names:
        raise ValueError("must be * or name at least one type")
    return (EVERYTHING,) if EVERYTHING in names else tuple(sorted(set(names)))


EventName = Annotated[str, AfterValidator(_known)]
EventNames = Annotated[tuple[EventName, ...], BeforeValidator(_listed), AfterValidator(_each_once)]
Url = Annotated[str, StringConstraints(min_length=1, max_length=2_000)]


class EndpointRequest(Written):
    """What users post to `/v1/webhook_endpoints`; without an id it is named by its content."""

    url: Url
    events: EventNames
    id: Key | None = None

    @property
    def name(self) -> str:
        """The id of the endpoint: the same request makes the same one."""
        return self.id or f"we_{digest(canonical([self.url, *self.events]))[:24]}"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A place of the operator's to which announcements are posted.

    Attributes:
        events: detail-types, or `*` alone.
        version: of its secret, which is derived from it; another one each time the endpoint is made.
        disabled: why nothing is sent to it any more; None while it is enabled.
        failing_since: the first failure since anything succeeded.
        failed_at: a failure of the last hour of failures.
    """

    id: str
    url: str
    events: tuple[str, ...]
    version: int
    created_at: int
    disabled: Reason | None = None
    disabled_at: int | None = None
    failing_since: int | None = None
    failed_at: int | None = None

    def wants(self, detail_type: str, detail: Mapping[str, Any]) -> bool:
        """Whether it is to be told of this; never of its own end."""
        if self.disabled or (detail_type == DISABLED and detail.get("endpoint") == self.id):
            return False
        return detail_type in self.events or self.events == (EVERYTHING,)

    def as_json(self) -> dict[str, Any]:
        """The endpoint as the API lists it, without its secret."""
        return {
            "id": self.id,
            "url": self.url,
            "events": list(self.events),
            "status": "disabled" if self.disabled else "enabled",
            "disabled_reason": self.disabled,
            "disabled_at": None if self.disabled_at is None else format_time(self.disabled_at),
            "failing_since": None if self.failing_since is None else format_time(self.failing_since),
            "created_at": format_time(self.created_at),
        }


def new_endpoint(request: EndpointRequest, now: int) -> Endpoint:
    """The endpoint that a request makes; made again after it was removed, it has another secret."""
    return Endpoint(request.name, request.url, request.events, version=now, created_at=now)


def enabled(endpoint: Endpoint) -> Endpoint:
    """The endpoint as a person enables it: what it failed before is forgotten."""
    return replace(endpoint, disabled=None, disabled_at=None, failing_since=None, failed_at=None)


def after_success(endpoint: Endpoint) -> Endpoint:
    """The endpoint once something arrived; one that is disabled stays so, whatever was still under way."""
    return endpoint if endpoint.disabled else replace(endpoint, failing_since=None, failed_at=None)


def after_failure(endpoint: Endpoint, now: int, *, gone: bool) -> Endpoint:
    """The endpoint once an attempt failed: disabled if it says that it is gone, or after days of nothing but failures.

    Failures are days of failures only while they go on: two of them with days of silence between do not disable.
    """
    if endpoint.disabled:
        return endpoint
    if gone:
        return replace(endpoint, disabled="gone", disabled_at=now)
    if endpoint.failing_since is None or endpoint.failed_at is None or now - endpoint.failed_at > _QUIET:
        return replace(endpoint, failing_since=now, failed_at=now)
    if now - endpoint.failing_since >= _FAILING:
        return replace(endpoint, disabled="failing", disabled_at=now, failed_at=now)
    return endpoint if now - endpoint.failed_at < _NOTED else replace(endpoint, failed_at=now)


def disabling(endpoint: Endpoint) -> Announcement:
    """What tells the others that an endpoint was disabled, once."""
    since = None if endpoint.failing_since is None else format_time(endpoint.failing_since)
    detail = {"endpoint": endpoint.id, "reason": endpoint.disabled, "failing_since": since}
    return Announcement(f"{DISABLED}:{endpoint.id}:{endpoint.disabled_at}", DISABLED, detail)
