"""Rating: from the usage of a period to the lines of its invoice. Laws 5.1 to 5.3, Fine print Prices.

The order is the one of the contract: items → discounts → maximum or minimum. Credits and tax come later, with the
wallet and the invoice. Everything here is a pure function of the plan and the usage.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal

from billing.money import exact, round_money, total
from billing.plans import Item, Plan
from billing.pricing import Flat, Matrix, Measured, Part, Step, charge, charge_flat, split
from metering.decimals import text
from metering.times import format_time
from metering.usage import Usage, join

LineKind = Literal["usage", "flat", "minimum", "discount", "adjustment"]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an invoice, able to explain itself.

    Attributes:
        item: the key of the plan's item; None for what concerns the plan as a whole.
        description: what people read.
        quantity: what was rated, after `divide_by` and `included`; None where nothing was counted.
        unit: what the quantity counts.
        unit_price: the price of one, where the model has a single one.
        amount: rounded to the currency, cumulatively within the item.
        amount_exact: before rounding.
        kind: what sort of line it is.
        tiers: the steps of the computation, each with its `amount`, as text; those of one line add up to it.
        dimensions: the combination of a matrix item that the line is for.
        included: what was used besides `quantity`, in the same unit, and is not charged.
        unpriced: there was usage that no price of the plan fits; it is charged zero.
        period: start and end of the earlier period that an adjustment is for.
        credit: the credit whose payment went back, which an adjustment asks for again.
    """

    item: str | None
    description: str
    quantity: Fraction | None
    unit: str | None
    unit_price: Decimal | None
    amount: Decimal
    amount_exact: Fraction
    kind: LineKind
    tiers: tuple[Step, ...] = ()
    dimensions: Mapping[str, str] = field(default_factory=dict)
    included: Fraction = Fraction(0)
    unpriced: bool = False
    period: tuple[int, int] | None = None
    credit: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The line as invoices and drafts show it; what stands at its end only where there is such."""
        shown: dict[str, Any] = {
            "item": self.item,
            "description": self.description,
            "quantity": None if self.quantity is None else text(self.quantity),
            "unit": self.unit,
            "unit_price": None if self.unit_price is None else text(self.unit_price),
            "amount": text(self.amount),
            "amount_exact": text(self.amount_exact),
            "kind": self.kind,
            "tiers": [dict(tier) for tier in self.tiers],
            "dimensions": dict(self.dimensions),
        }
        shown |= {"included": text(self.included)} if self.included else {}
        if self.period:
            shown["period"] = {"start": format_time(self.period[0]), "end": format_time(self.period[1])}
        shown |= {"credit": self.credit} if self.credit else {}
        return shown | {"unpriced": True} if self.unpriced else shown


def rate(plan: Plan, usage: Iterable[Usage], share: Fraction = Fraction(1), *, over: bool = True) -> tuple[Line, ...]:
    """Rate the usage of one period.

    Args:
        plan: the version that holds for the period.
        usage: rows of the period, in any order; those that an item does not tell apart are joined.
        share: how much of a whole period it is, for what counts by the period.
        over: whether the period has ended, which is when minimum and arrears fees are due.
    """
    rows = tuple(usage)
    return rate_items(plan, {item.key: select(item, rows) for item in plan.items}, share, over=over)


def select(item: Item, usage: Iterable[Usage]) -> list[Usage]:
    """The rows of the item's meter whose dimensions have the values that `where` asks for."""
    wanted = set(item.where.items())
    return [row for row in usage if row.meter == item.meter and wanted.issubset(row.dimensions)]


@exact
def rate_items(
    plan: Plan, usage: Mapping[str, Sequence[Usage]], share: Fraction = Fraction(1), *, over: bool = True
) -> tuple[Line, ...]:
    """Rate usage that was already assigned to the items by their keys; otherwise as `rate`.

    A period without length owes nothing.
    """
    if not share:
        return ()
    lines = [line for item in plan.items for line in _item_lines(plan, item, usage.get(item.key, ()), share, over=over)]
    return (*lines, *_plan_lines(plan, lines, share, over=over))


def subtotal(lines: Iterable[Line]) -> Decimal:
    """The sum of the rounded lines."""
    return total(line.amount for line in lines)


