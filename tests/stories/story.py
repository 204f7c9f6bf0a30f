"""What a story needs: a customer of its own on the local cloud, and words to ask about it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from infra.local.cloud import Cloud

METERS: dict[str, dict[str, Any]] = {
    "story-runtime": {
        "aggregation": "duration",
        "session": ["instance_id"],
        "weight": "memory_gb",
        "dimensions": ["provider", "region"],
    },
    "story-requests": {"aggregation": "sum", "dimensions": ["provider"]},
}
PLAN: dict[str, Any] = {
    "currency": "USD",
    "items": [
        {
            "key": "compute",
            "name": "Compute",
            "meter": "story-runtime",
            "divide_by": "1000",
            "unit": "GB-s",
            "price": {
                "model": "matrix",
                "by": ["provider"],
                "prices": [{"when": {"provider": "aws"}, "price": {"model": "per_unit", "unit_price": "0.10"}}],
                "otherwise": {"model": "per_unit", "unit_price": "0.20"},
            },
        },
        {
            "key": "calls",
            "name": "Calls",
            "meter": "story-requests",
            "price": {"model": "per_unit", "unit_price": "0.01"},
        },
    ],
}


@dataclass
class Story:
    """One customer of one story, and what a client can ask about it."""

    cloud: "Cloud"
    api: httpx.Client
    customer: str
    now: int
    body: dict[str, Any] = field(default_factory=dict)

    def get(self, path: str, **parameters: str) -> dict[str, Any]:
        answer = self.api.get(path, params=parameters)
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    def post(self, events: list[dict[str, Any]]) -> httpx.Response:
        return self.api.post("/v1/events", json=[{"customer": self.customer, **event} for event in events])

    def edge(self, kind: str, instance: str, at: int, **dimensions: str) -> dict[str, Any]:
        given = {"instance_id": instance, "memory_gb": "2", "provider": "aws", "region": "us-east-1", **dimensions}
        return {
            "id": f"{instance}:{kind}",
            "meter": "story-runtime",
            "timestamp": at,
            "type": kind,
            "dimensions": given,
        }

    def request(self, name: str, at: int, value: str) -> dict[str, Any]:
        return {
            "id": name,
            "meter": "story-requests",
            "timestamp": at,
            "value": value,
            "dimensions": {"provider": "aws"},
        }

    def balance(self) -> str:
        return str(self.get(f"/v1/customers/{self.customer}/balance")["balance"])

    def draft(self) -> dict[str, Any]:
        return self.get(f"/v1/customers/{self.customer}/invoices/draft")

    def usage(self, meter: str) -> dict[str, Any]:
        return self.get("/v1/usage", customer=self.customer, meter=meter, window="hour", group_by="provider")

    def sessions(self) -> dict[str, Any]:
        return self.get("/v1/sessions", customer=self.customer, meter="story-runtime")


def eventually(question: Callable[[], bool], seconds: float = 10) -> bool:
    """Ask until the answer is yes, for a while."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if question():
            return True
        time.sleep(0.1)
    return question()
