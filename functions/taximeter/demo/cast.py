"""Who plays in the demo: one meter, one plan, and a customer for each application of the trace."""

from collections.abc import Iterable, Mapping
from typing import Any

from taximeter.demo.trace import Invocation

Json = dict[str, Any]

METER: Json = {
    "key": "runtime",
    "name": "Function runtime",
    "aggregation": "duration",
    "dimensions": ["provider", "region"],
    "session": ["function_id", "invocation_id"],
    "weight": "memory_gb",
    "max_duration": "10m",
}


def _place(provider: str, region: str, unit_price: str) -> Json:
    price = {"model": "per_unit", "unit_price": unit_price}
    return {"when": {"provider": provider, "region": region}, "price": price}


# About a thousand times what clouds ask for: the trace lasts twenty minutes.
PLAN: Json = {
    "key": "serverless",
    "name": "Serverless",
    "currency": "USD",
    "items": [
        {
            "key": "compute",
            "meter": "runtime",
            "name": "Compute",
            "divide_by": "1000",
            "unit": "GB-s",
            "price": {
                "model": "matrix",
                "by": ["provider", "region"],
                "prices": [
                    _place("aws", "us-east-1", "0.0166667"),
                    _place("aws", "*", "0.0183334"),
                    _place("azure", "westeurope", "0.016"),
                ],
                "otherwise": {"model": "per_unit", "unit_price": "0.025"},
            },
        },
        {
            "key": "invocations",
            "meter": "runtime",
            "measure": "events",
            "name": "Invocations, per 1,000",
            "price": {"model": "package", "size": "1000", "package_price": "0.20"},
        },
    ],
}

WELCOME: Json = {"id": "welcome", "amount": "2", "kind": "promotional", "priority": 10}
BOUGHT: Json = {"id": "bought", "amount": "30", "kind": "paid"}


def applications(invocations: Iterable[Invocation]) -> list[str]:
    """The applications of the trace, the one that ran longest first."""
    ran: dict[str, int] = {}
    for invocation in invocations:
        ran[invocation.application] = ran.get(invocation.application, 0) + invocation.end - invocation.start
    return sorted(ran, key=lambda name: (-ran[name], name))


def customers(names: Mapping[str, str], ordered: Iterable[str]) -> list[Json]:
    """The customers: all are charged automatically, the first one tops up, the second one pays tax.

    Args:
        names: the customer of each application.
        ordered: the applications, the one that ran longest first.
    """
    written: list[Json] = [
        {
            "id": names[application],
            "name": f"Application {application[:4]}",
            "plan": "serverless",
            "collection": "charge_automatically",
        }
        for application in ordered
    ]
    written[0] |= {
        "alerts": [{"key": "low", "kind": "balance_below", "threshold": "15"}],
        "top_up": {"threshold": "15", "amount": "45", "daily_cap": "45"},
    }
    written[1] |= {"tax_rate": "19"}
    return written


def credits_of(place: int) -> list[Json]:
    """What the customer at a place gets before anything happens."""
    return [WELCOME, BOUGHT] if place == 0 else [WELCOME]
