"""A test that hangs does not hang the run: it is named and fails, and the others go on."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HANGING = """
import time

import pytest
from hypothesis import given, strategies

@pytest.fixture
def for_ever():
    time.sleep(1_000)

@pytest.mark.timeout(2)
def test_in_a_fixture(for_ever):
    assert True

@pytest.mark.timeout(2)
@given(strategies.integers())
def test_in_an_example(_number):
    while True:
        time.sleep(0.01)

def test_beside_them():
    assert True
"""


@pytest.mark.deep
def test_a_test_that_hangs_is_named_with_its_stack_and_its_neighbours_go_on(tmp_path: Path) -> None:
    for file in ("pyproject.toml", "tests/conftest.py"):
        shutil.copy(ROOT / file, tmp_path)
    (tmp_path / "test_hanging.py").write_text(HANGING)
    command = [sys.executable, "-m", "pytest", "-q", "-n", "1", "-p", "no:cacheprovider"]
    command += ["-o", "faulthandler_timeout=1", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)  # noqa: S603 - our own words
    assert done.returncode == 1
    assert "2 failed, 1 passed" in done.stdout
    for name, stuck in (("test_in_a_fixture", "for_ever"), ("test_in_an_example", "test_in_an_example")):
        assert f"crashed while running 'test_hanging.py::{name}'" in done.stdout
        assert re.search(rf'test_hanging.py", line \d+ in {stuck}', done.stderr)
