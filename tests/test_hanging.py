"""A test that hangs does not hang the run: it is named with its stack, and fails."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
IN_A_FIXTURE = """
import time

import pytest

@pytest.fixture
def for_ever():
    time.sleep(1_000)

@pytest.mark.timeout(2)
def test_that_hangs(for_ever):
    assert True
"""
IN_AN_EXAMPLE = """
import time

import pytest
from hypothesis import given, strategies

@pytest.mark.timeout(2)
@given(strategies.integers())
def test_that_hangs(_number):
    while True:
        time.sleep(0.01)
"""


@pytest.mark.deep
@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize(("hanging", "stuck"), [(IN_A_FIXTURE, "for_ever"), (IN_AN_EXAMPLE, "test_that_hangs")])
def test_a_test_that_hangs_is_named_with_its_stack(tmp_path: Path, hanging: str, stuck: str, processes: int) -> None:
    for file in ("pyproject.toml", "tests/conftest.py"):
        shutil.copy(ROOT / file, tmp_path)
    (tmp_path / "test_hanging.py").write_text(hanging)
    (tmp_path / "test_beside.py").write_text("def test_beside(): assert True")
    command = [sys.executable, "-m", "pytest", "-q", "-n", str(processes), "-p", "no:cacheprovider"]
    command += ["-o", "faulthandler_timeout=1", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)  # noqa: S603 - our own words
    assert done.returncode == 1
    assert "crashed while running 'test_hanging.py::test_that_hangs'" in done.stdout
    assert re.search(rf'test_hanging.py", line \d+ in {stuck}', done.stderr)
