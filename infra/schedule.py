"""A clock that calls a function: an EventBridge Scheduler schedule that may do only that."""

import json

from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra import grants


class EventEvery(Construct):
    """Calls a function at a rate, telling it the instant that it was called for as `time`."""

    def __init__(
        self,
        scope: Construct,
        identifier: str,
        *,
        function: lambda_.Function,
        rate: str,
        undelivered: sqs.Queue,
    ) -> None:
        """Place the schedule.

        Args:
            scope: Where in the tree.
            identifier: Its name there.
            function: What is called.
            rate: How often, in Scheduler's words ("1 minute").
            undelivered: Where a call goes that could not be made.
        """
        super().__init__(scope, identifier)
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("scheduler.amazonaws.com"))
        invoke = iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=[function.function_arn])
        policy = iam.Policy(self, "Policy", roles=[role], statements=[invoke, grants.to_queue(undelivered)])
        clock = {"source": "schedule", "time": "<aws.scheduler.scheduled-time>"}
        schedule = scheduler.CfnSchedule(
            self,
            "Schedule",
            schedule_expression=f"rate({rate})",
            flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
            target=scheduler.CfnSchedule.TargetProperty(
                arn=function.function_arn,
                role_arn=role.role_arn,
                input=json.dumps(clock),
                # The next call makes up for a lost one, so there is no use in trying for a day.
                retry_policy=scheduler.CfnSchedule.RetryPolicyProperty(
                    maximum_event_age_in_seconds=300, maximum_retry_attempts=2
                ),
                dead_letter_config=scheduler.CfnSchedule.DeadLetterConfigProperty(arn=undelivered.queue_arn),
            ),
        )
        schedule.node.add_dependency(policy)
