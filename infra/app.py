"""Which stacks there are, and their synthesis: no account, no network, no Docker.

`python -m infra.app` writes the cloud assembly and fails on any finding; `cdk deploy` calls it too.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from cdk_nag import AwsSolutionsChecks

from infra import asset, settings
from infra.data import Data
from infra.service import Service

_ROOT = Path(__file__).parent.parent


def synthesise(context: Mapping[str, Any], outdir: Path) -> Path:
    """Write the cloud assembly of a deployment.

    Args:
        context: What differs from the context in cdk.json.
        outdir: The folder to write to; made when it is not there.

    Returns:
        The folder: `manifest.json` lists the stacks in the order of their dependencies.

    Raises:
        RuntimeError: A check has a finding, or the tree cannot be synthesised.
    """
    build(context, outdir).synth()
    return outdir


def build(context: Mapping[str, Any], outdir: Path) -> cdk.App:
    """The construct tree of a deployment, with its checks, not yet synthesised.

    The command line's `-c key=value` has precedence over `context`.
    """
    defaults = json.loads((_ROOT / "cdk.json").read_text(encoding="utf-8"))["context"]
    local = context.get("local") is True
    app = cdk.App(
        # The local cloud reads the asset where it was built.
        context={**defaults, "aws:cdk:disable-asset-staging": local, **context},
        outdir=str(outdir),
        analytics_reporting=False,
        # What only helps to find a finding costs the local cloud a second or more each.
        builtin_cloud_formation_validation=not local,
        stack_traces=not local,
        tree_metadata=not local,
    )
    chosen = settings.read(app.node)
    data = Data(app, f"{chosen.name}Data", chosen)
    Service(app, f"{chosen.name}Service", chosen, _code(chosen), data)
    if not chosen.local:
        cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    return app


def _code(chosen: settings.Settings) -> lambda_.Code:
    if chosen.asset_directory:
        return lambda_.Code.from_asset(str(chosen.asset_directory))
    directory = asset.build("local" if chosen.local else "lambda")
    # The folder's name is the hash of all that it was built from: no need to read it again.
    return lambda_.Code.from_asset(str(directory), asset_hash=directory.name)


if __name__ == "__main__":
    synthesise({}, Path(os.environ.get("CDK_OUTDIR", "cdk.out")))
