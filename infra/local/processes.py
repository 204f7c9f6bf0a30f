"""Child processes that can be found again, told apart from strangers, and ended without a rest.

A child holds an exclusive lock on `NAME.lock` in the state folder for as long as it lives: the operating system lets
go of it however the child ends. So a process number left in a stale file is never mistaken for ours and killed.
"""

import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PATIENCE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Process:
    """A child, the leader of a process group of its own; its lock and log lie in `folder`."""

    name: str
    pid: int
    folder: Path

    @property
    def log(self) -> Path:
        """What it has written to its output."""
        return self.folder / f"{self.name}.log"

    @property
    def alive(self) -> bool:
        """Whether it still holds its lock."""
        try:
            descriptor = os.open(self.folder / f"{self.name}.lock", os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False


def spawn(
    name: str,
    module: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    attached: bool,
) -> Process:
    """Start `python -m MODULE ARGUMENT...` in a session of its own, so that Ctrl-C reaches its parent alone.

    Args:
        name: What its lock and log are called.
        module: The module and its arguments.
        folder: The state folder, which exists.
        environment: Its whole environment.
        attached: Whether it ends by itself when this process does.
    """
    command = [sys.executable, "-m", "infra.local.child", *(["--attached"] if attached else [])]
    lock = os.open(folder / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with (folder / f"{name}.log").open("wb") as log:
            child = subprocess.Popen(  # noqa: S603 - our own modules, no shell
                [*command, *module],
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[lock],
                start_new_session=True,
            )
    finally:
        os.close(lock)
    # Whoever ends it knows it by its lock alone, often from another process: nobody waits on this object.
    child.returncode = 0
    return Process(name, child.pid, folder)


def end(processes: Iterable[Process]) -> None:
    """End the processes that are alive with all their children: asked first, then without asking."""
    living = [process for process in processes if process.alive]
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in living:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while any(process.alive for process in living) and time.monotonic() < deadline:
            time.sleep(0.02)
    for process in living:
        with suppress(ChildProcessError):
            os.waitpid(process.pid, 0)


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def listening(port: int) -> bool:
    """Whether somebody listens on the port of the loopback interface."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_for(process: Process, port: int, timeout_seconds: float = 30) -> None:
    """Wait until the process listens on the port.

    Raises:
        RuntimeError: It ended or took too long; its last lines are told.
    """
    deadline = time.monotonic() + timeout_seconds
    while not listening(port):
        if not process.alive or time.monotonic() > deadline:
            lines = process.log.read_text(errors="replace").splitlines()[-15:]
            message = "\n".join([f"{process.name} did not start:", *lines])
            raise RuntimeError(message)
        time.sleep(0.03)
