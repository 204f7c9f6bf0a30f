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
    what = " · ".join([*_bounds(tier), *_others(tier)])
    # A tier that is a fee alone has no price to show.
    priced = tier.get("unit_price") != "0" or tier.get("flat_fee") in (None, "0")
    price = _number(tier, "unit_price") if priced else ""
    return Step(what, _number(tier, "quantity"), price, tier.get("amount") or "")


def _bounds(tier: Mapping[str, Any]) -> Iterator[str]:
    if tier.get("up_to") is not None:
        yield f"Up to {_number(tier, 'up_to')}"
    elif "up_to" in tier:
        yield f"Above {_number(tier, 'from')}".rstrip()


def _others(tier: Mapping[str, Any]) -> Iterator[str]:
    for name, value in tier.items():
        if name == "rate":
            yield f"{value}%"
        elif name not in _PLACED and value not in (None, "0"):
            yield f"{name.replace('_', ' ')} {_number(tier, name)}"


def _number(tier: Mapping[str, Any], name: str) -> str:
    value = tier.get(name)
    return "" if value is None else shortened(str(value)) if name == "quantity" else grouped(str(value))
