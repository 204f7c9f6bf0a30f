"""`taximeter apply`: the deployment becomes what the file says, and says before what that changes."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.handlers.street import METERS, PLAN, edge, used
from tests.taximeter.conftest import Service

CATALOGUE: dict[str, Any] = {
    "meters": METERS,
    "plans": [PLAN],
    "customers": [{"id": "acme", "plan": "serverless", "name": "Acme"}, {"id": "other", "plan": "serverless"}],
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "catalog.yaml"
    path.write_text(json.dumps(CATALOGUE), encoding="utf-8")
    return path


def rewrite(file: Path, **parts: Any) -> None:
    file.write_text(json.dumps(CATALOGUE | parts), encoding="utf-8")


def test_a_whole_catalogue_is_written_and_doing_it_twice_changes_nothing(service: Service, file: Path) -> None:
    first = service.told("apply", str(file), "--yes")
    assert [(each["action"], each["kind"], each["name"]) for each in first["changes"]] == [
        ("create", "meters", "requests"),
        ("create", "meters", "runtime"),
        ("create", "plans", "serverless"),
        ("create", "customers", "acme"),
        ("create", "customers", "other"),
    ]
    assert (first["unchanged"], first["applied"]) == (0, True)
    service.asked.clear()
    assert service.told("apply", str(file), "--yes") == {"changes": [], "unchanged": 5, "applied": False}
    assert not [each for each in service.asked if each.startswith("PUT")]


def test_the_differences_are_shown_and_written_when_one_agrees(service: Service, file: Path) -> None:
    service.run("apply", str(file), "--yes")
    dearer = json.loads(json.dumps(PLAN))
    dearer["items"][0]["price"]["unit_price"] = "0.75"
    rewrite(file, plans=[dearer])
    declined = service.run("apply", str(file), stdin="n\n")
    assert declined.exit_code == 1
    assert declined.stdout.splitlines()[:3] == [
        "change plans/serverless",
        '  - items.requests.price.unit_price: "0.5"',
        '  + items.requests.price.unit_price: "0.75"',
    ]
    assert service.street.does("GET", "/v1/plans/serverless")["version"] == 1
    assert service.run("apply", str(file), stdin="y\n").exit_code == 0
    assert service.street.does("GET", "/v1/plans/serverless")["version"] == 2


def test_a_dry_run_changes_nothing(service: Service, file: Path) -> None:
    assert len(service.told("apply", str(file), "--dry-run")["changes"]) == 5
    assert not [each for each in service.asked if each.startswith("PUT")]


def test_what_the_service_keeps_stays_where_the_file_is_silent(service: Service, file: Path) -> None:
    service.run("apply", str(file), "--yes")
    service.street.does("PATCH", "/v1/customers/acme", {"stripe_customer": "cus_1", "metadata": {"team": "a"}})
    told = service.told("apply", str(file), "--yes")
    (difference,) = told["changes"][0]["differences"]
    assert difference == {"path": "metadata.team", "before": "a", "after": None}
    customer = service.street.does("GET", "/v1/customers/acme")
    assert (customer["stripe_customer"], customer["metadata"], customer["currency"]) == ("cus_1", {}, "USD")


def test_what_get_showed_can_be_applied_as_it_is(service: Service, file: Path) -> None:
    service.run("apply", str(file), "--yes")
    service.street.post(used("a"))
    wider = METERS[0] | {"dimensions": ["provider", "region", "zone"]}
    assert "zone" in service.street.does("PUT", "/v1/meters/requests", wider)["dimensions_since"]
    kinds = ("meters", "plans", "customers")
    rewrite(file, **{kind: service.street.does("GET", f"/v1/{kind}")["rows"] for kind in kinds})
    assert service.told("apply", str(file))["changes"] == []
    rewrite(file, meters=[wider, METERS[1]])
    assert service.told("apply", str(file))["changes"] == []


def test_the_order_of_a_plans_items_is_a_difference(service: Service, file: Path) -> None:
    service.run("apply", str(file), "--yes")
    rewrite(file, plans=[PLAN | {"items": PLAN["items"][::-1]}])
    (change,) = service.told("apply", str(file), "--yes")["changes"]
    assert [each["path"] for each in change["differences"]] == ["items (order)"]
    assert service.told("apply", str(file))["changes"] == []


def test_a_change_of_plan_may_say_from_when_it_holds(service: Service, file: Path) -> None:
    service.run("apply", str(file), "--yes")
    moved = {"id": "other", "plan": "next", "plan_effective_at": "2026-11-25T00:00:00Z"}
    rewrite(file, plans=[PLAN, PLAN | {"key": "next"}], customers=[moved])
    assert service.told("apply", str(file), "--yes")["applied"]
    assert service.told("apply", str(file), "--yes")["changes"] == []
    changes = service.street.catalog.account("other").plans
    assert [(change.plan, change.effective_at) for change in changes][1:] == [("next", 1795564800000)]


def test_what_is_wrong_is_told_before_anything_is_written(service: Service, file: Path) -> None:
    wrong = PLAN | {"items": [{**PLAN["items"][0], "where": {"planet": "earth"}}]}
    rewrite(file, plans=[wrong], meters=[*METERS, METERS[0] | {"key": "calls", "weight": "gb"}])
    done = service.run("apply", str(file), "--yes")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "plans/serverless: /items/0/where/planet: meter requests has no dimension planet" in done.stderr
    assert "meters/calls: /weight: `weight` belongs to duration meters" in done.stderr
    assert not [each for each in service.asked if each.startswith("PUT")]


def test_what_is_refused_is_named_and_what_came_before_stays(service: Service, file: Path) -> None:
    service.run("apply", str(file), "--yes")
    service.street.post(edge("start"))
    rewrite(file, meters=[METERS[0] | {"name": "Requests"}, METERS[1] | {"weight": None}])
    done = service.run("apply", str(file), "--yes")
    assert done.exit_code == 1
    assert "meters/runtime: the meter has events" in done.stderr
    assert service.street.does("GET", "/v1/meters/requests")["name"] == "Requests"


def test_a_catalogue_comes_from_standard_input_too(service: Service, file: Path) -> None:
    done = service.run("apply", "-", "--yes", "--json", stdin=file.read_text(encoding="utf-8"))
    assert json.loads(done.stdout)["applied"] is True


def test_a_file_that_is_not_there_is_told(service: Service, tmp_path: Path) -> None:
    done = service.run("apply", str(tmp_path / "none.yaml"))
    assert (done.exit_code, "No such file" in done.stderr) == (1, True)
