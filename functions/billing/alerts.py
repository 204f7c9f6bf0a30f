"""Alerts have edges: a threshold fires once when crossed and arms again when crossed back. Law 5.5."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from billing.customers import Alert, AlertKind

# What an edge is called on the bus; those that are not here are not announced.
DETAIL_TYPES = {
    ("balance_below", "fired"): "balance.low",
    ("spend_above", "fired"): "spend.above",
    ("usage_above", "fired"): "usage.above",
    ("depleted", "fired"): "balance.depleted",
    ("depleted", "armed"): "balance.recovered",
}

# The alert that everyone has: no user can take the empty key.
DEPLETED = ""


@dataclass(frozen=True, slots=True)
class Fired:
    """An alert that has fired and not armed again; `period` is the start of the period it looked at, if it does."""

    key: str
    period: int | None = None


@dataclass(frozen=True, slots=True)
class Readings:
    """What alerts look at.

    Attributes:
        balance: None before the first credit has begun: balance alerts are silent then.
        period: the start of the running period, None when there is none.
        spend: the subtotal of its draft.
        usage: its usage by meter.
    """

    balance: Decimal | None
    period: int | None
    spend: Decimal
    usage: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class Edge:
    """A threshold crossed, or crossed back."""

    key: str
    kind: AlertKind | Literal["depleted"]
    edge: Literal["fired", "armed"]
    at: int
    value: Decimal
    threshold: Decimal

    @property
    def detail_type(self) -> str | None:
        """Its name on the bus, if it has one."""
        return DETAIL_TYPES.get((self.kind, self.edge))


def edges(
    alerts: Iterable[Alert], fired: Iterable[Fired], readings: Readings, at: int
) -> tuple[tuple[Fired, ...], tuple[Edge, ...]]:
    """Compare every alert with what is read now: the alerts that stand fired after it, and the edges met."""
    before = {each.key: each for each in fired}
    after, met = [], []
    for key, kind, threshold, meter in _rules(alerts):
        value, period = _reading(kind, meter, readings)
        state = before.get(key)
        if value is None:
            after += [state] if state else []
            continue
        above = kind in ("spend_above", "usage_above")
        crossed = value > threshold if above else value < threshold or (kind == "depleted" and not value)
        if state and not (crossed and state.period == period):
            met.append(Edge(key, kind, "armed", at, value, threshold))
            state = None
        if crossed and not state:
            met.append(Edge(key, kind, "fired", at, value, threshold))
            state = Fired(key, period)
        after += [state] if state else []
    return tuple(after), tuple(met)


_Rule = tuple[str, AlertKind | Literal["depleted"], Decimal, str | None]


def _rules(alerts: Iterable[Alert]) -> list[_Rule]:
    rules: list[_Rule] = [(alert.key, alert.kind, alert.threshold, alert.meter) for alert in alerts]
    return [*rules, (DEPLETED, "depleted", Decimal(0), None)]


def _reading(kind: str, meter: str | None, readings: Readings) -> tuple[Decimal | None, int | None]:
    """The value that an alert compares, and the period it belongs to; None is nothing to compare."""
    if kind in ("balance_below", "depleted"):
        return readings.balance, None
    if readings.period is None:
        return None, None
    if kind == "spend_above":
        return readings.spend, readings.period
    return readings.usage.get(meter or "", Decimal(0)), readings.period
