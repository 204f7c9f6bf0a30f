"""What runs: every function and what calls it. Nothing in this stack remembers anything."""

from aws_cdk import CfnOutput, DefaultStackSynthesizer, Stack
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.api import Api
from infra.data import Data
from infra.function import Shared
from infra.messages import Messages
from infra.money import Money
from infra.pipeline import Pipeline
from infra.settings import Settings
from infra.watch import Watch
from infra.webhooks import Webhooks


class Service(Stack):
    """The stateless stack."""

    def __init__(
        self,
        scope: Construct,
        identifier: str,
        settings: Settings,
        code: lambda_.Code,
        data: Data,
    ) -> None:
        super().__init__(
            scope,
            identifier,
            description="Taximeter: what runs",
            synthesizer=DefaultStackSynthesizer(generate_bootstrap_version_rule=not settings.local),
        )
        shared = Shared(settings=settings, code=code, data=data)
        self.messages = Messages(self, settings)
        self.pipeline = Pipeline(self, shared, self.messages)
        self.money = Money(self, shared, self.messages, self.pipeline)
        self.webhooks = Webhooks(self, shared, self.messages)
        self.api = Api(self, shared, self.messages, self.pipeline, self.money)
        self.functions = [
            *self.pipeline.functions,
            *self.money.functions,
            *self.webhooks.functions,
            *self.api.functions,
        ]
        for function in self.functions:
            CfnOutput(self, f"{function.title}Function", value=function.function_name)
        Watch(
            self,
            settings,
            functions=self.functions,
            consumers=self.pipeline.consumers,
            counting={
                "ParkedRecords": [*self.pipeline.parking, *self.money.parking, self.webhooks.notify],
                "UnreadableCustomers": [self.pipeline.ingest, self.api.api],
                "MessagesWaiting": [self.money.top_up, self.money.collect, self.webhooks.notify],
                "WebhooksFailed": [self.webhooks.notify],
            },
            dead_letters=self.messages.dead_letters,
        )
