"""What the API answers about webhooks, as models; see `answers`."""

from typing import Annotated, Any, Literal

from pydantic import Field

from billing.deliveries import Cancellation, Failure, State
from billing.endpoints import Reason
from infra.openapi.answers import Answer, Time


class WebhookEndpointRow(Answer):
    """Where announcements are posted."""

    id: str
    url: str
    events: Annotated[list[str], Field(description="Types of announcements, or `*` alone.")]
    status: Literal["enabled", "disabled"]
    disabled_reason: Annotated[
        Reason | None,
        Field(description="`gone`: it answered 410; `failing`: for five days nothing that was sent there arrived."),
    ]
    disabled_at: Time | None
    failing_since: Annotated[Time | None, Field(description="The first failure since anything arrived.")]
    created_at: Time


class WebhookEndpoint(WebhookEndpointRow):
    """Where announcements are posted, and the secret by which their receiver knows that they are ours."""

    secret: Annotated[str, Field(description="`whsec_` and base64, as libraries for Standard Webhooks take it.")]


class WebhookAttempt(Answer):
    """One request that was made."""

    at: Time
    status: Annotated[int | None, Field(description="Of the answer; null where there was none.")]
    reason: Annotated[
        Failure | None,
        Field(
            description="Why there was no answer. `address_refused`: an address of the host is not public; "
            "`interrupted`: whether there was one is not known."
        ),
    ]


class WebhookPayload(Answer):
    """What is posted."""

    type: str
    timestamp: Annotated[Time, Field(description="When it was announced.")]
    data: Annotated[dict[str, Any], Field(description="What it tells, with its `id`.")]


class WebhookDelivery(Answer):
    """An announcement on its way to an endpoint, or arrived, or given up."""

    id: str
    webhook_id: Annotated[str, Field(description="The header `webhook-id`: the same however often it is sent.")]
    type: str
    status: State
    announced_at: Time
    changed_at: Time
    next_attempt_at: Time | None
    reason: Annotated[Cancellation | None, Field(description="Why it was canceled, if it was.")]
    attempts: Annotated[list[WebhookAttempt], Field(description="Oldest first.")]
    payload: WebhookPayload
