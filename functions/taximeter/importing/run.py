"""An import from its first row to its last: read, order, send in batches side by side, and remember in that order."""

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

from metering.arrival import MOST_BYTES, MOST_EVENTS
from metering.bodies import loads
from metering.errors import Invalid
from taximeter.importing.columns import Columns, shown
from taximeter.importing.ordering import Line, Row, windows
from taximeter.importing.progress import Progress
from taximeter.importing.sending import Refusal, Sender
from taximeter.importing.sources import Damaged, Source


@dataclass(frozen=True, slots=True)
class _Batch:
    """As many rows as one request may hold, and whether they are the last ones of their window."""

    rows: list[Row]
    ends_window: bool


@dataclass(frozen=True, slots=True)
class _Sent:
    """A batch on its way."""

    batch: _Batch
    refused: Future[dict[int, Refusal]]


def run(
    source: Source,
    columns: Columns,
    sender: Sender,
    progress: Progress,
    *,
    concurrency: int = 8,
    told: Callable[[], None] = lambda: None,
) -> None:
    """Send what a source holds, from where the progress stands.

    Args:
        source: the file.
        columns: how a row becomes an event.
        sender: where the events go.
        progress: what is known already, and where more is remembered.
        concurrency: how many batches are on their way at a time.
        told: called whenever the progress has moved.

    Raises:
        Stopped: the deployment does not take more; what it took is remembered.
        ValueError, EOFError, OSError: the file cannot be read further.
    """
    if source.columns is not None:
        columns.check(source.columns)
    before = progress.tally.rows - progress.tally.ordered
    lines = map(columns.line, islice(source.records, before, None))
    waiting: deque[_Sent] = deque()
    with ThreadPoolExecutor(concurrency, "import") as threads:
        try:
            for batch in _batches(lines, progress):
                waiting.append(_Sent(batch, threads.submit(sender.post, _events(batch))))
                while len(waiting) > 2 * concurrency or (waiting and waiting[0].refused.done()):
                    _remember(waiting.popleft(), progress)
                    told()
            while waiting:
                _remember(waiting.popleft(), progress)
                told()
        except BaseException:
            sender.halt.set()
            threads.shutdown(cancel_futures=True)
            while waiting and _went_well(waiting[0].refused):
                _remember(waiting.popleft(), progress)
            raise
    progress.finish()


def _batches(lines: Iterable[Line], progress: Progress) -> Iterator[_Batch]:
    """What is not known yet, in requests; of the first window some rows may be."""
    known = progress.tally.ordered
    for window in windows(lines, progress.tally.rows - known):
        window.reverse()  # so that what is taken from its end is its beginning
        del window[len(window) - known :]
        known = 0
        while window:
            rows = _request(window)
            yield _Batch(rows, ends_window=not window)


def _request(window: list[Row]) -> list[Row]:
    """Take as many rows as one request may hold from the end of a window."""
    batch = [window.pop()]
    size = batch[0].weight
    while window and len(batch) < MOST_EVENTS and size + window[-1].weight <= MOST_BYTES:
        batch.append(window.pop())
        size += batch[-1].weight
    return batch


def _events(batch: _Batch) -> list[bytes]:
    return [row.line for row in batch.rows if isinstance(row.line, bytes)]


def _went_well(future: Future[dict[int, Refusal]]) -> bool:
    return future.done() and not future.cancelled() and future.exception() is None


def _remember(sent: _Sent, progress: Progress) -> None:
    refused = _refused(sent.batch.rows, sent.refused.result())
    progress.advance(len(sent.batch.rows), refused, ends_window=sent.batch.ends_window)


def _refused(rows: list[Row], refused: dict[int, Refusal]) -> Iterator[bytes]:
    """The refused rows with the reasons, as they are kept."""
    place = 0
    for row in rows:
        if isinstance(row.line, Damaged):
            yield _row(row.number, Refusal("invalid", row.line.fault), json.dumps(row.line.sent).encode())
            continue
        if place in refused:
            yield _row(row.number, refused[place], _as_sent(row.line))
        place += 1


def _row(number: int, refusal: Refusal, sent: bytes) -> bytes:
    told = json.dumps({"row": number, "code": refusal.code, "detail": refusal.detail}).encode()
    return told[:-1] + b', "event": ' + sent + b"}\n"


def _as_sent(line: bytes) -> bytes:
    """A line to the last digit, or as a string where it is no JSON."""
    try:
        loads(line.decode().encode())
    except (ValueError, Invalid):
        return json.dumps(shown(line)).encode()
    return line
