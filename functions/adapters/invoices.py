"""Invoices in the Ledger table: frozen lines, heads, and the numbers that each issuer has given. Law 5.7.

| kind | partition | sort key |
|---|---|---|
| invoice | `customer` | `invoice#id`: the head |
| lines | `customer` | `lines#id#digest#chunk`: immutable, written before the head, which names their digest |
| number | `numbers#prefix` | the number's count, eight digits |
| counter | `numbers#prefix` | `counter` |
| prefix | `numbers` | `prefix#prefix`: written with its first number |

A finalised head without a number is listed in the index `due` under `number`, one whose credit is not granted yet
under `remainder`, one whose collecting goes on by itself, or is to be ended at Stripe, under `collect` by that instant
or the one from which it is past due, and any other that can become past due under `overdue`; so a sweep finds whatever
a crash left.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import islice
from typing import Any

from adapters.items import Absent, Equals, Item, Key, Put, Table, binary, integer, readable, string
from adapters.outbox import outbox_item
from billing.collecting import STANDSTILL, read_collecting
from billing.invoices import Invoice, numbered
from billing.periods import Period
from billing.settlement import Announcement
from metering.decimals import text
from metering.errors import NotFound
from metering.packing import canonical, compress, unpack_json
from metering.times import parse_time

_LINES_PER_CHUNK = 500
_NUMBERED_AT_ONCE = 30
_AMOUNTS = (
    "subtotal",
    "credits_applied",
    "tax_rate",
    "tax",
    "total",
    "amount_due",
    "amount_refunded",
    "credit_granted",
)
_TIMES = ("finalized_at", "due_at", "paid_at")


class Invoices:
    """Finalised invoices."""

    def __init__(self, table: Table, report: Callable[[Item, Exception], None] = lambda _item, _error: None) -> None:
        """`report` is told of each head that was to be listed and is damaged."""
        self._table = table
        self._report = report

    def put_lines(self, invoice: Invoice) -> None:
        """Write the lines of an invoice, before the transaction that writes its head."""
        for number, chunk in enumerate(_chunks(invoice.lines)):
            item: Item = {
                "pk": invoice.customer,
                "sk": f"{_lines_key(invoice)}{number:04d}",
                "kind": "lines",
                "data": compress(canonical([dict(line) for line in chunk])),
            }
            self._table.put(Put(item))

    def head(self, identity: str) -> Invoice:
        """Read an invoice without its lines.

        Raises:
            NotFound: there is no finalised invoice of that id.
        """
        customer, sort = _key(identity)
        item = self._table.get(customer, sort) if customer else None
        if item is None:
            raise NotFound(f"there is no invoice {identity!r}")
        return _read(item)

    def find(self, identity: str) -> Invoice | None:
        """A finalised invoice, without lines; None if there is none of that id."""
        try:
            return self.head(identity)
        except NotFound:
            return None

    def whole(self, identity: str) -> Invoice:
        """Read an invoice with its lines.

        Raises:
            NotFound: there is no finalised invoice of that id.
        """
        head = self.head(identity)
        lines = [
            line
            for item in self._table.query(head.customer, _lines_key(head), f"{_lines_key(head)}\U0010ffff")
            for line in unpack_json(binary(item, "data"))
        ]
        return replace(head, lines=tuple(lines))

    def named(self, prefix: str, name: str) -> str | None:
        """The id of the finalised invoice that has this id or number; None if none has.

        A number may have been given under an earlier prefix than the issuer's present one.
        """
        known = self._of_number(prefix, name) or (name if self.find(name) else None)
        earlier = (self._of_number(each, name) for each in self.prefixes(prefix)[1:]) if known is None else ()
        return next((identity for identity in earlier if identity), known)

    def _of_number(self, prefix: str, number: str) -> str | None:
        count = number.removeprefix(prefix)
        if (count == number and prefix) or not (count.isascii() and count.isdigit() and len(count) <= 8):
            return None
        item = self._table.get(f"numbers#{prefix}", f"{int(count):08d}")
        return string(item, "invoice") if item else None

    def prefixes(self, prefix: str) -> list[str]:
        """Under which prefixes numbers were given: the issuer's present one, then any before it."""
        given = [string(item, "prefix") for item in self._table.query("numbers")]
        return [prefix, *(each for each in given if each != prefix)]

    def of_customer(self, customer: str) -> Iterator[Invoice]:
        """The finalised invoices of a customer, newest period first, without lines."""
        return map(_read, self._table.query(customer, "invoice#", "invoice#\U0010ffff", newest_first=True))

    def all(self, prefix: str, before: Mapping[str, str], page: int) -> Iterator[tuple[dict[str, str], Invoice]]:
        """Every numbered invoice, the last finalised first, whatever the issuer's prefix was, each with its place.

        The numbers of each prefix come in their order. A place says how far those of each have come; they are read as
        far as they are taken, `page` at once.
        """
        reached = dict(before)
        ahead = {each: self._numbered(each, before.get(each, ""), page) for each in self.prefixes(prefix)}
        waiting = {each: found for each, several in ahead.items() if (found := next(several, None))}
        while waiting:
            newest = max(waiting, key=lambda each: waiting[each][1].finalized_at or 0)
            reached[newest], invoice = waiting.pop(newest)
            yield dict(reached), invoice
            if found := next(ahead[newest], None):
                waiting[newest] = found

    def _numbered(self, prefix: str, before: str, page: int) -> Iterator[tuple[str, Invoice]]:
        numbers = self._table.query(f"numbers#{prefix}", "0", before or "9~", newest_first=True, page=page)
        places = ((string(item, "sk"), _key(string(item, "invoice"))) for item in numbers if item["sk"] != before)
        while several := dict(islice(places, page)):
            heads = self._table.get_many(list(several.values()))
            found = {(string(head, "pk"), string(head, "sk")): head for head in heads}
            for place, key in several.items():
                for invoice in readable([found[key]], _read, self._report):
                    yield place, invoice

    def move(self, before: Invoice, after: Invoice, announcements: Sequence[Announcement], now: int) -> None:
        """Write a head's next state with what it announces, all or nothing.

        Raises:
            ConditionFailed: the head is no longer what was read.
        """
        self.move_all([(before, after)], announcements, now)

    def move_all(
        self, moves: Sequence[tuple[Invoice, Invoice]], announcements: Sequence[Announcement], now: int
    ) -> None:
        """Write the next states of several heads of a customer with what they announce, all or nothing.

        Raises:
            ConditionFailed: one of them is no longer what was read.
        """
        news = [Put(outbox_item(moves[0][1].customer, each, now)) for each in announcements]
        self._table.transact([*(move_put(before, after) for before, after in moves), *news])

    def unnumbered(self, now: int, most: int) -> list[Invoice]:
        """Finalised invoices that have no number yet, oldest first."""
        return self._listed(self._table.due("number", now, most))

    def uncollected(self, now: int, most: int) -> list[Invoice]:
        """Numbered invoices whose collecting is to go on by now, longest waiting first."""
        found = self._listed(self._table.due("collect", now, most))
        return [each for each in found if each.look_at is not None and each.look_at <= now]

    def uncredited(self, now: int, most: int) -> list[Invoice]:
        """Numbered invoices whose credit is still to be granted, oldest first."""
        return self._listed(self._table.due("remainder", now, most))

    def overdue(self, now: int, most: int) -> list[Invoice]:
        """Finalised invoices that were to be paid by now and are not, longest overdue first."""
        found = self._listed([*self._table.due("overdue", now, most), *self._table.due("collect", now, most)])
        return [each for each in found if each.falls_due_at is not None and each.falls_due_at < now]

    def _listed(self, keys: Sequence[Key]) -> list[Invoice]:
        return list(readable(self._table.get_many(keys), _read, self._report))

    def give_numbers(self, prefix: str, invoices: Sequence[Invoice], now: int) -> list[Invoice]:
        """Number some invoices and announce them, in one transaction with the issuer's counter: no gap, no double.

        Raises:
            ConditionFailed: the counter or a head has moved on; read again.
        """
        # A queue may bring the same invoice twice in one batch; it gets one number.
        wanted = dict.fromkeys(invoice.id for invoice in invoices)
        fresh = [self.head(identity) for identity in list(wanted)[:_NUMBERED_AT_ONCE]]
        waiting = [invoice for invoice in fresh if invoice.number is None]
        if not waiting:
            return []
        partition = f"numbers#{prefix}"
        counter = self._table.get(partition, "counter")
        given = integer(counter, "given") if counter else 0
        moved: Item = {"pk": partition, "sk": "counter", "kind": "counter", "given": given + len(waiting)}
        puts = [Put(moved, Equals("given", given if counter else None))]
        if counter is None:
            puts.append(Put({"pk": "numbers", "sk": f"prefix#{prefix}", "kind": "prefix", "prefix": prefix}))
        done = []
        for count, invoice in enumerate(waiting, given + 1):
            after = numbered(invoice, prefix, count)
            done.append(after)
            number: Item = {"pk": partition, "sk": f"{count:08d}", "kind": "number", "invoice": invoice.id}
            puts += [Put(_item(after), Equals("body", _body(invoice))), Put(number, Absent())]
            puts += [Put(outbox_item(invoice.customer, _finalized(after), now))]
        self._table.transact(puts)
        return done


