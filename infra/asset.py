"""The one asset of all functions: the source of `functions/` and what it imports, for a platform.

Built without Docker, only when an input changed, into a folder named after the hash of its inputs,
so that two processes may build at once and nobody's folder changes under it.
"""

import hashlib
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

Platform = Literal["lambda", "local"]

_ROOT = Path(__file__).parent.parent
_FUNCTIONS = _ROOT / "functions"
_LOCK = _ROOT / "requirements.lock"

# What the functions import beside the standard library and the runtime's own boto3.
RUNTIME = ("aws-lambda-powertools", "iso4217", "pydantic", "stripe", "tzdata")
# The rest of functions/ is for users' machines, or for readers.
_LEFT_OUT = ("taximeter", "__pycache__")

LAMBDA_PYTHON = "3.13"


def build(platform: Platform, root: Path = _ROOT / ".build") -> Path:
    """The folder that holds the asset for a platform, built when it is not there yet.

    Args:
        platform: `lambda` for arm64 Lambda, `local` for this machine and this interpreter.
        root: Where builds are kept.

    Raises:
        RuntimeError: The wheels for Lambda could not be had.
    """
    interpreter = _interpreter(platform)
    if interpreter is None:
        sys.stderr.write(f"no python{LAMBDA_PYTHON} on PATH: the asset has no byte-code\n")
    libraries = _once(root / platform / "libraries", *_libraries(platform, interpreter))
    sources = _sources()

    def fill(folder: Path) -> None:
        shutil.copytree(libraries, folder, copy_function=os.link, dirs_exist_ok=True)
        for path in sources:
            target = folder / path.relative_to(_FUNCTIONS)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        _describe(folder / "portal")
        for package in sorted({path.relative_to(_FUNCTIONS).parts[0] for path in sources}):
            _compile(folder / package, folder, interpreter)

    digest = hashlib.sha256(libraries.name.encode() + Path(__file__).read_bytes())
    named = [(path.relative_to(_FUNCTIONS), path) for path in sources]
    named += [(path.relative_to(_ROOT), path) for path in sorted((_ROOT / "infra" / "openapi").glob("*.py"))]
    for name, path in named:
        digest.update(name.as_posix().encode() + b"\0" + path.read_bytes())
    return _once(root / platform / "asset", digest.hexdigest(), fill)


def _describe(folder: Path) -> None:
    """Put the API's document beside the pages; it is made here, so that no function has to make it."""
    from infra.openapi.build import write  # noqa: PLC0415 - it imports every handler, which only a build needs

    write(folder)


def _sources() -> list[Path]:
    """The files of functions/ that are deployed, in a fixed order."""
    return sorted(
        path
        for path in _FUNCTIONS.rglob("*")
        if path.is_file()
        and path.suffix not in (".md", ".pyc")
        and not set(path.relative_to(_FUNCTIONS).parts) & set(_LEFT_OUT)
    )


def _once(parent: Path, digest: str, fill: Callable[[Path], None]) -> Path:
    """The folder of this digest, filled by whoever comes first and never changed after."""
    folder = parent / digest[:16]
    if folder.is_dir():
        return folder
    parent.mkdir(parents=True, exist_ok=True)
    _forget_old(parent)
    with tempfile.TemporaryDirectory(dir=parent, prefix="unfinished-") as temporary:
        unfinished = Path(temporary) / "content"
        unfinished.mkdir()
        fill(unfinished)
        try:
            unfinished.rename(folder)
        except OSError:
            # Another process was faster, with the same content.
            if not folder.is_dir():
                raise
    return folder


def _forget_old(parent: Path) -> None:
    """Remove the builds of earlier days, which nobody is deploying any more."""
    yesterday = time.time() - 86_400
    for folder in parent.iterdir():
        if folder.stat().st_mtime < yesterday:
            shutil.rmtree(folder, ignore_errors=True)


def _libraries(platform: Platform, interpreter: Path | None) -> tuple[str, Callable[[Path], None]]:
    """The digest of the libraries for a platform, and what puts them into a folder."""
    fill = _copy_installed if platform == "local" else _download

    def filled(folder: Path) -> None:
        fill(folder)
        _compile(folder, folder, interpreter)

    if platform == "local":
        inputs = [sys.version, *(f"{found.name}=={found.version}" for found in _installed())]
    else:
        inputs = [f"byte-code: {bool(interpreter)}", *RUNTIME, _LOCK.read_text(encoding="utf-8")]
    return hashlib.sha256("\n".join(inputs).encode()).hexdigest(), filled


