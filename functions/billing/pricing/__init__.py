"""Pricing: one file per rate model, and here the one switch that picks it.

A model is a value that users write (validated by pydantic) and a function from a quantity to a `Charge`. To add
one: a file beside these, its class in `QuantityPrice` (matrix.py), and its case in `charge`.
"""

from fractions import Fraction
from typing import Annotated, assert_never

from pydantic import Field

from billing.pricing.charges import Charge, Measured
from billing.pricing.flat import Flat, charge_flat
from billing.pricing.matrix import Matrix, Part, split
from billing.pricing.package import Package, charge_package
from billing.pricing.per_unit import PerUnit, charge_per_unit

Price = Annotated[PerUnit | Package | Matrix | Flat, Field(discriminator="model")]

__all__ = ["Charge", "Flat", "Matrix", "Measured", "Package", "Part", "PerUnit", "Price", "charge", "split"]


def charge(price: PerUnit | Package | Flat, measured: Measured, share: Fraction = Fraction(1)) -> Charge:
    """Rate what was measured; a matrix is split first (`split`), and each part rated at its own price.

    Args:
        price: the model and its numbers.
        measured: what is rated.
        share: how much of a whole period this one is, for fees by the period.
    """
    match price:
        case PerUnit():
            return charge_per_unit(price, measured.quantity)
        case Package():
            return charge_package(price, measured.quantity)
        case Flat():
            return charge_flat(price, share)
        case _:
            assert_never(price)