def head_put(invoice: Invoice) -> Put:
    """The head of a newly finalised invoice, for the transaction that concludes its period."""
    return Put(_item(invoice), Absent())


def move_put(before: Invoice, after: Invoice) -> Put:
    """A head's next state, on the condition of the one that was read, for a transaction."""
    return Put(_item(after), Equals("body", _body(before)))


def _finalized(invoice: Invoice) -> Announcement:
    detail = {
        "invoice": invoice.id,
        "number": invoice.number,
        "total": text(invoice.total),
        "amount_due": text(invoice.amount_due),
        "currency": invoice.currency,
    }
    return Announcement(f"{invoice.id}:invoice.finalized", "invoice.finalized", detail)


def _item(invoice: Invoice) -> Item:
    item: Item = {
        "pk": invoice.customer,
        "sk": f"invoice#{invoice.id}",
        "kind": "invoice",
        "status": invoice.status,
        "body": _body(invoice),
    }
    finalized_at = invoice.finalized_at or 0
    if invoice.number is None:
        return {**item, "due_shard": "number", "due_at": finalized_at}
    if invoice.credit_granted and invoice.credit is None:
        return {**item, "due_shard": "remainder", "due_at": finalized_at}
    due_at = invoice.falls_due_at
    if invoice.look_at is not None:
        late = invoice.look_at if due_at is None else max(due_at, finalized_at + STANDSTILL)
        return {**item, "due_shard": "collect", "due_at": min(invoice.look_at, late)}
    return item if due_at is None else {**item, "due_shard": "overdue", "due_at": due_at}


