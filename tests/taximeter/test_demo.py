import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from metering.times import format_time, parse_time
from taximeter.demo import cast, play, show, trace
from taximeter.demo.agreement import Observed, compare, compare_payments
from taximeter.scenario import read
from taximeter.simulate import simulate

ROOT = Path(__file__).parents[2]
BEGAN = parse_time("2026-11-20T16:00:00Z")
INVOCATIONS = trace.read()
APPLICATIONS = cast.applications(INVOCATIONS)
NAMES = {each: f"app-{each[:4]}" for each in APPLICATIONS}
BODIES = trace.requests(INVOCATIONS, NAMES, BEGAN, 4)
Json = dict[str, Any]


def simulated(bodies: list[list[Json]]) -> dict[str, Json]:
    customers = [
        {**customer, "credits": cast.credits_of(place)}
        for place, customer in enumerate(cast.customers(NAMES, APPLICATIONS))
    ]
    body = {"meters": [cast.METER], "plans": [cast.PLAN], "customers": customers, "now": "2026-12-01T01:05:00Z"}
    told = simulate(read(json.dumps(body | {"events": [event for each in bodies for event in each]})))
    assert told["rejected"] == []
    found: dict[str, Json] = told["customers"]
    return found


SIMULATED = simulated(BODIES)


def test_the_trace_is_whole_and_no_two_customers_share_a_name() -> None:
    assert (len(INVOCATIONS), len({each.function for each in INVOCATIONS}), len(set(NAMES.values()))) == (199, 31, 13)
    assert all(0 <= each.start <= each.end for each in INVOCATIONS)


def test_the_requests_hold_every_event_some_twice_and_are_the_same_each_time() -> None:
    sent = Counter(json.dumps(event, sort_keys=True) for body in BODIES for event in body)
    once = [event for each in INVOCATIONS for event in each.events(NAMES[each.application], BEGAN)]
    assert sent.keys() == {json.dumps(event, sort_keys=True) for event in once}
    assert max(sent.values()) > 2
    assert BODIES[-2] == BODIES[-3]
    assert trace.requests(INVOCATIONS, NAMES, BEGAN, 4) == BODIES


def test_the_order_is_not_that_of_time_and_every_stop_comes_before_its_start() -> None:
    first: dict[str, int] = {}
    for place, event in enumerate(event for body in BODIES for event in body):
        first.setdefault(event["id"], place)
    assert all(first[f"{each.number:03d}:stop"] < first[f"{each.number:03d}:start"] for each in INVOCATIONS)
    times = [event["timestamp"] for event in BODIES[0]]
    assert times != sorted(times)


def test_repeating_and_shuffling_changes_no_figure() -> None:
    in_order = [[event for each in INVOCATIONS for event in each.events(NAMES[each.application], BEGAN)]]
    assert simulated(in_order) == SIMULATED


def test_every_invocation_is_a_session_of_its_length() -> None:
    lengths = Counter(
        parse_time(row["end"]) - parse_time(row["start"]) for told in SIMULATED.values() for row in told["sessions"]
    )
    assert lengths == Counter(each.end - each.start for each in INVOCATIONS)


def test_the_story_needs_a_top_up_and_leaves_something_to_pay() -> None:
    first, second, *_ = [SIMULATED[name] for name in NAMES.values()]
    assert [(each["key"], each["edge"]) for each in first["alerts"]] == [("low", "fired")]
    assert Decimal(first["invoices"][0]["amount_due"]) < 45
    assert Decimal(second["invoices"][0]["tax"]) > 0


def observed(told: Json) -> Observed:
    """What an API that says the same would answer."""
    paid = [{**invoice, "status": "paid", "number": f"A-{invoice['id']}"} for invoice in told["invoices"]]
    return Observed(
        usage=[{key: row[key] for key in ("dimensions", "quantity", "events")} for row in told["usage"]],
        sessions=told["sessions"],
        balance={"balance": told["balance"], "credits": told["credits"]},
        ledger=told["ledger"],
        invoices=paid,
        top_ups=[],
    )


OBSERVED = {name: observed(told) for name, told in SIMULATED.items()}
HOLDERS = {f"cus_{name}": name for name in OBSERVED}
CHARGES = [
    {"paid": True, "customer": holder, "amount": int(Decimal(OBSERVED[name].invoices[0]["amount_due"]) * 100)}
    for holder, name in HOLDERS.items()
]


def test_what_is_the_same_agrees() -> None:
    compared = [*compare(OBSERVED, SIMULATED), compare_payments(OBSERVED, CHARGES, HOLDERS)]
    assert [each.differences for each in compared] == [()] * 8
    assert compared[0].count == 199


LONGEST = next(iter(NAMES.values()))
FIRST = OBSERVED[LONGEST]


