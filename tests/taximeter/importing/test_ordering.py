"""Rows are sent window by window, each in the order of what they are about, and what is metered stays the same."""

import json
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path
from random import Random

import pytest

from metering.times import HOUR
from taximeter.importing import ordering
from taximeter.importing.ordering import windows
from taximeter.importing.sources import Damaged
from tests.handlers.street import NOW, used
from tests.rows import quick_of
from tests.taximeter.importing.conftest import Deployment
from tests.taximeter.importing.test_import import command, lines, total, write


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows of 100 rows."""
    monkeypatch.setattr(ordering, "_MOST_ROWS", 100)


def test_what_belongs_together_is_sent_together() -> None:
    rows = [
        json.dumps({"customer": customer, "meter": meter, "timestamp": at}).encode()
        for at in (1_700_000_000_000, 1_700_000_360_000, 1_700_000_720_000)
        for meter in ("calls", "bytes")
        for customer in ("b", "a")
    ]
    (window,) = windows(Random(1).sample(rows, len(rows)), 0)  # noqa: S311 - a repeatable shuffle, no secret
    told = [json.loads(row.line) for row in window if isinstance(row.line, bytes)]
    places = [(each["customer"], each["meter"], each["timestamp"]) for each in told]
    assert places == sorted(places)
    assert len(set(places)) == len(rows)


@pytest.mark.parametrize(
    "line", [b"", b"{", b"[]", b"7", b"\xff", b"[" * 100_000, Damaged("x", "y"), b'{"customer": []}']
)
def test_a_row_that_says_nothing_of_itself_stays_a_row(line: bytes | Damaged) -> None:
    (window,) = windows([b'{"customer": "a"}', line], 10)
    assert {(row.number, row.line) for row in window} == {(11, b'{"customer": "a"}'), (12, line)}


def test_a_window_takes_so_many_rows_or_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    def told(line: bytes) -> Iterator[int]:
        return map(len, windows([line] * 25, 0))

    monkeypatch.setattr(ordering, "_MOST_ROWS", 10)
    assert list(told(b"{}")) == [10, 10, 5]
    monkeypatch.setattr(ordering, "_MOST_BYTES", 4 * 101)
    assert list(told(b"x" * 100)) == [4] * 6 + [1]


@pytest.mark.usefixtures("small")
def test_a_window_is_made_when_its_turn_comes_and_no_earlier() -> None:
    taken: list[int] = []

    def file() -> Iterator[bytes]:
        for number in range(1_000):
            taken.append(number)
            yield b"{}"

    assert [len(window) for window in islice(windows(file(), 0), 2)] == [100, 100]
    assert len(taken) == 200


def test_a_shuffled_file_comes_to_each_hour_once_a_window(deployment: Deployment, tmp_path: Path) -> None:
    hours = 48
    rows = [json.dumps(used(f"e{number}", timestamp=NOW - number % hours * HOUR)).encode() for number in range(4_800)]
    Random(3).shuffle(rows)  # noqa: S311 - a repeatable shuffle, no secret
    assert command(deployment, write(tmp_path / "e.ndjson", rows), "--concurrency", "1").exit_code == 0
    written = [record["dynamodb"]["Keys"]["pk"]["S"] for record in deployment.street.streams["aggregate"]]
    assert len(set(written)) == hours
    # Each hour stands in one stretch, but where a request ends within it.
    assert sum(one != other for one, other in pairwise(written)) < hours + len(deployment.requests)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("stopped_after", quick_of(range(1, 8), 2, 4, 7))
def test_what_was_interrupted_goes_on_inside_a_window(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped_after: int
) -> None:
    monkeypatch.setattr("taximeter.importing.run.MOST_EVENTS", 30)
    rows = lines(250)
    rows[17] = rows[222] = b"broken"
    file = write(tmp_path / "e.ndjson", rows)
    deployment.before = lambda number: None if number <= stopped_after else (403, {}, b"{}")
    assert command(deployment, file, "--concurrency", "1").exit_code == 1
    state = json.loads((tmp_path / "e.ndjson.import.json").read_text())
    assert (state["rows"], state["ordered"]) == (
        stopped_after // 4 * 100 + stopped_after % 4 * 30,
        stopped_after % 4 * 30,
    )
    deployment.before = lambda _: None
    tried = len(deployment.requests)
    told = json.loads(command(deployment, file, "--json").stdout)
    assert (told["resumed_at"], told["rows"], told["accepted"], told["rejected"]) == (state["rows"], 250, 248, 2)
    assert len(deployment.requests) - tried == 10 - stopped_after, "what is known is not sent again"
    assert len(deployment.events()) == 248
    whole = sum(number % 5 + 1 for number in range(250))
    lost = sum(int(json.loads(lines(250)[place])["value"]) for place in (17, 222))
    assert total(deployment) == whole - lost
