"""The whole street on the local cloud, over HTTP: from an event to the balance, and every documented refusal."""

import gzip
import json
import random
from typing import Any

import httpx
import pytest

from infra.local.clock import wait_until_quiet
from tests.stories.story import Story, eventually

pytestmark = pytest.mark.cloud

MINUTE = 60_000


def test_one_start_and_one_stop_are_a_session_its_usage_and_a_balance_within_ten_seconds(story: Story) -> None:
    start = story.now - 30 * MINUTE

    answer = story.post([story.edge("start", "i-1", start), story.edge("stop", "i-1", start + 100_500)])

    assert (answer.status_code, answer.json()) == (202, {"accepted": 2, "rejected": []})
    assert eventually(lambda: story.balance() == "79.9")  # 100.5 s × 2 GB × 0.10
    (session,) = story.sessions()["rows"]
    assert (session["closed_by"], session["quantity"]) == ("stop", "201000")
    assert session["key"] == {"instance_id": "i-1"}
    rows = story.usage("story-runtime")["rows"]
    assert sum(int(row["quantity"]) for row in rows) == 201_000
    assert sum(row["events"] for row in rows) == 1


def test_the_same_events_posted_three_times_and_shuffled_give_byte_identical_answers(story: Story) -> None:
    chance = random.Random(7)  # noqa: S311 - a repeatable shuffle, no secret
    start = story.now - 50 * MINUTE
    events = [story.request(f"r-{n}", start + n * 7_001, f"{n}.25") for n in range(30)]
    for n in range(20):
        began = start + n * 60_000
        region = "us-east-1" if n % 2 else "eu-west-1"
        provider = "aws" if n % 3 else "azure"
        events.append(story.edge("start", f"i-{n}", began, region=region, provider=provider))
        events.append(story.edge("stop", f"i-{n}", began + 90_000 + n, region=region, provider=provider))

    def state() -> str:
        wait_until_quiet(story.cloud)
        ledger = story.get(f"/v1/customers/{story.customer}/ledger")["rows"]
        told = [
            story.usage("story-requests"),
            story.usage("story-runtime"),
            story.sessions(),
            story.balance(),
            story.draft(),
            sorted({(row["kind"], row["credit"]) for row in ledger}),
        ]
        return json.dumps(told, sort_keys=True)

    states = []
    for _ in range(3):
        chance.shuffle(events)
        for first in range(0, len(events), 13):
            assert story.post(events[first : first + 13]).status_code == 202
        states.append(state())

    assert states[0] == states[1] == states[2]
    quantities = [int(row["quantity"]) for row in story.sessions()["rows"]]
    assert sorted(quantities) == [2 * (90_000 + n) for n in range(20)]


def test_a_running_session_is_billed_while_it_runs(story: Story) -> None:
    story.post([story.edge("start", "i-1", story.now - 10 * MINUTE)])

    assert eventually(lambda: story.balance() == "0")  # ten minutes and more × 2 GB × 0.10 are above 100
    (session,) = story.sessions()["rows"]
    assert (session["status"], session["end"]) == ("open", None)
    assert int(session["quantity"]) >= 2 * 10 * MINUTE


REFUSALS: list[tuple[str, dict[str, Any], int, str]] = [
    ("a body that is no JSON", {"content": b"{nope"}, 400, "invalid"),
    ("a body of 5 MB", {"content": b"[" + b" " * 5_000_000 + b"]"}, 413, "too_large"),
    ("gzip that is none", {"content": b"plain", "headers": {"content-encoding": "gzip"}}, 400, "invalid"),
    ("more than a thousand events", {"json": [{}] * 1001}, 413, "too_large"),
    ("a number", {"json": 5}, 400, "invalid"),
    ("an event without anything", {"json": {}}, 400, "invalid"),
]


@pytest.mark.parametrize(("what", "request_", "status", "code"), REFUSALS, ids=[row[0] for row in REFUSALS])
def test_a_bad_request_is_refused_as_documented(
    story: Story, what: str, request_: dict[str, Any], status: int, code: str
) -> None:
    headers = {"content-type": "application/json", **request_.pop("headers", {})}

    answer = story.api.post("/v1/events", headers=headers, **request_)

    assert (answer.status_code, answer.json()["code"]) == (status, code), what
    assert answer.headers["content-type"] == "application/problem+json"


