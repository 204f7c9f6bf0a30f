"""package: packages × package_price; a package that was begun counts whole unless `round` says otherwise."""

from fractions import Fraction
from math import ceil, floor
from typing import Literal

from billing.fields import Amount, Positive
from billing.pricing.charges import Charge
from metering.decimals import text
from metering.faults import Written


class Package(Written):
    """Units sold by the package: `up` counts a begun one whole, `down` not at all, `exact` by its part."""

    model: Literal["package"]
    size: Positive
    package_price: Amount
    round: Literal["up", "down", "exact"] = "up"


def charge_package(price: Package, quantity: Fraction) -> Charge:
    """Count the packages and multiply."""
    packages = quantity / Fraction(price.size)
    if price.round == "up":
        packages = Fraction(ceil(packages))
    elif price.round == "down":
        packages = Fraction(floor(packages))
    amount = packages * Fraction(price.package_price)
    step = {
        "quantity": text(quantity),
        "packages": text(packages),
        "size": text(price.size),
        "package_price": text(price.package_price),
        "amount": text(amount),
    }
    return Charge(amount, tiers=(step,) if quantity else ())
