"""The auditor: what `simulate` says of the same events, laid beside what a running system tells."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from metering.times import DAY, HOUR, format_time
from taximeter.scenario import read
from taximeter.simulate import simulate
from tests.simulation.catalogue import DURATIONS, METERS, PLANS, Json

Ask = Callable[[str, Mapping[str, str]], tuple[int, Any]]
"""GET a path of a running system with a query; gives the status and the body."""

_SESSION = ("meter", "key", "start", "end", "closed_by", "quantity")
_BILL = ("period", "plan", "lines", "subtotal", "currency", "bill_to")
_PAYMENT = ("credits_applied", "tax", "total", "amount_due")


def simulated(customers: Sequence[Json], events: Sequence[Json], now: int) -> Json:
    """What the pure function says, from a scenario written and read as users do."""
    scenario = {"meters": METERS, "plans": PLANS, "customers": list(customers), "events": list(events), "now": now}
    return simulate(read(json.dumps(scenario)))


def rows(ask: Ask, path: str, **query: str) -> list[Any]:
    """All rows of a list, page by page."""
    found: list[Any] = []
    after: dict[str, str] = {}
    while True:
        status, answer = ask(path, {**query, **after})
        assert status == 200, answer
        found += answer["rows"]
        if answer["next"] is None:
            return found
        after = {"next": answer["next"]}


def usage_told(ask: Ask, customer: str, now: int, window: str = "total") -> list[Json]:
    """Usage by meter and combination of all its dimensions, in the form of a simulation's."""
    told = []
    for meter in METERS:
        asked = {"customer": customer, "meter": meter["key"], "window": window, "limit": "1000"}
        asked |= {"from": format_time(now - 90 * DAY), "to": format_time(now + HOUR)}
        asked |= {"group_by": ",".join(meter.get("dimensions", []))}
        told += [
            {"meter": meter["key"], **{name: row[name] for name in ("dimensions", "quantity", "events")}}
            for row in rows(ask, "/v1/usage", **asked)
        ]
    return told


def sessions_told(ask: Ask, customer: str, now: int) -> list[Json]:
    """The sessions that count, in the form of a simulation's."""
    asked = {"customer": customer, "from": format_time(now - 90 * DAY), "limit": "1000"}
    return [
        {name: row[name] for name in _SESSION}
        for meter in DURATIONS
        for row in rows(ask, "/v1/sessions", meter=meter, **asked)
        if row["closed_by"] != "orphan"
    ]


def charges_told(ask: Ask, customer: str) -> list[Json]:
    """The lines of the running period; what an earlier one owes since is none of its own."""
    status, answer = ask(f"/v1/customers/{customer}/invoices/draft", {})
    assert status in (200, 404, 400, 409), answer
    return [line for line in answer["lines"] if line["kind"] != "adjustment"] if status == 200 else []


def invoices_told(ask: Ask, customer: str) -> list[Json]:
    """The invoices of all periods that have ended, whole."""
    found = [row["id"] for row in rows(ask, "/v1/invoices", customer=customer)]
    return [ask(f"/v1/invoices/{identity}", {})[1] for identity in found]


def money_told(ask: Ask, customer: str) -> Json:
    """The wallet."""
    _, balance = ask(f"/v1/customers/{customer}/balance", {})
    return {
        "balance": balance["balance"],
        "credits": ordered({"id": each["id"], "remaining": each["remaining"]} for each in balance["credits"]),
        "ledger": rows(ask, f"/v1/customers/{customer}/ledger"),
    }


def ordered(found: Iterable[Json]) -> list[Json]:
    """In an order that depends on nothing but the contents."""
    return sorted(found, key=lambda each: json.dumps(each, sort_keys=True))


def same(what: str, told: Sequence[Any], expected: Sequence[Any]) -> None:
    """Say what only one of the two has."""
    more, less = [each for each in told if each not in expected], [each for each in expected if each not in told]
    assert told == expected, f"{what}: told {json.dumps(more, indent=1)}, expected {json.dumps(less, indent=1)}"


def check_metering(ask: Ask, customer: str, expected: Json, now: int) -> None:
    """Usage by meter and combination, and the sessions."""
    same(f"usage of {customer}", ordered(usage_told(ask, customer, now)), ordered(expected["usage"]))
    same(f"sessions of {customer}", ordered(sessions_told(ask, customer, now)), ordered(expected["sessions"]))


def check_bills(ask: Ask, customer: str, expected: Json, *, ended: bool) -> None:
    """The lines of the running period and, if `ended`, those of the periods before it."""
    same(f"charges of {customer}", charges_told(ask, customer), expected["charges"])
    if ended:
        told = invoices_told(ask, customer)
        same(f"invoices of {customer}", _parts(told, _BILL), _parts(expected["invoices"], _BILL))


def check_money(ask: Ask, customer: str, expected: Json) -> None:
    """The wallet, and what it paid of each invoice."""
    told = money_told(ask, customer)
    same(f"credits of {customer}", told["credits"], ordered(expected["credits"]))
    same(f"ledger of {customer}", told["ledger"], expected["ledger"])
    same(f"balance of {customer}", [told["balance"]], [expected["balance"]])
    paid = _parts(invoices_told(ask, customer), _PAYMENT)
    same(f"payments of {customer}", paid, _parts(expected["invoices"], _PAYMENT))


def check_ledger(ask: Ask, customer: str) -> None:
    """The ledger sums to the balance, entry by entry; nothing that a credit holds is below zero."""
    told = money_told(ask, customer)
    reached = Fraction(0)
    for entry in reversed(told["ledger"]):
        reached += Fraction(entry["amount"])
        assert Fraction(entry["balance_after"]) == reached, f"ledger of {customer}: {json.dumps(entry)}"
    assert Fraction(told["balance"]) == reached, (
        f"balance of {customer}: {told['balance']}, but entries sum to {reached}"
    )
    assert all(Fraction(each["remaining"]) >= 0 for each in told["credits"]), f"credits of {customer}"


def _parts(invoices: Iterable[Json], names: Sequence[str]) -> list[Json]:
    return ordered({name: invoice[name] for name in ("id", *names)} for invoice in invoices)
