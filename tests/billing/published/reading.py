"""What readings of published examples share: the register, and plans and usage in few words."""

import json
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from billing.plans import Plan
from billing.rating import Line, rate
from metering.decimals import text
from metering.usage import Usage
from metering.windows import Tally

Json = dict[str, Any]
EXAMPLES: dict[str, Json] = {
    each["id"]: each
    for each in json.loads(Path(__file__).with_name("examples.json").read_text(encoding="utf-8"))["examples"]
}


def item(key: str, price: Json, **fields: Any) -> Json:
    return {"key": key, "meter": "m", "price": price, **fields}


def bill(
    *items: Json, usage: list[Usage], currency: str = "USD", share: Fraction = Fraction(1), **fields: Any
) -> tuple[Line, ...]:
    """The lines of a finished period."""
    return rate(Plan.model_validate({"key": "p", "currency": currency, "items": items, **fields}), usage, share)


def used(quantity: str | Decimal | int, events: int | str = 1, amount: str = "0", **dimensions: str) -> Usage:
    return Usage("m", "sum", tuple(sorted(dimensions.items())), Tally(int(events), Decimal(quantity), Decimal(amount)))


def exact(price: Json, quantity: str | Decimal, events: int = 1) -> str:
    """What one line costs, before rounding."""
    (line,) = bill(item("i", price), usage=[used(quantity, events)])
    return text(line.amount_exact)


def amounts(lines: tuple[Line, ...]) -> dict[str, str]:
    """The rounded sum of each item."""
    return {
        key: f"{sum((line.amount for line in lines if line.item == key), Decimal(0)):.2f}"
        for key in {line.item or line.kind for line in lines}
    }


def per(unit_price: str | Decimal) -> Json:
    return {"model": "per_unit", "unit_price": text(Decimal(unit_price))}


def million(price: str) -> Json:
    return {"model": "package", "size": "1000000", "package_price": price, "round": "exact"}


Reading = Callable[[Json, Json], None]
READINGS: dict[str, Reading] = {}


def reads(*names: str) -> Callable[[Reading], Reading]:
    """Say which examples a function reads."""

    def keep(reading: Reading) -> Reading:
        READINGS.update(dict.fromkeys(names, reading))
        return reading

    return keep
