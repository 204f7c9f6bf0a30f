"""What is remembered: how it is kept, and that nothing else remembers."""

import json
from pathlib import Path

import pytest

from tests.infra.templates import Template, named, of_type


@pytest.mark.parametrize(
    ("table", "stream", "ttl"),
    [
        ("Catalog", None, None),
        ("Events", "NEW_IMAGE", "ttl"),
        ("Usage", "NEW_IMAGE", "ttl"),
        ("Ledger", "NEW_AND_OLD_IMAGES", "ttl"),
    ],
)
def test_a_table_is_on_demand_recoverable_and_protected(
    data: Template, table: str, stream: str | None, ttl: str | None
) -> None:
    properties = named(data, "AWS::DynamoDB::GlobalTable", table)
    [replica] = properties["Replicas"]
    assert properties["BillingMode"] == "PAY_PER_REQUEST"
    assert [key["AttributeName"] for key in properties["KeySchema"]] == ["pk", "sk"]
    assert replica["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert replica["DeletionProtectionEnabled"] is True
    assert properties.get("StreamSpecification", {}).get("StreamViewType") == stream
    assert properties.get("TimeToLiveSpecification", {}).get("AttributeName") == ttl


def test_only_the_ledger_has_an_index_and_it_holds_keys_only(data: Template) -> None:
    tables = of_type(data, "AWS::DynamoDB::GlobalTable")
    indexes = [i for table in tables.values() for i in table.get("GlobalSecondaryIndexes", ())]
    [due] = indexes
    assert due["IndexName"] == "due"
    assert [key["AttributeName"] for key in due["KeySchema"]] == ["due_shard", "due_at"]
    assert due["Projection"] == {"ProjectionType": "KEYS_ONLY"}


def test_what_is_remembered_stays_when_the_stack_goes(data: Template, assembly: Path) -> None:
    kept = {"AWS::DynamoDB::GlobalTable", "AWS::SecretsManager::Secret", "AWS::S3::Bucket"}
    for resource in data["Resources"].values():
        if resource["Type"] in kept:
            assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == "Retain"
    manifest = json.loads((assembly / "manifest.json").read_text("utf-8"))
    assert manifest["artifacts"]["TaximeterData"]["properties"]["terminationProtection"] is True


def test_a_key_for_signing_is_made_with_the_secret_and_nothing_that_would_make_it_anew_changes(data: Template) -> None:
    [secret] = of_type(data, "AWS::SecretsManager::Secret").values()
    # Written out: with any other value CloudFormation would write the secret anew, the operator's Stripe keys with it.
    assert secret["GenerateSecretString"] == {
        "SecretStringTemplate": '{"stripe_api_key": "", "stripe_webhook_secrets": []}',
        "GenerateStringKey": "signing_key",
        "PasswordLength": 64,
        "ExcludePunctuation": True,
    }
    assert "SecretString" not in secret


def test_nothing_in_the_stack_that_runs_remembers(service: Template) -> None:
    kinds = {resource["Type"] for resource in service["Resources"].values()}
    assert not {kind for kind in kinds if "DynamoDB" in kind or "S3" in kind or "Secret" in kind}
