import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from infra.local import processes
from taximeter.command import main

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "functions"), str(ROOT)])}
COMMAND = [sys.executable, "-m", "taximeter.command"]


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own command
        [*COMMAND, *arguments],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["status"], 1, "no local cloud on port 45997 was started from this folder"),
        (["advance", "--to", "2026-12-01T00:00:00Z"], 1, "no local cloud on port 45997"),
        (["down"], 0, "no local cloud on port 45997"),
    ],
)
def test_without_a_cloud_the_commands_say_so(
    arguments: list[str], code: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, [*arguments, "--port", "45997"])
    assert result.exit_code == code
    assert said in result.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.cloud
@pytest.mark.deep
def test_ctrl_c_ends_the_cloud_and_leaves_nothing_behind(tmp_path: Path) -> None:
    port = processes.free_port()
    with subprocess.Popen(  # noqa: S603 - our own command
        [*COMMAND, "up", "--json", "--port", str(port)],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        text=True,
    ) as command:
        assert command.stdout is not None
        try:
            ready = json.loads(command.stdout.readline())
            headers = {"x-api-key": ready["admin_key"]}
            answer = httpx.get(f"{ready['api_url']}/v1/meters", headers=headers)
        finally:
            command.send_signal(signal.SIGINT)
        assert command.wait(timeout=30) == 130
    assert set(ready) == {"api_url", "admin_key", "endpoint_url", "stripe_url"}
    assert answer.status_code == httpx.codes.OK
    assert not list(tmp_path.iterdir())
    stripe_port = httpx.URL(ready["stripe_url"]).port
    assert stripe_port is not None
    assert not processes.listening(port)
    assert not processes.listening(stripe_port)


@pytest.mark.cloud
@pytest.mark.deep
def test_a_detached_cloud_stays_until_it_is_ended(tmp_path: Path) -> None:
    port = str(processes.free_port())
    try:
        started = run(tmp_path, "up", "--detach", "--json", "--port", port)
        assert started.returncode == 0, started.stderr
        told = json.loads(run(tmp_path, "status", "--json", "--port", port).stdout)
        assert told.items() >= json.loads(started.stdout).items()
        assert told["quiet"] is True
        again = run(tmp_path, "up", "--port", port)
        assert (again.returncode, "already running" in again.stderr) == (1, True)
        back = run(tmp_path, "advance", "--to", "2020-01-01T00:00:00Z", "--port", port)
        assert (back.returncode, "only goes forward" in back.stderr) == (1, True)
    finally:
        ended = run(tmp_path, "down", "--port", port)
    assert ended.stderr == "ended\n"
    assert not list(tmp_path.iterdir())