def test_good_neighbours_of_bad_events_are_kept_each_with_its_own_verdict(story: Story) -> None:
    good = story.request("good", story.now, "5")
    bad = [
        {**story.request("meter", story.now, "1"), "meter": "nobody-defined-this"},
        {**story.request("customer", story.now, "1"), "customer": "nobody"},
        story.request("old", story.now - 40 * 24 * 60 * MINUTE, "1"),
        story.request("ahead", story.now + 20 * MINUTE, "1"),
        {name: part for name, part in story.request("valueless", story.now, "1").items() if name != "value"},
        {**story.request("shape", story.now, "1"), "value": "1,5"},
    ]

    answer = story.post([bad[0], good, *bad[1:]])

    assert answer.status_code == 202
    assert answer.json()["accepted"] == 1
    verdicts = [(each["index"], each["id"], each["code"]) for each in answer.json()["rejected"]]
    assert verdicts == [
        (0, "meter", "unknown_meter"),
        (2, "customer", "unknown_customer"),
        (3, "old", "timestamp_too_old"),
        (4, "ahead", "timestamp_in_future"),
        (5, "valueless", "value_required"),
        (6, "shape", "invalid"),
    ]
    assert eventually(lambda: [row["quantity"] for row in story.usage("story-requests")["rows"]] == ["5"])


def test_a_gzip_body_and_an_ndjson_body_are_taken(story: Story) -> None:
    one = json.dumps({"customer": story.customer, **story.request("one", story.now, "1")})
    two = json.dumps({"customer": story.customer, **story.request("two", story.now, "2")})
    headers = {"content-encoding": "gzip", "content-type": "application/json"}

    zipped = story.api.post("/v1/events", content=gzip.compress(one.encode()), headers=headers)
    lines = story.api.post("/v1/events", content=f"{one}\n{two}\n", headers={"content-type": "application/x-ndjson"})

    assert (zipped.status_code, lines.status_code) == (202, 202)
    assert eventually(lambda: [row["quantity"] for row in story.usage("story-requests")["rows"]] == ["3"])


def test_a_request_without_a_key_is_401_with_a_wrong_one_403_and_a_key_does_what_its_scope_says(story: Story) -> None:
    made = story.api.post("/v1/api_keys", json={"id": f"{story.customer}-ingest", "scopes": ["ingest"]})
    assert made.status_code == 201
    ingest, wrong = {"x-api-key": made.json()["key"]}, {"x-api-key": "tx_wrong"}
    event = {"customer": story.customer, **story.request("one", story.now, "1")}
    url = story.cloud.api_url

    assert httpx.post(f"{url}/v1/events", json=event).status_code == 401
    assert httpx.post(f"{url}/v1/events", json=event, headers=wrong).status_code == 403
    assert httpx.post(f"{url}/v1/events", json=event, headers=ingest).status_code == 202
    assert httpx.get(f"{url}/v1/meters", headers=ingest).status_code == 403
    assert httpx.get(f"{url}/v1/health").json() == {"status": "ok"}


def test_a_known_id_with_the_same_body_is_answered_again_and_with_another_refused(story: Story) -> None:
    path, body = f"/v1/customers/{story.customer}/credits", {"id": "more", "amount": "7.50"}

    first, again = story.api.post(path, json=body), story.api.post(path, json=body)
    other = story.api.post(path, json={**body, "amount": "8"})

    assert (first.status_code, again.status_code, other.status_code) == (201, 200, 409)
    assert first.json() == again.json()
    assert other.json()["code"] == "id_conflict"
    assert story.balance() == "107.5"


def test_every_fault_of_a_plan_is_told_at_once_with_its_place(story: Story) -> None:
    plan = {
        "currency": "XXX",
        "items": [{"key": "a", "meter": "story-requests", "price": {"model": "per_unit", "unit_price": "x"}}, {}],
    }

    answer = story.api.put("/v1/plans/broken", json=plan)

    assert answer.status_code == 400
    pointers = {fault["pointer"] for fault in answer.json()["errors"]}
    assert {"/currency", "/items/0/price/unit_price", "/items/1/key"} <= pointers
