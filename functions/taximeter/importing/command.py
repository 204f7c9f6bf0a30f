"""`taximeter import`: the events of a file, to a deployment or to the local cloud.

What reads and sends is imported when the command is called: the others need none of it.
"""

import json
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from taximeter.client import ApiKey, AsJson, Port, Url, where
from taximeter.local import end_on_signals, explained

if TYPE_CHECKING:
    from taximeter.importing.progress import Progress
    from taximeter.importing.sources import Source

_REJECTED = 3


def import_(  # noqa: PLR0913 - each is an option of the command
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="NDJSON, CSV or Parquet; gzip welcome.")],
    *,
    url: Url = "",
    key: ApiKey = "",
    port: Port = None,
    mapped: Annotated[list[str] | None, typer.Option("--map", help="FIELD=COLUMN; dimensions.NAME=COLUMN.")] = None,
    constant: Annotated[list[str] | None, typer.Option("--set", help="FIELD=VALUE, the same in every row.")] = None,
    form: Annotated[
        Literal["ndjson", "csv", "parquet"] | None, typer.Option("--format", help="If the name does not tell.")
    ] = None,
    delimiter: Annotated[str | None, typer.Option(help="Between the cells of CSV: a comma, in .tsv a tab.")] = None,
    utc: Annotated[bool, typer.Option("--utc", help="Times without an offset are UTC.")] = False,
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="How many requests at a time.")] = 8,
    restart: Annotated[bool, typer.Option("--restart", help="Begin anew after an interruption.")] = False,
    allow_rejected: Annotated[bool, typer.Option("--allow-rejected", help="Rejected rows are no failure.")] = False,
    as_json: AsJson = False,
) -> None:
    """Send the events of a file; after an interruption the same command goes on where it was.

    Rejected rows are written to FILE.rejected.ndjson with the reasons, and the exit code is 3. Sending a file twice
    counts every event once.
    """
    from taximeter.importing.columns import Columns  # noqa: PLC0415 - see the module's docstring
    from taximeter.importing.progress import Progress, identity_of  # noqa: PLC0415 - the same
    from taximeter.importing.run import run  # noqa: PLC0415 - the same
    from taximeter.importing.sending import Sender  # noqa: PLC0415 - the same
    from taximeter.importing.sources import Source  # noqa: PLC0415 - the same

    with _explained():
        destination = where(url, key, port)
        columns = Columns.of(mapped or (), constant or (), utc=utc)
        sender = Sender(*destination, connections=concurrency)
        source = Source(file, form, delimiter)
        identity = identity_of(file, *destination, columns, source.form, delimiter)
        began = time.monotonic()
        end_on_signals()
        with Progress(file, identity, restart=restart) as progress:
            if progress.resumed_at:
                _say(f"going on after row {progress.resumed_at:,}")
            try:
                with _bar(source, progress) as moved:
                    run(source, columns, sender, progress, concurrency=concurrency, told=moved)
            except BaseException:
                if progress.tally.rows:
                    _say(f"{progress.tally.rows:,} rows are done; the same command goes on from there")
                raise
            finally:
                source.close()
                sender.close()
        _summary(file, progress, time.monotonic() - began, as_json=as_json)
    if progress.tally.rejected and not allow_rejected:
        raise typer.Exit(_REJECTED)


@contextmanager
def _explained() -> Iterator[None]:
    with explained():
        try:
            yield
        except (OSError, EOFError, zlib.error) as fault:
            raise RuntimeError(str(fault)) from fault


@contextmanager
def _bar(source: "Source", progress: "Progress") -> Iterator[Callable[[], None]]:
    """A bar for people; what programs read goes to standard output alone."""
    from rich import progress as bars  # noqa: PLC0415 - see the module's docstring
    from rich.console import Console  # noqa: PLC0415 - the same

    began = time.monotonic()
    parts = (
        bars.BarColumn(),
        bars.TaskProgressColumn(),
        bars.TextColumn("{task.fields[rows]:,} rows · {task.fields[rate]:,.0f}/s"),
        bars.TextColumn("{task.fields[rejected]:,} rejected", style="red"),
        bars.TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with bars.Progress(*parts, console=console, disable=not console.is_terminal) as shown:
        task = shown.add_task("", total=source.bytes, rows=progress.tally.rows, rate=0, rejected=0)

        def moved() -> None:
            tally = progress.tally
            rate = (tally.rows - progress.resumed_at) / max(time.monotonic() - began, 0.001)
            shown.update(task, completed=source.position, rows=tally.rows, rate=rate, rejected=tally.rejected)

        yield moved


def _summary(file: Path, progress: "Progress", seconds: float, *, as_json: bool) -> None:
    tally = progress.tally
    rate = (tally.rows - progress.resumed_at) / max(seconds, 0.001)
    if as_json:
        told = {
            "file": str(file),
            "rows": tally.rows,
            "accepted": tally.accepted,
            "rejected": tally.rejected,
            "rejected_file": str(progress.rejected) if tally.rejected else None,
            "resumed_at": progress.resumed_at,
            "seconds": round(seconds, 3),
            "rows_per_second": round(rate),
        }
        sys.stdout.write(json.dumps(told) + "\n")
        return
    sys.stdout.write(f"{tally.accepted:,} of {tally.rows:,} rows accepted, {rate:,.0f} a second\n")
    if tally.rejected:
        sys.stdout.write(f"{tally.rejected:,} rejected: {progress.rejected}\n")


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
