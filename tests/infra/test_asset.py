"""The one asset: what is in it, and that building it again, twice or at once changes nothing."""

import re
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from infra import asset

ROOT = Path(__file__).parents[2]


@pytest.fixture
def functions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small functions/ with one small library, to build in a moment."""
    folder = tmp_path / "functions"
    for name, text in {
        "handlers/ingest.py": "def handler(event, context): return 1 / 0\n",
        "handlers/README.md": "for readers\n",
        "handlers/__pycache__/ingest.cpython-313.pyc": "stale",
        "portal/page.html": "<p>hello</p>\n",
        "taximeter/command.py": "for users\n",
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    monkeypatch.setattr(asset, "_FUNCTIONS", folder)
    monkeypatch.setattr(asset, "RUNTIME", ("typing-extensions",))
    return folder


def files(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_the_asset_holds_source_libraries_and_byte_code_and_nothing_else(functions: Path, tmp_path: Path) -> None:
    assert functions.is_dir()
    found = files(asset.build("local", tmp_path / "build"))
    mine = {name for name in found if name.startswith(("handlers", "portal", "taximeter"))}
    cache = f"handlers/__pycache__/ingest.{sys.implementation.cache_tag}.pyc"
    assert mine == {"handlers/ingest.py", "portal/page.html", "portal/openapi.json", "portal/docs.html", cache}
    assert "typing_extensions.py" in found


def test_byte_code_is_never_checked_against_its_source(functions: Path, tmp_path: Path) -> None:
    assert functions.is_dir()
    found = files(asset.build("local", tmp_path / "build"))
    compiled = [content for name, content in found.items() if name.endswith(".pyc")]
    assert compiled
    # The flags that follow the magic number: hash-based, and unchecked.
    assert {content[4:8] for content in compiled} == {b"\x01\0\0\0"}


def test_a_build_is_made_once_and_again_when_a_source_changes(functions: Path, tmp_path: Path) -> None:
    first = asset.build("local", tmp_path / "build")
    made = first.stat().st_mtime_ns
    assert asset.build("local", tmp_path / "build") == first
    assert first.stat().st_mtime_ns == made
    (functions / "taximeter/command.py").write_text("changed\n", encoding="utf-8")
    (functions / "handlers/README.md").write_text("changed\n", encoding="utf-8")
    assert asset.build("local", tmp_path / "build") == first
    (functions / "handlers/ingest.py").write_text("changed = True\n", encoding="utf-8")
    assert asset.build("local", tmp_path / "build") != first


def test_the_same_inputs_make_the_same_bytes_anywhere(functions: Path, tmp_path: Path) -> None:
    assert functions.is_dir()
    one, two = (asset.build("local", tmp_path / name) for name in ("one", "two"))
    assert one.name == two.name
    assert files(one) == files(two)


@pytest.mark.deep
def test_two_may_build_at_once(functions: Path, tmp_path: Path) -> None:
    assert functions.is_dir()
    with ThreadPoolExecutor(4) as pool:
        built = set(pool.map(lambda _: asset.build("local", tmp_path / "build"), range(4)))
    assert len(built) == 1
    assert [path.name for path in (tmp_path / "build/local/asset").iterdir()] == [next(iter(built)).name]


def test_the_libraries_import_from_the_asset_alone() -> None:
    folder = asset.build("local")
    program = (
        f"import sys; sys.path.insert(0, {str(folder)!r})\nimport aws_lambda_powertools, pydantic, stripe, tzdata\n"
    )
    # Without site-packages there is nothing but the asset and the standard library.
    command = [sys.executable, "-I", "-S", "-B", "-c", program]
    subprocess.run(command, check=True)  # noqa: S603 - our own command, no shell


def test_what_the_asset_carries_is_what_the_project_declares() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    declared = {re.split(r"[<>=\[ ]", line)[0] for line in project["dependencies"]}
    assert set(asset.RUNTIME) <= declared
    assert "boto3" not in asset.RUNTIME


def test_the_lock_pins_what_is_deployed_with_its_hashes_and_names_no_host() -> None:
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    for name in asset.RUNTIME:
        assert re.search(rf"^{name}==\S+ \\\n    --hash=sha256:", lock, re.MULTILINE)
    assert "://" not in lock
    assert "index-url" not in lock
