"""What a deployment tells after a year, laid beside what `simulate` computes of the same events: all of it."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from billing.spans import Grid
from metering.times import DAY, HOUR, format_time, parse_time
from taximeter.scenario import read
from taximeter.simulate import simulate
from tests.simulation.auditor import (
    Ask,
    charges_told,
    check_ledger,
    invoices_told,
    money_told,
    ordered,
    rows,
    same,
    usage_told,
)
from tests.simulation.catalogue import DURATIONS, Json
from tests.simulation.year import BEGIN, Year

_SESSION = ("meter", "key", "start", "end", "closed_by", "quantity")
# Of the deployment alone: who issues invoices, and when it finalised them.
_ITS_OWN = ("issuer", "finalized_at", "due_at", "paid_at")


@dataclass
class Heard:
    """What was heard of a deployment on its way through the year.

    Attributes:
        ask: asks it.
        sent: every event, in the order in which it was sent.
        refused: the id and the code of each one that was refused.
        sessions: of each customer by meter, start and machine: they are listed as long as raw events are kept.
    """

    ask: Ask
    sent: list[Json] = field(default_factory=list)
    refused: set[tuple[str, str]] = field(default_factory=set)
    sessions: defaultdict[str, dict[tuple[str, ...], Json]] = field(default_factory=lambda: defaultdict(dict))

    def took(self, events: Sequence[Json], answer: Json) -> None:
        """Keep what was sent, and the answer to it."""
        self.refused |= {(each["id"], each["code"]) for each in answer["rejected"]}
        self.sent += events

    def listen(self, customers: Iterable[str], since: int) -> None:
        """Keep the sessions that have started since."""
        for customer in customers:
            asked = {"customer": customer, "from": format_time(since), "limit": "1000"}
            for meter in DURATIONS:
                for row in rows(self.ask, "/v1/sessions", meter=meter, **asked):
                    if row["closed_by"] != "orphan":
                        named = (meter, row["start"], row["key"]["vm"])
                        self.sessions[customer][named] = {name: row[name] for name in _SESSION}


def check_year(heard: Heard, year: Year, now: int) -> Counter[str]:
    """Hold all that a deployment tells against the simulation; returns how much of each there was."""
    ask, sent, refused = heard.ask, heard.sent, heard.refused
    expected = simulate(read(json.dumps(year.scenario(sent, now))))
    assert {(each["id"], each["code"]) for each in expected["rejected"]} == refused
    found: Counter[str] = Counter(events=len(sent))
    for person in year.people:
        name, ours = person.id, expected["customers"][person.id]
        told = {
            "usage": _usage(ask, name, now),
            "sessions": list(heard.sessions[name].values()),
            "charges": charges_told(ask, name),
            "invoices": [_comparable(each) for each in invoices_told(ask, name)],
            **money_told(ask, name),
        }
        for what in ("usage", "sessions", "invoices", "credits"):
            computed = map(_comparable, ours[what]) if what == "invoices" else ours[what]
            same(f"{what} of {name}", ordered(told[what]), ordered(computed))
        for what in ("charges", "ledger"):
            same(f"{what} of {name}", told[what], ours[what])
        assert told["balance"] == ours["balance"], name
        check_ledger(ask, name)
        found += Counter({what: len(told[what]) for what in ours if what in told and what != "balance"})
    return found


def check_ledgers(ask: Ask, names: Iterable[str], *, newest: bool) -> None:
    """Each ledger sums to its balance; with `newest` its last entry alone says so."""
    for name in names:
        if not newest:
            check_ledger(ask, name)
            continue
        _, balance = ask(f"/v1/customers/{name}/balance", {})
        _, ledger = ask(f"/v1/customers/{name}/ledger", {"limit": "1"})
        reached = ledger["rows"][0]["balance_after"] if ledger["rows"] else "0"
        assert Fraction(balance["balance"]) == Fraction(reached), name
        for credit in balance["credits"]:
            assert 0 <= Fraction(credit["remaining"]) <= Fraction(credit["amount"]), (name, credit)


def _usage(ask: Ask, customer: str, now: int) -> list[Json]:
    whole = usage_told(ask, customer, Grid("total", "UTC", BEGIN - 40 * DAY, now // DAY * DAY + DAY))
    return [{name: row[name] for name in ("meter", "dimensions", "quantity", "events")} for row in whole]


def _comparable(invoice: Json) -> Json:
    """An invoice without what is the deployment's own; a version of a plan is told in the scenario's way."""
    key, _, version = invoice["plan"]["key"].partition(".")
    ended, finalized = parse_time(invoice["period"]["end"]), parse_time(invoice["finalized_at"])
    assert finalized == ended or finalized >= ended + HOUR
    return {
        **{name: value for name, value in invoice.items() if name not in _ITS_OWN},
        "number": int(invoice["number"][-6:]),
        "plan": {"key": key, "version": int(version or invoice["plan"]["version"])},
        "status": "finalized" if invoice["status"] == "past_due" else invoice["status"],
        "is_paid": invoice["paid_at"] is not None,
    }
