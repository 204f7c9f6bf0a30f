"""What follows from a wallet: alerts, top-ups, invoices and their collection through Stripe."""

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra import grants
from infra.findings import acknowledge
from infra.function import OurFunction, Shared
from infra.messages import Messages
from infra.pipeline import Pipeline, settling
from infra.schedule import EventEvery


class Money(Construct):
    """The functions that alert, charge, invoice and collect."""

    def __init__(self, scope: Construct, shared: Shared, messages: Messages, pipeline: Pipeline) -> None:
        super().__init__(scope, "Money")
        self._shared = shared
        self._messages = messages
        self._pipeline = pipeline
        self.alert = self._alert()
        self.top_up = self._top_up()
        self.invoice = self._invoice()
        self.collect = self._collect()
        self.stripe_webhook = self._stripe_webhook()
        self.stripe_events = self._stripe_events()
        self.parking = [self.top_up, self.invoice, self.collect]
        self.functions = [
            self.alert,
            self.top_up,
            self.invoice,
            self.collect,
            self.stripe_webhook,
            self.stripe_events,
        ]

    def _alert(self) -> OurFunction:
        topic = self._messages.alerts
        alert = OurFunction(
            self,
            "alert",
            self._shared,
            description="Tells the topic what a person has to look at",
            memory_megabytes=256,
            timeout_seconds=30,
            may=[grants.to_topic(topic)],
            environment={"ALERT_TOPIC_ARN": topic.topic_arn},
            dead_letters=self._messages.undelivered,
        )
        for detail_type in (
            *("balance.low", "webhook_endpoint.disabled"),
            *("top_up.failed", "top_up.action_required", "invoice.payment_failed"),
        ):
            self._rule(detail_type).add_target(
                targets.LambdaFunction(
                    alert,
                    dead_letter_queue=self._messages.undelivered,
                    retry_attempts=20,
                    max_event_age=Duration.hours(12),
                )
            )
        return alert

    def _top_up(self) -> OurFunction:
        queue = self._messages.top_up
        top_up = OurFunction(
            self,
            "top_up",
            self._shared,
            description="Charges a top-up through Stripe and grants its credit",
            memory_megabytes=512,
            timeout_seconds=60,
            may=[
                *settling(self._shared),
                grants.on_secret(self._shared.data.stripe_secret_arn),
                grants.to_queue(queue, self._messages.collect),
            ],
            environment={
                **stripe_environment(self._shared),
                "TOP_UP_QUEUE_URL": queue.queue_url,
                "COLLECT_QUEUE_URL": self._messages.collect.queue_url,
            },
        )
        # As many as together stay below Stripe's calls a second (handlers/_live.py).
        top_up.consume_queue(queue, most_at_once=5)
        self._queue_on("top_up.requested", queue)
        return top_up

    def _invoice(self) -> OurFunction:
        messages = self._messages
        invoice = OurFunction(
            self,
            "invoice",
            self._shared,
            description="Closes periods, finalises invoices, re-announces what stood still",
            memory_megabytes=1024,
            timeout_seconds=120,
            may=[
                *settling(self._shared),
                grants.on_due_index(self._shared.data.ledger),
                grants.to_queue(messages.invoice, messages.top_up, messages.collect),
                grants.on_metrics(),
            ],
            environment={
                "STREAM_CONSUMERS": ",".join(function.function_name for function in self._pipeline.parking),
                "INVOICE_QUEUE_URL": messages.invoice.queue_url,
                "TOP_UP_QUEUE_URL": messages.top_up.queue_url,
                "COLLECT_QUEUE_URL": messages.collect.queue_url,
            },
            dead_letters=messages.undelivered,
        )
        assert invoice.role is not None  # noqa: S101 - every function of ours has one
        reason = "CloudWatch's GetMetricData, which only reads, knows no narrower resource"
        acknowledge(invoice.role, "AwsSolutions-IAM5[Resource::*]", reason)
        invoice.consume_queue(messages.invoice, most_at_once=10)
        EventEvery(
            self,
            "InvoiceEveryHour",
            function=invoice,
            rate="1 hour",
            undelivered=messages.undelivered,
        )
        return invoice

    def _collect(self) -> OurFunction:
        queue = self._messages.collect
        collect = OurFunction(
            self,
            "collect",
            self._shared,
            description="Collects finalised invoices through Stripe",
            memory_megabytes=512,
            timeout_seconds=60,
            may=[
                *settling(self._shared),  # what is voided at Stripe is voided here, and gives its credits back
                grants.on_secret(self._shared.data.stripe_secret_arn),
                grants.to_queue(queue),
            ],
            environment={**stripe_environment(self._shared), "COLLECT_QUEUE_URL": queue.queue_url},
        )
        collect.consume_queue(queue, most_at_once=5)
        self._queue_on("invoice.finalized", queue)
        self._queue_on("invoice.voided", queue)
        return collect

    def _stripe_webhook(self) -> OurFunction:
        messages = self._messages
        return OurFunction(
            self,
            "stripe_webhook",
            self._shared,
            description="Checks what Stripe sends and queues it",
            memory_megabytes=512,
            timeout_seconds=15,
            may=[
                grants.on_secret(self._shared.data.stripe_secret_arn),
                grants.on_table(self._shared.data.ledger, "PutItem"),
                grants.to_queue(messages.top_up, messages.collect),
            ],
            environment=self._hand_on(),
        )

    def _stripe_events(self) -> OurFunction:
        messages, data = self._messages, self._shared.data
        # Only a local cloud keeps its clock in the catalogue.
        clock = [grants.on_table(data.catalog, "GetItem")] if self._shared.settings.local else []
        function = OurFunction(
            self,
            "stripe_events",
            self._shared,
            description="Hands on what Stripe lists and no webhook brought",
            memory_megabytes=512,
            timeout_seconds=120,
            may=[
                grants.on_secret(data.stripe_secret_arn),
                grants.on_table(data.ledger, "GetItem", "BatchGetItem", "PutItem"),
                grants.to_queue(messages.top_up, messages.collect),
                *clock,
            ],
            environment={**stripe_environment(self._shared), **self._hand_on()},
            dead_letters=messages.undelivered,
        )
        EventEvery(
            self,
            "StripeEventsEveryHour",
            function=function,
            rate="1 hour",
            undelivered=messages.undelivered,
        )
        return function

    def _hand_on(self) -> dict[str, str]:
        """What a function is told that hands on what Stripe has said."""
        return {
            "STRIPE_SECRET_ARN": self._shared.data.stripe_secret_arn,
            "TOP_UP_QUEUE_URL": self._messages.top_up.queue_url,
            "COLLECT_QUEUE_URL": self._messages.collect.queue_url,
        }

    def _rule(self, detail_type: str) -> events.Rule:
        title = detail_type.title().replace(".", "").replace("_", "")
        return events.Rule(
            self,
            f"On{title}",
            event_bus=self._messages.bus,
            event_pattern=events.EventPattern(detail_type=[detail_type]),
        )

    def _queue_on(self, detail_type: str, queue: sqs.Queue) -> None:
        self._rule(detail_type).add_target(
            targets.SqsQueue(
                queue,
                dead_letter_queue=self._messages.undelivered,
                retry_attempts=20,
                max_event_age=Duration.hours(12),
            )
        )


def stripe_environment(shared: Shared) -> dict[str, str]:
    """How to reach Stripe: with which secret and, on the local cloud, where."""
    values = {"STRIPE_SECRET_ARN": shared.data.stripe_secret_arn}
    url = shared.settings.stripe_url
    return values if url is None else values | {"STRIPE_URL": url}
