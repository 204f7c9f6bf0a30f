"""Credits, and which of them pays first."""

from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest

from billing.credits import Credit, burn_order
from tests.billing.histories import History, at

DAY = 86_400_000


def credit(identity: str, **given: Any) -> Credit:
    shape: dict[str, Any] = {"priority": 50, "effective_at": 5 * DAY, "expires_at": None, **given}
    return Credit(identity, Decimal(1), Decimal(1), "paid", **shape)


# Each tells itself from the next by the one thing that is named.
IN_ORDER = [
    credit("z", priority=1, effective_at=9 * DAY),  # the lower priority
    credit("y", expires_at=20 * DAY, effective_at=8 * DAY),  # then the earlier expiry
    credit("x", expires_at=30 * DAY, effective_at=7 * DAY),  # none last
    credit("w", effective_at=3 * DAY),  # then the older one
    credit("a"),  # then the id
    credit("b"),
]


def test_credits_burn_by_priority_then_earlier_expiry_then_the_older_one_then_by_id() -> None:
    for shuffled in permutations(IN_ORDER):
        assert sorted(shuffled, key=burn_order) == IN_ORDER


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"id": "z", "effective_at": "2026-11-02T00:00:00Z"}, {"id": "a", "effective_at": "2026-11-03T00:00:00Z"}),
        ({"id": "a", "effective_at": "2026-11-03T00:00:00Z"}, {"id": "b", "effective_at": "2026-11-03T00:00:00Z"}),
    ],
    ids=["the older one", "of the same age the one of the lesser id"],
)
@pytest.mark.parametrize("posted_first", [0, 1])
def test_of_credits_alike_one_pays_first_whichever_was_posted_first(
    first: dict[str, Any], second: dict[str, Any], posted_first: int
) -> None:
    history = History(events=[(at("05T00:05"), "3")])
    for each in (first, second)[:: -1 if posted_first else 1]:
        history.post(at("01T00:00"), amount="5", **each)
    history.look(at("05T01:00"))
    left = {each.id: each.remaining for each in history.wallet.credits}
    assert left == {first["id"]: Decimal(2), second["id"]: Decimal(5)}
