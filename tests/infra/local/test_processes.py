import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.local import processes

ROOT = Path(__file__).parents[3]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def spawn(folder: Path, code: str, *, attached: bool = True) -> processes.Process:
    (folder / "sample_module.py").write_text(code)
    environment = ENVIRONMENT | {"PYTHONPATH": f"{ROOT}{os.pathsep}{folder}"}
    return processes.spawn("sample", ["sample_module"], folder=folder, environment=environment, attached=attached)


def eventually(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)
    return holds()


def test_a_child_is_alive_until_it_is_ended(tmp_path: Path) -> None:
    child = spawn(tmp_path, "import time; time.sleep(60)")
    assert child.alive
    processes.end([child])
    assert not child.alive


def test_a_child_that_ends_by_itself_is_not_alive(tmp_path: Path) -> None:
    child = spawn(tmp_path, "pass")
    assert eventually(lambda: not child.alive)


def test_the_children_of_a_child_end_with_it(tmp_path: Path) -> None:
    child = spawn(
        tmp_path,
        "import subprocess, sys, time\n"
        "grandchild = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(grandchild.pid, flush=True)\n"
        "time.sleep(60)\n",
    )
    assert eventually(lambda: child.log.read_text().strip().isdigit())
    grandchild = int(child.log.read_text())
    processes.end([child])
    assert eventually(lambda: gone(grandchild))


def gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has asked after yet (a zombie) has."""
    status = Path(f"/proc/{pid}/stat")
    if Path("/proc/self").exists():
        return not status.exists() or status.read_text().rsplit(")", 1)[1].split()[0] == "Z"
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_child_that_does_not_listen_to_a_request_is_ended_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "_PATIENCE_SECONDS", 0.2)
    child = spawn(
        tmp_path,
        "import signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('deaf', flush=True)\n"
        "time.sleep(60)\n",
    )
    assert eventually(lambda: "deaf" in child.log.read_text())
    processes.end([child])
    assert not child.alive


def test_a_number_in_a_stale_file_is_never_taken_for_ours(tmp_path: Path) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        (tmp_path / "sample.lock").touch()
        remembered = processes.Process("sample", stranger.pid, tmp_path)
        assert not remembered.alive
        processes.end([remembered])
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_an_attached_child_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    (tmp_path / "sample_module.py").write_text("import time; time.sleep(60)")
    code = (
        "import os, sys, time; from pathlib import Path; from infra.local import processes\n"
        f"processes.spawn('sample', ['sample_module'], folder=Path({str(tmp_path)!r}),\n"
        "    environment=os.environ, attached=True)\n"
        "print('spawned', flush=True); time.sleep(60)\n"
    )
    parent = subprocess.Popen(  # noqa: S603 - our own code
        [sys.executable, "-c", code],
        env=ENVIRONMENT | {"PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"},
        stdout=subprocess.PIPE,
        text=True,
    )
    with parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "spawned\n"
        child = processes.Process("sample", 0, tmp_path)
        assert child.alive
        time.sleep(0.7)  # it looks for its parent twice a second, once it runs
        parent.send_signal(signal.SIGKILL)
    assert eventually(lambda: not child.alive)


def test_what_a_child_said_is_told_when_it_does_not_start(tmp_path: Path) -> None:
    child = spawn(tmp_path, "raise SystemExit('no room')")
    with pytest.raises(RuntimeError, match="sample did not start:\nno room"):
        processes.wait_for(child, processes.free_port())
