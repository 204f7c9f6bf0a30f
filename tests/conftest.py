"""What all tests share: one local cloud for the whole run, started when the first test asks for it."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from infra.local.cloud import Cloud


DEEP_SECONDS = 900

# How long an example takes says nothing where others run beside it. How many are tried, metering/conftest.py says.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give deep tests more time than `timeout` in pyproject.toml, where they do not say how much they need."""
    for item in items:
        if item.get_closest_marker("deep") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(DEEP_SECONDS))


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Cloud"]:
    """The synthesised template on a local cloud with IAM evaluation on; tests keep apart by their customers."""
    from infra.local import cloud as clouds
    from infra.local.processes import free_port

    home: Path = tmp_path_factory.mktemp("cloud")
    port = free_port()
    try:
        yield clouds.start(port, home=home)
    finally:
        clouds.stop(port, home=home)
