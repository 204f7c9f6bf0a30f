"""Quotes: rows of usage as one full, finished period."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.plans import Plan
from billing.quotes import QuoteRequest, quote
from metering.errors import Invalid
from metering.faults import read_model

UNIT = {"model": "per_unit", "unit_price": "2"}
PLAN: dict[str, Any] = {
    "currency": "USD",
    "items": [
        {"key": "eu", "meter": "m", "where": {"region": "eu"}, "included": "1", "price": UNIT},
        {"key": "all", "meter": "m", "measure": "events", "divide_by": "10", "price": UNIT},
        {
            "key": "by",
            "meter": "n",
            "price": {"model": "matrix", "by": ["region"], "prices": [{"when": {"region": "eu"}, "price": UNIT}]},
        },
        {"key": "cut", "meter": "o", "price": {"model": "dynamic"}},
        {"key": "fee", "price": {"model": "flat", "amount": "5", "due": "arrears"}},
    ],
    "minimum": "7",
}


def quoted(*rows: dict[str, Any], plan: Any = PLAN) -> list[tuple[Any, ...]]:
    request = read_model(QuoteRequest, {"plan": plan, "usage": list(rows)})
    assert isinstance(request.plan, Plan)
    told = quote(request.plan, request.usage).as_json()
    assert told["total"] == told["subtotal"]
    return [*((line["item"], line["quantity"], line["amount"]) for line in told["lines"]), told["total"]]


FEE, LEAST = ("fee", "1", "5"), (None, None, "2")


@pytest.mark.parametrize(
    ("rows", "lines"),
    [
        ([], [FEE, LEAST, "7"]),
        ([{"meter": "m", "quantity": "3"}], [FEE, LEAST, "7"]),
        ([{"meter": "m", "quantity": "3", "events": "20"}], [("all", "2", "4"), FEE, "9"]),
        ([{"meter": "m", "quantity": 3, "dimensions": {"region": "eu"}}], [("eu", "2", "4"), FEE, "9"]),
        ([{"item": "eu", "quantity": "3"}], [("eu", "2", "4"), FEE, "9"]),
        (
            [{"item": "eu", "quantity": "3"}, {"meter": "m", "quantity": "-1.5", "dimensions": {"region": "eu"}}],
            [("eu", "0.5", "1"), FEE, (None, None, "1"), "7"],
        ),
        (
            [
                {"item": "by", "quantity": "3"},
                {"item": "by", "quantity": "3", "dimensions": {"region": "eu", "x": "y"}},
            ],
            [("by", "3", "6"), ("by", "3", "0"), FEE, "11"],
        ),
        ([{"meter": "o", "amount": "4.004"}, {"item": "cut", "amount": "-1"}], [("cut", "0", "3"), FEE, "8"]),
        ([{"meter": "elsewhere", "quantity": "3"}], [FEE, LEAST, "7"]),
    ],
)
def test_rows_add_up_to_a_full_finished_period(rows: list[dict[str, Any]], lines: list[Any]) -> None:
    assert quoted(*rows) == lines


def test_every_fault_of_a_quote_is_told_at_once() -> None:
    rows = [
        {"quantity": "1"},
        {"item": "a", "meter": "b"},
        {"item": "eu", "events": -1},
        {"meter": "m", "quantity": "x"},
    ]
    with pytest.raises(Invalid) as refused:
        read_model(QuoteRequest, {"plan": {"items": [{}]}, "usage": rows, "customer": "acme"})

    assert {fault.pointer for fault in refused.value.faults} == {
        "/plan/currency",
        "/plan/items/0/key",
        "/plan/items/0/price",
        "/usage/0",
        "/usage/1",
        "/usage/2/events",
        "/usage/3/quantity",
        "/customer",
    }


@pytest.mark.parametrize("plan", [7, None, [], "no such key", True])
def test_a_plan_is_one_or_the_key_of_one(plan: Any) -> None:
    with pytest.raises(Invalid) as refused:
        read_model(QuoteRequest, {"plan": plan})
    assert [fault.pointer for fault in refused.value.faults] == ["/plan"]


def test_rows_for_what_is_no_item_or_a_fee_are_refused_together() -> None:
    with pytest.raises(Invalid) as refused:
        quoted({"item": "none", "quantity": "1"}, {"item": "eu"}, {"item": "fee", "quantity": "1"})
    assert [fault.pointer for fault in refused.value.faults] == ["/usage/0/item", "/usage/2/item"]


@given(st.lists(st.tuples(st.integers(-5, 50), st.integers(0, 9), st.sampled_from(["eu", "us"]))), st.randoms())
def test_the_order_of_rows_and_how_they_are_split_change_nothing(rows: list[tuple[int, int, str]], chance: Any) -> None:
    def told(quantity: int, events: int, region: str) -> dict[str, Any]:
        return {"meter": "m", "quantity": str(quantity), "events": events, "dimensions": {"region": region}}

    split = [
        each for quantity, events, region in rows for each in (told(quantity - 3, 0, region), told(3, events, region))
    ]
    chance.shuffle(split)
    assert quoted(*split) == quoted(*(told(*row) for row in rows))
