import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from metering.errors import Conflict, Invalid
from taximeter.command import main
from taximeter.scenario import read
from taximeter.simulate import simulate

METERS = [
    {"key": "requests", "aggregation": "sum", "dimensions": ["region"]},
    {"key": "runtime", "aggregation": "duration", "session": ["id"], "weight": "gb", "max_duration": "10m"},
]
PLAN = {
    "key": "basic",
    "currency": "USD",
    "items": [
        {"key": "requests", "meter": "requests", "price": {"model": "per_unit", "unit_price": "0.01"}},
        {
            "key": "compute",
            "meter": "runtime",
            "divide_by": "1000",
            "price": {"model": "per_unit", "unit_price": "0.001"},
        },
    ],
}
Json = dict[str, Any]


def requests(name: str, time: str, value: object, **more: object) -> Json:
    return {"id": name, "customer": "acme", "meter": "requests", "timestamp": time, "value": value, **more}


def edge(kind: str, time: str, resource: str = "r", gb: object = 2) -> Json:
    dimensions = {"id": resource, "gb": gb}
    named = {"id": f"{resource}:{kind}:{time}", "customer": "acme", "meter": "runtime"}
    return {**named, "type": kind, "timestamp": time, "dimensions": dimensions}


EVENTS = [
    requests("a", "2026-11-02T03:04:05Z", 100),
    requests("b", "2026-11-02T03:14:05Z", 150),
    requests("c", "2026-11-20T03:14:05Z", 450),
    edge("start", "2026-11-20T03:14:05Z"),
    edge("start", "2026-11-30T23:55:00Z", "s"),
    edge("stop", "2026-12-01T00:02:00Z", "s"),
]


def run(events: list[Any], now: str = "2026-12-01T06:00:00Z", **customer: object) -> Json:
    body = {
        "meters": METERS,
        "plans": [PLAN],
        "customers": [{"id": "acme", "plan": "basic", **customer}],
        "events": events,
        "now": now,
    }
    return simulate(read(json.dumps(body)))


def acme(events: list[Any], now: str = "2026-12-01T06:00:00Z", **customer: object) -> Json:
    found: Json = run(events, now, **customer)["customers"]["acme"]
    return found


def test_events_are_read_as_a_deployment_reads_them() -> None:
    event = requests("a", "2026-11-02T03:04:05Z", "1", dimensions={"region": 0})
    body = {"meters": METERS, "plans": [PLAN], "customers": [{"id": "acme", "plan": "basic"}], "events": [event]}
    written = json.dumps({**body, "now": "2026-12-01T06:00:00Z"})
    for number in ("0", "-0", "1.50", "1e2"):
        told = simulate(read(written.replace('"region": 0', f'"region": {number}')))
        assert [row["dimensions"] for row in told["customers"]["acme"]["usage"]] == [{"region": number}]
    told = run([requests("old", "1969-12-31T23:59:59Z", "1"), requests("ahead", "9999-01-01T00:00:00Z", "1")])
    assert [each["code"] for each in told["rejected"]] == ["timestamp_too_old", "timestamp_in_future"]


def test_a_month_is_metered_rated_drawn_and_invoiced() -> None:
    told = acme(EVENTS, credits=[{"id": "welcome", "amount": "5"}])
    assert told["usage"] == [
        {"meter": "requests", "dimensions": {}, "quantity": "700", "events": 3},
        {"meter": "runtime", "dimensions": {}, "quantity": "2040000", "events": 2},
    ]
    assert [(each["end"], each["closed_by"], each["quantity"]) for each in told["sessions"]] == [
        ("2026-11-20T03:24:05Z", "max_duration", "1200000"),
        ("2026-12-01T00:02:00Z", "stop", "840000"),
    ]
    # Of the second session, five of seven minutes lie in November.
    (invoice,) = told["invoices"]
    assert [line["amount"] for line in invoice["lines"]] == ["7", "1.8"]
    assert (invoice["credits_applied"], invoice["amount_due"], invoice["number"]) == ("5", "3.8", "000001")
    assert [line["amount"] for line in told["charges"]] == ["0.24"]
    assert (told["balance"], told["credits"]) == ("0", [{"id": "welcome", "remaining": "0"}])


def test_the_ledger_is_newest_first_and_sums_to_the_balance() -> None:
    lasting = {"id": "lasting", "amount": "5"}
    ending = {"id": "ending", "amount": "4"}
    ending |= {"effective_at": "2026-11-10T00:00:00Z", "expires_at": "2026-11-15T00:00:00Z"}
    told = acme(EVENTS[:3], "2026-11-21T00:00:00Z", credits=[lasting, ending])
    assert [(each["at"], each["kind"], each["amount"], each["balance_after"]) for each in told["ledger"]] == [
        ("2026-11-20T03:00:00Z", "draw", "-2.5", "0"),
        ("2026-11-15T00:00:00Z", "expiry", "-4", "2.5"),
        ("2026-11-10T00:00:00Z", "grant", "4", "6.5"),
        ("2026-11-02T03:00:00Z", "draw", "-2.5", "2.5"),
        ("2026-11-01T00:00:00Z", "grant", "5", "5"),
    ]
    assert told["balance"] == "0"


