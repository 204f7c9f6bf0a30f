"""What is deployed can be imported where there is nothing but Lambda's own boto3 beside it."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from infra import asset

ROOT = Path(__file__).parents[2]
NAMES = sorted(path.stem for path in (ROOT / "functions" / "handlers").glob("[!_]*.py"))
# What the Lambda runtime brings along: boto3 and what it needs.
LAMBDAS_OWN = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six", "urllib3")

IMPORT_ALL = """
import importlib, json, sys
sys.path[:0] = json.loads(sys.argv[1])
for name in json.loads(sys.argv[2]):
    importlib.import_module(f"handlers.{name}").handler
"""


@pytest.fixture(scope="module")
def lambdas_own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runtime")
    for name in LAMBDAS_OWN:
        found = importlib.util.find_spec(name)
        assert found is not None
        assert found.origin is not None
        origin = Path(found.origin)
        source = origin.parent if origin.name == "__init__.py" else origin
        (folder / source.name).symlink_to(source)
    return folder


def test_every_function_finds_all_that_it_imports_in_the_asset(lambdas_own: Path) -> None:
    path = [str(asset.build("local")), str(lambdas_own)]
    command = [sys.executable, "-I", "-S", "-c", IMPORT_ALL, json.dumps(path), json.dumps(NAMES)]

    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own words, no shell

    assert done.returncode == 0, done.stderr


def test_what_is_missing_would_be_noticed(lambdas_own: Path) -> None:
    command = [sys.executable, "-I", "-S", "-c", IMPORT_ALL, json.dumps([str(lambdas_own)]), json.dumps(NAMES)]

    assert subprocess.run(command, capture_output=True, check=False).returncode != 0  # noqa: S603 - likewise
