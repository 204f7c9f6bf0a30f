"""What the simulated world is made of: a meter of every aggregation, plans, and customers of many time zones."""

from typing import Any

from metering.times import DAY, HOUR, format_time

Json = dict[str, Any]

METERS: list[Json] = [
    {"key": "requests", "aggregation": "sum", "dimensions": ["provider", "region"]},
    {"key": "calls", "aggregation": "count", "dimensions": ["provider"]},
    {"key": "coldest", "aggregation": "min"},
    {"key": "peak", "aggregation": "max", "dimensions": ["region"]},
    {"key": "seats", "aggregation": "latest", "dimensions": ["provider"]},
    {"key": "users", "aggregation": "unique", "unique_by": "user", "dimensions": ["region"]},
    {
        "key": "runtime",
        "aggregation": "duration",
        "session": ["vm"],
        "dimensions": ["provider"],
        "weight": "memory_gb",
        "round_up": "7s",
        "minimum": "1m",
        "max_duration": "3h",
    },
    {"key": "lease", "aggregation": "duration", "session": ["vm", "region"], "round_up": "15m"},
]
TIME_ZONES = ("UTC", "Europe/Berlin", "Asia/Kolkata", "America/St_Johns", "Australia/Lord_Howe")
DURATIONS = tuple(meter["key"] for meter in METERS if meter["aggregation"] == "duration")


def _each(meter: str, unit_price: str, **fields: Any) -> Json:
    return {"key": meter, "meter": meter, "price": {"model": "per_unit", "unit_price": unit_price}, **fields}


def _tiers(model: str, *tiers: tuple[str | None, str, str]) -> Json:
    return {
        "model": model,
        "tiers": [{"up_to": end, "unit_price": price, "flat_fee": fee} for end, price, fee in tiers],
    }


_GRADUATED = _tiers("graduated", ("2", "0.5", "0.1"), ("7.5", "0.3", "0"), (None, "0.1", "1"))
_VOLUME = _tiers("volume", ("3", "0.7", "0"), ("11", "0.2", "0.05"))
_STAIRS = {"model": "stairstep", "tiers": [{"up_to": "1", "flat_fee": "2"}, {"up_to": "4", "flat_fee": "3"}]}
_FEES = {"model": "percentage", "rate": "2.9", "fixed_fee": "0.3", "minimum": "0.5", "maximum": "4"}
_OWN = {"key": "own", "meter": "requests", "price": {"model": "dynamic"}}
_PACKAGES = {"model": "package", "size": "2.5", "package_price": "0.333"}
PLANS: list[Json] = [
    {
        "key": "monthly",
        "currency": "USD",
        "items": [
            {
                "key": "requests",
                "meter": "requests",
                "included": "3",
                "price": {
                    "model": "matrix",
                    "by": ["provider"],
                    "prices": [{"when": {"provider": "aws"}, "price": _PACKAGES}],
                    "otherwise": {"model": "per_unit", "unit_price": "0.007"},
                },
            },
            _each("runtime", "0.0131", divide_by="60000"),
            {**_each("runtime", "0.5", measure="events"), "key": "starts"},
            _each("lease", "1", divide_by="3600000"),
            _each("users", "2.5"),
            {"key": "tiers", "meter": "requests", "price": _GRADUATED},
            {"key": "fees", "meter": "requests", "where": {"provider": "gcp"}, "price": _FEES},
            {"key": "platform", "price": {"model": "flat", "amount": "20", "due": "arrears"}},
        ],
        "discounts": [{"percent": "10"}],
    },
    {
        "key": "weekly",
        "currency": "EUR",
        "period": "week",
        "items": [
            _each("calls", "0.3", where={"provider": "aws"}),
            _each("peak", "1.01"),
            _each("seats", "0.1"),
            _each("coldest", "0.2"),
            _each("requests", "0.0001", included="2"),
            _each("runtime", "0.2", divide_by="3600000"),
        ],
        "minimum": "4",
    },
    {
        "key": "daily",
        "currency": "JPY",
        "period": "day",
        "items": [
            {"key": "requests", "meter": "requests", "price": _VOLUME},
            {"key": "users", "meter": "users", "price": _STAIRS},
            _each("runtime", "1", divide_by="1000"),
            _each("lease", "3", divide_by="900000"),
            {"key": "fee", "price": {"model": "flat", "amount": "100"}},
        ],
        "maximum": "5000",
    },
    {
        "key": "other",
        "currency": "USD",
        "items": [_each("calls", "2"), _OWN, _each("runtime", "0.01", divide_by="1000")],
    },
]


def customers(begin: int) -> dict[str, Json]:
    """The customers of a world whose clock begins there; one has no plan, so that it is metered and never charged."""
    start = {"starts_at": format_time(begin - 20 * DAY)}
    return {
        "berlin": {"plan": "monthly", "timezone": "Europe/Berlin", "tax_rate": "19", **start},
        "kolkata": {"plan": "weekly", "timezone": "Asia/Kolkata", "anchor_day": 3, **start},
        "st-johns": {"plan": "daily", "timezone": "America/St_Johns", "starts_at": format_time(begin - 3 * DAY)},
        "utc": {"plan": "monthly", "prepaid_only": True, "starts_at": format_time(begin - 7 * HOUR)},
        "free": {"timezone": "Australia/Lord_Howe"},
    }
