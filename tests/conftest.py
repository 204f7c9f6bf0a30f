"""What all tests share: one local cloud for the whole run, started when the first test asks for it."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from infra.local.cloud import Cloud


DEEP_SECONDS = 900


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give deep tests more time than `timeout` in pyproject.toml, where they do not say how much they need."""
    for item in items:
        if item.get_closest_marker("deep") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(DEEP_SECONDS))


def _trace(item: pytest.Item) -> Path | None:
    """A file that is there while a test runs, if the run has several processes."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    name = hashlib.sha256(f"{run} {item.nodeid}".encode()).hexdigest()
    return Path(tempfile.gettempdir(), f"running-{name[:32]}") if run else None


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail a test that has ended the process in which it ran: its file goes to the next one, with this test first."""
    trace = _trace(item)
    if trace and trace.exists():
        pytest.fail("it ended the process that ran it before", pytrace=False)
    if trace:
        trace.touch()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Its process is still there."""
    if trace := _trace(item):
        trace.unlink(missing_ok=True)


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
