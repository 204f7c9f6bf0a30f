"""`taximeter replay`: windows folded again from the events, with the operator's AWS credentials.

What talks to AWS is imported when the command is called: the client needs none of it.
"""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from taximeter.local import end_on_signals, explained
from taximeter.operator import AsJson, Name, Port, deployment
from taximeter.tables import say, show_json

if TYPE_CHECKING:
    from taximeter.replaying.place import Place
    from taximeter.replaying.progress import Progress, Tally
    from taximeter.replaying.run import Asked

_INCOMPLETE = 3
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def replay(  # noqa: PLR0913 - each is an option of the command
    *,
    since: Annotated[str, typer.Option("--from", help="A day (UTC), or an RFC 3339 time; cut to the hour.")],
    until: Annotated[str, typer.Option("--to", help="A day (UTC) or a time, not included.")],
    customer: Annotated[str, typer.Option(help="Only this customer.")] = "",
    meter: Annotated[str, typer.Option(help="Only this meter.")] = "",
    scan: Annotated[
        bool, typer.Option("--scan", help="Find edges that were never paired too: reads the whole Events table.")
    ] = False,
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="How many requests at a time.")] = 8,
    restart: Annotated[bool, typer.Option("--restart", help="Begin anew after an interruption.")] = False,
    name: Name = "Taximeter",
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Fold the windows of an interval again from the events; doing it twice changes nothing.

    Sessions are paired again too. After an interruption the same command goes on where it was. The exit code is 3 when
    something could not be processed.
    """
    from taximeter.replaying.place import place_of  # noqa: PLC0415 - see the module's docstring
    from taximeter.replaying.progress import Progress  # noqa: PLC0415 - the same
    from taximeter.replaying.run import Replay  # noqa: PLC0415 - the same

    with _explained():
        place = place_of(deployment(name, port))
        asked = asked_of(place, since, until, customer, meter, scan=scan)
        identity = [name, port, *_interval(since, until), customer, meter, scan]
        progress = Progress(Path.cwd(), identity, restart=restart)
        if scan and not progress.tally.scan_done:
            say("--scan reads the whole Events table, and pays for it; what it finds is paired within seconds")
        if progress.resumed:
            say(f"going on after {progress.tally.customers:,} customers and {progress.tally.days_done:,} days")
        end_on_signals()
        began = time.monotonic()
        try:
            with _shown(progress) as moved:
                run = f"{time.time_ns():x}"
                tally = Replay(place, asked, progress, run, concurrency=concurrency, told=moved).run()
        except BaseException:
            say("the same command goes on from there")
            raise
        _summary(tally, time.monotonic() - began, as_json=as_json)
    if tally.unanswered or tally.parked:
        raise typer.Exit(_INCOMPLETE)


def asked_of(place: "Place", since: str, until: str, customer: str, meter: str, *, scan: bool = False) -> "Asked":
    """What is asked for, as far as it can be replayed: nothing lies ahead of the clock by more than an hour.

    Raises:
        ValueError: the interval is empty or too old, or there is no such meter.
        NotFound: there is no such customer.
    """
    from metering.times import HOUR, floor  # noqa: PLC0415 - see the module's docstring
    from taximeter.replaying.run import Asked, too_old  # noqa: PLC0415 - the same

    start, written_end = _interval(since, until)
    end = min(written_end, floor(place.now, HOUR) + 2 * HOUR)
    if start >= end:
        raise ValueError("--from must lie before --to, and before now")
    refused = too_old(start, place)
    if refused:
        raise ValueError(refused)
    meters = place.catalog.meters()
    if meter and meter not in meters:
        raise ValueError(f"there is no meter {meter!r}")
    wanted = {key: meters[key] for key in sorted(meters) if meter in ("", key)}
    customers = [place.catalog.account(customer).customer.id] if customer else None
    return Asked(start, end, customers, wanted, scan)


def _interval(since: str, until: str) -> tuple[int, int]:
    """What was written, whole hours: the same whatever the time is, so it tells one replay from another."""
    from metering.times import HOUR, floor  # noqa: PLC0415 - see the module's docstring

    return floor(_instant(since, "--from"), HOUR), -(-_instant(until, "--to") // HOUR) * HOUR


def _instant(written: str, option: str) -> int:
    from metering.errors import Invalid  # noqa: PLC0415 - see the module's docstring
    from metering.times import parse_time  # noqa: PLC0415 - the same

    try:
        return parse_time(f"{written}T00:00:00Z" if _DAY.fullmatch(written) else written)
    except Invalid as fault:
        raise ValueError(f"{option} {fault.detail}") from fault


@contextmanager
def _explained() -> Iterator[None]:
    """Turn what AWS refuses, and what is not there, into one line."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - see the module's docstring

    from metering.errors import TaximeterError  # noqa: PLC0415 - the same

    with explained():
        try:
            yield
        except (BotoCoreError, ClientError, TaximeterError) as fault:
            raise RuntimeError(str(fault)) from fault


@contextmanager
def _shown(progress: "Progress") -> Iterator[Callable[[], None]]:
    """A line for people that moves; what programs read goes to standard output alone."""
    from rich import progress as bars  # noqa: PLC0415 - see the module's docstring
    from rich.console import Console  # noqa: PLC0415 - the same

    console = Console(stderr=True)
    parts = (bars.SpinnerColumn(), bars.TextColumn("{task.description}"), bars.TimeElapsedColumn())
    with bars.Progress(*parts, console=console, disable=not console.is_terminal) as shown:
        task = shown.add_task("", total=None)

        def moved() -> None:
            tally = progress.tally
            shown.update(task, description=_told(tally))

        yield moved


def _told(tally: "Tally") -> str:
    scanned = f"{tally.edges:,} edges found · " if tally.edges else ""
    return (
        f"{scanned}{tally.customers:,} customers · {tally.hours:,} hours · {tally.sessions:,} sessions · "
        f"{tally.changed:,} windows changed"
    )


def _summary(tally: "Tally", seconds: float, *, as_json: bool) -> None:
    if as_json:
        names = ("customers", "hours", "sessions", "edges", "changed", "windows", "unanswered", "parked")
        told = asdict(tally)
        show_json({each: told[each] for each in names} | {"seconds": round(seconds, 3)})
        return
    typer.echo(_told(tally))
    for window in tally.windows:
        typer.echo(f"  {window}")
    if tally.unanswered:
        say(f"{tally.unanswered:,} sessions were not paired again in time: is pair behind?")
    if tally.parked:
        say(f"{tally.parked:,} hours could not be processed: taximeter parked tells why")