def subtotal_exact(lines: Iterable[Line]) -> Fraction:
    """The sum of the lines before rounding."""
    return sum((line.amount_exact for line in lines), Fraction(0))


def _item_lines(plan: Plan, item: Item, usage: Sequence[Usage], share: Fraction, *, over: bool) -> Iterator[Line]:
    if isinstance(item.price, Flat):
        if over or item.price.due == "advance":
            yield _fee(plan, item, item.price, share)
        return
    parts = parts_of(item, usage)
    included = Fraction(item.included) * share
    running, before = Fraction(0), Decimal(0)
    for part in parts:
        row = join(part.usage)
        if row is None or not (_used(item, row) or row.events or row.amount):
            continue
        used = max(_used(item, row), Fraction(0))
        free = min(used, included)
        included -= free
        line = _usage_line(item, part, Measured(used - free, row.events, row.amount), free)
        running += line.amount_exact
        after = round_money(running, plan.currency)
        yield replace(line, amount=after - before)
        before = after


def parts_of(item: Item, usage: Sequence[Usage]) -> list[Part]:
    """The usage of an item, apart as its lines are: by combination for a matrix, else as a whole; none for a fee."""
    if isinstance(item.price, Matrix):
        return split(item.price, usage)
    return [] if isinstance(item.price, Flat) else [Part({}, item.price, tuple(usage))]


def used_of(item: Item, usage: Iterable[Usage]) -> Fraction:
    """What was used, in the item's unit: before anything that is included, and below zero where it is."""
    row = join(tuple(usage))
    return Fraction(0) if row is None else _used(item, row)


def _used(item: Item, row: Usage) -> Fraction:
    counted = Fraction(row.events) if item.measure == "events" else Fraction(row.quantity)
    return counted / Fraction(item.divide_by)


def _usage_line(item: Item, part: Part, measured: Measured, included: Fraction) -> Line:
    charged = charge(part.price, measured) if part.price else None
    values = ", ".join(f"{name} {value}" for name, value in part.dimensions.items())
    return Line(
        item=item.key,
        description=f"{item.title} ({values})" if values else item.title,
        quantity=measured.quantity,
        unit=item.unit,
        unit_price=charged.unit_price if charged else None,
        amount=Decimal(0),
        amount_exact=charged.amount if charged else Fraction(0),
        kind="usage",
        tiers=charged.tiers if charged else (),
        dimensions=part.dimensions,
        included=included,
        unpriced=charged is None,
    )


def _fee(plan: Plan, item: Item, price: Flat, share: Fraction) -> Line:
    charged = charge_flat(price, share)
    return Line(
        item=item.key,
        description=item.title,
        quantity=share if price.prorate else Fraction(1),
        unit=item.unit,
        unit_price=charged.unit_price,
        amount=round_money(charged.amount, plan.currency),
        amount_exact=charged.amount,
        kind="flat",
    )


def _plan_lines(plan: Plan, lines: Sequence[Line], share: Fraction, *, over: bool) -> Iterator[Line]:
    """Discounts in order, then what `maximum` takes off or `minimum` adds; each sees what the rounded lines leave."""
    left = subtotal(lines)
    for discount in plan.discounts:
        if discount.percent is not None:
            off, title = Fraction(left) * Fraction(discount.percent) / 100, f"Discount {text(discount.percent)}%"
        else:
            off, title = min(Fraction(left), Fraction(discount.amount or 0) * share), "Discount"
        line = _plan_line(plan, title, "discount", -off)
        left += line.amount
        if off:
            yield line
    above = Fraction(left) - Fraction(plan.maximum) * share if plan.maximum is not None else Fraction(0)
    below = Fraction(plan.minimum) * share - Fraction(left) if plan.minimum is not None else Fraction(0)
    if above > 0:
        yield _plan_line(plan, "Maximum", "discount", -above)
    if below > 0 and over:
        yield _plan_line(plan, "Minimum", "minimum", below)


def _plan_line(plan: Plan, title: str, kind: LineKind, amount: Fraction) -> Line:
    return Line(
        item=None,
        description=title,
        quantity=None,
        unit=None,
        unit_price=None,
        amount=round_money(amount, plan.currency),
        amount_exact=amount,
        kind=kind,
    )
