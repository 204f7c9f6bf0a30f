"""`taximeter usage`, `balance`, `invoices` and `events`: what the API says, as tables and as JSON."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from taximeter.command import main
from tests.handlers.street import used
from tests.taximeter.conftest import Service


@pytest.fixture
def metered(service: Service) -> Service:
    service.street.prepare()
    credit = {"id": "welcome", "amount": "20", "kind": "promotional"}
    service.street.does("POST", "/v1/customers/acme/credits", credit)
    service.street.post(used("a", 1, "2"), used("b", 2, "3"), used("c", 3, "4", dimensions={"provider": "azure"}))
    service.street.flow()
    return service


def test_usage_is_shown_by_window_and_dimension(metered: Service) -> None:
    words = ("usage", "acme", "requests", "--group-by", "provider", "--window", "hour")
    assert [row["quantity"] for row in metered.told(*words)["rows"]] == ["5", "4"]
    lines = metered.run(*words).stdout.splitlines()
    assert [line.split() for line in lines] == [
        ["start", "end", "provider", "quantity", "events"],
        ["2026-11-20T15:00:00Z", "2026-11-20T16:00:00Z", "aws", "5", "2"],
        ["2026-11-20T15:00:00Z", "2026-11-20T16:00:00Z", "azure", "4", "1"],
    ]


def test_usage_is_asked_for_by_day_and_by_dimension(metered: Service) -> None:
    of_the_day = ("usage", "acme", "requests", "--from", "2026-11-20", "--to", "2026-11-21")
    assert metered.told(*of_the_day)["rows"][0]["quantity"] == "9"
    assert metered.told(*of_the_day, "--where", "provider=azure")["rows"][0]["quantity"] == "4"
    assert metered.told("usage", "acme", "requests", "--to", "2026-11-20")["rows"] == []


def test_a_balance_is_shown_with_its_credits(metered: Service) -> None:
    assert metered.told("balance", "acme")["balance"] == "15.5"
    lines = metered.run("balance", "acme").stdout.splitlines()
    assert lines[1].split() == ["15.5", "2026-11-20T16:00:00Z"]
    assert lines[-1].split()[:4] == ["welcome", "promotional", "15.5", "20"]


def test_events_are_listed_newest_first_as_many_as_are_wanted(metered: Service) -> None:
    told = metered.told("events", "acme", "requests", "--limit", "2")
    assert ([row["id"] for row in told["rows"]], told["more"]) == (["c", "b"], True)
    done = metered.run("events", "acme", "requests", "--limit", "2")
    assert "provider=azure" in done.stdout.splitlines()[1]
    assert "there are more" in done.stderr
    assert metered.told("events", "acme", "requests", "--limit", "3")["more"] is False


def test_invoices_are_listed_of_all_or_of_one(metered: Service) -> None:
    metered.street.advance("2026-12-01T02:00:00Z")
    told = metered.told("invoices")
    assert [(row["number"], row["status"]) for row in told["rows"]] == [("TX-000001", "paid")]
    assert metered.run("invoices", "acme", "--status", "paid").stdout.splitlines()[1].split()[:3] == [
        *("TX-000001", "acme", "paid")
    ]
    assert metered.told("invoices", "--status", "void")["rows"] == []


def test_rows_come_page_by_page(metered: Service) -> None:
    for minute in range(24):
        metered.street.post(*(used(f"{minute}-{number}", minute) for number in range(50)))
    metered.asked.clear()
    assert len(metered.told("events", "acme", "requests", "--limit", "1100")["rows"]) == 1100
    assert metered.asked == ["GET /v1/events"] * 2


def test_what_was_sent_cannot_steer_the_terminal(metered: Service) -> None:
    metered.street.post(used("evil", 4, dimensions={"provider": "\x1b[2J[bold]x"}))
    shown = metered.run("events", "acme", "requests").stdout
    assert "\x1b" not in shown
    assert "provider=\N{REPLACEMENT CHARACTER}[2J[bold]x" in shown


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["balance", "nobody"], "there is no customer 'nobody'"),
        (["usage", "acme", "nothing"], "there is no meter 'nothing'"),
        (["usage", "acme", "requests", "--group-by", "planet"], "the meter has no dimension 'planet'"),
        (["usage", "acme", "requests", "--from", "yesterday"], "/from: must be an RFC 3339 time"),
        (["usage", "acme", "requests", "--where", "provider"], "'provider' is not of the form DIMENSION=VALUE"),
        (["balance", "../meters"], "there is no customer"),
    ],
)
def test_what_the_api_refuses_is_told_in_its_words(metered: Service, words: list[str], said: str) -> None:
    done = metered.run(*words)
    assert (done.exit_code, done.stdout) == (1, "")
    assert said in done.stderr


def test_a_key_that_may_not_is_told_so(metered: Service) -> None:
    metered.scopes = None
    assert "this API key may not do that at 127.0.0.1" in metered.run("balance", "acme").stderr


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ({}, "where to? give --url and --key"),
        ({"TAXIMETER_URL": "http://example.org", "TAXIMETER_API_KEY": "k"}, "over https only"),
        ({"TAXIMETER_URL": "http://127.0.0.1:9", "TAXIMETER_API_KEY": "k"}, "does not answer"),
    ],
)
def test_without_a_deployment_it_says_so(where: dict[str, str], said: str) -> None:
    given: dict[str, Any] = {"TAXIMETER_URL": None, "TAXIMETER_API_KEY": None, **where}
    done = CliRunner().invoke(main, ["balance", "acme"], env=given)
    assert (done.exit_code, said in done.stderr) == (1, True), done.stderr


def test_json_is_one_line(metered: Service) -> None:
    done = metered.run("usage", "acme", "requests", "--json")
    assert json.loads(done.stdout)["rows"][0]["events"] == 3
    assert done.stdout.count("\n") == 1
