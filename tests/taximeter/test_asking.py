"""`taximeter explain`, `quote` and `what-if`: what the API works out, as tables and as JSON."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.handlers.street import METERS, used
from tests.taximeter.conftest import Service

PRICE = {"model": "per_unit", "unit_price": "0.5"}
PLAN: dict[str, Any] = {
    "currency": "USD",
    "items": [
        {"key": "calls", "meter": "requests", "where": {"provider": "aws"}, "included": "2", "price": PRICE},
        {"key": "fee", "price": {"model": "flat", "amount": "3"}},
    ],
    "discounts": [{"percent": "10"}],
    "minimum": "9",
}
CHEAP = {"key": "cheap", "currency": "USD", "items": [{"key": "calls", "meter": "requests", "price": PRICE}]}


@pytest.fixture
def invoiced(service: Service) -> Service:
    """November is invoiced, and something came after that."""
    street = service.street
    for meter in METERS:
        street.does("PUT", f"/v1/meters/{meter['key']}", meter)
    street.does("PUT", "/v1/plans/rich", PLAN)
    street.does("PUT", "/v1/plans/cheap", CHEAP)
    street.does("PUT", "/v1/customers/acme", {"plan": "rich", "tax_rate": "10"})
    street.does("POST", "/v1/customers/acme/credits", {"id": "welcome", "amount": "4"})
    street.post(used("a", 1, "4"), used("b", 2, "6"))
    street.flow()
    street.advance("2026-12-01T02:00:00Z")
    street.post(used("late", 3, "20"))
    street.flow()
    return service


def cells(service: Service, *words: str) -> list[list[str]]:
    """The rows of the tables that a command prints."""
    done = service.run(*words)
    assert done.exit_code == 0, done.stderr
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in done.stdout.splitlines()]


def test_an_invoice_is_explained_line_by_line_with_what_came_since(invoiced: Service) -> None:
    assert cells(invoiced, "explain", "TX-000001") == [
        ["line", "what", "how", "amount", "today"],
        [
            "1",
            "calls",
            "30 / 1 − 2 included = 28; per_unit; windows: 1",
            "4",
            "14",
        ],
        ["2", "fee", "3", "3"],
        ["3", "Discount 10%", "10% of 17", "-0.7", "-1.7"],
        ["4", "Minimum", "2.7", "0"],
        [],
        ["amount", "how"],
        ["subtotal", "9"],
        ["tax", "0.5", "10% of 5"],
        ["paid from credits", "4", "welcome=4"],
        ["due (USD)", "5.5"],
        ["came since then", "6.3", "goes onto a later invoice"],
    ]


def test_one_line_is_explained_day_by_day(invoiced: Service) -> None:
    _, (start, _, quantity, events, link) = cells(invoiced, "explain", "TX-000001", "--line", "1")
    assert (start, quantity, events) == ("2026-11-20T00:00:00Z", "30", "3")
    assert link.startswith("/v1/events?customer=acme&meter=requests&from=2026-11-20")
    assert "no usage made this line" in invoiced.run("explain", "TX-000001", "--line", "2").stderr
    assert "it has 4 lines" in invoiced.run("explain", "TX-000001", "--line", "5").stderr


def test_the_running_period_is_explained_and_all_of_it_is_json(invoiced: Service) -> None:
    told = invoiced.told("explain", "acme", "--draft")
    assert [row["line"]["kind"] for row in told["rows"]] == ["flat", "discount", "adjustment"]
    adjustment = cells(invoiced, "explain", "acme", "--draft")[3]
    assert adjustment[2] == "/v1/invoices/acme%3A20261101T0000Z/explain"
    assert len(invoiced.told("explain", "TX-000001", "--line", "3")["rows"]) == 1


def test_a_quote_is_read_from_a_file_or_from_standard_input(invoiced: Service, tmp_path: Path) -> None:
    asked = "plan: rich\nusage: [{meter: requests, quantity: 22.50, dimensions: {provider: aws}}]\n"
    file = tmp_path / "quote.yaml"
    file.write_text(asked, encoding="utf-8")
    assert cells(invoiced, "quote", str(file)) == [
        ["description", "quantity", "unit", "unit_price", "amount"],
        ["calls", "20.5", "0.5", "10.25"],
        ["fee", "1", "3", "3"],
        ["Discount 10%", "-1.33"],
        ["total (USD)", "11.92"],
    ]
    assert json.loads(invoiced.run("quote", "-", "--json", stdin=asked).stdout)["total"] == "11.92"


def test_another_plan_is_held_beside_the_one_that_was(invoiced: Service, tmp_path: Path) -> None:
    whole = [
        ["current", "what if"],
        ["plan", "rich", "cheap"],
        ["calls", "14", "15"],
        ["fee", "3"],
        ["Discount 10%", "-1.7"],
        ["subtotal", "15.3", "15"],
        ["difference", "-0.3"],
    ]
    assert cells(invoiced, "what-if", "acme", "cheap", "--period", "TX-000001") == whole
    file = tmp_path / "cheap.json"
    file.write_text(json.dumps(CHEAP), encoding="utf-8")
    assert cells(invoiced, "what-if", "acme", f"@{file}", "--period", "2026-11-01T00:00:00Z") == whole
    assert invoiced.told("what-if", "acme", "cheap")["what_if"]["subtotal"] == "0"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["explain", "TX-000009"], "there is no invoice 'TX-000009'"),
        (["explain", "nobody", "--draft"], "there is no customer 'nobody'"),
        (["quote", "none.json"], "No such file"),
        (["what-if", "acme", "gold"], "gold"),
        (["what-if", "acme", "cheap", "--period", "TX-000009"], "TX-000009"),
    ],
)
def test_what_cannot_be_worked_out_is_told(invoiced: Service, words: list[str], said: str) -> None:
    done = invoiced.run(*words)
    assert (done.exit_code, done.stdout) == (1, "")
    assert said in done.stderr
