"""SQS queues: JSON messages, sent in tens."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3

from metering.errors import Unavailable

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

_BATCH = 10


@cache
def _client() -> "SQSClient":
    return boto3.client("sqs")


class Queue:
    """One queue."""

    def __init__(self, url: str, client: "SQSClient | None" = None) -> None:
        self._url = url
        self._client = client or _client()

    def send(self, messages: Sequence[Mapping[str, Any]], delay_seconds: int = 0, fair_by: str = "") -> None:
        """Send messages, to be delivered after a delay of at most 900 seconds; without one, after the queue's own.

        Args:
            messages: JSON objects.
            delay_seconds: of all of them.
            fair_by: the field that says whom a message is for: one for whom work takes long makes no other one wait.

        Raises:
            Unavailable: the queue did not take all of them; sending all again is harmless to their consumers.
        """
        delay = {"DelaySeconds": delay_seconds} if delay_seconds else {}
        for start in range(0, len(messages), _BATCH):
            entries: list[Any] = [
                {
                    "Id": str(number),
                    "MessageBody": json.dumps(message),
                    **delay,
                    **({"MessageGroupId": message[fair_by]} if fair_by else {}),
                }
                for number, message in enumerate(messages[start : start + _BATCH])
            ]
            if self._client.send_message_batch(QueueUrl=self._url, Entries=entries).get("Failed"):
                raise Unavailable("the queue did not take every message")
