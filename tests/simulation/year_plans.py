"""The plans of a year: every rate model, alone and by dimensions, over every aggregation, in three currencies."""

from tests.simulation.catalogue import PLANS as KNOWN
from tests.simulation.catalogue import Json


def _item(meter: str, price: Json, key: str = "", **fields: object) -> Json:
    return {"key": key or meter, "meter": meter, "price": price, **fields}


def _each(unit_price: str) -> Json:
    return {"model": "per_unit", "unit_price": unit_price}


def _tiers(model: str, *tiers: tuple[str | None, str, str]) -> Json:
    return {
        "model": model,
        "tiers": [{"up_to": end, "unit_price": price, "flat_fee": fee} for end, price, fee in tiers],
    }


_GRADUATED = _tiers("graduated", ("5", "0.35", "0.2"), ("20", "0.125", "0"), (None, "0.03333", "0"))
_VOLUME = _tiers("volume", ("4", "0.5", "0"), ("30", "0.21", "0.5"), (None, "0.1", "1"))
_STAIRS = {
    "model": "stairstep",
    "tiers": [{"up_to": "2", "flat_fee": "1"}, {"up_to": "9", "flat_fee": "2.5"}, {"up_to": None, "flat_fee": "4"}],
}
_PACKAGES = {"model": "package", "size": "4", "package_price": "0.99"}
_PERCENTAGE = {"model": "percentage", "rate": "1.9", "fixed_fee": "0.05", "minimum": "0.1", "maximum": "7"}
_MATRIX = {
    "model": "matrix",
    "by": ["provider", "region"],
    "prices": [
        {"when": {"provider": "aws", "region": "eu"}, "price": _GRADUATED},
        {"when": {"provider": "aws"}, "price": _VOLUME},
        {"when": {"provider": "azure", "region": "*"}, "price": _STAIRS},
        {"when": {"region": "us"}, "price": _PACKAGES},
        {"when": {"provider": "gcp"}, "price": _PERCENTAGE},
    ],
    "otherwise": {"model": "dynamic"},
}
_FLAT: Json = {"model": "flat", "amount": "9.99"}

_MORE: list[Json] = [
    {
        "key": "scale",
        "currency": "USD",
        "items": [
            _item("requests", _MATRIX, included="2.5"),
            _item("calls", _VOLUME),
            _item("users", _STAIRS),
            _item("lease", _GRADUATED, divide_by="3600000"),
            _item("runtime", _PACKAGES, divide_by="600000"),
            {"key": "seat", "price": _FLAT},
            {"key": "support", "price": {**_FLAT, "due": "arrears", "prorate": False}},
        ],
        "minimum": "15",
        "maximum": "90",
        "discounts": [{"amount": "2"}, {"percent": "12.5"}],
    },
    {
        "key": "sprint",
        "currency": "USD",
        "period": "week",
        "items": [_item("requests", _PERCENTAGE), _item("lease", _each("0.11"), divide_by="3600000", included="3")],
        "minimum": "3.5",
    },
    {
        "key": "annual",
        "currency": "USD",
        "period": "year",
        "items": [
            _item("requests", _GRADUATED, included="12"),
            _item("calls", _each("0.21"), where={"provider": "aws"}),
            _item("peak", _VOLUME),
            _item("lease", _STAIRS, divide_by="86400000"),
            {"key": "seat", "price": {**_FLAT, "amount": "120"}},
        ],
        "maximum": "400",
    },
    {
        "key": "quiet",
        "currency": "JPY",
        "items": [_item("requests", _GRADUATED), _item("calls", _each("110")), _item("seats", _each("15"))],
        "discounts": [{"percent": "3"}],
    },
    {
        "key": "steady",
        "currency": "EUR",
        "items": [_item("requests", _VOLUME), _item("coldest", _each("0.4")), _item("runtime", _each("0.00002"))],
    },
]
PLANS: dict[str, Json] = {plan["key"]: plan for plan in [*KNOWN, *_MORE]}

BY_CURRENCY = {
    "USD": ("monthly", "other", "scale", "sprint"),
    "EUR": ("weekly", "steady"),
    "JPY": ("daily", "quiet"),
}


def revised(plan: Json) -> Json:
    """The next version of a plan: another discount, and a first item that is dearer."""
    first, *others = plan["items"]
    more = {"key": f"{first['key']}-more", "meter": first["meter"], "price": _each("1")}
    return {**plan, "items": [first, more, *others], "discounts": [{"percent": "7.5"}]}
