"""The templates that the tests of infra/ look at, synthesised once."""

from pathlib import Path

import pytest

from infra.app import synthesise
from tests.infra.templates import Template, read


@pytest.fixture(scope="session")
def asset_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stand-in for the built asset: what a template says does not depend on it."""
    folder = tmp_path_factory.mktemp("asset")
    (folder / "handlers.py").write_text("", encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def assembly(tmp_path_factory: pytest.TempPathFactory, asset_directory: Path) -> Path:
    """The cloud assembly for AWS, as cdk.json has it."""
    context = {"asset_directory": str(asset_directory)}
    return synthesise(context, tmp_path_factory.mktemp("aws"))


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
    return synthesise(context, tmp_path_factory.mktemp("local"))


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
