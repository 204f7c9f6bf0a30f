"""The EventBridge bus."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3

from adapters.items import Item, string
from adapters.outbox import announced_at
from metering.errors import Unavailable

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

_BATCH = 10
_ATTEMPTS = 3
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@cache
def _client() -> "EventBridgeClient":
    return boto3.client("events")


class Bus:
    """Where announcements go; consumers know them by their `id` and may see one twice."""

    def __init__(self, name: str, client: "EventBridgeClient | None" = None) -> None:
        self._name = name
        self._client = client or _client()

    def publish(self, items: Sequence[Item]) -> None:
        """Put outbox items on the bus; entries that it refuses are sent again, alone.

        Raises:
            Unavailable: some were refused every time; the whole batch may be sent again.
        """
        waiting: list[Any] = [self._entry(item) for item in items]
        for _ in range(_ATTEMPTS):
            refused = []
            for start in range(0, len(waiting), _BATCH):
                batch = waiting[start : start + _BATCH]
                answers = self._client.put_events(Entries=batch)["Entries"]
                refused += [entry for entry, told in zip(batch, answers, strict=True) if "ErrorCode" in told]
            waiting = refused
            if not waiting:
                return
        raise Unavailable(f"the bus refused {len(waiting)} announcements")

    def _entry(self, item: Item) -> dict[str, Any]:
        return {
            "EventBusName": self._name,
            "Time": _EPOCH + timedelta(milliseconds=announced_at(item)),
            "Source": "taximeter",
            "DetailType": string(item, "detail_type"),
            "Detail": json.dumps(json.loads(string(item, "body"))),
        }
