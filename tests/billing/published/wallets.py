"""Credits: units of credit are dollars, and one of usage costs one."""

from decimal import Decimal
from typing import Any

from metering.decimals import text
from taximeter.scenario import Scenario
from taximeter.simulate import simulate
from tests.billing.published.reading import Json, item, per, reads


def wallet(given: Json, **customer: Any) -> Json:
    """The customer of a simulation in which usage meets grants."""
    grants = [
        {
            "id": each["id"],
            "amount": each.get("amount") or each["balance"],
            "priority": int(each.get("prio", 50)),
            **({"effective_at": each["eff"], "expires_at": each["exp"]} if "eff" in each else {}),
        }
        for each in given["grants"]
    ]
    usage = (
        given["usage"] if isinstance(given["usage"], list) else [{"ts": "2024-01-01T01:00:00Z", "qty": given["usage"]}]
    )
    world = {
        "meters": [{"key": "m", "aggregation": "sum"}],
        "plans": [{"key": "p", "currency": given.get("currency", "USD"), "items": [item("i", per("1"))]}],
        "customers": [
            {"id": "acme", "plan": "p", "starts_at": "2024-01-01T00:00:00Z", "credits": grants, **customer},
        ],
        "events": [
            {"id": str(place), "customer": "acme", "meter": "m", "timestamp": each["ts"], "value": each["qty"]}
            for place, each in enumerate(usage)
        ],
        "now": given.get("until", "2024-01-02T00:00:00Z"),
    }
    told: Json = simulate(Scenario.model_validate(world))["customers"]["acme"]
    return told


@reads("om-expired-before", "om-priority-first", "om-expiry-first")
def _burned(given: Json, expected: Json) -> None:
    told = wallet(given)
    assert {each["id"]: each["remaining"] for each in told["credits"]} == expected["balances"]


@reads("om-no-grants-overage")
def _nothing_to_burn(given: Json, expected: Json) -> None:
    (charge,) = wallet(given)["charges"]
    assert charge["amount"] == expected["overage"]


@reads("stigg-overdraft")
def _overdraft(given: Json, expected: Json) -> None:
    told = wallet(given, prepaid_only=True)
    draws = {each["credit"]: text(-Decimal(each["amount"])) for each in told["ledger"] if each["kind"] == "draw"}
    assert draws == {**expected["drawn"], None: expected["overdraft"]}
    assert told["balance"] == expected["effective_balance"]


@reads("lago-wallet-fifo")
def _oldest_first(given: Json, expected: Json) -> None:
    days = ("2023-12-01T00:00:00Z", "2023-12-02T00:00:00Z")
    grants = [
        {"id": each["id"], "amount": each["balance"], "eff": day, "exp": None}
        for each, day in zip(given["top_ups_oldest_first"], days, strict=True)
    ]
    told = wallet({"grants": grants, "usage": given["invoices"][0], "currency": given["currency"]})
    assert {each["id"]: each["remaining"] for each in told["credits"]} == expected["remaining"]
