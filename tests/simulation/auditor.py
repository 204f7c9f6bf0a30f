"""The auditor: what `simulate` says of the same events, laid beside what a running system tells."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from random import Random
from typing import Any

from billing.spans import Grid, SpanUnit
from metering.decimals import text
from metering.times import DAY, HOUR, MINUTE, QUARTER, floor, format_time
from tests.simulation.by_minute import minutes_expected
from tests.simulation.catalogue import DURATIONS, METERS, TIME_ZONES, Json
from tests.simulation.record import Expected

Ask = Callable[[str, Mapping[str, str]], tuple[int, Any]]
"""GET a path of a running system with a query; gives the status and the body."""

_SESSION = ("meter", "key", "start", "end", "closed_by", "quantity")
_BILL = ("period", "plan", "lines", "subtotal", "currency", "bill_to")
_PAYMENT = ("credits_applied", "tax", "total", "amount_due")


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


def usage_told(ask: Ask, customer: str, grid: Grid) -> list[Json]:
    """Usage by meter, window and combination of all the meter's dimensions."""
    asked = {"customer": customer, "window": grid.unit, "timezone": grid.timezone, "limit": "1000"}
    asked |= {"from": format_time(grid.start), "to": format_time(grid.end)}
    return [
        {"meter": meter["key"], **row}
        for meter in METERS
        for row in rows(ask, "/v1/usage", meter=meter["key"], group_by=",".join(meter.get("dimensions", [])), **asked)
    ]


def usage_expected(expected: Expected, grid: Grid) -> list[Json]:
    """The same, of the pure function: each window folded for itself."""
    return [
        {
            "meter": row.meter,
            "start": format_time(window.start),
            "end": format_time(window.end),
            "dimensions": dict(row.dimensions),
            "quantity": text(row.quantity),
            "events": row.events,
        }
        for window in grid.windows(grid.start)
        for row in expected.known.usage(window.start, window.end, None, expected.now)
    ]


def sessions_told(ask: Ask, customer: str, now: int) -> list[Json]:
    """All sessions, and the stops that ended none, in the form of a simulation's sessions."""
    asked = {"customer": customer, "from": format_time(now - 90 * DAY), "limit": "1000"}
    return [
        {name: row[name] for name in _SESSION}
        for meter in DURATIONS
        for row in rows(ask, "/v1/sessions", meter=meter, **asked)
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


def check_metering(ask: Ask, customer: str, expected: Expected, random: Random | None = None) -> None:
    """Usage by meter and combination, as a whole and window by window, and the sessions."""
    now, told = expected.now, expected.told
    whole = Grid("total", "UTC", floor(now - 90 * DAY, QUARTER), floor(now, QUARTER) + HOUR)
    total = [
        {name: row[name] for name in ("meter", "dimensions", "quantity", "events")}
        for row in usage_told(ask, customer, whole)
    ]
    same(f"usage of {customer}", ordered(total), ordered(told["usage"]))
    same(f"sessions of {customer}", ordered(sessions_told(ask, customer, now)), ordered(told["sessions"]))
    for grid in grids(now, random) if told["usage"] else ():
        windows = minutes_expected(expected, grid) if grid.unit == "minute" else usage_expected(expected, grid)
        same(f"usage of {customer} in {grid}", ordered(usage_told(ask, customer, grid)), ordered(windows))


def grids(now: int, random: Random | None = None) -> list[Grid]:
    """Windows of every length around now, in some time zone; with `random`, from and to any quarter of an hour.

    And an hour of minutes, often that in which the day began.
    """
    chance = random or Random(0)  # noqa: S311 - what it does can be repeated
    first = chance.choice((floor(now, DAY), floor(now, DAY), now, now - 3 * HOUR, now - 26 * HOUR))
    minute = floor(first, MINUTE) - chance.randrange(HOUR // MINUTE) * MINUTE
    lengths: list[tuple[SpanUnit, int]] = [("hour", 2 * DAY), ("day", 36 * DAY), ("month", 70 * DAY), ("total", DAY)]
    return [Grid("minute", chance.choice(TIME_ZONES), minute, minute + HOUR)] + [
        Grid(
            unit,
            chance.choice(TIME_ZONES),
            floor(now - length, QUARTER) + chance.randrange(90) * QUARTER,
            floor(now, QUARTER) + chance.choice((HOUR, -QUARTER)),
        )
        for unit, length in lengths
    ]


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
    # A simulation invoices a period at its end, a deployment after its grace: the year compares which invoice it was.
    same(f"ledger of {customer}", *([{**row, "invoice": None} for row in each["ledger"]] for each in (told, expected)))
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
