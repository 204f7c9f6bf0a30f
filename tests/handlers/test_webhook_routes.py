"""Webhook endpoints over the API: made once, listed without secrets, refused with every fault."""

import socket
from typing import Any

import pytest

from adapters.endpoints import Endpoints
from billing.endpoints import DETAIL_TYPES, Endpoint
from metering.times import format_time
from tests.handlers.receiver import PUBLIC
from tests.handlers.street import NOW, Street

PATH = "/v1/webhook_endpoints"
URL = "https://hooks.example.com/in"
BODY = {"url": URL, "events": ["invoice.paid", "balance.low"]}


def test_an_endpoint_is_made_once_and_the_same_request_answers_the_same(street: Street) -> None:
    status, made = street.call("POST", PATH, {**BODY, "id": "hooks"})
    assert status == 201
    assert made == {
        "id": "hooks",
        "url": URL,
        "events": ["balance.low", "invoice.paid"],
        "status": "enabled",
        "disabled_reason": None,
        "disabled_at": None,
        "failing_since": None,
        "created_at": format_time(NOW),
        "secret": made["secret"],
    }
    assert made["secret"].startswith("whsec_")
    street.now += 1000
    street.webhooks.lookups.clear()
    assert street.call("POST", PATH, {**BODY, "id": "hooks", "events": ["balance.low", "invoice.paid"] * 2}) == (
        200,
        made,
    )
    assert street.webhooks.lookups == [], "what is known is not looked at again, wherever its name leads by now"
    assert street.does("GET", f"{PATH}/hooks") == made


@pytest.mark.parametrize("other", [{"url": f"{URL}/other"}, {"events": "*"}, {"events": ["balance.low"]}])
def test_a_known_id_with_another_body_is_a_conflict(street: Street, other: dict[str, Any]) -> None:
    street.does("POST", PATH, {**BODY, "id": "hooks"})
    status, answer = street.call("POST", PATH, {**BODY, "id": "hooks", **other})
    assert (status, answer["code"]) == (409, "id_conflict")
    assert len(street.does("GET", PATH)["rows"]) == 1


def test_without_an_id_the_same_request_is_the_same_endpoint(street: Street) -> None:
    first, again = street.call("POST", PATH, BODY), street.call("POST", PATH, BODY)
    assert (first[0], again[0]) == (201, 200)
    assert again[1] == first[1]
    other = street.does("POST", PATH, {**BODY, "events": "*"})
    assert other["id"] != first[1]["id"]
    assert other["events"] == ["*"]


def test_two_who_make_it_at_once_get_the_same(street: Street) -> None:
    class Late(Endpoints):
        """Endpoints of which somebody else makes one between a look and a write."""

        def make(self, endpoint: Endpoint) -> None:
            street.endpoints = Endpoints(street.ledger_table)
            told.append(street.does("POST", PATH, {**BODY, "id": "hooks"}))
            street.now += 5
            super().make(endpoint)

    told: list[Any] = []
    street.endpoints = Late(street.ledger_table)
    assert street.call("POST", PATH, {**BODY, "id": "hooks"}) == (200, told[0])


def test_secrets_are_shown_one_by_one_and_never_stored(street: Street) -> None:
    made = [street.does("POST", PATH, {**BODY, "id": name}) for name in ("a", "b")]
    rows = street.does("GET", PATH)["rows"]
    assert [row["id"] for row in rows] == ["a", "b"]
    assert all("secret" not in row for row in rows)
    kept = str([table.all() for table in street.tables.values()])
    for each in made:
        assert each["secret"].removeprefix("whsec_") not in kept
    assert made[0]["secret"] != made[1]["secret"]


