"""How functions tell each other: queues, the bus, the topic of alerts, and their dead letters."""

from aws_cdk import CfnOutput, Duration, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.settings import Settings


class Messages(Construct):
    """One queue for each kind of work, the bus of domain events, and where failures end."""

    def __init__(self, scope: Construct, settings: Settings) -> None:
        super().__init__(scope, "Messages")
        # What a schedule, a rule or an asynchronous invocation could not deliver at all.
        self.undelivered = self._dead_letters("Undelivered")
        self.dead_letters = [self.undelivered]
        self.rate = self._queue("Rate", function_timeout_seconds=120)
        self.refresh = self._queue("Refresh", function_timeout_seconds=120)
        self.invoice = self._queue("Invoice", function_timeout_seconds=120)
        self.collect = self._queue("Collect", function_timeout_seconds=60)
        self.top_up = self._queue("TopUp", function_timeout_seconds=60, delay_seconds=settings.top_up_delay_seconds)
        self.notify = self._queue("Notify", function_timeout_seconds=60)
        self.bus = events.EventBus(self, "Bus", event_bus_name=settings.name)
        self.alerts = sns.Topic(self, "Alerts", display_name=f"{settings.name} alerts", enforce_ssl=True)
        CfnOutput(Stack.of(self), "BusName", value=self.bus.event_bus_name)
        CfnOutput(Stack.of(self), "AlertTopicArn", value=self.alerts.topic_arn)

    def _queue(self, name: str, *, function_timeout_seconds: int, delay_seconds: int = 0) -> sqs.Queue:
        """A queue whose messages get five tries, each hidden six times its function's timeout."""
        dead_letters = self._dead_letters(f"{name}Dead")
        self.dead_letters.append(dead_letters)
        queue = sqs.Queue(
            self,
            name,
            delivery_delay=Duration.seconds(delay_seconds),
            visibility_timeout=Duration.seconds(6 * function_timeout_seconds),
            retention_period=Duration.days(14),
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            dead_letter_queue=sqs.DeadLetterQueue(queue=dead_letters, max_receive_count=5),
        )
        CfnOutput(Stack.of(self), f"{name}QueueUrl", value=queue.queue_url)
        return queue

    def _dead_letters(self, name: str) -> sqs.Queue:
        return sqs.Queue(
            self,
            name,
            retention_period=Duration.days(14),
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
        )
