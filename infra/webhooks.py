"""Who is told of what was announced: webhooks, signed, to endpoints of the operator's."""

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from constructs import Construct

from infra import grants
from infra.function import OurFunction, Shared
from infra.messages import Messages


class Webhooks(Construct):
    """The function that posts webhooks, fed with everything that is on the bus."""

    def __init__(self, scope: Construct, shared: Shared, messages: Messages) -> None:
        super().__init__(scope, "Webhooks")
        self.notify = self._notify(shared, messages)
        self.functions = [self.notify]

    def _notify(self, shared: Shared, messages: Messages) -> OurFunction:
        data, queue = shared.data, messages.notify
        # The local cloud's clock is kept there; on AWS nothing in the catalogue is of any concern here.
        clock = [grants.on_table(data.catalog, "GetItem")] if shared.settings.local else []
        notify = OurFunction(
            self,
            "notify",
            shared,
            description="Posts what was announced to webhook endpoints",
            memory_megabytes=256,
            timeout_seconds=60,
            may=[
                grants.on_table(data.ledger, "GetItem", "Query", "PutItem"),
                grants.on_secret(data.stripe_secret_arn),
                grants.to_queue(queue),
                *clock,
            ],
            environment={"NOTIFY_QUEUE_URL": queue.queue_url, "STRIPE_SECRET_ARN": data.stripe_secret_arn},
        )
        # Calls wait for others' servers most of the time; enough at once that one which hangs does not stop the rest.
        notify.consume_queue(queue, most_at_once=20)
        rule = events.Rule(
            self,
            "OnEverything",
            event_bus=messages.bus,
            event_pattern=events.EventPattern(source=["taximeter"]),
        )
        rule.add_target(
            targets.SqsQueue(
                queue,
                dead_letter_queue=messages.undelivered,
                retry_attempts=20,
                max_event_age=Duration.hours(12),
            )
        )
        return notify