def _installed() -> list[importlib.metadata.Distribution]:
    """The installed distributions that the functions need, requirements of requirements too."""
    found: dict[str, importlib.metadata.Distribution] = {}
    wanted = list(RUNTIME)
    while wanted:
        name = _plain(wanted.pop())
        if name not in found:
            found[name] = importlib.metadata.distribution(name)
            wanted.extend(_requirements(found[name]))
    return [found[name] for name in sorted(found)]


def _requirements(distribution: importlib.metadata.Distribution) -> Iterator[str]:
    """The names of what a distribution needs without its extras.

    What it needs only on some platforms or versions counts where it is installed.
    """
    for line in distribution.requires or ():
        requirement, _, marker = line.partition(";")
        name = re.split(r"[^A-Za-z0-9._-]", requirement.strip(), maxsplit=1)[0]
        if not marker or ("extra" not in marker and _is_installed(name)):
            yield name


def _is_installed(name: str) -> bool:
    return any(importlib.metadata.distributions(name=name))


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _locked(name: str) -> str:
    """The lock's lines about one distribution: its version and hashes.

    Raises:
        KeyError: The lock does not name it.
    """
    blocks = re.split(r"(?m)^(?=[a-z0-9])", _LOCK.read_text(encoding="utf-8"))
    found = [block for block in blocks if re.match(rf"{re.escape(name)}==", block)]
    if not found:
        raise KeyError(name)
    return found[0]


def _copy_installed(folder: Path) -> None:
    for distribution in _installed():
        for file in distribution.files or ():
            # Scripts are outside of the packages' folder, and caches are made anew.
            if ".." in file.parts or "__pycache__" in file.parts:
                continue
            target = folder / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(str(file.locate()), target)


def _download(folder: Path) -> None:
    """Install the locked wheels for Lambda's platform, checked against their hashes.

    Older versions of pip take hashes from requirements only, and not from constraints.
    """
    wanted = folder.with_suffix(".requirements")
    wanted.write_text("".join(_locked(_plain(each.name)) for each in _installed()), encoding="utf-8")
    command = [
        *(sys.executable, "-m", "pip", "install", "--quiet", "--no-compile"),
        *("--target", str(folder), "--only-binary=:all:"),
        *("--implementation", "cp", "--python-version", LAMBDA_PYTHON),
        *("--platform", "manylinux_2_28_aarch64", "--platform", "manylinux2014_aarch64"),
        *("--require-hashes", "--no-deps", "--requirement", str(wanted)),
    ]
    done = subprocess.run(command, check=False)  # noqa: S603 - our own command, no shell
    wanted.unlink()
    if done.returncode != 0:
        message = "the wheels for Lambda could not be installed"
        raise RuntimeError(message)
    shutil.rmtree(folder / "bin", ignore_errors=True)


def _interpreter(platform: Platform) -> Path | None:
    """A Python of the version that will run the asset, or None when there is none here."""
    if platform == "local" or sys.version.startswith(f"{LAMBDA_PYTHON}."):
        return Path(sys.executable)
    found = shutil.which(f"python{LAMBDA_PYTHON}")
    return Path(found) if found and _runs(found) else None


def _runs(interpreter: str) -> bool:
    """Whether it is a Python and not a version manager's stand-in for one that is missing."""
    command = [interpreter, "-c", ""]
    done = subprocess.run(command, check=False, capture_output=True)  # noqa: S603 - no shell
    return done.returncode == 0


def _compile(folder: Path, root: Path, interpreter: Path | None) -> None:
    """Byte-code that is never checked against its source, whose time stamp zipping loses."""
    if interpreter is None:
        return
    command = [
        *(str(interpreter), "-m", "compileall", "-q", "-f", "-j", "0"),
        *("--invalidation-mode", "unchecked-hash"),
        # Tracebacks name the files where Lambda puts them, not where they were built.
        *("-s", str(root), "-p", "/var/task", str(folder)),
    ]
    subprocess.run(command, check=False)  # noqa: S603 - our own command, no shell
