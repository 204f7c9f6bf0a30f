"""Findings of cdk-nag that stay, each said where it arises and why."""

import json

from aws_cdk import Acknowledgment, Stack, Validations
from aws_cdk import aws_s3 as s3
from constructs import IConstruct


def acknowledge(construct: IConstruct, rule: str, reason: str) -> None:
    """Keep a finding of the AWS Solutions pack on a construct and what is below it.

    Args:
        construct: What it was found on.
        rule: Its identifier as cdk-nag prints it ("AwsSolutions-S1").
        reason: Why it stays.
    """
    Validations.of(construct).acknowledge(Acknowledgment(id=f"AwsSolutions::{rule}", reason=reason))


def every_object_in(failed_records: s3.Bucket) -> str:
    """The rule against naming all objects of the bucket of failed records, and of no other.

    cdk-nag knows a bucket of another stack by the output that carries its ARN over.
    """
    reference = {
        "StackName": Stack.of(failed_records).stack_name,
        "Region": {"Ref": "AWS::Region"},
        "OutputName": "PublishOutputFnGetAttFailedRecordsDEC8AD7EArnAC7AD3E9",
    }
    bucket = json.dumps({"Fn::GetStackOutput": reference}, separators=(",", ":"))
    return f"AwsSolutions-IAM5[Resource::{bucket}/*]"
