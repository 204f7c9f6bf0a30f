"""`taximeter import`: every row of a file is durable once or told of, through interruptions, with one command."""

import gzip
import json
import os
import random
import signal
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from metering.times import MINUTE, format_time
from taximeter.command import main
from taximeter.importing import ordering
from taximeter.importing.columns import Columns
from taximeter.importing.progress import Progress, Tally, identity_of
from taximeter.importing.run import run
from taximeter.importing.sending import Sender, Stopped
from taximeter.importing.sources import Source
from tests.handlers.street import NOW, used
from tests.rows import deep
from tests.taximeter.importing.conftest import Deployment
from tests.taximeter.importing.test_sources import write_parquet

ROOT = Path(__file__).parents[3]


def command(deployment: Deployment, file: Path, *more: str) -> Any:
    return CliRunner().invoke(
        main, ["import", str(file), *more], env={"TAXIMETER_URL": deployment.url, "TAXIMETER_API_KEY": "tx_key"}
    )


def lines(count: int) -> list[bytes]:
    """Usage of the last hour, in any order; the values sum to 3 × count."""
    rows = [json.dumps(used(f"e{number:05d}", number % 60, f"{number % 5 + 1}")).encode() for number in range(count)]
    random.Random(3).shuffle(rows)  # noqa: S311 - a repeatable shuffle, no secret
    return rows


def write(path: Path, rows: list[bytes]) -> Path:
    path.write_bytes(b"\n".join(rows) + b"\n")
    return path


def total(deployment: Deployment) -> Decimal:
    return sum((event.value or Decimal(0) for event in deployment.events()), Decimal(0))


def test_a_file_is_sent_in_batches_and_every_row_counts(deployment: Deployment, tmp_path: Path) -> None:
    file = write(tmp_path / "events.ndjson", lines(2_500))
    done = command(deployment, file, "--json")
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["rows"], told["accepted"], told["rejected"], told["rejected_file"]) == (2500, 2500, 0, None)
    assert len(deployment.requests) == 3
    assert total(deployment) == 3 * 2_500
    assert list(tmp_path.iterdir()) == [file], "nothing is left beside the file"


