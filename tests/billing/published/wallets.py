"""Credits: units of credit are dollars, and one of usage costs one."""

from collections import defaultdict
from datetime import datetime, timedelta
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


def refilled(grant: Json, start: datetime, until: datetime) -> list[Json]:
    """The credits of a grant: of one that is filled up again and again each filling is one, and ends with the next."""
    begins, ends = datetime.fromisoformat(grant["eff"]), datetime.fromisoformat(grant["exp"])
    if "every" not in grant:
        # What a snapshot says was left of it; of one that begins later all of it is still there.
        left = grant.get("bal") if begins < start else None
        return [{**grant, "amount": left or grant["amount"]}]
    step, at = timedelta(days=int(grant["every"])), datetime.fromisoformat(grant["anchor"])
    while at <= begins:
        at += step
    fillings: list[Json] = []
    while begins <= until and begins < ends:
        name = f"{grant['id']}:{len(fillings)}"
        fillings.append({**grant, "id": name, "eff": begins.isoformat(), "exp": min(at, ends).isoformat()})
        begins, at = at, at + step
    return fillings


def left_by_grant(told: Json) -> Json:
    """What is left of each grant that was begun, whatever credits it was made of."""
    found: defaultdict[str, Decimal] = defaultdict(Decimal)
    for each in told["credits"]:
        found[each["id"].partition(":")[0]] += Decimal(each["remaining"])
    return {name: text(left) for name, left in found.items()}


@reads(
    *("om-recurring-daily", "om-late-recurring-after-refill", "om-late-recurring-before-refill", "om-no-double-refill")
)
def _refilled(given: Json, expected: Json) -> None:
    start, until = datetime.fromisoformat(given["start"]), datetime.fromisoformat(given["until"])
    grants = [credit for grant in given["grants"] for credit in refilled(grant, start, until)]
    assert left_by_grant(wallet({**given, "grants": grants})) == expected["balances"]


@reads("om-reset-max-rollover")
def _rolled_over(given: Json, expected: Json) -> None:
    """Of a grant of which so much at most outlives a reset the rest is a credit that ends with it, and burns first."""
    (grant,), (reset,) = given["grants"], given["resets"]
    rest = text(Decimal(grant["amount"]) - Decimal(grant["max"]))
    grants = [{**grant, "amount": grant["max"]}, {**grant, "id": f"{grant['id']}:rest", "amount": rest, "exp": reset}]
    assert left_by_grant(wallet({**given, "grants": grants})) == expected["balances"]
