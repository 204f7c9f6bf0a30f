"""Usage that changes after its period was closed: invoices of consecutive periods sum to the rating of the whole.

Whatever comes late, is taken back, or invoiced anew: each period, as it is known in the end, is rated by the pure
function alone, and what all invoices ask for, less what they grant, is the sum of that. Law 5.7.
"""

import json
from collections.abc import Mapping
from fractions import Fraction
from random import Random
from typing import Any

import pytest

from handlers import _door, _live
from metering.times import DAY, HOUR, QUARTER, floor, format_time, parse_time
from taximeter.scenario import read
from taximeter.simulate import simulate
from tests.handlers.street import Street
from tests.simulation.auditor import check_ledger, invoices_told
from tests.simulation.catalogue import METERS, Json
from tests.simulation.year_plans import BY_CURRENCY, PLANS

BEGIN = parse_time("2027-12-20T00:00:00Z")
LATEST = 30 * DAY
PLAIN = [meter for meter in METERS if meter["aggregation"] != "duration"]


class Tardy:
    """A customer whose usage comes whenever it likes, and what `simulate` is to be told of it."""

    def __init__(self, street: Street, seed: int) -> None:
        self.street, self.random = street, Random(seed)  # noqa: S311 - a history, not a secret
        street.now = BEGIN
        for kind, several in (("meters", METERS), ("plans", PLANS.values())):
            for each in several:
                street.does("PUT", f"/v1/{kind}/{each['key']}", each)
        self.plan = self.random.choice(BY_CURRENCY["USD"])
        zone = self.random.choice(("UTC", "Europe/Berlin", "Australia/Lord_Howe"))
        body = {"plan": self.plan, "starts_at": format_time(BEGIN), "timezone": zone, "anchor_day": 31}
        street.does("PUT", "/v1/customers/acme", body)
        self.written: list[Json] = [{"id": "acme", **body}]
        self.sent: list[Json] = []
        self.names = 0

    def ask(self, path: str, query: Mapping[str, str]) -> tuple[int, Any]:
        return self.street.call("GET", path, query=query)

    def reach(self, at: int) -> None:
        self.street.now = at
        for _ in range(2):
            self.street.minute()
            self.street.hour()

    def post(self, *events: Json) -> None:
        answer = json.loads(self.street.post(*events)["body"])
        assert not answer["rejected"]
        self.sent += events
        self.street.flow(self.random)

    def use(self) -> None:
        """Usage and sessions of the last weeks, in any order."""
        random, batch = self.random, list[Json]()
        for _ in range(random.randint(1, 5)):
            at = random.randint(max(BEGIN, self.street.now - LATEST), self.street.now)
            dimensions: Json = {
                "provider": random.choice(("aws", "azure", "gcp")),
                "region": random.choice(("eu", "us")),
            }
            self.names += 1
            event = {"id": f"e-{self.names}", "customer": "acme", "timestamp": at, "dimensions": dimensions}
            if random.random() < 0.3:
                machine = {**dimensions, "vm": f"m-{self.names}", "memory_gb": "2"}
                edge = {**event, "meter": random.choice(("runtime", "lease")), "dimensions": machine}
                end = random.randint(at, min(self.street.now, at + 3 * DAY))
                batch += [
                    {**edge, "id": f"{edge['id']}:start", "type": "start"},
                    {**edge, "id": f"{edge['id']}:stop", "type": "stop", "timestamp": end},
                ]
            else:
                meter = random.choice(PLAIN)
                dimensions |= {meter["unique_by"]: random.choice("abc")} if "unique_by" in meter else {}
                amounts = {"value": random.choice(("1", "8", "0.3", "30", "-2")), "amount": random.choice(("2", "-1"))}
                batch.append({**event, "meter": meter["key"], **amounts})
        random.shuffle(batch)
        self.post(*batch)

    def amend(self) -> None:
        """Take back or correct something of the last weeks."""
        past = [each for each in self.sent if each["timestamp"] > self.street.now - LATEST]
        if past:
            event = self.random.choice(past)
            change = self.random.choice(({"void": True}, {"void": True}, {"value": "5"} if "value" in event else {}))
            revision = 1 + max(each.get("revision", 0) for each in self.sent if each["id"] == event["id"])
            self.post({**event, "void": False, **change, "revision": revision})

    def change_plan(self) -> None:
        self.plan = self.random.choice([each for each in BY_CURRENCY["USD"] if each != self.plan])
        body = {"plan": self.plan, "plan_effective_at": format_time(floor(self.street.now, QUARTER))}
        self.street.does("PATCH", "/v1/customers/acme", body)
        self.written.append({"id": "acme", **body})

    def grant(self) -> None:
        self.names += 1
        credit: Json = {"id": f"c-{self.names}", "amount": str(self.random.randint(1, 40))}
        if self.random.random() < 0.5:
            ahead = self.random.randint(1, 40)
            credit["expires_at"] = format_time(floor(self.street.now, QUARTER) + ahead * DAY)
        self.street.does("POST", "/v1/customers/acme/credits", credit)
        self.street.flow()

    def make_anew(self) -> None:
        """Void an invoice and have its period invoiced anew."""
        told = [each for each in self.invoices() if each["status"] in ("finalized", "past_due")]
        if told:
            name = self.random.choice(told)["id"]
            self.street.does("POST", f"/v1/invoices/{name}/void", {"reissue": True})
            self.street.flow(self.random)

    def invoices(self) -> list[Json]:
        return invoices_told(self.ask, "acme")

    def check_wallet(self) -> None:
        """The ledger sums to the balance, and no credit is below zero or above its amount."""
        check_ledger(self.ask, "acme")
        _, balance = self.ask("/v1/customers/acme/balance", {})
        for credit in balance["credits"]:
            assert 0 <= Fraction(credit["remaining"]) <= Fraction(credit["amount"]), credit

    def rated(self) -> Fraction:
        """What all periods that have ended come to, each as it is known now."""
        whole = {"meters": METERS, "plans": list(PLANS.values()), "customers": self.written}
        told = simulate(read(json.dumps({**whole, "events": self.sent, "now": self.street.now})))
        return sum((Fraction(each["subtotal"]) for each in told["customers"]["acme"]["invoices"]), Fraction(0))