def test_alerts_tell_the_instant_of_the_event_that_crossed_the_threshold() -> None:
    alert = {"key": "low", "kind": "balance_below", "threshold": "3.5"}
    later = {"id": "later", "amount": "5", "effective_at": "2026-11-10T00:00:00Z"}
    told = acme(EVENTS, credits=[{"id": "welcome", "amount": "5"}, later], alerts=[alert])
    assert told["alerts"] == [
        {"key": "low", "at": "2026-11-02T03:14:05Z", "edge": "fired"},
        {"key": "low", "at": "2026-11-10T00:00:00Z", "edge": "armed"},
        {"key": "low", "at": "2026-11-20T03:14:05Z", "edge": "fired"},
    ]


def test_who_watches_every_event_sees_what_who_looks_once_sees() -> None:
    alert = {"key": "low", "kind": "balance_below", "threshold": "3"}
    credits_ = [{"id": "welcome", "amount": "5"}]
    watched, unwatched = acme(EVENTS, credits=credits_, alerts=[alert]), acme(EVENTS, credits=credits_)
    assert {**watched, "alerts": []} == unwatched


@given(st.randoms(use_true_random=False), st.lists(st.sampled_from(EVENTS), max_size=6))
def test_shuffling_and_repeating_the_events_of_a_scenario_changes_nothing(
    chance: random.Random, again: list[Json]
) -> None:
    alert = {"key": "low", "kind": "balance_below", "threshold": "3"}
    more: Json = {"credits": [{"id": "welcome", "amount": "5"}], "alerts": [alert]}
    events = [*EVENTS, *again]
    chance.shuffle(events)
    assert run(events, **more) == run(EVENTS, **more)


@pytest.mark.parametrize(
    ("event", "code"),
    [
        ({"id": "y"}, "invalid"),
        (requests("y", "2026-11-02T03:04:05Z", 1.2345678901234567), "invalid"),
        ({**requests("y", "2026-11-02T03:04:05Z", 1), "meter": "other"}, "unknown_meter"),
        ({**requests("y", "2026-11-02T03:04:05Z", 1), "customer": "other"}, "unknown_customer"),
        (requests("y", "2026-11-02T03:04:05Z", None), "value_required"),
        (requests("y", "2026-12-24T00:00:00Z", 1), "unknown_customer"),
    ],
)
def test_a_refused_event_says_why_and_changes_nothing(event: Json, code: str) -> None:
    ends = {"ends_at": "2026-12-24T00:00:00Z"}
    told = run([event, *EVENTS], **ends)
    assert [(each["index"], each["id"], each["code"]) for each in told["rejected"]] == [(0, "y", code)]
    assert told["customers"] == run(EVENTS, **ends)["customers"]


def test_what_lies_ahead_of_now_does_not_count_yet() -> None:
    early = acme(EVENTS, "2026-11-20T03:20:00Z", credits=[{"id": "welcome", "amount": "5"}])
    (session,) = early["sessions"]
    assert (session["end"], session["closed_by"], session["quantity"]) == (None, "open", "710000")
    assert [line["amount"] for line in early["charges"]] == ["7", "0.71"]
    assert early["invoices"] == []


def test_what_a_deployment_accepts_ahead_of_its_clock_counts_at_once_and_an_edge_when_its_time_comes() -> None:
    now = "2026-11-20T03:09:05Z"
    told = acme([*EVENTS, requests("d", "2026-11-20T03:14:05.001Z", 1), edge("start", now, "s")], now)
    assert [row["quantity"] for row in told["usage"]] == ["700", "0"]
    (session,) = told["sessions"]
    assert (session["start"], session["end"], session["quantity"]) == (now, None, "0")


def test_a_customer_that_occurs_again_is_a_patch_and_brings_more_credits() -> None:
    price = {"model": "per_unit", "unit_price": "1"}
    dearer = {**PLAN, "key": "dearer", "items": [{"key": "requests", "meter": "requests", "price": price}]}
    first = {"id": "acme", "name": "Acme", "plan": "basic", "credits": [{"id": "one", "amount": "1"}]}
    patch = {"id": "acme", "plan": "dearer", "plan_effective_at": "2026-11-10T00:00:00Z"}
    body = {
        "meters": METERS,
        "plans": [PLAN, dearer],
        "customers": [first, {**patch, "credits": [{"id": "two", "amount": "2"}]}],
        "events": EVENTS[:3],
        "now": "2026-12-01T00:00:00Z",
    }
    told = simulate(read(json.dumps(body)))["customers"]["acme"]
    assert [(each["plan"]["key"], each["subtotal"]) for each in told["invoices"]] == [
        ("basic", "2.5"),
        ("dearer", "450"),
    ]
    assert [each["bill_to"]["name"] for each in told["invoices"]] == ["Acme", "Acme"]
    assert told["credits"] == [{"id": "one", "remaining": "0"}, {"id": "two", "remaining": "0"}]


