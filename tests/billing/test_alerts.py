"""Law 5.5: alerts have edges."""

from decimal import Decimal

import pytest

from billing.alerts import Edge, Fired, Readings, edges
from billing.customers import Alert

LOW = Alert(key="low", kind="balance_below", threshold=Decimal(10))
SPEND = Alert(key="spend", kind="spend_above", threshold=Decimal(10))
CALLS = Alert(key="calls", kind="usage_above", threshold=Decimal(10), meter="m")


def readings(balance: str | None = None, period: int | None = None, spend: int = 0, calls: int = 0) -> Readings:
    return Readings(None if balance is None else Decimal(balance), period, Decimal(spend), {"m": Decimal(calls)})


def met(alert: Alert, *steps: Readings) -> list[tuple[int, str, str]]:
    """The edges of a walk through several readings: (step, key, edge)."""
    fired: tuple[Fired, ...] = ()
    walked: list[tuple[int, str, str]] = []
    for at, step in enumerate(steps):
        fired, new = edges([alert], fired, step, at)
        walked += [(edge.at, edge.key, edge.edge) for edge in new]
    return walked


def test_a_threshold_fires_once_when_crossed_and_arms_when_crossed_back() -> None:
    walk = [readings(balance) for balance in ("20", "10", "9.99", "5", "10", "9")]

    assert met(LOW, *walk) == [(2, "low", "fired"), (4, "low", "armed"), (5, "low", "fired")]


def test_a_new_alert_is_evaluated_at_once() -> None:
    assert met(LOW, readings("5")) == [(0, "low", "fired")]


def test_balance_alerts_are_silent_until_a_credit_has_begun() -> None:
    assert met(LOW, readings(None), readings(None)) == []


def test_a_balance_of_zero_is_depleted_and_anything_above_has_recovered() -> None:
    walk = [readings(balance) for balance in ("20", "0", "-5", "0.01")]

    assert [step for step in met(LOW, *walk) if step[1] == ""] == [(1, "", "fired"), (3, "", "armed")]


@pytest.mark.parametrize("alert", [SPEND, CALLS])
def test_alerts_on_the_running_period_arm_again_with_each_period(alert: Alert) -> None:
    walk = [readings(None, 1, 10, 10), readings(None, 1, 11, 11), readings(None, 2, 11, 11), readings(None, 2, 1, 1)]

    assert met(alert, *walk) == [
        (1, alert.key, "fired"),
        (2, alert.key, "armed"),
        (2, alert.key, "fired"),
        (3, alert.key, "armed"),
    ]


def test_without_a_running_period_nothing_is_compared() -> None:
    assert met(SPEND, readings(None, 1, 11), readings(None), readings(None, 1, 12)) == [(0, "spend", "fired")]


def test_an_alert_that_was_removed_is_forgotten() -> None:
    fired, new = edges([], [Fired("low")], readings("5"), 0)

    assert (fired, new) == ((), ())


@pytest.mark.parametrize(
    ("kind", "edge", "name"),
    [
        ("balance_below", "fired", "balance.low"),
        ("balance_below", "armed", None),
        ("spend_above", "fired", "spend.above"),
        ("usage_above", "fired", "usage.above"),
        ("depleted", "fired", "balance.depleted"),
        ("depleted", "armed", "balance.recovered"),
    ],
)
def test_edges_have_names_on_the_bus(kind: str, edge: str, name: str | None) -> None:
    met_edge = Edge("key", kind, edge, 0, Decimal(0), Decimal(0))  # type: ignore[arg-type]  # from a table

    assert met_edge.detail_type == name
