"""Whether the deployment and the pure core say the same, to the last digit."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

Json = dict[str, Any]

# What an invoice says about its lines and its money; numbers, payments and texts of the issuer are the deployment's.
_OF_AN_INVOICE = (
    *("id", "customer", "currency", "period", "lines", "subtotal", "credits_applied", "tax_rate", "tax", "total"),
    "amount_due",
)


@dataclass(frozen=True, slots=True)
class Compared:
    """One kind of figures: how many there are, and where the two differ."""

    title: str
    count: int
    differences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Observed:
    """What the deployment's API says about one customer."""

    usage: Sequence[Json]
    sessions: Sequence[Json]
    balance: Json
    ledger: Sequence[Json]
    invoices: Sequence[Json]
    top_ups: Sequence[Json]


def compare(observed: Mapping[str, Observed], simulated: Mapping[str, Json]) -> list[Compared]:
    """Compare what the deployment told with what the simulation computed from the same events."""
    kinds = {
        "sessions": _sessions,
        "usage rows": _usage,
        "balances": _balance,
        "credits": _credits,
        "invoices": _invoices,
        "invoice lines": _lines,
    }
    found = []
    for title, figures in kinds.items():
        count, differences = 0, []
        for name in sorted({*observed, *simulated}):
            theirs = figures(_told(observed[name])) if name in observed else {}
            ours = figures(simulated[name]) if name in simulated else {}
            count += len(ours)
            differences += [f"{name} {each}" for each in _differences(theirs, ours)]
        found.append(Compared(title, count, tuple(differences)))
    return [*found, _ledgers(observed)]


def _told(observed: Observed) -> Json:
    return {
        "usage": [{"meter": "runtime", **row} for row in observed.usage],
        "sessions": observed.sessions,
        "balance": observed.balance["balance"],
        "credits": observed.balance["credits"],
        "invoices": observed.invoices,
    }


def _sessions(told: Json) -> Json:
    return {
        f"session {_named(row['key'])}": tuple(row[part] for part in ("start", "end", "closed_by", "quantity"))
        for row in told["sessions"]
    }


def _usage(told: Json) -> Json:
    return {
        f"usage of {row['meter']} {_named(row['dimensions'])}": (row["quantity"], row["events"])
        for row in told["usage"]
    }


def _balance(told: Json) -> Json:
    return {"balance": told["balance"]}


def _credits(told: Json) -> Json:
    return {f"credit {row['id']}": row["remaining"] for row in told["credits"]}


def _invoices(told: Json) -> Json:
    return {
        f"invoice {row['id']}": {part: row[part] for part in _OF_AN_INVOICE if part != "lines"}
        for row in told["invoices"]
    }


def _lines(told: Json) -> Json:
    return {
        f"invoice {row['id']} line {place}": line
        for row in told["invoices"]
        for place, line in enumerate(row["lines"], 1)
    }


def _named(values: Mapping[str, str]) -> str:
    return " ".join(values[name] for name in sorted(values))


def _differences(theirs: Json, ours: Json) -> Iterator[str]:
    for name in sorted({*theirs, *ours}):
        if theirs.get(name) != ours.get(name):
            yield f"{name}: the deployment says {theirs.get(name)}, the pure core {ours.get(name)}"


def _ledgers(observed: Mapping[str, Observed]) -> Compared:
    """Whether each ledger sums to its balance."""
    differences = []
    for name, told in observed.items():
        total = sum((Decimal(entry["amount"]) for entry in told.ledger), Decimal(0))
        if total != Decimal(told.balance["balance"]):
            differences.append(f"{name}: the ledger sums to {total}, the balance is {told.balance['balance']}")
    return Compared(
        "ledger entries that sum to the balances",
        sum(len(each.ledger) for each in observed.values()),
        tuple(differences),
    )


def compare_payments(observed: Mapping[str, Observed], charges: Iterable[Json], holders: Mapping[str, str]) -> Compared:
    """Compare what cards were charged with what was credited and paid.

    Args:
        observed: what the deployment says.
        charges: what Stripe says, amounts in cents.
        holders: the customer of each Stripe customer; charges of others are not looked at.
    """
    ours = [each for each in charges if each["paid"] and each["customer"] in holders]
    taken: dict[str, Decimal] = dict.fromkeys(observed, Decimal(0))
    for charge in ours:
        taken[holders[charge["customer"]]] += Decimal(charge["amount"]) / 100
    differences = []
    for name, told in observed.items():
        bought = [Decimal(each["charged"]) for each in told.top_ups if each["status"] == "succeeded"]
        paid = [Decimal(each["amount_due"]) for each in told.invoices if each["status"] == "paid"]
        expected = sum([*bought, *paid], Decimal(0))
        open_ = [each["number"] for each in told.invoices if each["status"] != "paid"]
        if taken[name] != expected or open_:
            differences.append(f"{name}: charged {taken[name]}, top-ups and paid invoices {expected}, unpaid {open_}")
    return Compared("card payments that are the top-ups and the paid invoices", len(ours), tuple(differences))
