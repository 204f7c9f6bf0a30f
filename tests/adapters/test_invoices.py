"""Finalised invoices: lines frozen before heads, numbers without gaps, states only over what was read."""

from dataclasses import replace
from decimal import Decimal
from itertools import islice
from typing import Any

import pytest

from adapters.invoices import Invoices, head_put
from adapters.items import ConditionFailed, Put, Table
from billing.invoices import Invoice, invoice_id, moved
from billing.periods import Period
from billing.settlement import Announcement
from metering.errors import NotFound
from metering.times import DAY, MINUTE
from tests.adapters.conftest import Bench
from tests.billing.histories import START


def invoice(number: int = 0, customer: str = "acme", lines: int = 2, **fields: Any) -> Invoice:
    start = START + number * 30 * DAY
    given: dict[str, Any] = {
        "id": invoice_id(customer, start),
        "customer": customer,
        "status": "finalized",
        "plan": ("p", 2),
        "currency": "USD",
        "period": Period(start, start + 30 * DAY),
        "issuer": {"name": "Us", "invoice_prefix": "TX-"},
        "bill_to": {"name": "Ünï", "address": {"city": "x"}},
        "lines": tuple({"item": f"i{each}", "amount": "1.25", "tiers": [], "unit": None} for each in range(lines)),
        "subtotal": Decimal("2.50"),
        "credits_applied": Decimal(1),
        "tax_rate": Decimal(19),
        "tax": Decimal("0.29"),
        "total": Decimal("2.79"),
        "amount_due": Decimal("1.79"),
        "finalized_at": start + 31 * DAY,
        "due_at": start + 61 * DAY,
    }
    return Invoice(**{**given, **fields})


def stored(table: Table, *wanted: Invoice) -> Invoices:
    invoices = Invoices(table)
    for each in wanted:
        invoices.put_lines(each)
        table.put(head_put(each))
    return invoices


def test_an_invoice_is_read_as_it_was_frozen(table: Table) -> None:
    invoices = stored(table, invoice(), invoice(1, lines=1203), invoice(0, "other:acme", lines=1))
    for wanted in (invoice(), invoice(1, lines=1203), invoice(0, "other:acme", lines=1)):
        assert invoices.whole(wanted.id) == wanted
        assert invoices.head(wanted.id) == replace(wanted, lines=())
        assert invoices.find(wanted.id) == replace(wanted, lines=())
    assert [each.id for each in invoices.of_customer("acme")] == [invoice(1).id, invoice().id]
    assert invoices.find("acme:20301101T0000Z") is None


@pytest.mark.parametrize("identity", ["", "acme", ":", "acme:", "acme:20251101T0000Z", "x" * 5000])
def test_what_names_no_invoice_is_not_found(table: Table, identity: str) -> None:
    with pytest.raises(NotFound):
        stored(table, invoice()).whole(identity)


def test_a_period_is_invoiced_once(table: Table) -> None:
    stored(table, invoice())
    with pytest.raises(ConditionFailed):
        table.put(head_put(invoice(total=Decimal(5))))


def test_numbers_run_without_gaps_and_are_given_once(table: Table) -> None:
    wanted = [invoice(0, name) for name in "abcde"]
    invoices = stored(table, *wanted)
    assert [each.id for each in invoices.unnumbered(1 << 45, 10)] == [each.id for each in wanted]
    first = invoices.give_numbers("TX-", [wanted[1], wanted[0], wanted[1]], START)
    assert [(each.customer, each.number) for each in first] == [("b", "TX-000001"), ("a", "TX-000002")]
    again = invoices.give_numbers("TX-", wanted, START)
    assert [(each.customer, each.number) for each in again] == [(c, f"TX-{n:06d}") for n, c in enumerate("cde", 3)]
    assert invoices.give_numbers("TX-", wanted, START) == []
    assert invoices.unnumbered(1 << 45, 10) == []
    assert invoices.named("TX-", "TX-000004") == wanted[3].id
    assert [each.customer for _, each in invoices.all("TX-", {}, 2)] == ["e", "d", "c", "a", "b"]


def test_numbers_of_earlier_prefixes_are_found_and_listed_with_the_others(table: Table) -> None:
    invoices = stored(table, *(invoice(number) for number in range(6)))
    for number, prefix in enumerate(("TX-", "NEW-", "NEW-", "TX-", "", "NEW-")):
        invoices.give_numbers(prefix, [invoice(number)], START)
    ids = [invoice(number).id for number in range(6)]
    for prefix in ("TX-", "NEW-", "", "LATER-"):
        assert invoices.prefixes(prefix) == [prefix, *sorted({"", "NEW-", "TX-"} - {prefix})]
        assert [each.id for _, each in invoices.all(prefix, {}, 2)] == ids[::-1]
        for number, name in enumerate(("TX-000001", "NEW-000001", "NEW-000002", "TX-000002", "000001")):
            assert invoices.named(prefix, name) == ids[number]
    places = [place for place, _ in invoices.all("TX-", {}, 2)]
    for count, place in enumerate(places, 1):
        assert [each.id for _, each in invoices.all("NEW-", place, 2)] == ids[::-1][count:]


