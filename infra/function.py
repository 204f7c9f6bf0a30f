"""A function of ours: the one place that says what all of them have in common."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra import grants
from infra.data import Data
from infra.findings import acknowledge, every_object_in
from infra.settings import Settings


@dataclass(frozen=True, slots=True)
class Shared:
    """What every function is given: the deployment's settings, the one asset, the tables."""

    settings: Settings
    code: lambda_.Code
    data: Data

    def environment(self, name: str) -> dict[str, str]:
        """The environment that the function of this name has in common with the others."""
        settings, data = self.settings, self.data
        values = {
            "CATALOG_TABLE": data.catalog.table_name,
            "EVENTS_TABLE": data.events.table_name,
            "USAGE_TABLE": data.usage.table_name,
            "LEDGER_TABLE": data.ledger.table_name,
            "ACCEPT_PAST": settings.accept_past,
            "ACCEPT_FUTURE": settings.accept_future,
            "GRACE": settings.grace,
            "ISSUER": json.dumps(settings.issuer, sort_keys=True),
            "POWERTOOLS_SERVICE_NAME": name,
            "POWERTOOLS_METRICS_NAMESPACE": settings.name,
            "POWERTOOLS_LOG_LEVEL": "INFO",
        }
        return values | {"LOCAL_CLOCK": "stored", "LOCAL_WEBHOOKS": "loopback"} if settings.local else values


class OurFunction(lambda_.Function):
    """One file of functions/handlers on Lambda, with its own role and its own log group."""

    def __init__(  # noqa: PLR0913 - one keyword for each choice reads better than a bag of them
        self,
        scope: Construct,
        name: str,
        shared: Shared,
        *,
        description: str,
        memory_megabytes: int,
        timeout_seconds: int,
        may: Sequence[iam.PolicyStatement],
        environment: Mapping[str, str] | None = None,
        dead_letters: sqs.Queue | None = None,
    ) -> None:
        """Place `handlers.<name>.handler`.

        Args:
            scope: Where in the tree.
            name: The handler's file, without `.py`.
            shared: What all functions have in common.
            description: What it does, for the console.
            memory_megabytes: Memory, and processor in proportion.
            timeout_seconds: When Lambda ends an invocation.
            may: All that its role allows beside writing its own log.
            environment: What only this function is told.
            dead_letters: Where an asynchronous invocation goes that failed to the end.
        """
        title = name.title().replace("_", "")
        function_name = f"{shared.settings.name}-{name}"
        log = _log(scope, f"{title}Log", function_name)
        role = iam.Role(scope, f"{title}Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        super().__init__(
            scope,
            title,
            function_name=function_name,
            description=description,
            code=shared.code,
            handler=f"handlers.{name}.handler",
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=lambda_.Architecture.ARM_64,
            memory_size=memory_megabytes,
            timeout=Duration.seconds(timeout_seconds),
            role=role,
            environment={**shared.environment(name), **(environment or {})},
            log_group=log,
            logging_format=lambda_.LoggingFormat.JSON,
            # START, END and REPORT lines cost more than the invocations that they describe.
            system_log_level_v2=lambda_.SystemLogLevel.WARN,
            application_log_level_v2=lambda_.ApplicationLogLevel.INFO,
            dead_letter_queue=dead_letters,
        )
        acknowledge(
            self,
            "AwsSolutions-L1",
            "The asset's wheels and byte-code are made for Python 3.13; newer comes with a release",
        )
        self.service = name
        self.title = title
        self.owned_role = role
        for statement in (_log_statement(log), *may):
            self.add_to_role_policy(statement)

    def consume_stream(self, stream_arn: str, pattern: Mapping[str, object], shared: Shared) -> None:
        """Feed the function from a table's stream, in order, what the pattern lets through.

        A record that cannot be processed is parked by the function; the bounded retries, the
        bisecting and the bucket are the second net, for what it could not even park.
        """
        for statement in (
            grants.to_stream(stream_arn),
            *grants.to_failed_records(shared.data.failed_records),
        ):
            self.add_to_role_policy(statement)
        acknowledge(
            self.owned_role,
            every_object_in(shared.data.failed_records),
            "Lambda names the objects in the bucket of failed records, which holds nothing else",
        )
        mapping = lambda_.CfnEventSourceMapping(
            self,
            "Stream",
            function_name=self.function_name,
            event_source_arn=stream_arn,
            starting_position="TRIM_HORIZON",
            batch_size=500,
            maximum_batching_window_in_seconds=shared.settings.freshness_seconds,
            bisect_batch_on_function_error=True,
            maximum_retry_attempts=10,
            maximum_record_age_in_seconds=int(Duration.hours(12).to_seconds()),
            filter_criteria=lambda_.CfnEventSourceMapping.FilterCriteriaProperty(
                filters=[lambda_.CfnEventSourceMapping.FilterProperty(pattern=json.dumps(pattern))]
            ),
            destination_config=lambda_.CfnEventSourceMapping.DestinationConfigProperty(
                on_failure=lambda_.CfnEventSourceMapping.OnFailureProperty(
                    destination=shared.data.failed_records.bucket_arn
                )
            ),
        )
        # Lambda checks the role's rights when the mapping is made.
        mapping.node.add_dependency(self.owned_role)

    def consume_queue(
        self, queue: sqs.Queue, *, most_at_once: int, batch_size: int = 1, gathering_seconds: int = 0
    ) -> None:
        """Feed the function from a queue, one message an invocation if nothing else is said."""
        self.add_to_role_policy(grants.from_queue(queue))
        mapping = lambda_.CfnEventSourceMapping(
            self,
            "Queue",
            function_name=self.function_name,
            event_source_arn=queue.queue_arn,
            batch_size=batch_size,
            maximum_batching_window_in_seconds=gathering_seconds or None,
            scaling_config=lambda_.CfnEventSourceMapping.ScalingConfigProperty(maximum_concurrency=most_at_once),
        )
        mapping.node.add_dependency(self.owned_role)


def _log(scope: Construct, identifier: str, function_name: str) -> logs.LogGroup:
    return logs.LogGroup(
        scope,
        identifier,
        log_group_name=f"/aws/lambda/{function_name}",
        retention=logs.RetentionDays.ONE_MONTH,
        removal_policy=RemovalPolicy.DESTROY,
    )


def _log_statement(log: logs.LogGroup) -> iam.PolicyStatement:
    """A log group's ARN ends with `:*`, which is its streams; Lambda names those."""
    return iam.PolicyStatement(actions=["logs:CreateLogStream", "logs:PutLogEvents"], resources=[log.log_group_arn])
