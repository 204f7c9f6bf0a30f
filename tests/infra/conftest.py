"""The templates that the tests of infra/ look at, synthesised once."""

import fcntl
import os
from pathlib import Path
from typing import Any

import pytest

from infra.app import synthesise
from tests.infra.templates import Template, read


@pytest.fixture(scope="session")
def asset_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stand-in for the built asset: what a template says does not depend on it."""
    folder = tmp_path_factory.mktemp("asset")
    (folder / "handlers.py").write_text("", encoding="utf-8")
    return folder


def synthesised(name: str, context: dict[str, Any], factory: pytest.TempPathFactory) -> Path:
    """The assembly of that name, which the first of the run's processes makes and the others find."""
    base = factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = shared / f"{name}.made"
        if not made.exists():
            synthesise(context, shared / name)
            made.touch()
    return shared / name


@pytest.fixture(scope="session")
def assembly(tmp_path_factory: pytest.TempPathFactory, asset_directory: Path) -> Path:
    """The cloud assembly for AWS, as cdk.json has it."""
    context = {"asset_directory": str(asset_directory)}
    return synthesised("aws", context, tmp_path_factory)


@pytest.fixture(scope="session")
def local_assembly(tmp_path_factory: pytest.TempPathFactory, asset_directory: Path) -> Path:
    """The cloud assembly for the local cloud."""
    context = {
        "local": True,
        "stripe_url": "http://127.0.0.1:1",
        "api_url": "http://127.0.0.1:4566/_aws/execute-api",
        "top_up_delay_seconds": 1,
        "asset_directory": str(asset_directory),
    }
    return synthesised("local", context, tmp_path_factory)


@pytest.fixture(scope="session")
def data(assembly: Path) -> Template:
    return read(assembly, "TaximeterData")


@pytest.fixture(scope="session")
def service(assembly: Path) -> Template:
    return read(assembly, "TaximeterService")


@pytest.fixture(scope="session")
def local_data(local_assembly: Path) -> Template:
    return read(local_assembly, "TaximeterData")


@pytest.fixture(scope="session")
def local_service(local_assembly: Path) -> Template:
    return read(local_assembly, "TaximeterService")