def test_a_page_of_all_invoices_reads_as_many_heads_as_it_shows_wherever_it_begins(bench: Bench) -> None:
    invoices = stored(bench.table, *(invoice(number) for number in range(30)))
    for start in range(0, 30, 10):
        invoices.give_numbers("TX-", [invoice(number) for number in range(start, start + 10)], START)
    read: list[int] = []

    class Counting:
        """The table, which tells how many items are read at once."""

        def __getattr__(self, name: str) -> Any:
            return getattr(bench.table, name)

        def get_many(self, keys: Any) -> Any:
            read.append(len(keys))
            return bench.table.get_many(keys)

    counted, place = Invoices(Counting()), dict[str, str]()
    for _ in range(6):
        read.clear()
        ((place, _),) = list(islice(counted.all("TX-", place, 5), 5))[-1:]
        assert sum(read) == 5


def test_a_damaged_head_is_told_of_and_left_out_of_all_lists(table: Table) -> None:
    told: list[object] = []
    invoices = Invoices(table, lambda item, _error: told.append(item["sk"]))
    stored(table, invoice(0, "a"), invoice(0, "b"), invoice(0, "c"))
    invoices.give_numbers("TX-", [invoice(0, "a"), invoice(0, "b")], START)
    for name in ("b", "c"):
        (head,) = table.query(name, "invoice#", "invoice#~")
        table.put(Put({**head, "body": "{}"}))
    assert [each.customer for _, each in invoices.all("TX-", {}, 9)] == ["a"]
    assert [each.customer for each in invoices.uncollected(1 << 45, 9)] == ["a"]
    assert invoices.unnumbered(1 << 45, 9) == []
    assert told == [f"invoice#{invoice(0, name).id}" for name in ("b", "b", "c")]


@pytest.mark.parametrize("name", ["", "TX-", "TX-9", "000001", "TX-x", "TX-²", "TX-123456789", "RX-000001"])
def test_what_is_no_number_names_no_invoice(table: Table, name: str) -> None:
    invoices = stored(table, invoice())
    invoices.give_numbers("TX-", [invoice()], START)
    assert invoices.named("TX-", name) is None


def test_who_numbers_at_the_same_time_as_another_starts_over(bench: Bench) -> None:
    class Raced:
        """The table, on which another invoice gets a number first."""

        def __getattr__(self, name: str) -> Any:
            return getattr(bench.table, name)

        def transact(self, puts: Any) -> None:
            Invoices(bench.table).give_numbers("TX-", [other], START)
            bench.table.transact(puts)

    mine, other = invoice(0, "mine"), invoice(0, "other")
    invoices = stored(bench.table, mine, other)
    with pytest.raises(ConditionFailed):
        Invoices(Raced()).give_numbers("TX-", [mine], START)
    (numbered,) = invoices.give_numbers("TX-", [mine], START)
    assert numbered.number == "TX-000002"


def test_a_number_is_announced_with_it(table: Table) -> None:
    invoices = stored(table, invoice())
    invoices.give_numbers("TX-", [invoice()], START)
    (news,) = table.query("acme", "outbox#", "outbox#~")
    assert (news["detail_type"], news["kind"]) == ("invoice.finalized", "outbox")
    assert '"number": "TX-000001"' in str(news["body"])


def test_a_head_moves_only_from_the_state_that_was_read_with_its_news(table: Table) -> None:
    invoices = stored(table, invoice())
    before = invoices.head(invoice().id)
    paid = moved(before, "paid", START)
    news = Announcement("acme:paid", "invoice.paid", {"invoice": before.id})
    invoices.move(before, paid, [news], START)
    assert invoices.head(before.id) == paid
    with pytest.raises(ConditionFailed):
        invoices.move(before, paid, [Announcement("twice", "invoice.paid", {})], START)
    assert [item["sk"] for item in table.query("acme", "outbox#", "outbox#~")] == ["outbox#acme:paid"]
    assert invoices.whole(before.id).lines == invoice().lines


def test_what_waits_for_stripe_is_found_after_a_quarter_of_an_hour(table: Table) -> None:
    invoices = stored(table, invoice())
    (numbered,) = invoices.give_numbers("TX-", [invoice()], START)
    due = (numbered.finalized_at or 0) + 15 * MINUTE
    assert invoices.uncollected(due - 1, 10) == []
    assert invoices.uncollected(due, 10) == [numbered]
    linked = replace(numbered, stripe_invoice="in_1", hosted_invoice_url="https://invoice.example")
    invoices.move(numbered, linked, [], START)
    assert invoices.uncollected(due, 10) == []


def test_what_is_not_collected_through_stripe_waits_for_it_no_longer(bench: Bench) -> None:
    invoices = stored(bench.table, invoice())
    (numbered,) = invoices.give_numbers("TX-", [invoice()], START)
    before = bench.changes()
    for _ in range(2):
        invoices.leave_to_others(numbered)
    assert bench.changes() == before + 1
    assert invoices.uncollected(1 << 45, 10) == []
    assert invoices.head(numbered.id) == numbered
    with pytest.raises(ConditionFailed):
        invoices.leave_to_others(replace(numbered, status="paid"))
    assert invoices.overdue(1 << 45, 1) == [numbered]
    late = moved(numbered, "past_due", START)
    invoices.move(numbered, late, [], START)
    invoices.leave_to_others(late)
    assert bench.table.due("overdue", 1 << 45, 1) == []  # it would hide those that are not past due yet
