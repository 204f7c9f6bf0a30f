"""What is wrong with something written: all of it, and where."""

from typing import Any

import pytest

from billing.faults import faults_in, pointer, read_model
from billing.plans import Discount, Plan
from metering.errors import Invalid

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
        read_model(Plan, {"key": "p"}, [(("items",), "are too few")])
    assert [(fault.pointer, fault.detail) for fault in refused.value.faults] == [
        ("/currency", "Field required"),
        ("/items", "are too few"),
    ]

    with pytest.raises(Invalid) as alone:
        read_model(Plan, {"key": "p", "currency": "USD"}, [(("items",), "are too few")])
    assert [fault.pointer for fault in alone.value.faults] == ["/items"]


def test_a_contradiction_is_told_beside_what_a_field_finds() -> None:
    assert list(faults_in(Discount, {"percent": "200", "amount": "x"})) == [
        (("percent",), "must be at most 100"),
        (("amount",), "must be a decimal number such as 12.5"),
        ((), "needs either `percent` or `amount`"),
    ]
