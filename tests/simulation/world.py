"""The running system of the simulations: the street in memory, all that it accepted, and the auditor beside it."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

import pytest

from adapters import windows
from handlers import _door, _live, aggregate
from metering.times import format_time, parse_time
from tests.handlers.street import CONSUMERS, Crash, Street
from tests.simulation import auditor
from tests.simulation.catalogue import METERS, PLANS, Json, customers
from tests.simulation.record import Record


class World:
    """A deployment in memory and what `simulate` is told of it.

    Attributes:
        record: what it was told.
        settled_late: the customers of whom something came after the period that it belongs to was finalised.
    """

    def __init__(self, begin: int, *, cramped: bool = False) -> None:
        """Begin the clock there; in a cramped world a few events make an hour heavy and spread its windows."""
        self.street = Street(now=begin)
        self.record = Record()
        self.settled_late: set[str] = set()
        self._patch = pytest.MonkeyPatch()
        self._patch.setattr(_door.metrics.provider, "namespace", "Taximeter")
        self._patch.setattr(_live, "live", self.street)
        if cramped:
            self._patch.setattr(aggregate, "_LIGHT_BYTES", 500)
            self._patch.setattr(aggregate, "_MOST_BYTES_INSIDE", 100)
            self._patch.setattr(windows, "MOST_BYTES", 200)
        logging.disable(logging.CRITICAL)  # of every crash
        for meter in METERS:
            self.street.does("PUT", f"/v1/meters/{meter['key']}", meter)
        for plan in PLANS:
            self.street.does("PUT", f"/v1/plans/{plan['key']}", plan)
        for name, body in customers(begin).items():
            self.street.does("PUT", f"/v1/customers/{name}", body)
            self.record.written.append({"id": name, **body})

    def close(self) -> None:
        """Give the handlers their own surroundings back."""
        self._patch.undo()
        logging.disable(logging.NOTSET)

    @property
    def now(self) -> int:
        """The clock of the street."""
        return self.street.now

    def ask(self, path: str, query: Mapping[str, str]) -> tuple[int, Any]:
        """Ask the street's API."""
        return self.street.call("GET", path, query=query)

    def survive(self, step: Callable[[], object], writes_left: int | None, *, answer_lost: bool = False) -> None:
        """Take a step in which the process may end at a write; whoever asked for it then asks again."""
        self.street.writes_left, self.street.answer_lost = writes_left, answer_lost
        try:
            step()
        except Crash:
            self.street.writes_left = None
            step()
        self.street.writes_left = None

    def post(self, events: Sequence[Json], writes_left: int | None = None, *, answer_lost: bool = False) -> None:
        """Send events, again if the process ended on the way, and keep what the answer says of each."""
        answers: list[Json] = []
        finalised = {each["customer"]: self._finalised(each["customer"]) for each in events}
        self.survive(lambda: answers.append(self.street.post(*events)), writes_left, answer_lost=answer_lost)
        for event in self.record.take(events, json.loads(answers[-1]["body"])):
            if parse_time(event["timestamp"]) < finalised[event["customer"]]:
                self.settled_late.add(event["customer"])

    def _finalised(self, customer: str) -> int:
        """Up to where the periods of a customer are finalised, and take no usage any more."""
        wallet = self.street.ledger.wallet(customer)
        return min((period.start for period in wallet.periods), default=wallet.opened_until or 0) if wallet else 0

    def patch(self, customer: str, body: Json) -> None:
        """Change a customer."""
        self.street.does("PATCH", f"/v1/customers/{customer}", body)
        self.record.written.append({"id": customer, **body})

    def grant(self, customer: str, credit: Json, writes_left: int | None = None) -> None:
        """Give a customer a credit."""

        def give() -> None:
            status, _ = self.street.call("POST", f"/v1/customers/{customer}/credits", credit)
            if status == 500:
                raise Crash  # of which the API tells
            assert status in (200, 201)

        self.survive(give, writes_left)
        self.record.written.append({"id": customer, "credits": [credit]})

    def deliver_something(self, random: Random) -> None:
        """Give one consumer a batch of what waits for it, in any order; maybe the batch comes again."""
        waiting = [name for name in CONSUMERS if self.street.streams[name]]
        if waiting:
            name = random.choice(waiting)
            records = self.street.streams[name]
            random.shuffle(records)
            size = random.randint(1, len(records))
            self.street.run(name, records[:size])
            if random.random() < 0.8:
                del records[:size]

    def settle(self, random: Random | None = None) -> None:
        """Let everything that is under way arrive, and the minute do what time alone brings."""
        self.street.flow(random)
        self.street.minute()

    def check(self, random: Random | None = None, *, money: bool = False) -> None:
        """Lay both beside each other, once everything has arrived."""
        self.settle(random)
        for customer, expected in self.record.expected(self.now, random).items():
            assert not self.street.parked(customer)
            auditor.check_metering(self.ask, customer, expected, random)
            if customer != "free":
                auditor.check_bills(self.ask, customer, expected.told, ended=customer not in self.settled_late)
                auditor.check_ledger(self.ask, customer)
                if money:
                    auditor.check_money(self.ask, customer, expected.told)

    def __repr__(self) -> str:
        return f"a world at {format_time(self.now)}"
