"""Credits: money that was paid or given in advance, and the order in which it burns."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from pydantic import StrictInt

from billing.fields import Instant, Positive, Text
from metering.decimals import text
from metering.faults import Written
from metering.meters import Key
from metering.times import format_time

CreditKind = Literal["paid", "promotional"]

_NEVER = 1 << 62


class CreditRequest(Written):
    """What users post to `/v1/customers/{id}/credits`; without `effective_at` it begins when it is posted."""

    id: Key
    amount: Positive
    kind: CreditKind = "paid"
    priority: StrictInt = 50
    effective_at: Instant | None = None
    expires_at: Instant | None = None
    reference: Text | None = None


class RevocationRequest(Written):
    """What users post to `/v1/customers/{id}/credits/{credit}/revoke`; without `amount` all that remains is meant."""

    id: Key
    amount: Positive | None = None


@dataclass(frozen=True, slots=True)
class Credit:
    """Money that was paid or given in advance.

    Attributes:
        amount: what it was granted with.
        remaining: what can still be drawn; zero once it ended.
        priority: lower burns first.
        effective_at: from when it may be drawn (milliseconds, on a quarter of an hour).
        expires_at: from when it may not.
        begun_at: when its grant was entered; None while it lies ahead.
        ended_at: when its expiry was entered.
        lapsed: what was left at its end: for an hour, late usage from before the end may still draw on it.
        seen: (start of a period, what was owed there up to the credit's end as far as known by now).
    """

    id: str
    amount: Decimal
    remaining: Decimal
    kind: CreditKind
    priority: int
    effective_at: int
    expires_at: int | None = None
    reference: str | None = None
    begun_at: int | None = None
    ended_at: int | None = None
    lapsed: Decimal = Decimal(0)
    seen: tuple[tuple[int, Decimal], ...] = ()

    @property
    def live(self) -> bool:
        """Whether it has begun and not ended: then it counts in the balance."""
        return self.begun_at is not None and self.ended_at is None

    def as_json(self) -> dict[str, Any]:
        """The credit as the API lists it."""
        return {
            "id": self.id,
            "amount": text(self.amount),
            "remaining": text(self.remaining),
            "priority": self.priority,
            "kind": self.kind,
            "effective_at": format_time(self.effective_at),
            "expires_at": None if self.expires_at is None else format_time(self.expires_at),
            "reference": self.reference,
        }


def burn_order(credit: Credit) -> tuple[int, int, int, str]:
    """Which credit pays first: lower priority, then earlier expiry (none last), then the older one, then its id."""
    expires_at = _NEVER if credit.expires_at is None else credit.expires_at
    return credit.priority, expires_at, credit.effective_at, credit.id


def same_credit(credit: Credit, request: CreditRequest) -> bool:
    """Whether a request asks for a credit that is there already; an absent `effective_at` asks for nothing."""
    return (
        (credit.amount, credit.kind, credit.priority, credit.expires_at, credit.reference)
        == (request.amount, request.kind, request.priority, request.expires_at, request.reference)
    ) and request.effective_at in (None, credit.effective_at)