def test_sending_a_file_twice_counts_it_once(deployment: Deployment, tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl.gz"
    file.write_bytes(gzip.compress(b"\n".join(lines(500))))
    for _ in range(2):
        assert "500 of 500 rows accepted" in command(deployment, file).stdout
    assert total(deployment) == 3 * 500


def test_what_was_sent_is_metered(deployment: Deployment, tmp_path: Path) -> None:
    command(deployment, write(tmp_path / "events.ndjson", lines(500)))
    deployment.street.flow()
    query = {"customer": "acme", "meter": "requests", "window": "total"}
    (row,) = deployment.street.does("GET", "/v1/usage", query=query)["rows"]
    assert (row["quantity"], row["events"]) == ("1500", 500)


def test_csv_is_mapped_to_events(deployment: Deployment, tmp_path: Path) -> None:
    file = tmp_path / "calls.csv"
    file.write_text(
        "uuid,account,when,calls,zone,cloud\n"
        f"a,acme,{format_time(NOW)},1.5,eu,aws\n"
        f"b,acme,{NOW - MINUTE},2,,aws\n"
        f"c,acme,{format_time(NOW)[:-1]},3,us,azure\n"
    )
    mapping = ["id=uuid", "customer=account", "timestamp=when", "value=calls", "dimensions.region=zone"]
    options = [word for each in mapping for word in ("--map", each)]
    done = command(deployment, file, *options, "--map", "dimensions.provider=cloud", "--set", "meter=requests", "--utc")
    assert done.exit_code == 0, done.stderr
    assert {(event.id, str(event.value), event.dimensions) for event in deployment.events()} == {
        ("a", "1.5", (("provider", "aws"), ("region", "eu"))),
        ("b", "2", (("provider", "aws"),)),
        ("c", "3", (("provider", "azure"), ("region", "us"))),
    }


def test_parquet_is_events_too(deployment: Deployment, tmp_path: Path) -> None:
    from datetime import UTC, datetime

    at = datetime.fromtimestamp(NOW / 1000, UTC)
    file = tmp_path / "events.parquet"
    write_parquet(
        file,
        {
            "id": [f"e{number}" for number in range(3_000)],
            "timestamp": [at] * 3_000,
            "value": [Decimal("0.25")] * 2_999 + [None],
            "cost": [0.1] * 3_000,
        },
    )
    done = command(deployment, file, "--set", "customer=acme", "--set", "meter=requests", "--map", "amount=cost")
    assert done.exit_code == 3, "the one without a value"
    events = deployment.events()
    assert (len(events), total(deployment)) == (2_999, Decimal("749.75"))
    assert {(event.timestamp, str(event.amount)) for event in events} == {(NOW, "0.1")}


def test_whole_numbers_are_names_in_parquet_as_in_csv(deployment: Deployment, tmp_path: Path) -> None:
    deployment.street.does("PUT", "/v1/customers/17", {})
    more = (
        "--set",
        "meter=requests",
        "--set",
        "value=1",
        "--set",
        f"timestamp={NOW}",
        "--map",
        "dimensions.region=zone",
    )
    file = tmp_path / "calls.parquet"
    write_parquet(file, {"id": [2**53 + 1, 0, -5], "customer": [17, 17, 17], "zone": [7, 0, -7]})
    assert command(deployment, file, *more).exit_code == 0
    known = deployment.events()
    assert [(event.id, event.customer, dict(event.dimensions)["region"]) for event in known] == [
        *(("-5", "17", "-7"), ("0", "17", "0"), (str(2**53 + 1), "17", "7")),
    ]
    file = tmp_path / "calls.csv"
    file.write_text(f"id,customer,zone\n{2**53 + 1},17,7\n0,17,0\n-5,17,-7\n")
    assert command(deployment, file, *more).exit_code == 0
    assert deployment.events() == known


def test_a_number_that_may_have_been_rounded_is_refused_whatever_is_set_beside_it(
    deployment: Deployment, tmp_path: Path
) -> None:
    rows = [json.dumps(used("a")), json.dumps(used("b")).replace('"value": "1"', '"value": 0.12345678901234567')]
    file = write(tmp_path / "events.ndjson", [row.encode() for row in rows])
    for more in ((), ("--set", "dimensions.region=eu"), ("--map", "dimensions.region=zone")):
        assert command(deployment, file, *more).exit_code == 3
        (told,) = map(json.loads, (tmp_path / "events.ndjson.rejected.ndjson").read_text().splitlines())
        assert (told["row"], told["code"], "15 significant digits" in told["detail"]) == (2, "invalid", True)
    assert {event.id for event in deployment.events()} == {"a"}


def test_refused_rows_are_kept_with_the_reasons_and_to_the_last_digit(deployment: Deployment, tmp_path: Path) -> None:
    rounded = json.dumps(used("x")).replace('"value": "1"', '"value": 1234567890.1234567890').encode()
    rows = [*lines(1_100), rounded, b"{broken \xff", b"x" * 2_000_000, json.dumps(used("y", meter="other")).encode()]
    random.Random(5).shuffle(rows)  # noqa: S311 - a repeatable shuffle, no secret
    file = write(tmp_path / "events.ndjson", rows)
    done = command(deployment, file)
    assert done.exit_code == 3
    assert "4 rejected: " in done.stdout
    kept = (tmp_path / "events.ndjson.rejected.ndjson").read_bytes().splitlines()
    told = [json.loads(line) for line in kept]
    assert {each["row"] for each in told} == {
        number for number, row in enumerate(rows, 1) if not row.startswith(b'{"id": "e')
    }
    assert {each["code"] for each in told} == {"invalid", "unknown_meter"}
    assert all(each["detail"] for each in told)
    assert any(rounded in line for line in kept)
    assert command(deployment, file, "--allow-rejected").exit_code == 0
    assert (tmp_path / "events.ndjson.rejected.ndjson").read_bytes().splitlines() == kept
    mended = write(file, lines(10))
    assert command(deployment, mended).exit_code == 0
    assert list(tmp_path.iterdir()) == [file], "what was refused before is no more"


@pytest.mark.parametrize(
    ("name", "content", "more", "says"),
    [
        ("events", b"", [], "--format"),
        ("events.ndjson", b"[{}]", [], "one event a line"),
        ("events.csv", b"a\n1\n", ["--map", "id=b"], "no column b"),
        ("events.csv", b"a\n1\n", ["--map", "colour=a"], "fields are"),
        ("events.csv", b"a\n1\n", ["--url", "http://example.com"], "https"),
        ("events.csv", b"a\n1\n", ["--port", "45996"], "no local cloud on port 45996"),
        ("events.csv", b"a\n1\n", ["--key", ""], "--key"),
        ("events.ndjson.gz", gzip.compress(b"{}\n" * 9, mtime=0)[:-9], [], "ended before"),
        ("events.parquet", b"PAR1", [], "Parquet"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    deployment: Deployment, tmp_path: Path, name: str, content: bytes, more: list[str], says: str
) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    done = command(deployment, file, *more)
    assert done.exit_code == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert deployment.requests == []


def test_an_interrupted_import_goes_on_where_it_was(deployment: Deployment, tmp_path: Path) -> None:
    rows = lines(9_500)
    rows[1_234] = rows[7_777] = b"broken"
    file = write(tmp_path / "events.ndjson", rows)
    # From its fifth request on the deployment refuses the key: the first four batches are known, or fewer.
    deployment.before = lambda number: None if number <= 4 else (403, {}, b"{}")
    stopped = command(deployment, file, "--concurrency", "2")
    assert stopped.exit_code == 1
    assert "may not send" in stopped.stderr
    known = json.loads((tmp_path / "events.ndjson.import.json").read_text())["rows"]
    assert known in {1_000, 2_000, 3_000, 4_000}
    sent = len(deployment.requests)

    deployment.before = lambda _: None
    done = command(deployment, file, "--json", "--concurrency", "2")
    told = json.loads(done.stdout)
    assert (told["rows"], told["accepted"], told["rejected"], told["resumed_at"]) == (9_500, 9_498, 2, known)
    assert len(deployment.requests) - sent == 10 - known // 1_000
    kept = (tmp_path / "events.ndjson.rejected.ndjson").read_text().splitlines()
    assert sorted(json.loads(line)["row"] for line in kept) == [1_235, 7_778]
    assert len(deployment.events()) == 9_498
    assert not (tmp_path / "events.ndjson.import.json").exists()


@pytest.mark.parametrize("change", ["content", "address", "key", "mapping", "restart", "state", "rejected"])
def test_what_is_not_the_same_import_begins_anew(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    monkeypatch.setattr("taximeter.importing.run.MOST_EVENTS", 100)
    rows = lines(300)
    rows[0] = b"broken"
    file = write(tmp_path / "events.ndjson", rows)
    deployment.before = lambda number: None if number <= 2 else (403, {}, b"{}")
    assert command(deployment, file, "--concurrency", "1").exit_code == 1
    state = tmp_path / "events.ndjson.import.json"
    assert json.loads(state.read_text())["rows"] == 200
    deployment.before = lambda _: None
    match change:
        case "content":
            write(file, lines(301))
        case "state":
            state.write_text("{")
        case "rejected":
            (tmp_path / "events.ndjson.rejected.ndjson").write_text("")
    more = {"mapping": ["--utc"], "restart": ["--restart"], "key": ["--key", "tx_other"]}.get(change, [])
    if change == "address":
        more = ["--url", deployment.url.replace("127.0.0.1", "localhost")]
    told = json.loads(command(deployment, file, *more, "--json").stdout)
    assert told["resumed_at"] == 0
    assert told["rows"] == (301 if change == "content" else 300)


def test_rows_that_were_told_of_but_not_yet_known_are_not_told_of_twice(tmp_path: Path) -> None:
    file = write(tmp_path / "events.ndjson", [b"{}"])
    with Progress(file, "same") as first:
        first.advance(5, [b"one\n"])
        known = first.state.read_text()
        first.advance(5, [b"two\n"])
        first.state.write_text(known)  # the process ended between the two writes
    with Progress(file, "same") as again:
        assert again.tally == Tally(5, 4, 1, 4, 5)
        again.advance(5, [b"two\n"])
        assert again.rejected.read_text() == "one\ntwo\n"
    with Progress(file, "other") as other:
        assert other.tally == Tally()
        assert not other.rejected.exists()


def test_progress_is_the_requests_order_whatever_that_of_the_answers(deployment: Deployment, tmp_path: Path) -> None:
    file = write(tmp_path / "events.ndjson", lines(6_000))
    slow = {1: 0.3, 3: 0.1}

    def wait(number: int) -> None:
        time.sleep(slow.get(number, 0))

    deployment.after = wait
    seen: list[int] = []
    source, sender = Source(file), Sender(deployment.url, "key", pause_seconds=0)
    with Progress(file, "i") as progress:
        run(source, Columns(), sender, progress, concurrency=3, told=lambda: seen.append(progress.tally.rows))
    sender.close()
    source.close()
    assert seen == [1_000, 2_000, 3_000, 4_000, 5_000, 6_000]
    assert total(deployment) == 3 * 6_000


def test_never_more_requests_run_than_was_said(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taximeter.importing.run.MOST_EVENTS", 100)
    running, most = 0, 0

    def begin(_: int) -> None:
        nonlocal running, most
        with deployment.lock:
            running += 1
            most = max(most, running)
        time.sleep(0.02)

    def end(_: int) -> None:
        nonlocal running
        with deployment.lock:
            running -= 1

    deployment.before, deployment.after = begin, end
    assert command(deployment, write(tmp_path / "e.ndjson", lines(1_200)), "--concurrency", "3").exit_code == 0
    assert most == 3


def test_a_fault_in_the_middle_keeps_the_windows_before_it(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ordering, "_MOST_ROWS", 1_500)
    packed = gzip.compress(b"\n".join(lines(5_000)))
    file = tmp_path / "events.ndjson.gz"
    file.write_bytes(packed[: len(packed) * 3 // 4])
    done = command(deployment, file, "--concurrency", "1")
    assert done.exit_code == 1
    known = json.loads((tmp_path / "events.ndjson.gz.import.json").read_text())["rows"]
    assert known in {1_000, 1_500, 2_500, 3_000}, "of the first two windows"
    file.write_bytes(packed)  # the whole file is another one, and begins anew
    assert command(deployment, file).exit_code == 0
    assert len(deployment.events()) == 5_000


@pytest.mark.parametrize(
    "number", [deep(signal.SIGINT), signal.SIGTERM, deep(signal.SIGKILL)], ids=lambda number: number.name
)
def test_a_process_that_is_ended_goes_on_when_it_is_run_again(
    deployment: Deployment, tmp_path: Path, number: signal.Signals
) -> None:
    file = write(tmp_path / "events.ndjson", lines(8_000))

    def wait(request: int) -> None:
        time.sleep(0 if request < 4 else 0.2)

    deployment.after = wait
    state = tmp_path / "events.ndjson.import.json"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT / "functions"), str(ROOT)]),
        "TAXIMETER_URL": deployment.url,
        "TAXIMETER_API_KEY": "tx_key",
    }
    arguments = [sys.executable, "-m", "taximeter.command", "import", str(file), "--concurrency", "2"]
    with subprocess.Popen(arguments, env=environment, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603 - ours
        while len(deployment.requests) < 5 or not state.exists():
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.01)
        process.send_signal(number)
        said = process.communicate()[1]
    assert process.returncode == (-9 if number is signal.SIGKILL else 130), said
    known = json.loads(state.read_text())["rows"]
    assert 0 < known < 8_000
    deployment.after = lambda _: None
    told = json.loads(command(deployment, file, "--json").stdout)
    assert (told["resumed_at"], told["rows"], told["accepted"]) == (known, 8_000, 8_000)
    assert total(deployment) == 3 * 8_000


def test_the_identity_of_a_file_is_its_content_its_time_and_what_is_done_with_it(tmp_path: Path) -> None:
    file = write(tmp_path / "a", [b"1"])
    known = identity_of(file, "x")
    assert identity_of(file, "x") == known
    assert identity_of(file, "y") != known
    os.utime(file, ns=(1, 1))
    assert identity_of(file, "x") != known


def test_a_sender_that_gives_up_stops_the_import(deployment: Deployment, tmp_path: Path) -> None:
    deployment.before = lambda _: (500, {}, b"")
    file = write(tmp_path / "e.ndjson", lines(3_000))
    source, sender = Source(file), Sender(deployment.url, "key", pause_seconds=0, attempts=2)
    with Progress(file, "i") as progress, pytest.raises(Stopped):
        run(source, Columns(), sender, progress, concurrency=2)
    source.close()
    sender.close()
    assert not (tmp_path / "e.ndjson.import.json").exists()
