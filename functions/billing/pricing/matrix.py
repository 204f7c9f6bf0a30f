"""matrix: usage split by the values of some dimensions, each combination with a price of its own."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from billing.fields import list_in, mapping_in
from billing.pricing.dynamic import Dynamic
from billing.pricing.graduated import Graduated
from billing.pricing.package import Package
from billing.pricing.per_unit import PerUnit
from billing.pricing.percentage import Percentage
from billing.pricing.stairstep import Stairstep
from billing.pricing.volume import Volume
from metering.bodies import DimensionName, DimensionValue
from metering.faults import Contradiction, Written
from metering.meters import DimensionNames
from metering.usage import Usage

# Every price that rates a quantity: all but `flat` and `matrix` itself.
QuantityPrice = Annotated[
    PerUnit | Package | Graduated | Volume | Stairstep | Percentage | Dynamic, Field(discriminator="model")
]

_ANY = "*"


class Cell(Written):
    """A pattern of dimension values (`*` matches anything, as does leaving a name out) and its price."""

    when: dict[DimensionName, DimensionValue]
    price: QuantityPrice


class Matrix(Written):
    """The first pattern that matches wins; what none matches has the price `otherwise`, or is unpriced."""

    model: Literal["matrix"]
    by: Annotated[DimensionNames, Field(min_length=1)]
    prices: tuple[Cell, ...]
    otherwise: QuantityPrice | None = None

    @classmethod
    def contradictions(cls, written: Mapping[str, Any]) -> Iterator[Contradiction]:
        """A pattern names only what usage is split by."""
        by = list_in(written.get("by"))
        for place, cell in enumerate(list_in(written.get("prices"))):
            for name in mapping_in(getattr(cell, "when", mapping_in(cell).get("when"))):
                if name not in by:
                    yield ("prices", place, "when", name), f"asks for `{name}`, which is not in `by`"


@dataclass(frozen=True, slots=True)
class Part:
    """The usage of one combination of dimension values, and the price that it has (None: unpriced)."""

    dimensions: Mapping[str, str]
    price: QuantityPrice | None
    usage: tuple[Usage, ...]


def split(matrix: Matrix, usage: Iterable[Usage]) -> list[Part]:
    """Split usage by combination, in the order of `prices`, then of dimension values, a missing one first."""
    combinations: dict[tuple[str | None, ...], list[Usage]] = {}
    for row in usage:
        values = dict(row.dimensions)
        combinations.setdefault(tuple(values.get(name) for name in matrix.by), []).append(row)
    parts = []
    for combination, rows in combinations.items():
        dimensions = {n: v for n, v in zip(matrix.by, combination, strict=True) if v is not None}
        rank = _first_match(matrix, dimensions)
        price = matrix.prices[rank].price if rank < len(matrix.prices) else matrix.otherwise
        order = (rank, [(value is not None, value or "") for value in combination])
        parts.append((order, Part(dimensions, price, tuple(rows))))
    parts.sort(key=lambda ranked: ranked[0])
    return [part for _, part in parts]


def _first_match(matrix: Matrix, dimensions: Mapping[str, str]) -> int:
    for rank, cell in enumerate(matrix.prices):
        if all(value in (_ANY, dimensions.get(name)) for name, value in cell.when.items()):
            return rank
    return len(matrix.prices)
