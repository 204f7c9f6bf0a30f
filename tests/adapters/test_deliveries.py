"""Deliveries of webhooks, on every kind of table: the log, and what is found by its age."""

from collections.abc import Iterator

import pytest

from adapters.deliveries import Deliveries
from adapters.endpoints import Endpoints, change_put
from adapters.items import ConditionFailed, Item, Table
from adapters.memory import MemoryTable
from billing.deliveries import Answer, Delivery, begun, canceled, ended, new_delivery, redelivered
from billing.endpoints import Endpoint, after_failure
from metering.times import DAY, HOUR, MINUTE, SECOND
from tests.billing.histories import START

HOOKS = Endpoint("hooks", "https://example.com/", ("*",), START, START)
DOWN, UP = Answer(503, None, 0), Answer(200)


def made(identity: str = "n-1", at: int = START, endpoint: str = "hooks") -> Delivery:
    return new_delivery(endpoint, "balance.low", {"id": identity, "name": "ü"}, at, at)


def test_a_delivery_is_begun_once_and_moves_only_from_what_was_read(table: Table) -> None:
    deliveries, first = Deliveries(table), made()
    assert deliveries.find("hooks", first.id) is None
    deliveries.begin(first)
    with pytest.raises(ConditionFailed):
        deliveries.begin(made())
    assert deliveries.find("hooks", first.id) == first
    assert deliveries.find("other", first.id) is None
    sending = begun(first, START)
    deliveries.move(first, sending)
    with pytest.raises(ConditionFailed):
        deliveries.move(first, begun(first, START + 1))
    waiting = ended(sending, DOWN, START + SECOND)
    deliveries.move(sending, waiting)
    assert deliveries.find("hooks", first.id) == waiting


def test_what_is_beside_a_move_happens_with_it_or_neither_does(table: Table) -> None:
    deliveries, endpoints = Deliveries(table), Endpoints(table)
    endpoints.make(HOOKS)
    deliveries.begin(made())
    sending = begun(made(), START)
    deliveries.move(made(), sending)
    failing = after_failure(HOOKS, START, gone=False)
    over = ended(sending, Answer(410), START)
    with pytest.raises(ConditionFailed):
        deliveries.move(sending, over, [change_put(failing, HOOKS)])
    assert deliveries.find("hooks", over.id) == sending
    deliveries.move(sending, over, [change_put(HOOKS, failing)])
    assert (deliveries.find("hooks", over.id), endpoints.find("hooks")) == (over, failing)


def test_the_log_is_read_newest_first_from_any_place(table: Table) -> None:
    deliveries = Deliveries(table)
    for number in range(6):
        deliveries.begin(made(f"n-{number}", START + number * SECOND))
    deliveries.begin(made("n-0", START, "other"))
    newest = [made(f"n-{number}", START + number * SECOND) for number in reversed(range(6))]
    for page in (0, 1, 4):
        assert list(deliveries.log("hooks", None, page)) == newest
        assert list(deliveries.log("hooks", newest[2].id, page)) == newest[3:]
        assert list(deliveries.log("hooks", newest[-1].id, page)) == []
    assert list(deliveries.log("nobody", None, 0)) == []


def test_what_is_not_over_is_found_when_its_time_has_come(table: Table) -> None:
    deliveries = Deliveries(table)
    lost, waiting, over = made("lost"), made("waiting"), made("over")
    for delivery in (lost, waiting, over):
        deliveries.begin(delivery)
    for delivery, answer in ((waiting, DOWN), (over, UP)):
        deliveries.move(delivery, begun(delivery, START))
        deliveries.move(begun(delivery, START), ended(begun(delivery, START), answer, START))
    assert deliveries.due(START + 4 * SECOND, 9) == []
    assert deliveries.due(START + 6 * SECOND, 9) == [("hooks", waiting.id)]
    assert deliveries.due(START + 15 * MINUTE, 9) == [("hooks", waiting.id), ("hooks", lost.id)]
    assert deliveries.due(START + 15 * MINUTE, 1) == [("hooks", waiting.id)]


def _states() -> Iterator[tuple[str, Delivery, int | None]]:
    first = made()
    sending = begun(first, START + SECOND)
    waiting = ended(sending, DOWN, START + 2 * SECOND)
    again = redelivered(ended(sending, UP, START + 2 * SECOND), START + HOUR)
    yield "new", first, START + 15 * MINUTE
    yield "sending", sending, START + 15 * MINUTE
    yield "waiting", waiting, waiting.due_at
    yield "by hand", again, START + HOUR + 15 * MINUTE
    yield "arrived", ended(sending, UP, START + 2 * SECOND), None
    yield "given up", ended(sending, Answer(410), START + 2 * SECOND), None
    yield "canceled", canceled(waiting, "endpoint_deleted", START), None


@pytest.mark.parametrize(("delivery", "due_at"), [pytest.param(*rest, id=name) for name, *rest in _states()])
def test_it_is_looked_at_again_by_its_state_and_kept_for_thirty_days(delivery: Delivery, due_at: int | None) -> None:
    table = MemoryTable()
    Deliveries(table).begin(delivery)
    (item,) = table.all()
    assert item.get("due_at") == due_at
    assert item["ttl"] == (delivery.changed_at + 30 * DAY) // 1000


def test_a_try_that_is_begun_at_once_does_not_write_the_index_again() -> None:
    written: list[Item] = []
    table = MemoryTable(lambda _old, new: written.append(new))
    deliveries = Deliveries(table)
    deliveries.begin(made())
    deliveries.move(made(), begun(made(), START + 900))
    assert len({(item["due_shard"], item["due_at"]) for item in written}) == 1
    assert [item["kind"] for item in written] == ["delivery"] * 2
