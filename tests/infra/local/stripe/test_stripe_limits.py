"""Rate limits: so many requests in any second of the account's clock."""

from __future__ import annotations

from collections import Counter

import pytest
import stripe

from tests.infra.local.stripe.in_process import InProcess


def _create(in_process: InProcess, key: str) -> str | None:
    """Makes a customer; returns why it was refused, None if it was not."""
    try:
        in_process.stripe.customers.create({"name": "Ada"}, {"idempotency_key": key})
    except stripe.RateLimitError as error:
        return f"{error.error and error.error.code}: {(error.headers or {})['Stripe-Rate-Limited-Reason']}"
    return None


@pytest.mark.parametrize(
    ("limits", "answers"),
    [
        ({}, [None] * 6),
        ({"overall": 4}, [None] * 4 + ["rate_limit: global-rate"] * 2),
        ({"endpoint": 3}, [None] * 3 + ["rate_limit: endpoint-rate"] * 3),
        ({"overall": 2, "endpoint": 3}, [None] * 2 + ["rate_limit: global-rate"] * 4),
        ({"endpoint": 1, "endpoints": {"POST /v1/customers": 2}}, [None] * 2 + ["rate_limit: endpoint-rate"] * 4),
        ({"endpoints": {"POST /v1/refunds": 2}}, [None] * 6),
    ],
)
def test_what_is_over_a_limit_is_refused_and_leaves_no_trace(
    in_process: InProcess, limits: dict[str, object], answers: list[str | None]
) -> None:
    in_process.control("limits", limits)
    assert [_create(in_process, f"k{number}") for number in range(6)] == answers
    made = len(in_process.application.account.kinds["customer"])
    assert made == answers.count(None)
    in_process.clock.forward(1)
    assert _create(in_process, "k5") is None
    assert len(in_process.application.account.kinds["customer"]) == made + (answers[5] is not None)


def test_no_second_wherever_it_begins_lets_more_in(in_process: InProcess) -> None:
    in_process.control("limits", {"endpoint": 5})
    for number in range(60):
        _create(in_process, f"k{number}")
        in_process.clock.forward(0.07)
    let_in = [each["at_milliseconds"] for each in in_process.read("requests")["data"] if each["status"] == 200]
    assert len(let_in) > 15
    assert max(sum(begin <= at < begin + 1000 for at in let_in) for begin in let_in) == 5


def test_an_endpoint_is_an_operation_whatever_the_id(in_process: InProcess) -> None:
    ids = [in_process.stripe.customers.create().id for _ in range(3)]
    in_process.control("limits", {"endpoint": 2})
    in_process.stripe.customers.retrieve(ids[0])
    in_process.stripe.customers.retrieve(ids[1])
    with pytest.raises(stripe.RateLimitError):
        in_process.stripe.customers.retrieve(ids[2])
    in_process.stripe.customers.update(ids[2], {"name": "Bob"})
    asked = Counter((each["endpoint"], each["status"]) for each in in_process.read("requests")["data"])
    assert asked == {
        ("POST /v1/customers", 200): 3,
        ("GET /v1/customers/{}", 200): 2,
        ("GET /v1/customers/{}", 429): 1,
        ("POST /v1/customers/{}", 200): 1,
    }
