"""A table on DynamoDB. Conditions become expressions here and nowhere else."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from adapters.items import Condition, ConditionFailed, Equals, Item, Key, Put, from_wire, integer, string, to_wire

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_BATCH = 25
_READ_BATCH = 100
_MOST_BYTES_OF_PK, _MOST_BYTES_OF_SK = 2048, 1024
_CONFLICTS = {"ConditionalCheckFailedException", "TransactionConflictException"}
_CANCELLED = {"ConditionalCheckFailed", "TransactionConflict"}


@cache
def dynamodb() -> "DynamoDBClient":
    """The one client of this process; bounded waits, so that a call ends before its function does."""
    return boto3.client(
        "dynamodb",
        config=Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "max_attempts": 4}),
    )


class DynamoTable:
    """One DynamoDB table with the keys `pk` and `sk` (strings)."""

    def __init__(
        self, name: str, client: "DynamoDBClient | None" = None, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.name = name
        self._client = client or dynamodb()
        self._sleep = sleep

    def get(self, pk: str, sk: str) -> Item | None:
        """See `Table.get`."""
        if not _possible(pk, sk):
            return None
        found = self._client.get_item(TableName=self.name, Key=to_wire({"pk": pk, "sk": sk}), ConsistentRead=True)
        return from_wire(found["Item"]) if "Item" in found else None

    def get_many(self, keys: Sequence[Key]) -> list[Item]:
        """See `Table.get_many`."""
        items: list[Item] = []
        wanted: list[Any] = [to_wire({"pk": pk, "sk": sk}) for pk, sk in sorted(set(keys)) if _possible(pk, sk)]
        attempt = 0
        while wanted:
            batch, wanted = wanted[:_READ_BATCH], wanted[_READ_BATCH:]
            found = self._client.batch_get_item(RequestItems={self.name: {"Keys": batch, "ConsistentRead": True}})
            items += [from_wire(item) for item in found["Responses"].get(self.name, [])]
            unprocessed = found["UnprocessedKeys"].get(self.name)
            unread = unprocessed["Keys"] if unprocessed else []
            if unread:
                attempt += 1
                self._sleep(min(0.05 * 2**attempt, 1))
            wanted = [*unread, *wanted]
        return items

    def query(
        self, pk: str, first: str = "", last: str = "\U0010ffff", *, newest_first: bool = False, page: int = 0
    ) -> Iterator[Item]:
        """See `Table.query`."""
        first = first or "\x00"  # the least sort key that there can be
        if first > last or not _possible(pk, first):
            return
        pages = self._client.get_paginator("query").paginate(
            TableName=self.name,
            KeyConditionExpression="pk = :pk AND sk BETWEEN :first AND :last",
            ExpressionAttributeValues=to_wire({":pk": pk, ":first": first, ":last": last}),
            ScanIndexForward=not newest_first,
            ConsistentRead=True,
            PaginationConfig={"PageSize": page} if page else {},
        )
        for each in pages:
            yield from map(from_wire, each["Items"])

    def due(self, shard: str, until: int, most: int) -> list[Key]:
        """See `Table.due`."""
        found = self._client.query(
            TableName=self.name,
            IndexName="due",
            KeyConditionExpression="due_shard = :shard AND due_at <= :until",
            ExpressionAttributeValues=to_wire({":shard": shard, ":until": until}),
            Limit=most,
        )
        items = map(from_wire, found["Items"])
        return [(string(item, "pk"), string(item, "sk")) for item in items]

    def listed(self, shard: str, after: tuple[int, Key] | None, most: int) -> list[tuple[int, Key]]:
        """See `Table.listed`."""
        more: dict[str, Any] = {}
        if after:
            at, (pk, sk) = after
            more = {"ExclusiveStartKey": to_wire({"due_shard": shard, "due_at": at, "pk": pk, "sk": sk})}
        found = self._client.query(
            TableName=self.name,
            IndexName="due",
            KeyConditionExpression="due_shard = :shard",
            ExpressionAttributeValues=to_wire({":shard": shard}),
            Limit=most,
            **more,
        )
        items = map(from_wire, found["Items"])
        return [(integer(item, "due_at"), (string(item, "pk"), string(item, "sk"))) for item in items]

    def scan(self, kind: str, after: Key | None = None) -> Iterator[tuple[list[Key], Key | None]]:
        """Read the keys of all items of a kind, which reads (and pays for) the whole table: for repairs alone.

        They come page by page, in no particular order, each page with the key behind which the next one begins: what
        was interrupted goes on `after` that. None comes with the last page.
        """
        more: dict[str, Any] = {} if after is None else {"ExclusiveStartKey": to_wire({"pk": after[0], "sk": after[1]})}
        while True:
            page = self._client.scan(
                TableName=self.name,
                FilterExpression="#kind = :kind",
                ProjectionExpression="pk, sk",
                ExpressionAttributeNames={"#kind": "kind"},
                ExpressionAttributeValues=to_wire({":kind": kind}),
                ConsistentRead=True,
                **more,
            )
            reached = page.get("LastEvaluatedKey")
            found = [_key(each) for each in page["Items"]]
            yield found, _key(reached) if reached else None
            if not reached:
                return
            more = {"ExclusiveStartKey": reached}

    def put(self, put: Put) -> None:
        """See `Table.put`."""
        with _conditions():
            self._client.put_item(**self._put(put))

    def put_many(self, items: Sequence[Item]) -> list[Item]:
        """See `Table.put_many`. What the table does not take at once is sent again, with growing pauses."""
        waiting: list[Any] = [{"PutRequest": {"Item": to_wire(item)}} for item in items]
        attempt = 0
        while waiting and attempt < 6:
            batch, waiting = waiting[:_BATCH], waiting[_BATCH:]
            answer = self._client.batch_write_item(RequestItems={self.name: batch})
            refused = answer["UnprocessedItems"].get(self.name, [])
            if refused:
                attempt += 1
                self._sleep(min(0.05 * 2**attempt, 1))
            waiting = [*refused, *waiting]
        return [from_wire(each["PutRequest"]["Item"]) for each in waiting]

    def transact(self, puts: Sequence[Put]) -> None:
        """See `Table.transact`."""
        with _conditions():
            self._client.transact_write_items(TransactItems=[{"Put": self._put(put)} for put in puts])

    def delete(self, pk: str, sk: str) -> None:
        """See `Table.delete`."""
        self._client.delete_item(TableName=self.name, Key=to_wire({"pk": pk, "sk": sk}))

    def _put(self, put: Put) -> Any:  # noqa: ANN401 - boto3's own TypedDicts differ between put_item and a transaction
        return {"TableName": self.name, "Item": to_wire(put.item), **_expression(put.condition)}


def _possible(pk: str, sk: str) -> bool:
    """Whether an item can have this key; DynamoDB refuses to look for one that cannot."""
    return 0 < len(pk.encode()) <= _MOST_BYTES_OF_PK and 0 < len(sk.encode()) <= _MOST_BYTES_OF_SK


def _key(tagged: Mapping[str, Any]) -> Key:
    item = from_wire(tagged)
    return string(item, "pk"), string(item, "sk")


def _expression(condition: Condition | None) -> dict[str, Any]:
    match condition:
        case None:
            return {}
        case Equals(attribute, value) if value is not None:
            return {
                "ConditionExpression": "#attribute = :value",
                "ExpressionAttributeNames": {"#attribute": attribute},
                "ExpressionAttributeValues": to_wire({":value": value}),
            }
        case _:
            return {"ConditionExpression": "attribute_not_exists(pk)"}


class _conditions:  # noqa: N801 - reads as a phrase: with _conditions():
    """Turns what DynamoDB says of a failed condition, or of a race with a transaction, into ConditionFailed."""

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if not isinstance(error, ClientError):
            return
        reasons = {reason.get("Code") for reason in error.response.get("CancellationReasons", [])}
        if error.response["Error"]["Code"] in _CONFLICTS or reasons & _CANCELLED:
            raise ConditionFailed(str(error)) from error
