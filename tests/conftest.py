"""What all tests share: one local cloud for the whole run, started when the first test asks for it."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from infra.local.cloud import Cloud


DEEP_SECONDS = 900

# How often properties are tried. The first two try the same examples every time, so that a red run is red for everyone;
# CI takes the second. The last one looks for new ones. How long an example takes says nothing: others run beside it.
for profile, examples, repeatable in (("quick", 30, True), ("thorough", 200, True), ("deep", 2_000, False)):
    settings.register_profile(
        profile,
        max_examples=examples,
        derandomize=repeatable,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


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
