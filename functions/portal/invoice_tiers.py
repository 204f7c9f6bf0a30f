"""The steps of a line as people read them: each tier with what fell into it, packages with their size."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from portal.amounts import grouped, shortened


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a line: a row below it; the amount as it is, the rest as it is read."""

    what: str
    quantity: str
    price: str
    amount: str


# What has a place of its own in the row; all else is written out by its name.
_PLACED = {"quantity", "unit_price", "amount", "up_to", "from"}


def steps_of(line: Mapping[str, Any]) -> Iterator[Step]:
    """The steps of a line, where they say more than the line itself: several, or one where there is no unit price."""
    tiers = line["tiers"]
    if len(tiers) > 1 or (tiers and line["unit_price"] is None):
        for tier in tiers:
            yield _step(tier)


def _step(tier: Mapping[str, Any]) -> Step:
    if "packages" in tier:
        what = f"Packages of {_number(tier, 'size')}"
        return Step(what, _number(tier, "packages"), _number(tier, "package_price"), tier.get("amount") or "")
    others = [
        f"{name.replace('_', ' ')} {value}"
        for name, value in tier.items()
        if name not in _PLACED and value not in (None, "0")
    ]
    what = " · ".join([*_bounds(tier), *others])
    return Step(what, _number(tier, "quantity"), _number(tier, "unit_price"), tier.get("amount") or "")


def _bounds(tier: Mapping[str, Any]) -> Iterator[str]:
    if tier.get("up_to") is not None:
        yield f"Up to {_number(tier, 'up_to')}"
    elif "up_to" in tier:
        yield "Above"


def _number(tier: Mapping[str, Any], name: str) -> str:
    value = tier.get(name)
    return "" if value is None else shortened(str(value)) if name == "quantity" else grouped(str(value))
