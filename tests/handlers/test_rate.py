"""Wallets move to what is owed, once for a batch, whoever else writes them meanwhile. Laws 5.4 and 5.9."""

import json
from typing import Any

import pytest

from adapters.items import ConditionFailed, Put
from handlers import rate
from handlers._settling import look, settle_customer
from metering.times import HOUR, MINUTE
from tests.handlers.street import NOW, Street, edge, used


@pytest.fixture
def funded(street: Street) -> Street:
    street.does("POST", "/v1/customers/acme/credits", {"id": "c", "amount": "20"})
    street.flow()
    return street


def balance(street: Street) -> str:
    return str(street.does("GET", "/v1/customers/acme/balance")["balance"])


def stored(street: Street) -> Any:
    wallet = street.ledger.stored("acme")
    assert wallet
    return wallet


def test_all_windows_of_a_batch_are_one_draw(funded: Street) -> None:
    before = stored(funded).wallet.version
    funded.post(used("a", 1), used("b", -60), edge("start", 0), edge("stop", 30))
    funded.flow()
    assert stored(funded).wallet.version == before + 1
    assert balance(funded) == "17.75"
    entries = funded.does("GET", "/v1/customers/acme/ledger")["rows"]
    assert sum(int(float(entry["amount"]) * 100) for entry in entries) == 1775


def test_a_draw_that_somebody_else_overtook_starts_over_and_loses_nothing(
    funded: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    funded.post(used("a", 1))
    table: Any = funded.table("Ledger")
    overtaken: list[bool] = []
    transact = table.transact

    def slow(puts: list[Put]) -> None:
        if not overtaken and any(put.item["sk"] == "wallet" for put in puts):
            overtaken.append(True)
            funded.does("POST", "/v1/customers/acme/credits", {"id": "d", "amount": "5"})
        transact(puts)

    monkeypatch.setattr(table, "transact", slow)
    funded.flow()
    assert overtaken
    assert balance(funded) == "24.5"
    amounts = [entry["amount"] for entry in funded.does("GET", "/v1/customers/acme/ledger")["rows"]]
    assert sorted(amounts) == ["-0.5", "20", "5"]


def test_a_customer_without_a_plan_or_gone_is_no_work(street: Street) -> None:
    street.does("PUT", "/v1/customers/planless", {"name": "x"})
    street.run("rate", [{"body": json.dumps({"customers": ["planless", "nobody"]})}])
    assert {item["pk"] for item in street.items("Ledger", "wallet", "parked")} == {"acme"}


def test_a_wallet_that_cannot_be_settled_is_parked_and_its_neighbours_go_on(funded: Street) -> None:
    funded.does("PUT", "/v1/customers/other", {"plan": "serverless"})
    funded.does("POST", "/v1/customers/other/credits", {"id": "c", "amount": "3"})
    funded.post(used("a", 1), used("b", 1, customer="other"))
    wallet = funded.tables["Ledger"].get("acme", "wallet")
    assert wallet
    funded.tables["Ledger"].put(Put({**wallet, "data": b"damaged"}))
    funded.flow()
    assert [each["function"] for each in funded.parked()] == ["rate"]
    assert funded.does("GET", "/v1/customers/other/balance")["balance"] == "2.5"


def test_the_minute_puts_what_is_due_on_the_queue_in_packs(street: Street) -> None:
    for number in range(60):
        street.does("PUT", f"/v1/customers/c{number}", {"plan": "serverless"})
        street.does(
            "POST",
            f"/v1/customers/c{number}/credits",
            {"id": "c", "amount": "1", "expires_at": NOW + HOUR},
        )
    rate.handler({"source": "schedule", "time": "2026-11-20T16:59:00Z"}, None)
    assert street.queues["RATE"] == []
    rate.handler({"source": "schedule", "time": "2026-11-20T17:00:00Z"}, None)
    packs = [message["customers"] for message in street.queues["RATE"]]
    assert sorted(name for pack in packs for name in pack) == sorted(f"c{number}" for number in range(60))
    assert max(map(len, packs)) <= 25
    street.now = NOW + HOUR
    street.flow()
    assert street.does("GET", "/v1/customers/c7/balance")["balance"] == "0"
    street.minute()
    assert street.queues["RATE"] == []


@pytest.mark.parametrize("time", ["<aws.scheduler.scheduled-time>", "", None, "2026-11-20"])
def test_a_schedule_that_does_not_say_its_time_means_now(street: Street, time: str | None) -> None:
    street.does("POST", "/v1/customers/acme/credits", {"id": "c", "amount": "1", "expires_at": NOW + HOUR})
    rate.handler({"source": "schedule", "time": time}, None)
    assert street.queues["RATE"] == []
    street.now = NOW + HOUR
    rate.handler({"source": "schedule", "time": time}, None)
    assert street.queues["RATE"] == [{"customers": ["acme"]}]


def test_a_wallet_with_running_sessions_is_due_every_minute_by_an_instant_that_stays(funded: Street) -> None:
    funded.post(edge("start", 30))
    funded.flow()
    due = stored(funded).due_at
    assert due == NOW
    for minutes in (1, 2, 3):
        funded.now = NOW + minutes * MINUTE
        funded.minute()
        assert stored(funded).due_at == due
    funded.post(edge("stop", 62))
    funded.flow()
    assert stored(funded).due_at > funded.now


def test_the_clock_of_a_wallet_never_runs_backwards(funded: Street) -> None:
    funded.post(edge("start", 30))
    funded.flow()
    settle_customer("acme", funded, NOW + HOUR)
    ahead = stored(funded).wallet
    settle_customer("acme", funded, NOW)
    assert stored(funded).wallet.settled_at == ahead.settled_at
    assert stored(funded).wallet.credits == ahead.credits


def test_who_only_looks_writes_nothing(funded: Street) -> None:
    funded.post(used("a", 1), edge("start", 30))
    funded.flow()
    before = funded.tables["Ledger"].all()
    funded.now += 10 * MINUTE
    for path in ("balance", "ledger", "credits", "access", "top_ups", "invoices/draft"):
        funded.does("GET", f"/v1/customers/acme/{path}")
    assert funded.tables["Ledger"].all() == before


def test_of_two_who_finish_an_hour_only_the_one_whose_wallet_is_kept_leaves_its_entries(street: Street) -> None:
    street.does("POST", "/v1/customers/acme/credits", {"id": "c", "amount": "50"})
    street.post(used("a", value="20"))
    street.flow()
    street.now += HOUR
    slow = look("acme", street, street.now)
    street.post(used("b", 65, value="2"))
    street.flow()
    with pytest.raises(ConditionFailed):
        street.ledger.commit(slow.settlement, slow.next_due(), street.grace_milliseconds)
    rows = street.does("GET", "/v1/customers/acme/ledger")["rows"]
    assert [row["amount"] for row in rows] == ["-11", "50"]
    assert street.does("GET", "/v1/customers/acme/balance")["balance"] == "39"
