"""What `…/explain` answers, as models: like `answers`, read when the document is made and by tests."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from billing.plans import Item
from infra.openapi.answers import Answer, Decimal, Dimensions, Time
from infra.openapi.bills import InvoiceHead, InvoiceLine

Link = Annotated[str, Field(description="A path of this API with its query, to be read with the same key.")]


class ExplainedLinks(Answer):
    """Where to read on. Events and sessions are null once they are no longer kept, or where there are none."""

    usage: Link
    events: Link | None
    sessions: Link | None


class ExplainedWindow(Answer):
    """What was used in a day of the customer; in an hour, where the period is of two days or less."""

    start: Time
    end: Time
    quantity: Annotated[Decimal, Field(description="In what `measured` counts; joined by `joined_by` they are that.")]
    events: int
    links: ExplainedLinks


class ExplainedUsageRow(Answer):
    """The usage of one combination of the meter's dimensions over the whole period."""

    dimensions: Dimensions
    quantity: Decimal
    events: int


class ExplainedUsage(Answer):
    """What a line was read from, as the windows have it today."""

    meter: str
    aggregation: Literal["sum", "count", "min", "max", "latest", "unique", "duration"]
    joined_by: Annotated[
        Literal["sum", "least", "greatest", "latest", "distinct"],
        Field(description="How rows and windows make the quantity."),
    ]
    rows: Annotated[list[ExplainedUsageRow], Field(description="At most 100; the link leads to all.")]
    further_rows: Annotated[int, Field(description="How many more there are.")]
    links: ExplainedLinks
    windows: list[ExplainedWindow]


class QuantityStep(Answer):
    """measured / divide_by = used; used − what is included = rated, not below zero."""

    measure: Literal["quantity", "events"]
    measured: Decimal
    divide_by: Decimal
    used: Decimal
    rated: Decimal
    unit: str | None


class IncludedStep(Answer):
    """What is included in the item, and how its lines use it up in their order."""

    in_plan: Decimal
    share: Decimal
    in_period: Decimal
    used_up_before: Decimal
    used_up_here: Decimal
    left: Decimal


class RoundingStep(Answer):
    """The lines of an item are rounded cumulatively: `item_rounded_so_far` less `rounded_before` is the amount."""

    amount_exact: Decimal
    item_exact_so_far: Decimal
    item_rounded_so_far: Decimal
    rounded_before: Decimal
    amount: Decimal


class FeeStep(Answer):
    """A flat fee, by its share of a whole period."""

    fee: Decimal
    prorate: bool
    share: Decimal
    amount_exact: Decimal
    amount: Decimal


class DiscountStep(Answer):
    """A discount of the plan: a percentage of what is left, or an amount by the period's share."""

    percent: Decimal | None
    amount: Decimal | None
    share: Decimal


class BoundStep(Answer):
    """The plan's minimum or maximum, by the period's share."""

    in_plan: Decimal
    share: Decimal
    in_period: Decimal


class LeftStep(Answer):
    """What the rounded lines leave before and after this one."""

    before: Decimal
    amount_exact: Decimal
    amount: Decimal
    after: Decimal


class AdjustsStep(Answer):
    """The earlier period that an adjustment is for: its new rating less what was invoiced for it."""

    start: Time
    end: Time
    explain: Annotated[str | None, Field(description="Where that is explained; null if it was not invoiced.")]


class ExplainedSteps(Answer):
    """The steps of the computation, from today's usage. Which there are depends on the line."""

    quantity: QuantityStep | None = None
    included: IncludedStep | None = None
    price: Annotated[
        dict[str, Any] | None, Field(description="Of a matrix the price that the combination has; null: unpriced.")
    ] = None
    tiers: Annotated[list[dict[str, Any]], Field(description="As the line has them.", default_factory=list)]
    rounding: RoundingStep | None = None
    fee: FeeStep | None = None
    discount: DiscountStep | None = None
    minimum: BoundStep | None = None
    maximum: BoundStep | None = None
    left: LeftStep | None = None
    adjusts: AdjustsStep | None = None


class ExplainedLine(Answer):
    """A line and how it came about."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": "8c1f0e35a0a1b2c3",
                "line": {
                    "item": "calls",
                    "description": "Calls (region eu)",
                    "quantity": "15",
                    "unit": None,
                    "unit_price": "0.333",
                    "amount": "5",
                    "amount_exact": "4.995",
                    "kind": "usage",
                    "tiers": [],
                    "dimensions": {"region": "eu"},
                },
                "differs": False,
                "today": None,
                "item": None,
                "steps": {
                    "quantity": {
                        "measure": "quantity",
                        "measured": "17",
                        "divide_by": "1",
                        "used": "17",
                        "rated": "15",
                        "unit": None,
                    },
                    "rounding": {
                        "amount_exact": "4.995",
                        "item_exact_so_far": "4.995",
                        "item_rounded_so_far": "5",
                        "rounded_before": "0",
                        "amount": "5",
                    },
                },
                "usage": None,
            }
        }
    )

    id: Annotated[str, Field(description="What the line is known by in its invoice.")]
    line: Annotated[
        InvoiceLine | None, Field(description="As invoiced; null for one that only today's usage would make.")
    ]
    differs: Annotated[bool, Field(description="Today's usage makes something else of it: an adjustment follows.")]
    today: Annotated[
        InvoiceLine | None, Field(description="What it makes of it, where it differs; null too where nothing is left.")
    ]
    item: Annotated[Item | None, Field(description="Of the plan's version; null for what concerns the whole plan.")]
    steps: ExplainedSteps
    usage: ExplainedUsage | None


class ExplainedTax(Answer):
    """taxed × rate / 100, rounded once."""

    rate: Decimal
    on: Literal["rest", "subtotal"]
    taxed: Decimal
    amount_exact: Decimal
    amount: Decimal


class CreditPaid(Answer):
    """What one credit paid."""

    credit: str
    amount: Decimal


class ExplainedCredits(Answer):
    """Who paid of the lines; what was given back since is taken off."""

    applied: Decimal
    by: list[CreditPaid]


class ExplainedToday(Answer):
    """What the usage that is known now makes of the period."""

    subtotal: Decimal
    difference: Annotated[Decimal, Field(description="Less what the invoice's lines say, adjustments left out.")]
    as_of: Time


class Explanation(Answer):
    """An invoice explained, a page of its lines at a time."""

    invoice: InvoiceHead
    timezone: Annotated[str, Field(description="Whose days and hours the windows are.")]
    share: Annotated[Decimal, Field(description="How much of a whole period it is.")]
    tax: ExplainedTax
    credits: ExplainedCredits
    today: ExplainedToday
    rows: list[ExplainedLine]
    next: str | None
