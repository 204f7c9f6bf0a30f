"""What the routes of one wallet answer, as models; see `answers`."""

from typing import Annotated

from pydantic import Field

from infra.openapi.answers import Answer, Decimal, Time
from infra.openapi.bills import InvoiceLine, InvoicePeriod


class Revocation(Answer):
    """What was taken back of a credit."""

    id: str
    credit: str
    amount: Annotated[Decimal | None, Field(description="What was asked for; null for all that remained.")]
    revoked: Annotated[Decimal, Field(description="What was taken: nothing of a credit that has ended or is used up.")]
    remaining: Annotated[Decimal, Field(description="What the credit had left then.")]
    at: Time


class TimelineRow(Answer):
    """What moved in one window on one credit for one period."""

    start: Time
    end: Time
    credit: Annotated[str | None, Field(description="Null for what was owed without one (`prepaid_only`).")]
    period: Annotated[Time | None, Field(description="The start of the billing period that it was for, if it was.")]
    drawn: Decimal
    returned: Annotated[Decimal, Field(description="What was given back of draws: consumption is drawn − returned.")]
    granted: Decimal
    expired: Annotated[Decimal, Field(description="Below zero for an expiry that was taken back for late usage.")]
    revoked: Decimal
    amount: Annotated[Decimal, Field(description="returned + granted − drawn − expired − revoked.")]


class ComparedPlan(Answer):
    """The plan of one side."""

    key: str
    version: Annotated[int | None, Field(description="Null for a plan that was written out.")]


class ComparedLine(InvoiceLine):
    """A line, and the stretch of the period that it is for: another calendar may cut it."""

    period: InvoicePeriod


class ComparedSide(Answer):
    """What the period costs on one plan, without credits and tax."""

    plan: ComparedPlan
    lines: list[ComparedLine]
    subtotal: Decimal


class Comparison(Answer):
    """The same usage on two plans."""

    period: InvoicePeriod
    currency: str
    current: ComparedSide
    what_if: ComparedSide
    difference: Annotated[Decimal, Field(description="Above zero where the other plan costs more.")]
