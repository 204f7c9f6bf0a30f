"""Deploy the synthesised template to the local cloud, as `cdk deploy` does it to AWS."""

import io
import json
import subprocess
import sys
import time
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from infra.local import assembly

ACCOUNT = "000000000000"
REGION = "us-east-1"

# In a process of its own: the CDK library keeps a Node process for as long as its own process lives.
_SYNTHESIS = """
import json, pathlib, sys
from infra.app import synthesise
synthesise(json.loads(sys.argv[1]), pathlib.Path(sys.argv[2]))
"""


@cache
def client(service: str, endpoint_url: str) -> Any:  # noqa: ANN401 - boto3 makes its clients at run time
    """A boto3 client as the emulated account's root, whatever credentials and profiles the machine has.

    Made once: to make one takes longer than any of its calls.
    """
    return boto3.Session(
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 - the emulator's own root, not a secret
        region_name=REGION,
    ).client(
        service,  # type: ignore[call-overload]  # any service, by name
        endpoint_url=endpoint_url,
        # No retry that would hide a fault, and time for a cold function.
        config=Config(retries={"total_max_attempts": 1}, read_timeout=120, connect_timeout=5),
    )


def synthesise(context: Mapping[str, object], folder: Path, environment: Mapping[str, str]) -> None:
    """Write the cloud assembly for a context to `folder`.

    Raises:
        RuntimeError: The synthesis failed; what it said is told.
    """
    done = subprocess.run(  # noqa: S603 - our own module, no shell
        [sys.executable, "-c", _SYNTHESIS, json.dumps(dict(context)), str(folder)],
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        message = f"the synthesis failed:\n{done.stdout}{done.stderr}"
        raise RuntimeError(message)


def deploy(folder: Path, endpoint_url: str) -> dict[str, str]:
    """Upload the assembly's assets and create its stacks, each after those that it needs.

    Returns:
        The outputs of all stacks by their keys.

    Raises:
        RuntimeError: A stack could not be created; the reasons are told.
    """
    synthesised = assembly.read(folder, ACCOUNT, REGION)
    storage = client("s3", endpoint_url)
    for bucket in sorted({asset.bucket for asset in synthesised.assets}):
        storage.create_bucket(Bucket=bucket)
    for asset in synthesised.assets:
        body = _zipped(asset.source) if asset.zipped else asset.source.read_bytes()
        storage.put_object(Bucket=asset.bucket, Key=asset.key, Body=body)
    outputs: dict[str, str] = {}
    for stack in synthesised.stacks:
        outputs |= _create(stack, endpoint_url)
    return outputs


def _zipped(folder: Path) -> bytes:
    """The folder as an archive, not compressed: it only travels from one process to the next."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED, strict_timestamps=False) as target:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                target.write(path, path.relative_to(folder).as_posix())
    return archive.getvalue()


def _create(stack: assembly.Stack, endpoint_url: str) -> dict[str, str]:
    formation = client("cloudformation", endpoint_url)
    formation.create_stack(
        StackName=stack.name,
        TemplateURL=f"{endpoint_url}/{stack.bucket}/{stack.key}",
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"],
    )
    while True:
        state = formation.describe_stacks(StackName=stack.name)["Stacks"][0]
        if not state["StackStatus"].endswith("_IN_PROGRESS"):
            break
        time.sleep(0.05)
    if state["StackStatus"] != "CREATE_COMPLETE":
        reasons = [
            f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')}"
            for event in formation.describe_stack_events(StackName=stack.name)["StackEvents"]
            if event["ResourceStatus"].endswith("_FAILED")
        ]
        message = "\n".join([f"{stack.name} is {state['StackStatus']}:", *reasons])
        raise RuntimeError(message)
    return {output["OutputKey"]: output["OutputValue"] for output in state.get("Outputs", [])}
