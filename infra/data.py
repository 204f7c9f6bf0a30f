"""What is remembered: the tables, Stripe's secret and the records that no consumer could take.

A stack of its own, so that no change of code can replace or delete it.
"""

from aws_cdk import (
    CfnOutput,
    DefaultStackSynthesizer,
    Duration,
    RemovalPolicy,
    Stack,
)
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from infra.findings import acknowledge
from infra.settings import Settings

_PARTITION = dynamodb.Attribute(name="pk", type=dynamodb.AttributeType.STRING)
_SORT = dynamodb.Attribute(name="sk", type=dynamodb.AttributeType.STRING)

# The sparse index of wallets by the instant at which they can next change by themselves.
DUE_INDEX = "due"


class Data(Stack):
    """The stateful stack: kept when the stack goes, everywhere but on the local cloud."""

    def __init__(self, scope: Construct, identifier: str, settings: Settings) -> None:
        super().__init__(
            scope,
            identifier,
            description="Taximeter: what is remembered",
            termination_protection=not settings.local,
            synthesizer=DefaultStackSynthesizer(generate_bootstrap_version_rule=not settings.local),
        )
        self._settings = settings
        self._removal = RemovalPolicy.DESTROY if settings.local else RemovalPolicy.RETAIN
        new_image = dynamodb.StreamViewType.NEW_IMAGE
        both_images = dynamodb.StreamViewType.NEW_AND_OLD_IMAGES
        self.catalog = self._table("Catalog")
        self.events = self._table("Events", stream=new_image, expires=True)
        self.usage = self._table("Usage", stream=new_image, expires=True)
        self.ledger = self._table("Ledger", stream=both_images, expires=True)
        self.ledger.add_global_secondary_index(
            index_name=DUE_INDEX,
            partition_key=dynamodb.Attribute(name="due_shard", type=dynamodb.AttributeType.STRING),
            sort_key=dynamodb.Attribute(name="due_at", type=dynamodb.AttributeType.NUMBER),
            projection_type=dynamodb.ProjectionType.KEYS_ONLY,
        )
        self.stripe_secret_arn = self._stripe_secret()
        self.failed_records = self._failed_records()

    def _table(
        self,
        name: str,
        *,
        stream: dynamodb.StreamViewType | None = None,
        expires: bool = False,
    ) -> dynamodb.TableV2:
        table = dynamodb.TableV2(
            self,
            name,
            partition_key=_PARTITION,
            sort_key=_SORT,
            billing=dynamodb.Billing.on_demand(),
            dynamo_stream=stream,
            time_to_live_attribute="ttl" if expires else None,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            deletion_protection=not self._settings.local,
            removal_policy=self._removal,
        )
        CfnOutput(self, f"{name}Table", value=table.table_name)
        return table

    def _stripe_secret(self) -> str:
        """The ARN of the secret that holds Stripe's keys, and the key that our own webhooks are signed with.

        Only the last is made here. CloudFormation writes the secret anew, and with it what the operator put there,
        whenever one of the properties below changes: they never do.
        """
        secret = secretsmanager.CfnSecret(
            self,
            "Stripe",
            description="Stripe: {stripe_api_key, stripe_webhook_secrets: [...]}; webhooks: signing_key, which stays",
            generate_secret_string=secretsmanager.CfnSecret.GenerateSecretStringProperty(
                # Empty fields that the operator fills: nothing secret is in the template.
                secret_string_template='{"stripe_api_key": "", "stripe_webhook_secrets": []}',  # noqa: S106 - no secret
                generate_string_key="signing_key",
                password_length=64,
                exclude_punctuation=True,
            ),
        )
        secret.apply_removal_policy(self._removal)
        acknowledge(
            secret,
            "AwsSolutions-SMG4",
            "Only Stripe can make its keys; the operator puts a new one here. Another signing key would change every "
            "endpoint's secret at once",
        )
        CfnOutput(self, "StripeSecretArn", value=secret.attr_id)
        return secret.attr_id

    def _failed_records(self) -> s3.Bucket:
        """Where Lambda puts a batch, records and all, that its consumer failed on to the end."""
        bucket = s3.Bucket(
            self,
            "FailedRecords",
            encryption=s3.BucketEncryption.S3_MANAGED,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            enforce_ssl=True,
            removal_policy=self._removal,
            lifecycle_rules=[s3.LifecycleRule(expiration=Duration.days(90))],
        )
        acknowledge(
            bucket,
            "AwsSolutions-S1",
            "Only Lambda writes here, and only when a consumer failed to the end",
        )
        CfnOutput(self, "FailedRecordsBucket", value=bucket.bucket_name)
        return bucket
