"""The checks on the templates: that they find nothing, and that they would find something."""

import json
import subprocess
import sys
from pathlib import Path

import aws_cdk as cdk
import pytest
from aws_cdk import aws_s3 as s3

from infra.app import build

ROOT = Path(__file__).parents[2]


def lint(*templates: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("cfn-lint")
    return subprocess.run(  # noqa: S603 - our own command, no shell
        [program, *templates],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_app_has_no_finding_and_every_one_that_is_kept_has_its_reason(assembly: Path) -> None:
    report = json.loads((assembly / "validation-report.json").read_text("utf-8"))
    [solutions] = [r for r in report["pluginReports"] if r["pluginName"] == "AwsSolutions"]
    assert solutions["conclusion"] == "success"
    assert solutions["violations"] == []
    kept = {violation["ruleName"].partition("[")[0] for violation in solutions["suppressedViolations"]}
    assert kept == {
        "AwsSolutions-APIG4",
        "AwsSolutions-IAM5",
        "AwsSolutions-L1",
        "AwsSolutions-S1",
        "AwsSolutions-SMG4",
    }


def test_a_finding_fails_the_synthesis(tmp_path: Path, asset_directory: Path) -> None:
    app = build({"asset_directory": str(asset_directory)}, tmp_path)
    data = app.node.find_child("TaximeterData")
    assert isinstance(data, cdk.Stack)
    s3.Bucket(data, "Planted")
    with pytest.raises(RuntimeError, match="AwsSolutions-S1"):
        app.synth()
    assert "TaximeterData/Planted" in (tmp_path / "validation-report.json").read_text("utf-8")


@pytest.mark.deep
def test_cfn_lint_has_nothing_to_say(assembly: Path, local_assembly: Path) -> None:
    templates = [*assembly.glob("*.template.json"), *local_assembly.glob("*.template.json")]
    assert len(templates) == 4
    result = lint(*templates)
    assert (result.returncode, result.stdout) == (0, "")


def test_cfn_lint_says_so_when_a_template_is_wrong(tmp_path: Path) -> None:
    template = {"Resources": {"Planted": {"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeOut": 30}}}}
    wrong = tmp_path / "wrong.template.json"
    wrong.write_text(json.dumps(template), encoding="utf-8")
    result = lint(wrong)
    assert result.returncode != 0
    assert "VisibilityTimeOut" in result.stdout
