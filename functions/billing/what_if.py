"""What a customer's period would have cost on another plan: the same usage through both. Contract: api.md, what_if.

A plan with a calendar of its own is rated as it would have been: the period is cut where that calendar's periods begin,
each piece is rated by itself, and what counts by the period counts by the piece's share of it. So a month on a yearly
plan bears a twelfth of its yearly fee, and a month on a daily plan is thirty days. No credits, no tax.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from pydantic import StrictInt, StrictStr

from billing.customers import Account
from billing.money import exact
from billing.periods import Period, whole_period
from billing.plans import Plan
from billing.quotes import PlanOrKey
from billing.rating import Line, rate, subtotal
from billing.wallet import OpenPeriod
from metering.decimals import text
from metering.errors import Conflict
from metering.faults import Written
from metering.times import format_time
from metering.usage import Usage


class WhatIfRequest(Written):
    """What users post to `/v1/customers/{id}/what_if`.

    `period` is the first instant of one of the customer's periods, or the id or number of its invoice; the running
    period unless told. The meters of a plan that is written out need not exist.
    """

    plan: PlanOrKey
    period: StrictInt | StrictStr | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a period that one period of a plan covers, and its share of that."""

    period: Period
    share: Fraction


@dataclass(frozen=True, slots=True)
class Side:
    """What a period costs on one plan.

    Attributes:
        key: of the plan.
        version: of the plan; None for one that was written out.
        parts: each piece with its lines.
    """

    key: str
    version: int | None
    parts: tuple[tuple[Period, tuple[Line, ...]], ...]

    @property
    def subtotal(self) -> Decimal:
        """The sum of the rounded lines."""
        return subtotal(line for _, lines in self.parts for line in lines)

    def as_json(self) -> dict[str, Any]:
        """The side as the API answers it; every line says which stretch it is for."""
        return {
            "plan": {"key": self.key, "version": self.version},
            "lines": [{**line.as_json(), "period": _shown(period)} for period, lines in self.parts for line in lines],
            "subtotal": text(self.subtotal),
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """A period on the plan that it is on, and on another."""

    period: Period
    currency: str
    current: Side
    what_if: Side

    @exact
    def as_json(self) -> dict[str, Any]:
        """The comparison as the API answers it; the difference is above zero where the other plan costs more."""
        return {
            "period": _shown(self.period),
            "currency": self.currency,
            "current": self.current.as_json(),
            "what_if": self.what_if.as_json(),
            "difference": text(self.what_if.subtotal - self.current.subtotal),
        }


def check_currency(plan: Plan, currency: str) -> None:
    """Refuse a plan whose prices cannot be compared.

    Raises:
        Conflict: `currency_mismatch`, it is in another currency.
    """
    if plan.currency != currency:
        raise Conflict(f"the plan is in {plan.currency}, the customer in {currency}", "currency_mismatch")


def pieces(period: OpenPeriod, account: Account, own: Plan, other: Plan) -> Iterator[Piece]:
    """Cut a period where those of another plan would have begun; it is whole on a plan of the same calendar."""
    if other.period == own.period:
        yield Piece(period.period, period.share)
        return
    calendar, start = account.calendar(other.period), period.start
    while start < period.end:
        whole = whole_period(calendar, start)
        end = min(whole.end, period.end)
        yield Piece(Period(start, end), Fraction(end - start, whole.length_milliseconds))
        start = end


def side(
    plan: Plan, version: int | None, cut: Sequence[Piece], usage: Callable[[int, int], Sequence[Usage]], now: int
) -> Side:
    """Rate each piece that has begun; minimum and arrears fees are due where it is over.

    Args:
        plan: what to rate by.
        version: of the plan, if it has one.
        cut: the pieces of the period.
        usage: the usage of [start, end) as known now.
        now: milliseconds.
    """
    parts = [
        (
            piece.period,
            rate(plan, usage(piece.period.start, piece.period.end), piece.share, over=piece.period.end <= now),
        )
        for piece in cut
        if piece.period.start <= now
    ]
    return Side(plan.key, version, tuple(parts))


def _shown(period: Period) -> dict[str, str]:
    return {"start": format_time(period.start), "end": format_time(period.end)}
