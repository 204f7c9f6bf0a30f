"""What a function may do, said in full: actions by name, resources by their own ARN."""

from aws_cdk import Fn
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs

from infra.data import DUE_INDEX

READ = ("GetItem", "BatchGetItem", "Query")
# A transaction of puts is allowed by PutItem: there is nothing else in ours, and no update.
SETTLE = (*READ, "PutItem")
# A window is written with its chunks, and those that it no longer names are removed.
WINDOWS = (*READ, "PutItem", "BatchWriteItem", "DeleteItem")


def on_table(table: dynamodb.TableV2, *actions: str) -> iam.PolicyStatement:
    """Some of DynamoDB's actions on one table, without its indexes."""
    return iam.PolicyStatement(actions=[f"dynamodb:{action}" for action in actions], resources=[table.table_arn])


def on_due_index(ledger: dynamodb.TableV2) -> iam.PolicyStatement:
    """Asking which wallets are due."""
    index = Fn.join("/", [ledger.table_arn, "index", DUE_INDEX])
    return iam.PolicyStatement(actions=["dynamodb:Query"], resources=[index])


def to_stream(stream_arn: str) -> iam.PolicyStatement:
    """What Lambda does on a function's behalf to feed it from a table's stream."""
    return iam.PolicyStatement(
        actions=[
            "dynamodb:DescribeStream",
            "dynamodb:GetRecords",
            "dynamodb:GetShardIterator",
            "dynamodb:ListStreams",
        ],
        resources=[stream_arn],
    )


def to_failed_records(bucket: s3.Bucket) -> list[iam.PolicyStatement]:
    """What Lambda does on a function's behalf with a batch that failed to the end.

    Lambda names the objects, so this is the one place where a resource is not named in full.
    """
    return [
        iam.PolicyStatement(actions=["s3:ListBucket"], resources=[bucket.bucket_arn]),
        iam.PolicyStatement(actions=["s3:PutObject"], resources=[bucket.arn_for_objects("*")]),
    ]


def from_queue(queue: sqs.IQueue) -> iam.PolicyStatement:
    """What Lambda does on a function's behalf to feed it from a queue."""
    return iam.PolicyStatement(
        actions=["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"],
        resources=[queue.queue_arn],
    )


def to_queue(*queues: sqs.IQueue) -> iam.PolicyStatement:
    """Sending to some queues."""
    return iam.PolicyStatement(actions=["sqs:SendMessage"], resources=[queue.queue_arn for queue in queues])


def to_bus(bus: events.IEventBus) -> iam.PolicyStatement:
    """Publishing on a bus."""
    return iam.PolicyStatement(actions=["events:PutEvents"], resources=[bus.event_bus_arn])


def to_topic(topic: sns.ITopic) -> iam.PolicyStatement:
    """Publishing on a topic."""
    return iam.PolicyStatement(actions=["sns:Publish"], resources=[topic.topic_arn])


def on_metrics() -> iam.PolicyStatement:
    """Reading metrics: CloudWatch knows no narrower resource for it."""
    return iam.PolicyStatement(actions=["cloudwatch:GetMetricData"], resources=["*"])


def on_secret(secret_arn: str) -> iam.PolicyStatement:
    """Reading a secret."""
    return iam.PolicyStatement(actions=["secretsmanager:GetSecretValue"], resources=[secret_arn])