def test_made_again_after_it_was_removed_it_has_another_secret(street: Street) -> None:
    first = street.does("POST", PATH, BODY)
    assert street.call("DELETE", f"{PATH}/{first['id']}") == (204, "")
    assert street.call("DELETE", f"{PATH}/{first['id']}")[0] == 404
    street.now += 1
    again = street.does("POST", PATH, BODY)
    assert again["id"] == first["id"]
    assert again["secret"] != first["secret"]


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, {"/url", "/events"}),
        (
            {"url": "http://example.com/", "events": ["balance.high", "balance.low", 5]},
            {"/url", "/events/0", "/events/2"},
        ),
        ({"url": "https://inside.example/", "events": []}, {"/url", "/events"}),
        ({"url": "https://inside.example/", "events": "*", "id": "no blanks", "name": 1}, {"/url", "/id", "/name"}),
        ({"url": "https://unknown.example/", "events": "*"}, {"/url"}),
        ({"url": "https://half.example/", "events": "*"}, {"/url"}),
        ({"url": "https://169.254.169.254/", "events": "*"}, {"/url"}),
        ({"url": "\ud800", "events": ["\ud800"]}, {"/url", "/events/0"}),
        ({"url": ["x"], "events": {"a": 1}}, {"/url", "/events"}),
        ({"url": "x" * 100_000, "events": "*"}, {"/url"}),
    ],
)
def test_every_fault_is_told_at_once_and_nothing_is_made(street: Street, body: Any, pointers: set[str]) -> None:
    street.webhooks.addresses |= {
        "inside.example": ["10.0.0.1"],
        "unknown.example": [],
        "half.example": [PUBLIC, "fd00::1"],
        "169.254.169.254": ["169.254.169.254"],
    }
    status, answer = street.call("POST", PATH, body)
    assert (status, answer["code"]) == (400, "invalid")
    assert {fault["pointer"] for fault in answer["errors"]} == pointers
    assert street.does("GET", PATH)["rows"] == []


def test_a_resolver_that_does_not_answer_is_nobodys_fault(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_AGAIN, "not now")

    monkeypatch.setattr(street.webhooks, "_resolve", fail)
    assert street.call("POST", PATH, BODY)[0] == 503


def test_without_a_key_for_signing_no_endpoint_is_made(street: Street) -> None:
    street.secrets.pop("signing_key")
    status, answer = street.call("POST", PATH, BODY)
    assert (status, answer["code"]) == (503, "signing_key_missing")
    assert street.does("GET", PATH)["rows"] == []


def test_every_type_that_is_told_can_be_asked_for(street: Street) -> None:
    made = street.does("POST", PATH, {"url": URL, "events": list(DETAIL_TYPES)})
    assert made["events"] == sorted(DETAIL_TYPES)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"{PATH}/none"),
        ("DELETE", f"{PATH}/none"),
        ("POST", f"{PATH}/none/enable"),
        ("GET", f"{PATH}/none/deliveries"),
        ("POST", f"{PATH}/none/deliveries/none/redeliver"),
        ("POST", f"{PATH}/hooks/deliveries/none/redeliver"),
        ("GET", f"{PATH}/{'x' * 3000}"),
        ("POST", f"{PATH}/hooks/deliveries/{'x' * 3000}/redeliver"),
    ],
)
def test_what_is_not_there_is_not_found(street: Street, method: str, path: str) -> None:
    street.does("POST", PATH, {**BODY, "id": "hooks"})
    status, answer = street.call(method, path)
    assert (status, answer["code"]) == (404, "not_found")


@pytest.mark.parametrize("scopes", ["read", "ingest", ""])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", PATH),
        ("POST", PATH),
        ("GET", f"{PATH}/hooks"),
        ("DELETE", f"{PATH}/hooks"),
        ("POST", f"{PATH}/hooks/enable"),
        ("GET", f"{PATH}/hooks/deliveries"),
        ("POST", f"{PATH}/hooks/deliveries/d/redeliver"),
    ],
)
def test_only_an_admin_manages_them(street: Street, method: str, path: str, scopes: str) -> None:
    street.does("POST", PATH, {**BODY, "id": "hooks"})
    status, answer = street.call(method, path, BODY if method == "POST" else None, scopes=scopes)
    assert (status, answer["code"]) == (403, "forbidden")
    assert [row["id"] for row in street.does("GET", PATH)["rows"]] == ["hooks"]


def test_an_endpoint_that_changes_all_the_time_is_to_be_asked_again(street: Street) -> None:
    street.does("POST", PATH, {**BODY, "id": "hooks"})

    class Moving(Endpoints):
        """Endpoints that are disabled, and written by others before anybody else writes them."""

        def find(self, endpoint: str) -> Endpoint | None:
            found = super().find(endpoint)
            return found and Endpoint(found.id, found.url, found.events, found.version, 1, "gone", 1)

    street.endpoints = Moving(street.ledger_table)
    assert street.call("POST", f"{PATH}/hooks/enable")[0] == 503
