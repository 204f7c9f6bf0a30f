"""A user's server hears of what happens: signed, again after it failed, by hand, and after a message was lost."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from adapters.deliveries import Deliveries
from billing.deliveries import new_delivery
from infra.local.clock import wait_until_quiet
from metering.times import MINUTE, format_time
from tests.stories.story import Story, eventually

pytestmark = [pytest.mark.cloud, pytest.mark.deep]


@dataclass
class Server:
    """A user's server on this machine.

    Attributes:
        heard: the headers and bodies that came, oldest first.
        statuses: what the next requests are answered; 204 when there is none left.
    """

    url: str = ""
    heard: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Keep what comes, and answer as told."""
            body = self.rfile.read(int(self.headers["content-length"]))
            made.heard.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(made.statuses.pop(0) if made.statuses else 204)
            self.end_headers()

        def log_message(self, format: str, *_: Any) -> None:  # noqa: A002 - the library's own name
            """Says nothing."""

    door = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    made.url = f"http://127.0.0.1:{door.server_address[1]}/hooks?token=t-1"
    thread = Thread(target=door.serve_forever, args=(0.01,))
    thread.start()
    yield made
    door.shutdown()
    thread.join()
    door.server_close()


def believed(headers: dict[str, str], body: bytes, secret: str) -> bool:
    """The check of a receiver: signed with the secret, and not long ago."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    ours = b"v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest())
    fresh = abs(time.time() - int(headers["webhook-timestamp"])) < 300
    return fresh and any(hmac.compare_digest(each.encode(), ours) for each in headers["webhook-signature"].split())


def test_an_announcement_reaches_a_server_signed_however_often_it_has_to_be_sent(story: Story, server: Server) -> None:
    api, name = story.api, f"{story.customer}-hooks"
    wait_until_quiet(story.cloud)  # the customer's own beginnings
    body = {"id": name, "url": server.url, "events": ["credit.granted"]}
    made = api.post("/v1/webhook_endpoints", json=body)
    assert made.status_code == 201, made.text
    within = api.post("/v1/webhook_endpoints", json={"url": "http://169.254.169.254/", "events": "*"})
    assert (within.status_code, within.json()["errors"][0]["pointer"]) == (400, "/url")
    try:
        server.statuses = [500]
        credit = {"id": "told", "amount": "7", "kind": "promotional"}
        assert api.post(f"/v1/customers/{story.customer}/credits", json=credit).status_code == 201

        assert eventually(lambda: len(server.heard) == 2, 60), "it is tried again after five seconds"
        wait_until_quiet(story.cloud)
        assert all(believed(headers, sent, made.json()["secret"]) for headers, sent in server.heard)
        (first, again) = server.heard
        assert (first[1], first[0]["webhook-id"]) == (again[1], again[0]["webhook-id"])
        told = json.loads(first[1])
        assert (told["type"], told["data"]["credit"], told["data"]["amount"]) == ("credit.granted", "told", "7")
        assert format_time(story.now - MINUTE) < told["timestamp"] < format_time(story.now + 10 * MINUTE)
        log = f"/v1/webhook_endpoints/{name}/deliveries"
        (row,) = story.get(log)["rows"]
        assert (row["status"], [each["status"] for each in row["attempts"]]) == ("succeeded", [500, 204])
        assert row["payload"] == told

        assert api.post(f"{log}/{row['id']}/redeliver").status_code == 200
        assert eventually(lambda: len(server.heard) == 3, 30)

        # A delivery whose message was lost a while ago is found by the minute.
        then = story.now - 20 * MINUTE
        lost = new_delivery(name, "credit.granted", {"id": "lost"}, then, then)
        Deliveries(story.cloud.table("Ledger")).begin(lost)
        minute = json.dumps({"source": "schedule", "time": format_time(story.now)})
        answer = story.cloud.client("lambda").invoke(FunctionName=story.cloud.outputs["RateFunction"], Payload=minute)
        assert "FunctionError" not in answer
        assert eventually(lambda: len(server.heard) == 4, 30)
        assert server.heard[3][0]["webhook-id"] == lost.message

        server.statuses = [410]
        wait_until_quiet(story.cloud)
        assert api.post(f"{log}/{row['id']}/redeliver").status_code == 200
        assert eventually(lambda: story.get(f"/v1/webhook_endpoints/{name}")["disabled_reason"] == "gone", 30)
        assert len(server.heard) == 5
    finally:
        assert api.delete(f"/v1/webhook_endpoints/{name}").status_code == 204