def test_a_prepaid_customer_owes_below_zero_and_gets_no_invoice() -> None:
    told = acme(EVENTS, credits=[{"id": "welcome", "amount": "5"}], prepaid_only=True)
    assert (told["balance"], told["invoices"]) == ("-4.04", [])


def test_without_events_the_period_is_the_one_around_now() -> None:
    told = acme([], credits=[{"id": "welcome", "amount": "5"}])
    assert (told["balance"], told["invoices"], told["charges"]) == ("5", [], [])
    assert [each["at"] for each in told["ledger"]] == ["2026-12-01T00:00:00Z"]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("[]", Invalid),
        ("{", Invalid),
        ('{"meters": []}', ValueError),
        ('{"now": 1, "unknown": 1}', ValueError),
        (json.dumps({"now": 1, "plans": [PLAN]}), Invalid),
        (json.dumps({"now": 1, "meters": METERS * 2}), Invalid),
        (json.dumps({"now": 1, "customers": [{"id": "a", "plan": "none"}]}), Invalid),
        (json.dumps({"now": 1, "customers": [{"id": "a", "credits": 1}]}), Invalid),
        (
            json.dumps(
                {
                    "now": 1,
                    "customers": [
                        {"id": "a", "currency": "USD", "credits": [{"id": "c", "amount": each} for each in "12"]}
                    ],
                }
            ),
            Conflict,
        ),
    ],
)
def test_a_scenario_that_contradicts_itself_is_refused(body: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        simulate(read(body))


def test_an_alert_watches_all_of_a_meter_by_its_aggregation() -> None:
    meter = {"key": "peak", "aggregation": "max", "dimensions": ["region"]}
    alerts = [{"key": each, "kind": "usage_above", "meter": "peak", "threshold": each} for each in ("3", "4", "6")]
    happened = [
        {"id": region, "customer": "acme", "meter": "peak", "timestamp": "2026-11-20T16:00:00Z", "value": value}
        | {"dimensions": {"region": region}}
        for region, value in (("eu", "4"), ("us", "3"))
    ]
    customer = {"id": "acme", "plan": "basic", "alerts": alerts}
    world = {"meters": [*METERS, meter], "plans": [PLAN], "customers": [customer], "events": happened}
    told = simulate(read(json.dumps(world | {"now": "2026-11-21T00:00:00Z"})))

    assert [each["key"] for each in told["customers"]["acme"]["alerts"]] == ["3"]


FAULTY: Json = {
    "now": "soon",
    "meters": [*METERS, METERS[0], {"key": "odd", "aggregation": "odd"}],
    "plans": [
        {
            "key": "p",
            "currency": "USD",
            "items": [
                {"key": "a", "meter": "odd", "where": {"x": "1"}, "price": {"model": "dynamic"}},
                {"key": "b", "meter": "runtime", "price": {"model": "dynamic"}},
                {
                    "key": "c",
                    "meter": "requests",
                    "where": {"zone": "1"},
                    "included": "x",
                    "price": {"model": "dynamic"},
                },
            ],
        }
    ],
    "customers": [
        {"id": "a", "plan": "p", "plan_effective_at": "later", "credits": [{"id": "c", "amount": "-1"}]},
        {"id": "a", "plan": "q", "anchor_day": 32, "credits": {}},
    ],
}


def test_all_faults_of_a_scenario_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "scenario.json").write_text(json.dumps(FAULTY))
    refused = CliRunner().invoke(main, ["simulate", str(tmp_path / "scenario.json")])

    assert refused.exit_code == 1
    assert {line.split(":")[0] for line in refused.stderr.splitlines()[1:]} == {
        "/now",
        "/meters/2/key",
        "/meters/3/aggregation",
        "/plans/0/items/1/price/model",
        "/plans/0/items/2/where/zone",
        "/plans/0/items/2/included",
        "/customers/0/plan_effective_at",
        "/customers/0/credits/0/amount",
        "/customers/1/plan",
        "/customers/1/anchor_day",
        "/customers/1/credits",
    }


def test_the_command_reads_a_file_and_writes_json(tmp_path: Path) -> None:
    file = tmp_path / "scenario.json"
    file.write_text(json.dumps({"now": "2026-12-01T00:00:00Z"}))
    done = CliRunner().invoke(main, ["simulate", str(file), "--now", "2027-01-01T00:00:00Z"])
    assert (done.exit_code, json.loads(done.stdout)) == (0, {"rejected": [], "customers": {}})
    refused = CliRunner().invoke(main, ["simulate", str(tmp_path / "none.json")])
    assert (refused.exit_code, "none.json" in refused.stderr) == (1, True)
