"""`taximeter apply`: a whole catalogue, its differences shown first; doing it twice changes nothing."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from taximeter.client import ApiKey, AsJson, Client, Port, Url, connected, path_of
from taximeter.tables import printable, say, show_json

if TYPE_CHECKING:
    from taximeter.applying.differences import Change
    from taximeter.applying.file import Catalogue


def apply(
    file: Annotated[Path, typer.Argument(help="YAML or JSON: meters, plans, customers; - reads standard input.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the differences and change nothing.")] = False,
    url: Url = "",
    key: ApiKey = "",
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Make the catalogue be as a file has it: show the differences, ask, and write them.

    What the file does not name stays as it is. What was interrupted is finished by the same command.
    """
    with connected(url, key, port) as client:
        catalogue = _read(file)
        changes, count = _changes(catalogue, client), len(catalogue.entries)
        if not as_json:
            _show(changes, count)
        agreed = bool(changes) and not dry_run and (yes or _agreed(len(changes)))
        if agreed:
            for change in changes:
                _write(change, client)
        if as_json:
            told = [change.as_json() for change in changes]
            show_json({"changes": told, "unchanged": count - len(changes), "applied": agreed})
        elif agreed:
            say("done")
    if changes and not agreed and not dry_run:
        raise typer.Exit(1)


def _read(file: Path) -> "Catalogue":
    from taximeter.applying.file import read  # noqa: PLC0415 - only this command needs the models

    try:
        return read(sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8"))
    except OSError as fault:
        raise ValueError(str(fault)) from fault


def _changes(catalogue: "Catalogue", client: Client) -> "list[Change]":
    """What is not deployed as it is written.

    Raises:
        ValueError: with all that is wrong with the catalogue, by itself and with what is deployed.
        Refused: what is deployed cannot be read.
    """
    from metering.meters import Meter  # noqa: PLC0415 - only this command needs the models
    from taximeter.applying.differences import change_of  # noqa: PLC0415 - the same
    from taximeter.applying.file import misfits  # noqa: PLC0415 - the same

    fields = Meter.model_fields.keys()
    meters = {str(row["key"]): row for row in client.rows("meters")}
    known = {
        name: Meter.model_validate({part: row[part] for part in row if part in fields}) for name, row in meters.items()
    }
    plans = {plan for plan in catalogue.plans_asked_for if client.find("plans", plan)}
    faults = [*catalogue.faults, *misfits(catalogue, known, plans)]
    if faults:
        raise ValueError("\n".join(faults))
    changes = []
    for entry in catalogue.entries:
        deployed = meters.get(entry.name) if entry.kind == "meters" else client.find(entry.kind, entry.name)
        change = change_of(entry, deployed)
        if change:
            changes.append(change)
    return changes


def _agreed(count: int) -> bool:
    return typer.confirm(f"write {'this' if count == 1 else f'these {count}'}?", err=True)


def _write(change: "Change", client: Client) -> None:
    """Write one change.

    Raises:
        RuntimeError: the API refuses; it says which one.
    """
    try:
        client.call("PUT", path_of(change.kind, change.name), change.body)
    except RuntimeError as refused:
        raise RuntimeError(f"{change.kind}/{change.name}: {refused}") from refused


def _show(changes: "list[Change]", count: int) -> None:
    for change in changes:
        typer.secho(f"{change.action} {change.kind}/{change.name}", bold=True)
        for each in change.differences:
            if change.action == "change":
                typer.secho(f"  - {each.path}: {_written(each.before)}", fg="red")
            typer.secho(f"  + {each.path}: {_written(each.after)}", fg="green")
    unchanged = count - len(changes)
    say(f"{len(changes)} to write, {unchanged} as they are")


def _written(value: Any) -> str:  # noqa: ANN401 - any JSON
    return printable(json.dumps(value, ensure_ascii=False))
