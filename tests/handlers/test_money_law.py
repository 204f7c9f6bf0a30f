"""Whatever happens in whatever order, money is neither made nor lost: laws 5.4 and 5.7 over random histories."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from adapters.items import string
from billing.adjustments import Concluded
from billing.rating import rate, subtotal
from metering.times import DAY, HOUR, QUARTER, format_time
from metering.usage import Usage
from metering.windows import Tally
from tests.handlers.street import METERS, Crash, Street, used

CUSTOMER = "/v1/customers/acme"
# Prices that are not linear: adding a day's late usage to what was invoiced is not rating the day again.
PLANS: list[dict[str, Any]] = [
    {
        "key": "steps",
        "period": "day",
        "items": [
            {
                "key": "requests",
                "meter": "requests",
                "included": "2",
                "price": {
                    "model": "graduated",
                    "tiers": [{"up_to": "10", "unit_price": "1.5"}, {"up_to": None, "unit_price": "0.333"}],
                },
            }
        ],
        "minimum": "3",
        "maximum": "20",
        "discounts": [{"percent": "10"}],
    },
    {
        "key": "fee",
        "period": "day",
        "items": [
            {"key": "requests", "meter": "requests", "price": {"model": "per_unit", "unit_price": "0.55"}},
            {"key": "fee", "price": {"model": "flat", "amount": "4"}},
        ],
        "discounts": [{"amount": "1"}],
    },
]
_SAID = ("finalize", "void", "void", "reissue", "reissue", "mark_paid", "mark_uncollectible")


@dataclass
class History:
    """A random history of one customer.

    Attributes:
        used: what every event that counts has told, by its instant and id.
        crashes: whether processes end in the middle of what they do.
    """

    street: Street
    random: Random
    crashes: bool = False
    used: dict[tuple[int, str], int] = field(default_factory=dict)
    steps: int = 0

    def begin(self) -> None:
        """A catalogue and a customer, somewhere."""
        currency = self.random.choice(["USD", "JPY", "KWD"])
        self.street.does("PUT", "/v1/meters/requests", METERS[0])
        for plan in PLANS:
            self.street.does("PUT", f"/v1/plans/{plan['key']}", {**plan, "currency": currency})
        zone = self.random.choice(["UTC", "Asia/Kolkata", "America/New_York"])
        tax = {"tax_rate": "19", "tax_on": self.random.choice(["rest", "subtotal"])}
        self.street.does("PUT", CUSTOMER, {"plan": "fee", "timezone": zone, **tax})

    def step(self) -> None:
        """Something happens."""
        self.steps += 1
        weights = {self.uses: 4, self.corrects: 2, self.says: 4, self.waits: 4, self.pays: 1, self.takes: 1}
        weights[self.changes] = 1
        weights[self.ends] = 1
        (what,) = self.random.choices(list(weights), list(weights.values()))
        what()

    def uses(self) -> None:
        """Uses something now, or days ago."""
        age = self.random.choice([0, HOUR, DAY, 3 * DAY])
        name, at = f"e{self.steps}", self.street.now - self.random.randint(0, age)
        value = self.random.randint(0, 12)
        self.tells(used(name, value=str(value), timestamp=at), value)

    def corrects(self) -> None:
        """Says that an event was another, or none."""
        if not self.used:
            return
        at, name = self.random.choice(sorted(self.used))
        value = self.random.choice([0, 0, 7])
        event = used(name, value=str(value), timestamp=at, revision=self.steps)
        self.tells(event if value else {**event, "void": True}, value)

    def tells(self, event: dict[str, Any], value: int) -> None:
        """Posts an event; it counts if it is accepted."""
        if self.street.post(event)["statusCode"] == 202:
            self.used[event["timestamp"], event["id"]] = value
        self.flow()

    def says(self) -> None:
        """Says something about an invoice."""
        rows = self.rows()
        if rows:
            row, what = self.random.choice(rows[:6]), self.random.choice(_SAID)
            path = f"/v1/invoices/{row['id']}/{'void' if what == 'reissue' else what}"
            with self.maybe_crashing():
                self.street.call("POST", path, {"reissue": True} if what == "reissue" else {})

    def waits(self) -> None:
        """Time passes, and the schedules run."""
        self.street.now += self.random.choice([QUARTER, HOUR, 3 * HOUR, DAY])
        self.ticks()

    def pays(self) -> None:
        """Gets a credit, that may end."""
        ends = self.random.choice([None, format_time(self.street.now + self.random.choice([HOUR, DAY, 2 * DAY]))])
        credit = {"id": f"c{self.steps}", "amount": str(self.random.randint(1, 40)), "expires_at": ends}
        with self.maybe_crashing():
            self.street.call("POST", f"{CUSTOMER}/credits", credit)

    def takes(self) -> None:
        """Takes something of a credit back."""
        credits_ = self.street.does("GET", f"{CUSTOMER}/credits")["rows"]
        if credits_:
            path = f"{CUSTOMER}/credits/{self.random.choice(credits_)['id']}/revoke"
            with self.maybe_crashing():
                self.street.call("POST", path, {"id": f"r{self.steps}", "amount": str(self.random.randint(1, 9))})

    def changes(self) -> None:
        """Goes over to the other plan, in the middle of a day."""
        plan = self.random.choice(PLANS)["key"]
        with self.maybe_crashing():
            self.street.call("PATCH", CUSTOMER, {"plan": plan})

    def ends(self) -> None:
        """Is to end soon, or not any more."""
        ends_at = self.random.choice([None, self.street.now + self.random.choice([0, HOUR, DAY])])
        self.street.call("PATCH", CUSTOMER, {"ends_at": ends_at and format_time(ends_at)})

    def flow(self) -> None:
        """What has arrived is handled, in any order."""
        with self.maybe_crashing():
            self.street.flow(self.random)
        self.street.flow()

    def ticks(self) -> None:
        """The schedules run."""
        with self.maybe_crashing():
            self.street.minute()
            self.street.hour()
        self.street.minute()
        self.street.hour()

    @contextmanager
    def maybe_crashing(self) -> Iterator[None]:
        """The process may end at any write, before or after it was made."""
        if self.crashes and self.random.random() < 0.5:
            self.street.writes_left = self.random.randint(0, 8)
            self.street.answer_lost = self.random.random() < 0.5
        try:
            yield
        except Crash:
            pass
        finally:
            self.street.writes_left = None

    def rows(self) -> list[Any]:
        """All invoices, drafts in grace included."""
        return list(self.street.does("GET", "/v1/invoices", query={"customer": "acme", "limit": "1000"})["rows"])

    def balance(self) -> Any:
        """The balance and the credits."""
        return self.street.does("GET", f"{CUSTOMER}/balance")

    def entries(self) -> list[Any]:
        """The whole ledger."""
        return list(self.street.does("GET", f"{CUSTOMER}/ledger", query={"limit": "1000"})["rows"])


def holds_always(history: History) -> None:
    """What holds after every step."""
    balance, entries, rows = history.balance(), history.entries(), history.rows()
    running = Decimal(0)
    for entry in reversed(entries):
        running += Decimal(entry["amount"])
        assert Decimal(entry["balance_after"]) == running
    assert Decimal(balance["balance"]) == running >= 0
    assert all(0 <= Decimal(each["remaining"]) <= Decimal(each["amount"]) for each in balance["credits"])
    for row in rows:
        assert 0 <= Decimal(row["credits_applied"]) <= Decimal(row["subtotal"])
    numbers = [string(item, "sk") for item in history.street.items("Ledger", "number")]
    assert numbers == [f"{count:08d}" for count in range(1, len(numbers) + 1)]
    assert {row["number"] for row in rows if row["status"] != "draft"} <= {
        None,
        *(f"TX-{int(number):06d}" for number in numbers),
    }


def concluded(history: History) -> list[Concluded]:
    """The periods that are over and done with."""
    street = history.street
    return street.periods.concluded_between("acme", 0, street.now)


def rated(history: History, each: Concluded) -> Decimal:
    """What a period costs by what is known in the end."""
    period = each.period
    if each.forgiven:
        return Decimal(0)
    values = [value for (at, _), value in history.used.items() if value and period.start <= at < period.end]
    rows = [Usage("requests", "sum", (), Tally(len(values), Decimal(sum(values))))] if values else []
    plan = history.street.remembered.plan(period.plan, period.version)
    return subtotal(rate(plan, rows, period.share))


def holds_in_the_end(history: History) -> None:
    """What holds when nothing is on its way any more: every cent of every period was asked for once."""
    valid = [row for row in history.rows() if row["status"] != "void"]
    rows = [row for row in valid if row["status"] != "draft"]
    asked = sum(Decimal(row["subtotal"]) - Decimal(row["credit_granted"]) for row in rows)
    assert asked == sum(rated(history, each) for each in concluded(history))
    draft = history.street.does("GET", f"{CUSTOMER}/invoices/draft")
    applied = sum(Decimal(row["credits_applied"]) for row in [*valid, draft])
    assert applied == -sum(Decimal(each["amount"]) for each in history.entries() if each["kind"] in ("draw", "return"))
    assert all(row["number"] for row in rows)
    assert [row["credit"] for row in rows if row["credit_granted"] != "0" and row["credit"] is None] == []


def lives(street: Street, seed: int, steps: int, *, crashes: bool) -> None:
    history = History(street, Random(seed), crashes)  # noqa: S311 - a history, not a secret
    history.begin()
    for _ in range(steps):
        history.step()
        holds_always(history)
    street.does("PATCH", CUSTOMER, {"ends_at": None})
    # Days without usage: their invoices carry what is pending.
    for _ in range(3):
        street.now += DAY
        history.ticks()
    holds_always(history)
    holds_in_the_end(history)


@pytest.fixture
def bare(build: Any) -> Street:
    """A street on which nobody lives yet."""
    made: Street = build()
    return made


@pytest.mark.parametrize("seed", range(4))
def test_money_is_neither_made_nor_lost(bare: Street, seed: int) -> None:
    lives(bare, seed, 30, crashes=bool(seed % 2))


@pytest.mark.deep
@pytest.mark.parametrize("seed", range(100, 160))
def test_money_is_neither_made_nor_lost_in_long_lives(bare: Street, seed: int) -> None:
    lives(bare, seed, 100, crashes=bool(seed % 2))
