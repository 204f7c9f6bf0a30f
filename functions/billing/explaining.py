"""Explaining an invoice: from its lines through tiers and dimensions to the windows that they were read from. Law 5.2.

Nothing is stored for it: the plan's version and the usage say again what they said when the lines were made. What a
frozen invoice says stays; usage that came later shows as a difference.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

from billing.money import exact, round_money
from billing.periods import Period
from billing.plans import Discount, Item, Plan
from billing.pricing import Flat, Matrix, Part
from billing.rating import Line, parts_of, rate, select, subtotal, used_of
from metering.decimals import text
from metering.packing import canonical, digest
from metering.usage import Usage

Steps = dict[str, Any]
"""How an amount came about, as the API shows it: numbers as text."""

_NAMING = ("item", "kind", "description", "dimensions")
_MAKING = ("quantity", "amount", "amount_exact")


@dataclass(frozen=True, slots=True)
class Window:
    """A day or hour of the customer, and what was used in it."""

    period: Period
    usage: tuple[Usage, ...]


@dataclass(frozen=True, slots=True)
class Explained:
    """A line and how it came about.

    Attributes:
        id: what the line is known by, on the invoice and today.
        line: as the invoice has it; None for one that only the usage known today would make.
        today: what today's usage makes of it, where that is something else; None too where nothing is left of it.
        differs: whether today's usage makes something else of it.
        item: of the plan's version; None for what concerns the plan as a whole.
        dimensions: the combination that the line is for, by the dimensions of a matrix; a missing one is None.
        usage: the rows that it was read from, as today's windows have them.
        windows: the same, window by window; those in which nothing was used are left out.
        steps: of the computation, from today's usage.
    """

    id: str
    line: Mapping[str, Any] | None
    today: Line | None = None
    differs: bool = False
    item: Item | None = None
    dimensions: Mapping[str, str | None] | None = None
    usage: tuple[Usage, ...] = ()
    windows: tuple[Window, ...] = ()
    steps: Mapping[str, Any] | None = None


def explain(
    plan: Plan,
    lines: Sequence[Mapping[str, Any]],
    usage: Sequence[Usage],
    windows: Sequence[Window],
    share: Fraction,
    *,
    over: bool,
) -> Iterator[Explained]:
    """Explain the lines of an invoice in their order, then those that only today's usage makes.

    Args:
        plan: the version that the invoice was made by.
        lines: of the invoice, as the API shows them.
        usage: of its period, as known today.
        windows: the same usage, cut at the days or hours of the customer.
        share: how much of a whole period it is.
        over: whether the period has ended.
    """
    rated = rate(plan, usage, share, over=over)
    found = dict(zip(_ids(line.as_json() for line in rated), _rated(plan, rated, usage, windows, share), strict=True))
    items = {item.key: item for item in plan.items}
    for identity, line in zip(_ids(lines), lines, strict=True):
        known = found.pop(identity, None)
        if known:
            yield _compared(identity, line, known)
        else:
            # What no usage of this period makes: an adjustment, or a line whose usage was taken back since.
            item, differs = items.get(line["item"] or ""), line["kind"] != "adjustment"
            dimensions = _combination(item, line["dimensions"]) if item else None
            yield Explained(identity, line, differs=differs, item=item, dimensions=dimensions)
    for identity, left in found.items():
        yield replace(left, id=identity, differs=True)


@exact
def difference(lines: Iterable[Mapping[str, Any]], today: Iterable[Line]) -> Decimal:
    """What the usage known today makes of a period, less what its lines say without their adjustments."""
    invoiced = (Decimal(line["amount"]) for line in lines if line["kind"] != "adjustment")
    return subtotal(today) - sum(invoiced, Decimal(0))


@exact
def tax_steps(invoice: Mapping[str, Any], tax_on: str) -> Steps:
    """How the tax of an invoice came about.

    Args:
        invoice: as the API shows it.
        tax_on: what the customer's tax is on today; where only the other explains the invoice, it was that.
    """
    before_tax, rate_percent = Decimal(invoice["subtotal"]), Fraction(invoice["tax_rate"])
    usage = before_tax - Decimal(invoice["credit_granted"])
    bases = {"rest": before_tax - Decimal(invoice["credits_applied"]), "subtotal": usage}
    amounts = {name: Fraction(base) * rate_percent / 100 for name, base in bases.items()}
    other = next(name for name in bases if name != tax_on)
    rounded = round_money(amounts[tax_on], invoice["currency"])
    on = tax_on if rounded == Decimal(invoice["tax"]) else other
    return {
        "rate": invoice["tax_rate"],
        "on": on,
        "taxed": text(bases[on]),
        "amount_exact": text(amounts[on]),
        "amount": invoice["tax"],
    }


def _ids(lines: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """What lines are known by, on the invoice and today: two of one name are told apart by their order."""
    seen: Counter[bytes] = Counter()
    for line in lines:
        name = canonical([line[each] for each in _NAMING])
        seen[name] += 1
        yield digest(name + b"#%d" % seen[name])[:16]


def _compared(identity: str, line: Mapping[str, Any], known: Explained) -> Explained:
    today = known.today
    differs = today is not None and any(line[name] != today.as_json()[name] for name in _MAKING)
    return replace(known, id=identity, line=line, today=today if differs else None, differs=differs)


@exact
def _rated(
    plan: Plan, lines: Sequence[Line], usage: Sequence[Usage], windows: Sequence[Window], share: Fraction
) -> list[Explained]:
    """Each line that was rated just now, in its order."""
    of_items: defaultdict[str | None, list[Line]] = defaultdict(list)
    for line in lines:
        of_items[line.item].append(line)
    found: list[Explained] = []
    for item in plan.items:
        own = of_items.get(item.key, [])
        found += _fees(item, own, share) if isinstance(item.price, Flat) else _used(plan, item, own, usage, share)
    before = subtotal(line for line in lines if line.item is not None)
    by_item = {item.key: _by_combination(item, windows) for item in plan.items if item.key in of_items}
    with_windows = [_with_windows(each, by_item) for each in found]
    return [*with_windows, *_of_plan(plan, of_items.get(None, []), before, share)]


def _fees(item: Item, lines: Iterable[Line], share: Fraction) -> Iterator[Explained]:
    price = item.price
    assert isinstance(price, Flat)  # noqa: S101 - the caller chose it by that; this is for the type checker
    for line in lines:
        steps = {
            "fee": text(price.amount),
            "prorate": price.prorate,
            "share": text(share if price.prorate else Fraction(1)),
            "amount_exact": text(line.amount_exact),
            "amount": text(line.amount),
        }
        yield Explained("", None, line, item=item, steps={"fee": steps})


def _used(
    plan: Plan, item: Item, lines: Iterable[Line], usage: Sequence[Usage], share: Fraction
) -> Iterator[Explained]:
    """The lines of an item, walked as they were rated: `included` is used up, and rounding goes on, in their order."""
    by_combination = {tuple(sorted(line.dimensions.items())): line for line in lines}
    included = Fraction(item.included) * share
    left, running, rounded = included, Fraction(0), Decimal(0)
    for part in parts_of(item, select(item, usage)):
        used = used_of(item, part.usage)
        taken = min(left, max(used, Fraction(0)))
        line = by_combination.get(tuple(sorted(part.dimensions.items())))
        if line:
            running += line.amount_exact
            steps = {
                "quantity": _quantity_steps(item, used, max(used - left, Fraction(0))),
                "included": _included_steps(item, share, left, taken),
                "price": part.price.model_dump(mode="json") if part.price else None,
                "tiers": [dict(tier) for tier in line.tiers],
                "rounding": _rounding_steps(running, rounded, line, plan.currency),
            }
            rounded += line.amount
            dimensions = _combination(item, part.dimensions)
            yield Explained("", None, line, item=item, dimensions=dimensions, usage=part.usage, steps=steps)
        left -= taken


def _quantity_steps(item: Item, used: Fraction, rated: Fraction) -> Steps:
    return {
        "measure": item.measure,
        "measured": text(used * Fraction(item.divide_by)),
        "divide_by": text(item.divide_by),
        "used": text(used),
        "rated": text(rated),
        "unit": item.unit,
    }


def _included_steps(item: Item, share: Fraction, left: Fraction, taken: Fraction) -> Steps:
    included = Fraction(item.included) * share
    return {
        "in_plan": text(item.included),
        "share": text(share),
        "in_period": text(included),
        "used_up_before": text(included - left),
        "used_up_here": text(taken),
        "left": text(left - taken),
    }


def _rounding_steps(running: Fraction, rounded: Decimal, line: Line, currency: str) -> Steps:
    return {
        "amount_exact": text(line.amount_exact),
        "item_exact_so_far": text(running),
        "item_rounded_so_far": text(round_money(running, currency)),
        "rounded_before": text(rounded),
        "amount": text(line.amount),
    }


def _of_plan(plan: Plan, lines: Iterable[Line], before: Decimal, share: Fraction) -> Iterator[Explained]:
    """Discounts in their order, then what the maximum takes off or the minimum adds."""
    waiting = list(plan.discounts)
    for line in lines:
        discount = _taken(waiting, before, share) if line.kind == "discount" else None
        after = before + line.amount
        if discount:
            said = discount.model_dump(mode="json")
            steps: Steps = {"discount": {**said, "share": text(share if discount.amount is not None else Fraction(1))}}
        else:
            name = "minimum" if line.kind == "minimum" else "maximum"
            bound = Fraction(getattr(plan, name) or 0)
            steps = {name: {"in_plan": text(bound), "share": text(share), "in_period": text(bound * share)}}
        left = {"before": text(before), "amount_exact": text(line.amount_exact), "amount": text(line.amount)}
        yield Explained("", None, line, steps={**steps, "left": {**left, "after": text(after)}})
        before = after


def _taken(waiting: list[Discount], left: Decimal, share: Fraction) -> Discount | None:
    """The next discount that had anything to take off: one that had not made no line."""
    while waiting:
        discount = waiting.pop(0)
        if left and share and (discount.percent or discount.amount):
            return discount
    return None


def _combination(item: Item, dimensions: Mapping[str, str]) -> Mapping[str, str | None]:
    return {name: dimensions.get(name) for name in item.price.by} if isinstance(item.price, Matrix) else {}


Combination = tuple[tuple[str, str | None], ...]


def _by_combination(item: Item, windows: Iterable[Window]) -> dict[Combination, list[Window]]:
    """The windows of an item, apart as its lines are."""
    found: defaultdict[Combination, list[Window]] = defaultdict(list)
    for window in windows:
        for part in parts_of(item, select(item, window.usage)):
            if part.usage:
                found[_key(item, part)].append(Window(window.period, part.usage))
    return found


def _key(item: Item, part: Part) -> Combination:
    return tuple(_combination(item, part.dimensions).items())


def _with_windows(each: Explained, by_item: Mapping[str, Mapping[Combination, list[Window]]]) -> Explained:
    if each.item is None or each.dimensions is None:
        return each
    windows = by_item[each.item.key].get(tuple(each.dimensions.items()), ())
    return replace(each, windows=tuple(windows))
