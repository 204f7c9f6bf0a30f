"""What the SDK's own work costs: the processor time of a request to DynamoDB, without a network.

The handlers run on tables in memory, so what botocore spends on signing, writing and reading JSON is measured apart,
on answers that are there at once.
"""

import json
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import boto3
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.compat import HTTPHeaders

from adapters.dynamo import DynamoTable
from adapters.items import Item, Put, to_wire

_TIMES = 300
_ITEM: Item = {"pk": "customer", "sk": "wallet", "kind": "wallet", "version": 7, "data": "x" * 500}


class _Raw:
    """The body of an answer."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self) -> Iterator[bytes]:
        """All of it at once."""
        yield self._body


def request_milliseconds() -> Decimal:
    """Processor time of one request on this machine, the mean of puts, gets and queries."""
    client = boto3.client(
        "dynamodb",
        region_name="us-east-1",
        aws_access_key_id="benchmark",
        aws_secret_access_key="benchmark",  # noqa: S106 - nothing is sent anywhere
    )
    client.meta.events.register("before-send.dynamodb.*", _answer)  # type: ignore[arg-type]  # this event takes an answer
    table = DynamoTable("benchmark", client)
    _ask(table)  # what is made once is made now
    began = time.process_time_ns()
    for _ in range(_TIMES):
        _ask(table)
    return Decimal(time.process_time_ns() - began) / 1_000_000 / _TIMES / 3


def _ask(table: DynamoTable) -> None:
    table.get("customer", "wallet")
    table.put(Put(_ITEM))
    list(table.query("customer"))


def _answer(request: AWSRequest, **_named: object) -> AWSResponse:
    wired = to_wire(_ITEM)
    body: dict[str, Any] = {}
    target = request.headers["X-Amz-Target"]
    if (target if isinstance(target, str) else target.decode()).endswith("GetItem"):
        body = {"Item": wired}
    elif b'"KeyConditionExpression"' in (request.body or b""):
        body = {"Items": [wired, wired], "Count": 2, "ScannedCount": 2}
    return AWSResponse(str(request.url), 200, HTTPHeaders(), _Raw(json.dumps(body).encode()))
