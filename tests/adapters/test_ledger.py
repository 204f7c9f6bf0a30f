"""The Ledger table: wallets, entries and credits, each write on the condition of what was read."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from adapters.attempts import Attempts
from adapters.items import ConditionFailed, Put, Table
from adapters.ledger import Ledger, grant_put
from adapters.memory import MemoryTable
from adapters.periods import Periods, concluded_period
from adapters.shards import shard_of
from billing.adjustments import Concluded
from billing.attempts import Attempt
from billing.credits import CreditRequest
from billing.settlement import Settlement
from billing.wallet import OpenPeriod, grant
from metering.times import HOUR
from tests.adapters.conftest import Bench
from tests.billing.histories import START, History, account, at

ATTEMPT = Attempt("acme:1", "acme", "USD", Decimal("50.00"), Decimal("9.5"), "requested", START, START)
SHARD = shard_of("acme")
CONCLUDED = Concluded(OpenPeriod(START, START + 1, START + 1, 1, "serverless", 1), Decimal("1.50"))


def settled(**customer: Any) -> Settlement:
    """Three hours of usage that a credit pays."""
    history = History(account(**customer), events=[(at("02T10:10"), "3"), (at("02T11:10"), "4")])
    history.post(START, id="c", amount="20")
    return history.look(at("02T12:30"))


def commit(ledger: Ledger, made: Settlement, *extra: Put, due_at: int | None = None) -> None:
    stored = ledger.wallet("acme")
    version = stored.version if stored else 0
    ledger.commit(replace(made, wallet=replace(made.wallet, version=version)), due_at, HOUR, extra)


def test_a_wallet_is_read_as_it_was_written_at_the_next_version(table: Table) -> None:
    ledger = Ledger(table)
    assert ledger.wallet("acme") is None
    made = settled()
    commit(ledger, made, due_at=START + 5)
    stored = ledger.stored("acme")
    assert stored is not None
    assert stored.due_at == START + 5
    assert stored.wallet == replace(made.wallet, version=1)
    commit(ledger, made)
    stored = ledger.stored("acme")
    assert stored is not None
    assert (stored.due_at, stored.wallet.version) == (None, 2)
    ledger.forget("acme")
    assert ledger.wallet("acme") is None


def test_a_wallet_that_somebody_else_wrote_is_not_overwritten(table: Table) -> None:
    ledger = Ledger(table)
    made = settled()
    ledger.commit(made, None, HOUR)
    for put in ((), (Put({"pk": "acme", "sk": "beside"}),)):
        with pytest.raises(ConditionFailed):
            ledger.commit(made, None, HOUR, put)
    assert table.get("acme", "beside") is None


def test_nothing_of_a_commit_is_written_when_what_belongs_to_it_cannot_be(table: Table) -> None:
    ledger = Ledger(table)
    request = CreditRequest(id="d", amount=Decimal(5))
    made = settled()
    granted = replace(made, wallet=grant(made.wallet, request, at("02T12:30")), top_up=ATTEMPT)
    extra = grant_put("acme", granted.wallet.credits[-1], request)
    table.put(Put(extra.item))
    with pytest.raises(ConditionFailed):
        commit(ledger, granted, extra)
    assert ledger.wallet("acme") is None
    assert Attempts(table).of_customer("acme") == []


def test_the_ledger_is_the_hours_stored_and_the_running_one_newest_first(table: Table) -> None:
    ledger = Ledger(table)
    history = History(account(), events=[(at("02T10:10"), "3"), (at("02T11:10"), "4"), (at("02T12:10"), "5")])
    history.post(START, id="c", amount="20")
    commit(ledger, history.last or settled())
    for now in ("02T10:30", "02T11:30", "02T12:30", "02T12:40"):
        commit(ledger, history.look(at(now)))
        assert list(ledger.entries(history.wallet)) == [entry.as_json() for entry in reversed(history.entries)]
    # A crash between the finished hour's item and the wallet leaves both: the wallet's are shown, and only once.
    made = history.look(at("02T13:30"))
    stored = ledger.wallet("acme")
    assert stored
    ledger.commit(replace(made, wallet=replace(made.wallet, version=stored.version)), None, HOUR)
    assert [entry["amount"] for entry in ledger.entries(stored)] == ["-5", "-4", "-3", "20"]


def test_an_hour_that_is_written_twice_is_one_change(bench: Bench) -> None:
    ledger = Ledger(bench.table)
    made = settled()
    commit(ledger, made)
    first = bench.changes()
    for hour_item in list(bench.table.query("acme", "entries#", "entries#~")):
        bench.table.put(Put(hour_item))
    assert bench.changes() == first


def test_a_credit_can_be_granted_once_and_shows_what_remains(table: Table) -> None:
    ledger = Ledger(table)
    request = CreditRequest(id="c", amount=Decimal("20.0"), reference="é")
    wallet = grant(settled().wallet, CreditRequest(id="x", amount=Decimal(1)), START)
    shown = next(credit for credit in wallet.credits if credit.id == "c")
    put = grant_put("acme", shown, request)
    table.put(put)
    with pytest.raises(ConditionFailed):
        table.put(put)
    known = ledger.grant_of("acme", "c")
    assert known == (request, shown.as_json())
    assert ledger.grant_of("acme", "d") is None
    assert ledger.credits(wallet) == [shown.as_json()]
    assert ledger.credits(replace(wallet, credits=())) == [{**shown.as_json(), "remaining": "0"}]


def test_wallets_are_listed_when_they_are_due(table: Table) -> None:
    ledger = Ledger(table)
    commit(ledger, settled(), due_at=START)
    assert ledger.due_wallets(SHARD, START - 1, 10) == ([], [])
    assert ledger.due_wallets(SHARD, START, 10) == (["acme"], [])
    assert ledger.due_wallets((SHARD + 1) % 16, START, 10) == ([], [])
    commit(ledger, settled(), due_at=None)
    assert ledger.due_wallets(SHARD, START, 10) == ([], [])


def test_a_period_that_ended_is_due_after_its_grace_until_it_is_concluded(table: Table) -> None:
    ledger = Ledger(table)
    history = History(account(), events=[(at("02T10:10"), "3")])
    made = history.look(at("12-01T00:05"))
    commit(ledger, made)
    end = at("12-01T00:00")
    assert Periods(table).due(SHARD, end + HOUR - 1, 10) == []
    (ended,) = Periods(table).due(SHARD, end + HOUR, 10)
    assert (ended.customer, ended.start, ended.due_at) == ("acme", START, end + HOUR)
    table.put(concluded_period("acme", CONCLUDED))
    assert Periods(table).due(SHARD, end + HOUR, 10) == []
    assert Periods(table).concluded("acme", START) == CONCLUDED


class Behind(MemoryTable):
    """A table whose index has not heard yet of what was written last, as DynamoDB's may not have for a moment."""

    def due(self, shard: str, until: int, most: int) -> list[tuple[str, str]]:
        heard = MemoryTable()
        for item in self.history:
            heard.put(Put(item))
        return heard.due(shard, until, most)

    def __init__(self) -> None:
        self.history: list[Any] = []
        super().__init__(lambda old, _new: self.history.append(old) if old else None)


def test_an_index_that_is_a_moment_behind_lists_nothing_that_is_done() -> None:
    table = Behind()
    ledger = Ledger(table)
    commit(ledger, History(account(), events=[(at("02T10:10"), "3")]).look(at("12-01T00:05")))
    table.put(concluded_period("acme", CONCLUDED))
    assert table.due(f"period#{SHARD:02d}", at("12-02T00:00"), 10) == [("acme", "period#2026-11-01T00:00:00Z")]
    assert Periods(table).due(SHARD, at("12-02T00:00"), 10) == []


def test_what_makes_a_customer_impossible_to_delete(table: Table) -> None:
    ledger = Ledger(table)
    assert not ledger.is_touched("acme")
    commit(ledger, History(account()).look(at("02T10:00")))
    assert not ledger.is_touched("acme")
    for kind in ("credit#c", "entries#2026-11-02T10", "invoice#i", "period#p", "attempt#a"):
        table.put(Put({"pk": "acme", "sk": kind}))
        assert ledger.is_touched("acme"), kind
        table.delete("acme", kind)
    commit(ledger, settled())
    assert ledger.is_touched("acme")
