"""The benchmark's deployment gathers, filters and remembers as the template says; and what it counts adds up."""

import json
from dataclasses import replace
from decimal import Decimal

import pytest
from typer.testing import CliRunner

from infra.benchmark import costs, deployment
from infra.benchmark.deployment import CONSUMERS, MOST_RECORDS, Deployment
from infra.benchmark.run import Measured, Sample
from infra.benchmark.sdk import request_milliseconds
from infra.benchmark.shapes import METERS, PLAN, SHAPES, Traffic
from metering.times import HOUR, MINUTE, parse_time
from taximeter.command import main
from tests.infra.templates import Template, functions, label, mappings

NOW = parse_time("2026-11-16T12:00:00Z")


def test_functions_have_the_memory_that_is_paid_for(service: Template) -> None:
    found = {name: properties["MemorySize"] for name, (_, properties) in functions(service).items()}
    assert {name: found[name] for name in costs.MEMORY_MEGABYTES} == costs.MEMORY_MEGABYTES


def test_streams_are_batched_and_filtered_as_in_the_template(service: Template) -> None:
    streams = mappings(service, "stream")
    assert streams.keys() == CONSUMERS.keys()
    for name, properties in streams.items():
        table, kinds = CONSUMERS[name]
        assert label(properties["EventSourceArn"]) == f"{table}/stream"
        assert (properties["BatchSize"], properties["MaximumBatchingWindowInSeconds"]) == (MOST_RECORDS, 5)
        (pattern,) = [json.loads(each["Pattern"]) for each in properties["FilterCriteria"]["Filters"]]
        assert set(pattern.get("dynamodb", {}).get("NewImage", {}).get("kind", {}).get("S", ())) == kinds
        assert pattern["eventName"] == (["INSERT"] if name == "relay" else ["INSERT", "MODIFY"])


def ready() -> Deployment:
    made = Deployment(NOW, 5000)
    for meter in METERS:
        made.request("PUT", f"/v1/meters/{meter['key']}", meter)
    made.request("PUT", f"/v1/plans/{PLAN['key']}", PLAN)
    made.request("PUT", "/v1/customers/customer-0000", {"plan": PLAN["key"]})
    made.request("POST", "/v1/customers/customer-0000/credits", {"id": "c", "amount": "1000"})
    made.advance(NOW + HOUR)
    return made


def test_a_batch_is_what_was_gathered_since_its_first_record(monkeypatch: pytest.MonkeyPatch) -> None:
    made = ready()
    batches: list[tuple[int, int]] = []
    monkeypatch.setitem(
        deployment._HANDLERS, "aggregate", lambda event, _: batches.append((made.now, len(event["Records"])))
    )
    start = made.now
    for instant, events in Traffic(SHAPES[2]).requests(start, start + 12_000):
        made.advance(instant)
        made.request("POST", "/v1/events", events)
    made.advance(start + MINUTE)
    assert batches == [(start + 5500, 5), (start + 10_500, 5), (start + 15_500, 2)]


def test_what_is_counted_is_what_was_done() -> None:
    made = ready()
    made.counting = True
    events = Traffic(SHAPES[2]).request(made.now)
    made.request("POST", "/v1/events", events)
    made.advance(made.now + 20_000, schedules=False)
    counts = made.tally.counts
    assert [counts[name, "invocations"] for name in ("ingest", "aggregate", "rate", "invoice")] == [1, 1, 1, 0]
    assert [counts[place] for place in (("ingest", "write Events"), ("aggregate", "write Usage"))] == [1, 1]
    assert counts["rate", "write Ledger"] == 4, "the wallet and the entries of the hour of the grant, in a transaction"
    assert made.parked() == 0


def test_an_hour_is_its_boundary_once_and_its_middle_for_the_rest() -> None:
    shape = replace(SHAPES[0], minutes=4)
    samples = [Sample(units, {}, {}) for units in (10, 20)]  # type: ignore[arg-type]  # only units are looked at
    measured = Measured(shape, *samples)
    assert measured.an_hour(lambda sample: Decimal(sample.units)) == 10 + 20 * 14


def test_a_request_takes_the_sdk_some_time() -> None:
    assert 0 < request_milliseconds() < 1000


@pytest.mark.deep
def test_the_command_prints_dollars_with_their_parts() -> None:
    told = CliRunner().invoke(main, ["benchmark", "--shape", "single", "--minutes", "2", "--json"])
    assert told.exit_code == 0, told.output
    (shape,) = json.loads(told.stdout)["shapes"]
    dollars = {part: Decimal(figure) for part, figure in shape["dollars"].items()}
    parts = sum(dollars[part] for part in ("api", "requests", "compute", "writes", "reads", "rest"))
    assert abs(parts - dollars["total"]) < Decimal("0.001")
    assert dollars["api"] == 1
    assert shape["counts_per_million"]["gateway"] == {"http requests": "1000000"}


def test_an_unknown_shape_is_told() -> None:
    told = CliRunner().invoke(main, ["benchmark", "--shape", "round"])
    assert (told.exit_code, "single" in told.stderr) == (1, True)


@pytest.mark.deep
def test_no_figure_is_cut_off_in_a_terminal_of_eighty_columns() -> None:
    told = CliRunner(env={"COLUMNS": "80"}).invoke(main, ["benchmark", "--shape", "sessions", "--minutes", "2"])
    assert told.exit_code == 0, told.output
    assert "…" not in told.stdout
    (line,) = (line for line in told.stdout.splitlines() if line.startswith("http requests"))
    assert line.split() == ["http", "requests", "40.0"]
