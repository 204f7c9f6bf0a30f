"""How the commands show what they found: tables for people, whole lines for pipes, JSON for programs."""

import json
import sys
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

_PIPE_COLUMNS = 100_000


def console() -> "Console":
    """Standard output: as wide as the terminal, and without an end where it is none."""
    from rich.console import Console  # noqa: PLC0415 - JSON needs no tables

    terminal = sys.stdout.isatty()
    return Console(file=sys.stdout, highlight=False, markup=False, width=None if terminal else _PIPE_COLUMNS)


def show(headings: Sequence[str], rows: Iterable[Sequence[object]], right: Container[str] = ()) -> None:
    """Print a table.

    Args:
        headings: of the columns.
        rows: their cells; None is shown as nothing.
        right: the headings of the columns that are aligned to the right.
    """
    from rich.table import Table  # noqa: PLC0415 - JSON needs no tables
    from rich.text import Text  # noqa: PLC0415 - the same

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, justify="right" if heading in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    console().print(table)


def show_json(value: object) -> None:
    """Print JSON on one line."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")


def say(line: str) -> None:
    """Tell people; what programs read goes to standard output alone."""
    sys.stderr.write(line + "\n")


def pairs(values: Mapping[str, Any]) -> str:
    """Names and values on one line."""
    return " ".join(f"{name}={value}" for name, value in sorted(values.items()))


def printable(cell: object) -> str:
    """A cell as text; what somebody sent cannot steer the terminal."""
    written = "" if cell is None else str(cell)
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in written)
