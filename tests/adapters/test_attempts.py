"""Top-ups in the Ledger table: each state is written on the condition of the one that was read."""

from decimal import Decimal

import pytest

from adapters.attempts import Attempts, attempt_put
from adapters.items import ConditionFailed, Put, Table
from billing.attempts import Attempt, moved
from metering.times import HOUR, MINUTE, parse_time

START = parse_time("2026-11-02T10:00:00Z")
ATTEMPT = Attempt("acme:1", "acme", "USD", Decimal("50.00"), Decimal("9.5"), "requested", START, START)


def test_an_attempt_moves_only_from_the_state_that_was_read(table: Table) -> None:
    attempts = Attempts(table)
    table.put(attempt_put(None, ATTEMPT))
    with pytest.raises(ConditionFailed):
        table.put(attempt_put(None, ATTEMPT))
    creating = moved(ATTEMPT, "creating", START + 1, card_holder="cus_1", payment_method="pm_1")
    attempts.move(ATTEMPT, creating)
    beside = Put({"pk": "acme", "sk": "beside"})
    for more in ([], [beside]):
        with pytest.raises(ConditionFailed):
            attempts.move(ATTEMPT, creating, more)
    assert table.get("acme", "beside") is None
    assert attempts.find("acme", "acme:1") == creating
    assert attempts.find("acme", "acme:2") is None
    assert attempts.of_customer("acme") == [creating]
    confirming = moved(creating, "confirming", START + 2, payment_intent="pi_1")
    attempts.move(creating, confirming, [beside])
    assert table.get("acme", "beside") is not None
    assert attempts.of_customer("acme") == [confirming]


def test_an_open_attempt_that_stands_still_is_found_and_an_ended_one_is_not(table: Table) -> None:
    attempts = Attempts(table)
    table.put(attempt_put(None, ATTEMPT))
    assert attempts.due(START + 15 * MINUTE - 1, 10) == []
    assert attempts.due(START + 15 * MINUTE, 10) == [ATTEMPT]
    creating = moved(ATTEMPT, "creating", START + MINUTE)
    attempts.move(ATTEMPT, creating)
    assert attempts.due(START + 15 * MINUTE, 10) == []
    attempts.move(creating, moved(creating, "failed", START + 2 * MINUTE, reason="declined"))
    assert attempts.due(START + HOUR, 10) == []


def test_one_that_is_damaged_is_reported_and_its_neighbours_are_found(table: Table) -> None:
    reported: list[str] = []
    attempts = Attempts(table, lambda item, _: reported.append(str(item["sk"])))
    put = attempt_put(None, ATTEMPT)
    table.put(put)
    table.put(Put({**put.item, "sk": "attempt#damaged", "body": "{"}))
    assert attempts.due(START + HOUR, 10) == [ATTEMPT]
    assert reported == ["attempt#damaged"]
