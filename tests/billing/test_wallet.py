"""Credits are granted once, whatever is sent again."""

from typing import Any

import pytest
from pydantic import ValidationError

from billing.credits import CreditRequest, same_credit
from billing.wallet import grant
from metering.errors import Conflict, Invalid
from tests.billing.histories import START, History, at

REQUEST = {"id": "c", "amount": "10", "kind": "promotional", "expires_at": at("20T00:00")}


def test_a_known_id_with_the_same_content_changes_nothing() -> None:
    history = History()
    history.post(START, **REQUEST)
    before = history.wallet

    assert grant(before, CreditRequest.model_validate(REQUEST), at("03T00:00")) == before
    assert grant(before, CreditRequest.model_validate(REQUEST | {"amount": "10.00"}), at("03T00:00")) == before


@pytest.mark.parametrize(
    "changed",
    [{"amount": "11"}, {"kind": "paid"}, {"priority": 1}, {"expires_at": None}, {"effective_at": at("05T00:00")}],
)
def test_a_known_id_with_other_content_is_a_conflict(changed: dict[str, Any]) -> None:
    history = History()
    history.post(START, **REQUEST)
    other = CreditRequest.model_validate(REQUEST | changed)

    with pytest.raises(Conflict) as refused:
        grant(history.wallet, other, at("03T00:00"))
    assert refused.value.code == "id_conflict"
    assert not same_credit(history.wallet.credits[0], other)


@pytest.mark.parametrize(
    "request_",
    [{"amount": "0.001"}, {"expires_at": START}, {"effective_at": at("05T00:00"), "expires_at": at("05T00:10")}],
)
def test_a_credit_that_could_never_be_spent_is_refused(request_: dict[str, Any]) -> None:
    history = History()
    with pytest.raises(Invalid):
        grant(history.wallet, CreditRequest.model_validate({"id": "c", "amount": "1", **request_}), START)


@pytest.mark.parametrize("request_", [{"amount": "0"}, {"amount": "-1"}, {"priority": "high"}, {"kind": "gift"}])
def test_what_is_no_credit_is_refused(request_: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        CreditRequest.model_validate({"id": "c", "amount": "1", **request_})
