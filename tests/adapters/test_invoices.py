"""Finalised invoices: lines frozen before heads, numbers without gaps, states only over what was read."""

from dataclasses import replace
from decimal import Decimal
from itertools import islice
from typing import Any

import pytest

from adapters.invoices import Invoices, head_put
from adapters.items import ConditionFailed, Put, Table
from billing.collecting import Collecting
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


def numbered_one(table: Table, **fields: Any) -> tuple[Invoices, Invoice]:
    invoices = stored(table, invoice(**fields))
    (numbered,) = invoices.give_numbers("TX-", [invoice(**fields)], START)
    return invoices, numbered


def test_what_waits_for_stripe_is_found_after_a_quarter_of_an_hour(table: Table) -> None:
    invoices, numbered = numbered_one(table)
    due = (numbered.finalized_at or 0) + 15 * MINUTE
    assert invoices.uncollected(due - 1, 10) == []
    assert invoices.uncollected(due, 10) == [numbered]
    waiting = replace(numbered, collecting=replace(numbered.collecting, stage="open", look_at=due + DAY))
    invoices.move(numbered, waiting, [], START)
    assert invoices.uncollected(due + DAY - 1, 10) == []
    assert invoices.uncollected(due + DAY, 10) == [waiting]


STAGES: list[tuple[dict[str, Any], str, list[str]]] = [
    ({"stage": "making", "look_at": 5}, "finalized", ["collect"]),
    ({"stage": "others"}, "finalized", ["overdue"]),
    ({"stage": "open"}, "finalized", ["overdue"]),
    ({"stage": "held"}, "finalized", []),
    ({"stage": "carried", "carried_by": "x"}, "finalized", []),
    ({"stage": "open"}, "past_due", []),
    ({"stage": "open", "look_at": 5}, "past_due", ["collect"]),
    ({"stage": "lost"}, "past_due", []),
    ({"stage": "open"}, "paid", ["collect"]),
    ({"stage": "open", "closed": "paid"}, "paid", []),
    ({"stage": "open", "closed": "uncollectible"}, "paid", ["collect"]),
    ({"stage": "waiting"}, "void", []),
    ({"stage": "held"}, "void", []),
    ({"stage": "making"}, "void", ["collect"]),
]


@pytest.mark.parametrize(("state", "status", "lists"), STAGES, ids=str)
def test_an_invoice_is_listed_only_where_something_becomes_of_it_by_itself(
    bench: Bench, state: dict[str, Any], status: Any, lists: list[str]
) -> None:
    invoices, numbered = numbered_one(bench.table)
    after = replace(numbered, status=status, collecting=Collecting(**state))
    invoices.move(numbered, after, [], START)
    found = [shard for shard in ("collect", "overdue", "number") if bench.table.due(shard, 1 << 45, 10)]
    assert found == lists
    assert invoices.head(numbered.id) == after


def test_what_is_to_be_tried_again_much_later_is_past_due_in_time(table: Table) -> None:
    due = invoice().finalized_at or 0
    invoices, numbered = numbered_one(table, due_at=due)
    later = replace(numbered, collecting=Collecting("open", look_at=due + 7 * DAY))
    invoices.move(numbered, later, [], START)
    assert invoices.overdue(due + 15 * MINUTE - 1, 10) == []
    assert invoices.overdue(due + 15 * MINUTE, 10) == [later]
    assert invoices.uncollected(due + 15 * MINUTE, 10) == []


@pytest.mark.parametrize("stage", ["held", "carried"])
def test_what_was_held_since_the_index_was_read_is_not_past_due(bench: Bench, stage: Any) -> None:
    class Behind:
        """The table, whose index still lists what is not to be listed any more."""

        def __getattr__(self, name: str) -> Any:
            return getattr(bench.table, name)

        def due(self, *_: Any) -> Any:
            return [(numbered.customer, f"invoice#{numbered.id}")]

    invoices, numbered = numbered_one(bench.table)
    assert Invoices(Behind()).overdue(1 << 45, 10) == [numbered]
    invoices.move(numbered, replace(numbered, collecting=Collecting(stage, carried_by="x")), [], START)
    assert Invoices(Behind()).overdue(1 << 45, 10) == []
    assert Invoices(Behind()).uncollected(1 << 45, 10) == []


def test_several_heads_move_at_once_or_not_at_all(table: Table) -> None:
    invoices = stored(table, invoice(), invoice(1))
    first, second = (invoices.head(each.id) for each in (invoice(), invoice(1)))
    moves = [(each, moved(each, "paid", START)) for each in (first, second)]
    invoices.move(second, moved(second, "void", START), [], START)
    with pytest.raises(ConditionFailed):
        invoices.move_all(moves, [], START)
    assert invoices.head(first.id) == first
