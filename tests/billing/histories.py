"""A wallet's history in a few words: events, credits and looks at the clock, and the ledger that comes of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from billing.credits import CreditRequest
from billing.customers import Account, Customer, PlanChange
from billing.plans import Plan
from billing.settlement import Settlement, settle
from billing.wallet import Entry, Wallet, balance, grant, new_wallet
from metering.decimals import text
from metering.times import format_time, parse_time
from metering.usage import Usage
from metering.windows import Tally

START = parse_time("2026-11-01T00:00:00Z")


def at(short: str) -> int:
    """`20T16:05` of November 2026, or with a month: `12-01T00:00`."""
    return parse_time(f"2026-{short if len(short) > 8 else '11-' + short}:00Z")


def plan(key: str = "p", unit_price: str = "1", fee: dict[str, Any] | None = None, **fields: Any) -> Plan:
    items: list[dict[str, Any]] = [
        {"key": "calls", "meter": "m", "price": {"model": "per_unit", "unit_price": unit_price}}
    ]
    if fee:
        items.append({"key": "fee", "price": {"model": "flat", **fee}})
    return Plan.model_validate({"key": key, "currency": "USD", "items": items, **fields})


def account(changes: Sequence[PlanChange] = (PlanChange(START, "p", 1),), **fields: Any) -> Account:
    written = {"id": "acme", "currency": "USD", "starts_at": START, **fields}
    return Account(Customer.model_validate(written), tuple(changes))


@dataclass
class History:
    """What was posted so far, and what settling it made."""

    account: Account = field(default_factory=account)
    plans: Sequence[Plan] = field(default_factory=lambda: [plan()])
    events: list[tuple[int, str]] = field(default_factory=list)
    ledger: list[Entry] = field(default_factory=list)
    last: Settlement | None = None
    announced: list[str] = field(default_factory=list)
    edges: list[tuple[str, str, str]] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    wallet: Wallet = field(init=False)

    def __post_init__(self) -> None:
        self.wallet = new_wallet(self.account, START)

    def look(self, now: int, known: Iterable[tuple[int, str]] | None = None) -> Settlement:
        """Settle up to now, with the events up to now, or those given."""
        events = list(known) if known is not None else [event for event in self.events if event[0] <= now]

        def usage(start: int, end: int, at: int | None) -> list[Usage]:
            counted = [Decimal(q) for time, q in events if start <= time < end and (at is None or time < at)]
            return [Usage("m", "sum", (), Tally(len(counted), sum(counted, Decimal(0))))] if counted else []

        versions = {(each.key, 1): each for each in self.plans}
        made = settle(self.wallet, self.account, versions, usage, now)
        self.wallet, self.last = made.wallet, made
        self.ledger += [entry for hour in sorted(made.entries) for entry in made.entries[hour]]
        self.announced += [each.detail_type for each in made.announcements]
        self.edges += [(format_time(edge.at)[5:16], edge.key, edge.edge) for edge in made.edges]
        self.gone += [credit.id for credit in made.ended_credits]
        return made

    def post(self, now: int, **request: Any) -> None:
        """Post a credit: settle, grant, settle."""
        self.look(now)
        self.wallet = grant(self.wallet, CreditRequest.model_validate(request), now)
        self.look(now)

    @property
    def entries(self) -> list[Entry]:
        """The ledger: what was stored, and the wallet's running hour."""
        return [*self.ledger, *self.wallet.moves]

    @property
    def statement(self) -> list[str]:
        """The ledger as people read it: time, kind, amount, credit and day on which the period began."""
        return [
            f"{format_time(e.at)[5:16]} {e.kind} {text(e.amount)} {e.credit or '-'}"
            + ("" if e.period is None else f" {format_time(e.period)[5:10]}")
            for e in self.entries
        ]

    @property
    def balance(self) -> str:
        """The balance as text."""
        return text(balance(self.wallet))
