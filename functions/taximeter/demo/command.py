"""`taximeter demo`: on a cloud that runs, or on one that it starts and ends."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from taximeter.local import end_on_signals, explained

if TYPE_CHECKING:
    from rich.console import Console

    from infra.local.cloud import Cloud


def demo(
    *,
    port: Annotated[int | None, typer.Option(help="The port of a local cloud that runs.")] = None,
) -> None:
    """Send a real trace through everything, to paid invoices, and check every figure."""
    with explained():
        # What the demo is made of is loaded when it is called: the client needs none of it.
        from rich.console import Console  # noqa: PLC0415 - see above

        from taximeter.demo.play import play  # noqa: PLC0415 - see above

        console = Console()
        end_on_signals()
        with _cloud(port, console) as found:
            agreed = play(found, console)
        if not agreed:
            raise typer.Exit(1)


@contextmanager
def _cloud(port: int | None, console: "Console") -> Iterator["Cloud"]:
    """The cloud on a port, or the one that runs; where there is none a fresh one, gone afterwards.

    Raises:
        RuntimeError: there is no cloud on the port.
    """
    from infra.local import cloud, processes  # noqa: PLC0415 - the client does not need it

    found = cloud.find(port or cloud.PORT)
    if found:
        console.print(f"on the local cloud on port {found.port}, whose clock will move to the next month")
        yield found
        return
    if port is not None:
        message = f"no local cloud on port {port} was started from this folder: taximeter up"
        raise RuntimeError(message)
    free = processes.free_port()
    try:
        with console.status("starting a local cloud") as status:
            started = cloud.start(free, say=lambda line: status.update(f"starting a local cloud: {line}"))
        console.print(f"[green]✓[/green] A local cloud runs on port {free}, with the template deployed to it")
        yield started
    finally:
        cloud.stop(free)
