"""Usage of several combinations taken together is what it would be had nobody told them apart."""

from decimal import Decimal
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.events import Event
from metering.meters import Aggregation
from metering.times import DAY, floor
from metering.usage import Usage, join, usage_between
from metering.windows import Fact, Tally, fold
from tests.metering.strategies import NOON, duration_meter, events, facts, meters

EVER = (floor(NOON, DAY) - DAY, floor(NOON, DAY) + 2 * DAY)


def row(region: str | None, aggregation: Aggregation, tally: Tally) -> Usage:
    dimensions = (("provider", "aws"), *((("region", region),) if region else ()))
    return Usage("m", aggregation, dimensions, tally)


@pytest.mark.parametrize(
    ("aggregation", "one", "other", "quantity"),
    [
        ("sum", Tally(1, Decimal(3)), Tally(2, Decimal(-1)), "2"),
        ("duration", Tally(1, Decimal(3)), Tally(2, Decimal(1)), "4"),
        ("count", Tally(1), Tally(2), "3"),
        ("min", Tally(1, least=Decimal(3)), Tally(2, least=Decimal(1)), "1"),
        ("max", Tally(1, most=Decimal(3)), Tally(2, most=Decimal(1)), "3"),
        ("latest", Tally(1, latest=(7, "a", Decimal(3))), Tally(2, latest=(7, "b", Decimal(1))), "1"),
        ("unique", Tally(1, values=frozenset("ab")), Tally(2, values=frozenset("bc")), "3"),
    ],
)
def test_combinations_are_joined_by_the_aggregation_of_their_meter(
    aggregation: Aggregation, one: Tally, other: Tally, quantity: str
) -> None:
    joined = join([row("eu", aggregation, one), row(None, aggregation, other)])

    assert joined is not None
    assert (joined.quantity, joined.events, joined.dimensions) == (Decimal(quantity), 3, (("provider", "aws"),))
    assert join([]) is None


@given(st.lists(events(), max_size=8), st.lists(facts, max_size=8), st.sampled_from(get_args(Aggregation)))
def test_joined_usage_is_that_of_a_meter_without_dimensions(
    happened: list[Event], told: list[Fact], aggregation: Aggregation
) -> None:
    meter = duration_meter() if aggregation == "duration" else meters(aggregation)
    blind = meter.model_copy(update={"dimensions": ()})
    apart, together = (
        fold(each, [], told).slots if meter.is_duration else fold(each, happened).slots for each in (meter, blind)
    )

    joined = join(usage_between(meter, apart, (), *EVER, at=EVER[1]))

    whole = usage_between(blind, together, (), *EVER, at=EVER[1])
    assert ([joined.tally] if joined else []) == [each.tally for each in whole]