def _key(identity: str) -> Key:
    """Where the head of an invoice of this id is kept; without a customer if it is none."""
    return identity.rpartition(":")[0], f"invoice#{identity}"


def _lines_key(invoice: Invoice) -> str:
    """Two writers who froze different lines write different items; the head that wins names its own."""
    return f"lines#{invoice.id}#{invoice.frozen}#"


def _body(invoice: Invoice) -> str:
    body = {**invoice.kept_as_json(), "lines": [], "frozen": invoice.frozen}
    collecting = invoice.collecting.as_json()
    if collecting:
        body["collecting"] = collecting
    return json.dumps(body, sort_keys=True, separators=(",", ":"))


def _read(item: Item) -> Invoice:
    body: dict[str, Any] = json.loads(string(item, "body"))
    read: Mapping[str, Any] = {
        **body,
        **{name: Decimal(body[name]) for name in _AMOUNTS},
        **{name: None if body[name] is None else parse_time(body[name]) for name in _TIMES},
        "plan": (body["plan"]["key"], body["plan"]["version"]),
        "period": Period(parse_time(body["period"]["start"]), parse_time(body["period"]["end"])),
        "lines": (),
        "collecting": read_collecting(body.get("collecting", {})),
    }
    return Invoice(**read)


def _chunks(lines: Sequence[Mapping[str, Any]]) -> Iterator[Sequence[Mapping[str, Any]]]:
    for start in range(0, len(lines), _LINES_PER_CHUNK):
        yield lines[start : start + _LINES_PER_CHUNK]
