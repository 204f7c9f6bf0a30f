"""Run a module as a child that ends, with its whole process group, when its parent does."""

import argparse
import os
import runpy
import signal
import sys
import threading
import time


def _end_with(parent: int) -> None:
    """Wait until `parent` is gone, then ask this process group to end."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os.killpg(0, signal.SIGTERM)


def main() -> None:
    """Run `python -m infra.local.child [--attached] MODULE ARGUMENT...`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--attached", action="store_true", help="end when the parent process ends")
    parser.add_argument("module")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    wanted = parser.parse_args()
    if wanted.attached:
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    sys.argv = [wanted.module, *wanted.arguments]
    runpy.run_module(wanted.module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
