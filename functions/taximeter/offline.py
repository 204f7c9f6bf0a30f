"""The command that needs no deployment: `simulate`."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer


def simulate(
    scenario: Annotated[Path, typer.Argument(help="A JSON file; - reads standard input.")],
    *,
    now: Annotated[str | None, typer.Option(help="Look at another time than the scenario's own `now`.")] = None,
) -> None:
    """Compute usage, sessions, wallets and invoices of a scenario: the whole system as a pure function."""
    from metering.errors import TaximeterError  # noqa: PLC0415 - only this command needs the core
    from taximeter import scenario as scenarios  # noqa: PLC0415 - the same
    from taximeter import simulate as simulation  # noqa: PLC0415 - the same

    try:
        written = sys.stdin.read() if str(scenario) == "-" else scenario.read_text(encoding="utf-8")
        told = simulation.simulate(scenarios.read(written, now))
    except (OSError, ValueError, TaximeterError) as fault:
        faults = fault.faults if isinstance(fault, TaximeterError) else ()
        typer.echo("\n".join([str(fault), *(f"{each.pointer}: {each.detail}" for each in faults)]), err=True)
        raise typer.Exit(1) from fault
    typer.echo(json.dumps(told, indent=2, ensure_ascii=False))
