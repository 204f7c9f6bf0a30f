"""What all tests share: one local cloud for the whole run, started when the first test asks for it."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from infra.local.cloud import Cloud


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
