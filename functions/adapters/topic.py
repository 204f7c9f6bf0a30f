"""The SNS topic that people subscribe to."""

from functools import cache
from typing import TYPE_CHECKING

import boto3

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient


@cache
def _client() -> "SNSClient":
    return boto3.client("sns")


class Topic:
    """One topic."""

    def __init__(self, arn: str, client: "SNSClient | None" = None) -> None:
        self._arn = arn
        self._client = client or _client()

    def publish(self, subject: str, message: str) -> None:
        """Send a message to everyone who subscribed."""
        self._client.publish(TopicArn=self._arn, Subject=subject, Message=message)
