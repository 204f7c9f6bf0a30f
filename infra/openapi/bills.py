"""What the API answers about what is owed: invoices, their lines, and the steps by which a line came about."""

from typing import Annotated, Any, Literal

from pydantic import Field

from infra.openapi.answers import Answer, Decimal, Dimensions, Time


class TierStep(Answer):
    """A tier that was entered: `quantity` × `unit_price` + `flat_fee` = `amount`."""

    from_: Annotated[Decimal, Field(alias="from", description="Where it begins, exclusive.")]
    up_to: Annotated[Decimal | None, Field(description="Where it ends, inclusive; null for the last one.")]
    quantity: Annotated[Decimal, Field(description="What lies in it; with volume and stairstep, the whole.")]
    unit_price: Decimal
    flat_fee: Decimal
    amount: Decimal


class PackageStep(Answer):
    """Packages: `packages` × `package_price` = `amount`."""

    quantity: Decimal
    size: Decimal
    packages: Decimal
    package_price: Decimal
    amount: Decimal


class PercentageStep(Answer):
    """A percentage: `quantity` × `rate` / 100 + `events` × `fixed_fee`, clamped, = `amount`."""

    quantity: Decimal
    rate: Decimal
    events: Decimal
    fixed_fee: Decimal
    minimum: Decimal | None
    maximum: Decimal | None
    amount: Decimal


class AmountStep(Answer):
    """What the events themselves said that they cost."""

    events: Decimal
    amount: Decimal


class InvoicePeriod(Answer):
    """From `start` up to and without `end`."""

    start: Time
    end: Time


class InvoiceLine(Answer):
    """One line of an invoice, able to explain itself."""

    item: str | None
    description: str
    quantity: Annotated[Decimal | None, Field(description="What is charged, after `divide_by` and what is included.")]
    unit: str | None
    unit_price: Annotated[Decimal | None, Field(description="The price of one, where there is a single one.")]
    amount: Annotated[Decimal, Field(description="Rounded to the currency; the lines of an item cumulatively.")]
    amount_exact: Annotated[Decimal, Field(description="Before rounding; 30 decimals where they never end.")]
    kind: Literal["usage", "flat", "minimum", "discount", "adjustment"]
    tiers: Annotated[
        list[TierStep | PackageStep | PercentageStep | AmountStep],
        Field(description="How it came to `amount_exact`: the amounts of all steps add up to it."),
    ]
    dimensions: Annotated[Dimensions, Field(description="The combination of a matrix that the line is for.")]
    included: Annotated[Decimal, Field(description="Used besides `quantity`, and not charged.")] = "0"
    unpriced: Annotated[bool, Field(description="There is usage that no price of the plan fits.")] = False
    period: Annotated[
        InvoicePeriod | None, Field(description="Of an adjustment: the earlier period whose usage changed.")
    ] = None
    credit: Annotated[
        str | None, Field(description="Of an adjustment: the credit that was spent and whose payment went back.")
    ] = None


class Quote(Answer):
    """What usage would cost: no tax, no credits, so that `total` is `subtotal`."""

    currency: str
    lines: list[InvoiceLine]
    subtotal: Decimal
    total: Decimal


class PlanVersion(Answer):
    """Which version of which plan."""

    key: str
    version: int


class InvoiceHead(Answer):
    """An invoice without its lines."""

    id: str
    number: str | None
    customer: str
    status: Literal["draft", "finalized", "paid", "past_due", "void", "uncollectible"]
    plan: PlanVersion
    currency: str
    period: InvoicePeriod
    issuer: dict[str, Any]
    bill_to: dict[str, Any]
    subtotal: Decimal
    credits_applied: Decimal
    tax_rate: Decimal
    tax: Decimal
    total: Decimal
    amount_due: Decimal
    amount_refunded: Decimal
    finalized_at: Time | None
    due_at: Time | None
    paid_at: Time | None
    stripe_invoice: str | None
    hosted_invoice_url: Annotated[str | None, Field(description="Stripe's page on which the customer can pay it.")]
    credit_granted: Annotated[Decimal, Field(description="What adjustments left below zero: it becomes a credit.")]
    credit: Annotated[str | None, Field(description="The id of that credit.")]
    reissued_as: Annotated[
        str | None, Field(description="Of a void invoice: the id of the one that was made anew of its period.")
    ]
    held: Annotated[
        bool, Field(description="Too small to be charged: it is collected with the customer's next invoice.")
    ]
    carried_by: Annotated[
        str | None, Field(description="The id of the invoice on whose Stripe invoice its sum stands too.")
    ]
    attempt_count: Annotated[int, Field(description="How often it was tried to charge it.")]
    payment_failure: Annotated[
        str | None, Field(description="While it is not paid: why not, by Stripe's code or `no_payment_method`.")
    ]
    next_payment_attempt: Annotated[
        Time | None, Field(description="When that is tried again by itself; null when somebody has to do something.")
    ]


class Invoice(InvoiceHead):
    """An invoice, whole."""

    lines: list[InvoiceLine]
