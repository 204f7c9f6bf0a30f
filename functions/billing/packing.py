"""A wallet as bytes and back: one small blob, so that a draw is one small write. Law 5.4.

Values become lists in the order of their fields, and what stands at its default at the end of one is left out; numbers
are text, as JSON's own have no decimals.
"""

from dataclasses import fields
from decimal import Decimal
from typing import Any, TypeVar

from billing.alerts import Fired
from billing.credits import Credit
from billing.top_ups import Counted, TopUps
from billing.wallet import Adjustment, Debt, Draw, Entry, OpenPeriod, OwedAgain, Wallet
from metering.decimals import text
from metering.packing import canonical, compress, unpack_json

_Value = TypeVar("_Value", Adjustment, Credit, Debt, Draw, Entry, OpenPeriod, OwedAgain, Wallet, Fired, Counted, TopUps)

# The fields that are not plain JSON: decimals, and values within values.
_DECIMALS = {"amount", "remaining", "lapsed", "owed", "balance_after"}
_WITHIN: dict[str, Any] = {
    "credits": Credit,
    "periods": OpenPeriod,
    "debts": Debt,
    "adjustments": Adjustment,
    "entries": Entry,
    "fired": Fired,
    "drawn": Draw,
    "held": Draw,
    "counted": Counted,
    "owed_again": OwedAgain,
}


def pack(wallet: Wallet) -> bytes:
    """Write a wallet as compressed JSON."""
    return compress(canonical(_write(wallet)))


def unpack(data: bytes) -> Wallet:
    """Read back what `pack` wrote.

    Raises:
        Unreadable: the bytes are damaged.
    """
    return _read(Wallet, unpack_json(data))


def pack_period(period: OpenPeriod) -> bytes:
    """Write a period that leaves its wallet, for an item of its own."""
    return compress(canonical(_write(period)))


def unpack_period(data: bytes) -> OpenPeriod:
    """Read back what `pack_period` wrote.

    Raises:
        Unreadable: the bytes are damaged.
    """
    return _read(OpenPeriod, unpack_json(data))


def _write(value: Any) -> list[Any]:  # noqa: ANN401 - any of the values of a wallet
    written = []
    for field in fields(value):
        part = getattr(value, field.name)
        default = field.default
        written.append(None if part == default and default is not None else _plain(field.name, part))
    while written and written[-1] is None:
        written.pop()
    return written


def _plain(name: str, part: Any) -> Any:  # noqa: ANN401 - JSON
    if name in _DECIMALS:
        return text(part)
    if name in _WITHIN:
        return [_write(each) for each in part]
    if name == "top_ups":
        return _write(part)
    if name == "seen":
        return [[start, text(owed)] for start, owed in part]
    return part


def _read(kind: type[_Value], written: list[Any]) -> _Value:
    given = {
        field.name: _value(field.name, part)
        for field, part in zip(fields(kind), written, strict=False)
        if part is not None
    }
    return kind(**({"credit": None} if kind is Draw else {}) | given)


def _value(name: str, part: Any) -> Any:  # noqa: ANN401 - JSON
    if name in _DECIMALS:
        return Decimal(part)
    if name in _WITHIN:
        return tuple(_read(_WITHIN[name], each) for each in part)
    if name == "top_ups":
        return _read(TopUps, part)
    if name == "seen":
        return tuple((start, Decimal(owed)) for start, owed in part)
    return part
