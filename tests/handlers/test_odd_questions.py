"""Whatever stands in a query string: the answer is never that something went wrong on our side."""

import base64
import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handlers import _document_routes
from infra.openapi.operations import OPERATIONS
from infra.openapi.parameters import QUERY
from metering.packing import canonical, digest
from metering.times import DAY, format_time
from tests.handlers.street import NOW, Street, edge, used
from tests.rows import deep

READ = sorted(name.removeprefix("GET ") for name in OPERATIONS if name.startswith("GET "))

# What is asked by those who know what there is.
SENSIBLE = {
    "customer": ["acme"],
    "meter": ["requests", "runtime"],
    "from": ["0", format_time(NOW - DAY), "2026-11-30T23:00:00Z"],
    "to": [format_time(NOW + DAY), "2026-12-02T00:00:00Z", "9998-12-31T23:59:59.999Z"],
    "limit": ["1", "2", "1000"],
    "version": ["1"],
    "window": ["minute", "hour", "day", "month", "total", "week", "year"],
    "timezone": ["UTC", "Asia/Kathmandu", "Pacific/Apia"],
    "group_by": ["provider", "provider,region"],
    "without": ["region"],
    "fill": ["zero", "none"],
    "status": ["open", "closed", "anomalous", "draft", "paid"],
    "where": ["aws"],
}
NUMBERS = ["0", "000001" + "0" * 5000, "000001234", "1001", "-1", "1e3", "²", "9" * 5000, str(10**15)]
ODD = ["nobody", "acme#", "x" * 3000, ",,", "vm", "Europe", "../etc", "\0", *NUMBERS]
NAMES = {"customer": "acme", "key": "serverless", "name": "TX-000001"}

leaves = st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | st.text(max_size=8)
trees = st.recursive(leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner))


def question(path: str, query: dict[str, str]) -> str:
    """What ties a `next` to its list, as anybody can read it in the code."""
    asked = {name: value for name, value in query.items() if name not in ("limit", "next")}
    return digest(canonical([path, asked]))[:8]


def token(content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


@st.composite
def askings(draw: Callable[..., Any], route: str) -> tuple[str, dict[str, str]]:
    """A path and a query string in which little is odd, so that the rest is looked at."""
    named = st.sampled_from(ODD) | st.text(min_size=1, max_size=20)

    def name(found: re.Match[str]) -> str:
        known = NAMES.get(found[1], "acme")
        return quote(draw(named) if draw(st.integers(0, 3)) == 0 else known, safe="")

    path = re.sub(r"\{(\w+)\}", name, route)
    query: dict[str, str] = {}
    for each in OPERATIONS[f"GET {route}"].query:
        called, required = QUERY[each]["name"], QUERY[each].get("required", False)
        kind = draw(st.integers(1 if required else 0, 9))
        if called == "next" or (kind < 4 and not required):
            continue
        sensible = SENSIBLE["window"][1:4] if each == "ledger_window" else SENSIBLE.get(called, ["x"])
        value = draw(named if kind == 9 else st.sampled_from(sensible))
        query[draw(st.sampled_from(["where.provider", "where.vm"])) if called == "where" else called] = value
    return path, query


def forged(draw: Callable[..., Any], given: Any) -> Any:
    """A place like one that was given, in which one thing is another; or any other."""
    if isinstance(given, list) and given and draw(st.booleans()):
        at = draw(st.integers(0, len(given) - 1))
        return [*given[:at], forged(draw, given[at]), *given[at + 1 :]]
    if isinstance(given, int) and draw(st.booleans()):
        return draw(st.sampled_from([given + 1, -given, 0, given * 1000, given - 40 * DAY]))
    return draw(trees)


@pytest.fixture
def lived(street: Street, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Street:
    """A street on which there is something to read of everything."""
    for name in ("openapi.json", "docs.html"):
        (tmp_path / name).write_text("{}")
    monkeypatch.setattr(_document_routes, "FOLDER", tmp_path)
    street.does("PUT", "/v1/meters/people", {"aggregation": "unique", "unique_by": "user"})
    for number in range(3):
        street.does("POST", "/v1/customers/acme/credits", {"id": f"c{number}", "amount": "1"})
        street.does("POST", "/v1/api_keys", {"id": f"k{number}", "scopes": ["read"]})
        street.does("PUT", f"/v1/customers/c{number}", {"plan": "serverless"})
        street.does("PUT", f"/v1/plans/p{number}", {"currency": "USD"})
        street.post(used(f"a{number}", number), edge("start", number, str(number)), edge("stop", 9, str(number)))
    street.post(edge("start", 30), used("old", -40 * 1440 // 2))
    street.flow()
    street.advance("2026-12-01T06:00:00Z")
    street.post(used("b", timestamp=street.now), edge("start", 0, "9", timestamp=street.now))
    street.flow()
    return street


@pytest.mark.parametrize("examples", [5, deep(100)])
@pytest.mark.parametrize("route", READ)
def test_no_question_is_too_odd_for_an_answer(lived: Street, route: str, examples: int) -> None:
    @settings(
        max_examples=examples, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
    )
    @given(st.data())
    def ask(data: st.DataObject) -> None:
        path, query = data.draw(askings(route))
        answers = [lived.call("GET", path, query=query)]
        if "next" in OPERATIONS[f"GET {route}"].query:
            first = lived.call("GET", path, query={**query, "limit": "1"})[1]
            given = first.get("next") if isinstance(first, dict) else None
            place = json.loads(base64.urlsafe_b64decode(given + "=="))[1] if given else None
            odd = data.draw(st.sampled_from(["[" * 7000, "W10", "W1tbXQ", "\0", "5", token([1, 2, 3]), token("ab")]))
            made = token([question(path, query), forged(data.draw, place)])
            answers += [lived.call("GET", path, query={**query, "next": following}) for following in (odd, made)]
        for status, told in answers:
            assert status < 500, (path, query, told)
            if status >= 400:
                assert (told["status"], bool(told["code"])) == (status, True)

    ask()


@pytest.mark.parametrize("limit", ["0", "1001", "000001234", "000001" + "0" * 5000, "9" * 5000, "+1", "1.0", "²"])
def test_a_limit_is_a_number_from_1_to_1000(street: Street, limit: str) -> None:
    status, told = street.call("GET", "/v1/meters", query={"limit": limit})
    assert (status, told["code"]) == (400, "invalid")


@pytest.mark.parametrize("path", [
    "/v1/events", "/v1/usage", "/v1/sessions", "/v1/meters", "/v1/customers", "/v1/customers/acme/ledger",
])  # fmt: skip
def test_a_next_that_was_never_given_is_refused(lived: Street, path: str) -> None:
    query = {"customer": "acme", "meter": "requests"}
    tied = question(path, query)
    places: list[Any] = [5, None, [1], ["x", "y", "z"], {"a": 1}, [10**30, "", "a"], [0, [0, []]], [[[[]]]]]
    for each in ["[" * 7000, *(token([tied, place]) for place in places), token([tied]), token([1, 2, 3]), "5", "!"]:
        status, told = lived.call("GET", path, query={**query, "next": each})
        assert (status, told["code"]) == (400, "invalid"), (each, told)