@pytest.mark.parametrize(
    ("planted", "found_in"),
    [
        (replace(FIRST, usage=FIRST.usage[1:]), {"usage rows"}),
        (replace(FIRST, usage=[{**FIRST.usage[0], "quantity": "1"}, *FIRST.usage[1:]]), {"usage rows"}),
        (replace(FIRST, sessions=FIRST.sessions[:-1]), {"sessions"}),
        (replace(FIRST, sessions=[{**FIRST.sessions[0], "end": None}, *FIRST.sessions[1:]]), {"sessions"}),
        (
            replace(FIRST, balance={**FIRST.balance, "balance": "0.01"}),
            {"balances", "ledger entries that sum to the balances"},
        ),
        (replace(FIRST, balance={**FIRST.balance, "credits": []}), {"credits"}),
        (replace(FIRST, ledger=FIRST.ledger[1:]), {"ledger entries that sum to the balances"}),
        (replace(FIRST, invoices=[{**FIRST.invoices[0], "tax": "0.01"}]), {"invoices"}),
        (replace(FIRST, invoices=[{**FIRST.invoices[0], "lines": []}]), {"invoice lines"}),
    ],
)
def test_a_planted_difference_is_found_where_it_is(planted: Observed, found_in: set[str]) -> None:
    compared = compare({**OBSERVED, LONGEST: planted}, SIMULATED)
    assert {each.title for each in compared if each.differences} == found_in


@pytest.mark.parametrize(
    ("told", "charges"),
    [
        (FIRST, CHARGES[1:]),
        (FIRST, [*CHARGES, CHARGES[0]]),
        (replace(FIRST, top_ups=[{"status": "succeeded", "charged": "45"}]), CHARGES),
        (replace(FIRST, invoices=[{**FIRST.invoices[0], "status": "finalized"}]), CHARGES),
    ],
)
def test_a_payment_too_many_or_too_few_is_found(told: Observed, charges: list[Json]) -> None:
    compared = compare_payments({**OBSERVED, LONGEST: told}, charges, HOLDERS)
    assert [each.startswith(LONGEST) for each in compared.differences] == [True]


def test_the_charges_of_others_do_not_count() -> None:
    other = {"paid": True, "customer": "cus_other", "amount": 100}
    assert not compare_payments(OBSERVED, [*CHARGES, other], HOLDERS).differences


def test_every_table_fits_a_terminal_of_eighty_columns() -> None:
    console = Console(width=80, record=True, file=open(os.devnull, "w"))  # noqa: SIM115, PTH123 - what it prints is recorded
    balances = [{name: told.balance["balance"] for name, told in OBSERVED.items()}] * 6
    attempt = {"customer": LONGEST, "status": "succeeded", "payment_intent": "pi_" + "0" * 24, "amount": "45"}
    console.print(show.balances(balances), show.usage(OBSERVED), show.ledger(LONGEST, FIRST.ledger))
    console.print(show.invoices(OBSERVED), show.lines(FIRST.invoices[0]), show.top_ups([attempt | {"charged": "45"}]))
    message = f"A prepaid balance fell.\n\ncustomer: {LONGEST}\nbalance: 4.47\nat: {format_time(BEGAN)}"
    console.print(show.alerts([message]), show.verdict(compare(OBSERVED, SIMULATED)))
    text = console.export_text()
    assert "…" not in text
    assert "agree to the last digit" in text
    assert f"{LONGEST}: balance 4.47, at 2026-11-20T16:00:00Z" in text


@pytest.mark.parametrize(
    ("now", "month", "moment"),
    [
        ("2026-11-20T16:00:00Z", "2026-11-01T00:00:00Z", None),
        ("2026-11-30T23:00:00Z", "2026-11-01T00:00:00Z", None),
        ("2026-11-30T23:00:01Z", "2026-12-01T00:00:00Z", "2026-12-01T03:00:00Z"),
        ("2026-12-01T02:59:59Z", "2026-12-01T00:00:00Z", "2026-12-01T03:00:00Z"),
        ("2026-12-01T03:00:00Z", "2026-12-01T00:00:00Z", None),
    ],
)
def test_the_trace_lies_within_a_month_that_does_not_end_meanwhile(now: str, month: str, moment: str | None) -> None:
    period, goes_to = play.place(parse_time(now))
    assert (format_time(period.start), None if goes_to is None else format_time(goes_to)) == (month, moment)


@pytest.mark.cloud
@pytest.mark.deep
def test_the_demo_agrees_with_itself_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = os.pathsep.join([str(ROOT / "functions"), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-m", "taximeter.command", "demo"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "agree to the last digit" in done.stdout
    assert not list(tmp_path.iterdir())
