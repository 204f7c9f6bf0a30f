"""`taximeter import` takes no more memory for a long file than for a short one, sending included."""

import gzip
import json
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from taximeter.importing import ordering
from taximeter.importing.columns import Columns
from taximeter.importing.progress import Progress
from taximeter.importing.run import run
from taximeter.importing.sending import Sender
from taximeter.importing.sources import Source
from tests.handlers.street import NOW, used
from tests.taximeter.importing.test_sources import write_parquet

CONCURRENCY = 2
MEGABYTE = 1024 * 1024
ROWS = (10_000, 80_000)
WINDOW = 5_000  # either file is longer than what is held of it at once
# The long files are more than 15 MB as events; a batch of a thousand rows is less than 200 kB.
MOST = 6 * MEGABYTE


class Taker(BaseHTTPRequestHandler):
    """Accepts whatever is sent but every thousandth row, and remembers nothing."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or each answer waits for the acknowledgement of its headers

    def do_POST(self) -> None:
        lines = gzip.decompress(self.rfile.read(int(self.headers["content-length"]))).count(b"\n") + 1
        refused = [{"index": 0, "id": "x", "code": "invalid", "detail": "it is the first"}]
        told = json.dumps({"accepted": lines - 1, "rejected": refused}).encode()
        self.send_response(202)
        self.send_header("content-length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    def log_message(self, format: str, *_: Any) -> None:  # noqa: A002 - the library's own name
        """Says nothing."""


@contextmanager
def taking() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Taker)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def write(path: Path, rows: int) -> Path:
    """A file of so many events that share nothing."""
    events = (used(f"event-{number:09d}", number % 60, f"{number}.25") for number in range(rows))
    match path.suffix:
        case ".ndjson":
            path.write_text("".join(json.dumps(event) + "\n" for event in events))
        case ".csv":
            lines = (f"{event['id']},acme,requests,{event['timestamp']},{event['value']},aws\n" for event in events)
            path.write_text("id,customer,meter,timestamp,value,dimensions.provider\n" + "".join(lines))
        case ".parquet":
            columns: dict[str, list[Any]] = {"id": list(range(rows)), "customer": ["acme"] * rows}
            columns |= {"meter": ["requests"] * rows, "timestamp": [NOW] * rows, "value": [0.25] * rows}
            write_parquet(path, columns)
    return path


def most_bytes(path: Path, url: str) -> tuple[int, int]:
    """How many rows were taken, and how much memory at a time."""
    tracemalloc.start()
    try:
        source, sender = Source(path), Sender(url, "key", connections=CONCURRENCY)
        with Progress(path, "same") as progress:
            run(source, Columns(), sender, progress, concurrency=CONCURRENCY)
        source.close()
        sender.close()
        return progress.tally.accepted, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.deep
@pytest.mark.parametrize("form", ["ndjson", "csv", "parquet"])
def test_an_import_of_a_long_file_takes_no_more_memory_than_one_of_a_short_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.setattr(ordering, "_MOST_ROWS", WINDOW)
    with taking() as url:
        most_bytes(write(tmp_path / f"first.{form}", 10), url)  # what is imported then is there for all
        told = [most_bytes(write(tmp_path / f"{rows}.{form}", rows), url) for rows in ROWS]
    assert [accepted for accepted, _ in told] == [rows - rows // 1_000 for rows in ROWS]
    short, long = (taken for _, taken in told)
    assert long < MOST
    assert long < short + 2 * MEGABYTE  # as many batches may have waited at a time in either