def asked(invoices: list[Json]) -> Fraction:
    """What invoices ask for, less what they grant, but for those that were voided."""
    standing = [each for each in invoices if each["status"] != "void"]
    return sum((Fraction(each["subtotal"]) - Fraction(each["credit_granted"]) for each in standing), Fraction(0))


@pytest.fixture
def street(monkeypatch: pytest.MonkeyPatch) -> Street:
    monkeypatch.setattr(_door.metrics.provider, "namespace", "Taximeter")
    made = Street()
    monkeypatch.setattr(_live, "live", made)
    return made


@pytest.mark.parametrize("seed", [*range(2), *(pytest.param(seed, marks=pytest.mark.deep) for seed in range(2, 22))])
def test_whatever_comes_after_the_end_invoices_sum_to_the_rating_of_every_period(street: Street, seed: int) -> None:
    tardy = Tardy(street, seed)
    steps = [tardy.use, tardy.use, tardy.use, tardy.amend, tardy.amend, tardy.grant, tardy.change_plan, tardy.make_anew]
    for _ in range(22):
        tardy.reach(street.now + tardy.random.randint(HOUR, 6 * DAY))
        tardy.random.choice(steps)()
        tardy.check_wallet()
    for _ in range(4):  # what is left to adjust is on one of the next invoices
        tardy.reach(street.now + 35 * DAY)
        tardy.check_wallet()
    assert asked(tardy.invoices()) == tardy.rated()
    assert all(Fraction(each["subtotal"]) >= 0 for each in tardy.invoices())
    assert not street.parked()
