"""Pricing: one file per rate model, and here the one switch that picks it.

A model is a value that users write (validated by pydantic) and a function from what was measured to a `Charge`. To
add one: a file beside these, its class in `QuantityPrice` (matrix.py), and its case in `charge`.
"""

from typing import Annotated, assert_never

from pydantic import Field

from billing.pricing.charges import Charge, Measured, Step
from billing.pricing.dynamic import Dynamic, charge_dynamic
from billing.pricing.flat import Flat, charge_flat
from billing.pricing.graduated import Graduated, charge_graduated
from billing.pricing.matrix import Matrix, Part, QuantityPrice, split
from billing.pricing.package import Package, charge_package
from billing.pricing.per_unit import PerUnit, charge_per_unit
from billing.pricing.percentage import Percentage, charge_percentage
from billing.pricing.stairstep import Stairstep, charge_stairstep
from billing.pricing.volume import Volume, charge_volume

Price = Annotated[
    PerUnit | Package | Graduated | Volume | Stairstep | Percentage | Dynamic | Matrix | Flat,
    Field(discriminator="model"),
]

__all__ = [
    "Charge",
    "Flat",
    "Matrix",
    "Measured",
    "Part",
    "Price",
    "QuantityPrice",
    "Step",
    "charge",
    "charge_flat",
    "split",
]


def charge(price: QuantityPrice, measured: Measured) -> Charge:
    """Rate what was measured; a matrix is split first (`split`), and each part rated at its own price."""
    match price:
        case PerUnit():
            return charge_per_unit(price, measured.quantity)
        case Package():
            return charge_package(price, measured.quantity)
        case Graduated():
            return charge_graduated(price, measured.quantity)
        case Volume():
            return charge_volume(price, measured.quantity)
        case Stairstep():
            return charge_stairstep(price, measured.quantity)
        case Percentage():
            return charge_percentage(price, measured)
        case Dynamic():
            return charge_dynamic(measured)
        case _:
            assert_never(price)
