"""What is wrong with something written: all of it, and where."""

from typing import Any

import pytest

from metering.errors import Invalid
from metering.faults import faults_in, pointer, read_model
from metering.meters import Meter

BODY: Any = {"items": [{"price": {"tiers": [{"up_to": "1"}]}, "where": {"a/b~c": "x"}}], "plan": "p"}


@pytest.mark.parametrize(
    ("location", "found"),
    [
        ((), ""),
        (("missing",), "/missing"),
        (("items", 0, "price", "volume", "tiers", 0, "up_to"), "/items/0/price/tiers/0/up_to"),
        (("items", 0, "price", "volume", "tiers", 0, "flat_fee"), "/items/0/price/tiers/0/flat_fee"),
        (("items", 0, "where", "a/b~c"), "/items/0/where/a~1b~0c"),
        (("items", 0, "where", "a/b~c", "[key]"), "/items/0/where/a~1b~0c"),
        (("plan", "key"), "/plan"),
        (("items", 7, "key"), "/items/7"),
    ],
)
def test_a_pointer_leads_to_what_was_written(location: tuple[int | str, ...], found: str) -> None:
    assert pointer(location, BODY) == found


def test_what_is_known_to_be_wrong_besides_is_told_with_the_rest() -> None:
    with pytest.raises(Invalid) as refused:
        read_model(Meter, {"key": "m"}, [(("dimensions",), "are too few")])
    assert [(fault.pointer, fault.detail) for fault in refused.value.faults] == [
        ("/aggregation", "Field required"),
        ("/dimensions", "are too few"),
    ]

    with pytest.raises(Invalid) as alone:
        read_model(Meter, {"key": "m", "aggregation": "sum"}, [(("dimensions",), "are too few")])
    assert [fault.pointer for fault in alone.value.faults] == ["/dimensions"]


def test_a_contradiction_is_told_beside_what_a_field_finds() -> None:
    assert list(faults_in(Meter, {"key": "m m", "aggregation": "unique", "minimum": "5", "weight": "gb"})) == [
        (("key",), "String should match pattern '^[A-Za-z0-9_.:@|=+-]{1,128}$'"),
        (("minimum",), "must be a duration such as 250ms, 30s, 15m, 1h or 35d"),
        (("weight",), "`weight` belongs to duration meters"),
        (("minimum",), "`minimum` belongs to duration meters"),
        (("unique_by",), "a unique meter needs `unique_by`"),
    ]
