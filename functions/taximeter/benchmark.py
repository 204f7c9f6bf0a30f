"""The meter of the meter: `benchmark` counts what events cost. What it needs is imported when it is called."""

import json
import sys
from dataclasses import replace
from functools import partial
from typing import Annotated

import typer

from taximeter.local import AsJson, explained


def benchmark(
    *,
    shape: Annotated[list[str] | None, typer.Option(help="Only this shape; may be repeated.")] = None,
    freshness: Annotated[
        int, typer.Option(help="How many seconds stream consumers gather records.", min=1, max=60)
    ] = 5,
    minutes: Annotated[
        int | None, typer.Option(help="How long each of the two samples is; even.", min=2, max=60)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Drive the real handlers with the batches that AWS would make, and print what a million events cost."""
    with explained():
        from rich.console import Console  # noqa: PLC0415 - see the module's docstring
        from rich.progress import Progress  # noqa: PLC0415 - see the module's docstring

        from infra.benchmark import costs, report, run, sdk, shapes  # noqa: PLC0415 - see the module's docstring

        known = {each.key: each for each in shapes.SHAPES}
        if unknown := set(shape or ()) - known.keys():
            raise ValueError(f"there is no shape {min(unknown)!r}, only {', '.join(known)}")
        chosen = [
            replace(known[key], minutes=minutes or known[key].minutes) for key in known if key in (shape or known)
        ]
        sdk_milliseconds = sdk.request_milliseconds()
        rows = []
        with Progress(console=Console(stderr=True), transient=True) as progress:
            for each in chosen:
                task = progress.add_task(each.says, total=None)
                measured = run.measure(each, freshness, partial(progress.advance, task))
                progress.update(task, visible=False)
                rows.append((measured, costs.cost_of(measured, sdk_milliseconds)))
        if as_json:
            sys.stdout.write(json.dumps(report.as_json(rows, freshness, sdk_milliseconds), indent=2) + "\n")
        else:
            report.show(rows, freshness, Console())
