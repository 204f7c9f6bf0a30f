"""An import from its first row to its last: read, send in batches side by side, and remember in the file's order."""

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
from taximeter.importing.progress import Progress
from taximeter.importing.sending import Refusal, Sender
from taximeter.importing.sources import Damaged, Source

Line = bytes | Damaged


@dataclass(frozen=True, slots=True)
class _Sent:
    """A batch on its way."""

    lines: list[Line]
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
    batches = _batches(map(columns.line, islice(source.records, progress.tally.rows, None)))
    waiting: deque[_Sent] = deque()
    with ThreadPoolExecutor(concurrency, "import") as threads:
        try:
            for lines in batches:
                waiting.append(_Sent(lines, threads.submit(sender.post, [x for x in lines if isinstance(x, bytes)])))
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


def _batches(lines: Iterable[Line]) -> Iterator[list[Line]]:
    """As many lines as one request may hold, again and again."""
    batch: list[Line] = []
    size = 0
    for line in lines:
        weight = len(line) + 1 if isinstance(line, bytes) else 0
        if batch and (len(batch) == MOST_EVENTS or size + weight > MOST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(line)
        size += weight
    if batch:
        yield batch


def _went_well(future: Future[dict[int, Refusal]]) -> bool:
    return future.done() and not future.cancelled() and future.exception() is None


def _remember(sent: _Sent, progress: Progress) -> None:
    refused = sent.refused.result()
    progress.advance(len(sent.lines), _rows(sent.lines, refused, progress.tally.rows))


def _rows(lines: list[Line], refused: dict[int, Refusal], first: int) -> Iterator[bytes]:
    """The refused rows with the reasons, as they are kept; rows are counted from one."""
    place = 0
    for number, line in enumerate(lines, first + 1):
        if isinstance(line, Damaged):
            yield _row(number, Refusal("invalid", line.fault), json.dumps(line.sent).encode())
            continue
        if place in refused:
            yield _row(number, refused[place], _as_sent(line))
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
