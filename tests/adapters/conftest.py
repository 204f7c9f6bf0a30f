"""Every kind of table that the stores run on: the twin in memory, DynamoDB as moto plays it, and as MiniStack does.

moto starts in no time, but tells of a put that changes nothing, forgets why a transaction failed in some cases, and
takes batches that are too large; so what depends on that runs on the twin and on MiniStack (marker `cloud`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from adapters.dynamo import DynamoTable
from adapters.items import Table
from adapters.memory import MemoryTable
from tests.infra.local.stripe.in_process import InProcess

_names = count()


@dataclass(frozen=True, slots=True)
class Bench:
    """A table, and how many records its stream has carried."""

    table: Table
    changes: Callable[[], int]


def new_table(client: Any) -> str:
    """Make a table as the template does: two keys, the index `due`, a stream."""
    name = f"table-{next(_names)}"
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
            {"AttributeName": "due_shard", "AttributeType": "S"},
            {"AttributeName": "due_at", "AttributeType": "N"},
        ],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "due",
                "KeySchema": [
                    {"AttributeName": "due_shard", "KeyType": "HASH"},
                    {"AttributeName": "due_at", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    )
    return name


@cache
def _client_of_moto(service: str) -> Any:
    # Made once: making a client takes longer than all that a test does with it.
    session: Any = boto3.Session("test", "test", region_name="us-east-1")
    return session.client(service)


@pytest.fixture
def aws() -> Iterator[Callable[[str], Any]]:
    """Clients of an empty AWS account that moto plays."""
    with mock_aws():
        yield _client_of_moto


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Any]]:
    """Clients of a MiniStack without any deployment."""
    from infra.local import cloud, deployment, processes

    folder: Path = tmp_path_factory.mktemp("emulator")
    (folder / "tmp").mkdir()
    port = processes.free_port()
    child = processes.spawn(
        "emulator",
        ["infra.local.emulator", "--port", str(port)],
        folder=folder,
        environment=cloud._environment(port, folder),
        attached=True,
    )
    try:
        processes.wait_for(child, port)
        yield cache(lambda service: deployment.client(service, f"http://127.0.0.1:{port}"))
    finally:
        processes.end([child])


@dataclass
class _Stream:
    """What a table's stream has carried."""

    client: Any
    table: str
    dynamodb: Any = field(default=None)

    def __call__(self) -> int:
        arn = self.dynamodb.describe_table(TableName=self.table)["Table"]["LatestStreamArn"]
        carried = 0
        for shard in self.client.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
            iterator = self.client.get_shard_iterator(
                StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            carried += len(self.client.get_records(ShardIterator=iterator)["Records"])
        return carried


def _memory() -> Bench:
    changes: list[object] = []
    return Bench(MemoryTable(lambda _old, new: changes.append(new)), lambda: len(changes))


def _dynamo(clients: Callable[[str], Any]) -> Bench:
    client = clients("dynamodb")
    name = new_table(client)
    return Bench(DynamoTable(name, client), _Stream(clients("dynamodbstreams"), name, client))


MINISTACK = pytest.param("emulator", marks=pytest.mark.cloud)


@pytest.fixture(params=["memory", MINISTACK])
def bench(request: pytest.FixtureRequest) -> Bench:
    """A table whose semantics are DynamoDB's to the last detail that we rely on, with its stream."""
    return _memory() if request.param == "memory" else _dynamo(request.getfixturevalue("emulator"))


@pytest.fixture(params=["memory", "aws", MINISTACK])
def table(request: pytest.FixtureRequest) -> Table:
    """A table of each kind."""
    return _memory().table if request.param == "memory" else _dynamo(request.getfixturevalue(request.param)).table


@pytest.fixture
def stripe_stand_in() -> InProcess:
    """Stripe in the process of the test, with a clock that moves only when it is told to."""
    return InProcess()
