"""What the API answers, as models: they are read when the document is made and by tests, never by a function.

A field that is not always there has a default; every other one is, and there are no others.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from billing.attempts import State
from billing.plans import Plan

DECIMAL: dict[str, Any] = {"type": "string", "pattern": r"^-?\d+(\.\d+)?$", "description": "A decimal number, exact."}
INSTANT: dict[str, Any] = {
    "type": "string",
    "format": "date-time",
    "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z$",
    "description": "RFC 3339, UTC.",
}

Decimal = Annotated[str, WithJsonSchema(DECIMAL)]
Time = Annotated[str, WithJsonSchema(INSTANT)]
Dimensions = dict[str, str]


class Answer(BaseModel):
    """Something that the API answers."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Health(Answer):
    """The API answers."""

    status: Literal["ok"]


class Received(Answer):
    """Stripe's event was taken."""

    received: Literal[True]


class Verdict(Answer):
    """Why one event of a request was refused."""

    index: Annotated[int, Field(description="Its place in the request, from 0.")]
    id: str | None
    code: str
    detail: str


class EventsAccepted(Answer):
    """What was accepted is durable; the rest is told one by one."""

    accepted: int
    rejected: list[Verdict]


class Wrong(Answer):
    """One thing that is wrong with a body."""

    pointer: Annotated[str, Field(description="Where: a JSON pointer (RFC 6901).")]
    detail: str


class Problem(Answer):
    """What went wrong (RFC 9457): a code that stays the same, a sentence for people, and all faults at once."""

    type: str = "about:blank"
    status: int
    code: str
    detail: str
    errors: list[Wrong] = []


class EventsProblem(Answer):
    """No event of the request was accepted, or the request as a whole could not be read."""

    type: str = "about:blank"
    status: int
    code: str
    detail: str
    errors: list[Wrong] = []
    accepted: int = 0
    rejected: list[Verdict] = []


class GatewayMessage(Answer):
    """What the gateway itself says, before any function runs."""

    message: str | None


class EventVersion(Answer):
    """An event as it was sent."""

    id: str
    customer: str
    meter: str
    timestamp: Time
    dimensions: Dimensions
    value: Decimal | None = None
    amount: Decimal | None = None
    type: Literal["start", "stop"] | None = None
    revision: int = 0
    void: bool = False


class EventRow(EventVersion):
    """An event: the version that holds, and those that it replaced."""

    status: Annotated[Literal["live", "void"], Field(description="Whether it counts, or was taken back.")]
    superseded: Annotated[list[EventVersion], Field(description="What it replaced, the highest first; at most 20.")]


class UsageRow(Answer):
    """The usage of one window and one combination of the dimensions asked for."""

    start: Time
    end: Time
    dimensions: Dimensions
    quantity: Annotated[Decimal, Field(description="By the meter's aggregation; milliseconds × weight for durations.")]
    events: Annotated[int, Field(description="How many events; for durations, how many sessions began.")]


class SessionRow(Answer):
    """One interval in which a resource ran, or a stop that ended nothing."""

    id: Annotated[str, Field(description="The id of the event that began it.")]
    meter: str
    key: Annotated[dict[str, str | None], Field(description="The dimensions that tie start to stop.")]
    dimensions: Dimensions
    start: Time
    end: Time | None
    status: Literal["open", "closed", "anomalous"]
    closed_by: Literal["stop", "start", "max_duration", "ends_at", "open", "orphan"]
    quantity: Decimal


class PlanAnswer(Plan):
    """A version of a plan; versions never change."""

    version: int


class ApiKeyRow(Answer):
    """A key without its secret."""

    id: str
    scopes: list[Literal["ingest", "read", "admin"]]


class ApiKeyMade(ApiKeyRow):
    """A new key; its secret is shown this once."""

    key: str


class CreditRow(Answer):
    """Money that was paid or given in advance."""

    id: str
    amount: Decimal
    remaining: Decimal
    priority: int
    kind: Literal["paid", "promotional"]
    effective_at: Time
    expires_at: Time | None
    reference: str | None


class Balance(Answer):
    """What a customer can spend."""

    balance: Decimal
    balance_exact: Annotated[Decimal, Field(description="Before the running period's lines are rounded.")]
    currency: Annotated[str | None, Field(description="None while neither the customer nor a plan has named one.")]
    credits: list[CreditRow]
    as_of: Time
    runs_out_at: Annotated[
        Time | None,
        Field(description="When it will be zero if consumption goes on as lately; null where that cannot be said."),
    ]


class Access(Answer):
    """Whether a customer may go on."""

    allowed: bool
    balance: Decimal


class LedgerRow(Answer):
    """One entry; amounts are signed and sum to the balance."""

    id: str
    at: Time
    kind: Literal["grant", "draw", "return", "expiry", "revoke"]
    amount: Decimal
    balance_after: Decimal
    credit: str | None
    period: Time | None
    invoice: Annotated[
        str | None,
        Field(description="Of that period, once it is finalised: its id; of several the last."),
    ]
    reference: str | None


class TopUpRow(Answer):
    """One try to buy credit."""

    id: str
    customer: str
    currency: str
    amount: Annotated[Decimal, Field(description="What is credited, before tax.")]
    tax: Decimal
    charged: Decimal
    status: Annotated[State, Field(description="With `action_required` it is to be paid at `url`; three are ends.")]
    automatic: bool
    requested_at: Time
    changed_at: Time
    payment_intent: str | None
    reason: Annotated[str | None, Field(description="Why it failed, in the words of Stripe's code.")]
    url: Annotated[str | None, Field(description="Where the customer can pay in person, while that is asked for.")]
    returned: Annotated[Decimal, Field(description="What of `charged` went back, by refunds and lost disputes.")]


class PaymentPage(Answer):
    """A page of Stripe's."""

    url: str
