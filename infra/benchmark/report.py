"""Telling what was measured: a table for people, JSON for programs."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from infra.benchmark.costs import ASSUMPTIONS, Cost
from infra.benchmark.run import Measured

_PARTS = ("api", "requests", "compute", "writes", "reads", "rest")

Row = tuple[Measured, Cost]


def show(rows: Sequence[Row], freshness_seconds: int, console: Console) -> None:
    """Print dollars per million of each shape with its parts, and then how many units of what by whom."""
    console.print(Group(_costs(rows, freshness_seconds), _assumptions(), *(_units(measured) for measured, _ in rows)))


def _table(title: str, label: str, figures: Sequence[str]) -> Table:
    """A table that a terminal of 80 columns has room for, as a figure that is cut off is none."""
    table = Table(title=f"\n{title}", title_justify="left", header_style="bold", box=None, padding=(0, 1, 0, 0))
    table.add_column(label, min_width=14)
    for name in figures:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _costs(rows: Sequence[Row], freshness_seconds: int) -> Table:
    title = f"Dollars per million, freshness {freshness_seconds} s"
    table = _table(title, "shape", (*_PARTS, "total", "target", "waiting"))
    for measured, cost in rows:
        met = cost.total <= measured.shape.target
        parts = [_dollars(getattr(cost, part)) for part in _PARTS]
        said = f"{measured.shape.key}: {measured.shape.says}"
        total = f"[{'green' if met else 'red'}]{_dollars(cost.total)}[/]"
        table.add_row(said, *parts, total, f"{measured.shape.target:.2f}", _dollars(cost.waiting))
    return table


def _dollars(amount: Decimal) -> str:
    return f"{amount:.3f}"


def _assumptions() -> RenderableType:
    return Text("\n".join(f"- {each}" for each in ASSUMPTIONS))


def _units(measured: Measured) -> Table:
    found = _counted(measured)
    functions = sorted({function for function, _ in found})
    table = _table(f"{measured.shape.key}: per 1,000 {measured.shape.unit}", "", functions)
    for what in sorted({what for _, what in found}):
        cells = [f"{found[each, what] / 1000:.1f}" if (each, what) in found else "" for each in functions]
        table.add_row(what, *cells)
    spent = [_processor_milliseconds(measured, each) for each in functions]
    table.add_row("processor ms", *(f"{each:.1f}" if each else "" for each in spent))
    return table


def _processor_milliseconds(measured: Measured, function: str) -> Decimal:
    """Of a thousand."""
    return measured.million(lambda sample: Decimal(sample.processor_nanoseconds[function])) / 1_000_000_000


def _counted(measured: Measured) -> dict[tuple[str, str], Decimal]:
    keys = {*measured.boundary.counts, *measured.middle.counts}
    return {key: measured.million(lambda sample: Decimal(sample.counts[key])) for key in sorted(keys)}  # noqa: B023 - called here


def as_json(rows: Sequence[Row], freshness_seconds: int, sdk_milliseconds: Decimal) -> Mapping[str, Any]:
    """All of it: dollars per million, counts per million by function, and what was assumed. Figures are strings."""
    return {
        "freshness_seconds": freshness_seconds,
        "sdk_milliseconds_a_request": f"{sdk_milliseconds:.3f}",
        "assumptions": list(ASSUMPTIONS),
        "shapes": [_shape_json(measured, cost) for measured, cost in rows],
    }


def _shape_json(measured: Measured, cost: Cost) -> Mapping[str, Any]:
    counts: dict[str, dict[str, str]] = {}
    for (function, what), number in _counted(measured).items():
        counts.setdefault(function, {})[what] = f"{number:.0f}"
    parts = {part: f"{getattr(cost, part):.4f}" for part in _PARTS}
    return {
        "shape": measured.shape.key,
        "says": measured.shape.says,
        "per_million": measured.shape.unit,
        "dollars": {**parts, "total": f"{cost.total:.4f}", "waiting": f"{cost.waiting:.4f}"},
        "target": f"{measured.shape.target}",
        "counts_per_million": counts,
    }
