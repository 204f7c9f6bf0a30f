"""What is put on the bus (api.md, On the bus): every type in its moment, once, as consumers may rely on it."""

import ast
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from billing.endpoints import DETAIL_TYPES
from metering.decimals import decimal_of
from tests.handlers.street import Street, edge, used

Detail = dict[str, Any]
DECEMBER = "2026-12-01T02:00:00Z"
INVOICE = "/v1/invoices/TX-000001"


def credit(street: Street, amount: str = "5", **more: Any) -> None:
    street.does("POST", "/v1/customers/acme/credits", {"id": f"c{amount}", "amount": amount, **more})


def alert(street: Street, **alert: Any) -> None:
    street.does("PATCH", "/v1/customers/acme", {"alerts": [{"key": "mine", **alert}]})


def use(street: Street, *events: Mapping[str, Any]) -> None:
    street.post(*(events or (used("a", value="20"),)))
    street.flow()


def low(street: Street) -> None:
    alert(street, kind="balance_below", threshold="5")
    credit(street, "14")
    use(street)


def depleted(street: Street) -> None:
    credit(street)
    use(street)


def recovered(street: Street) -> None:
    depleted(street)
    credit(street, "100")


def spent(street: Street) -> None:
    alert(street, kind="spend_above", threshold="9.99")
    use(street)


def much_used(street: Street) -> None:
    alert(street, kind="usage_above", meter="requests", threshold="19")
    use(street)


def requested(street: Street) -> None:
    rule = {"threshold": "10", "amount": "50", "daily_cap": "100"}
    street.does("PATCH", "/v1/customers/acme", {"top_up": rule})


def expired(street: Street) -> None:
    credit(street, "7", expires_at="2026-11-25T00:00:00Z")
    street.advance("2026-11-25T02:00:00Z")


def finalised(street: Street) -> None:
    use(street)
    street.advance(DECEMBER)


def paid(street: Street) -> None:
    finalised(street)
    street.does("POST", f"{INVOICE}/mark_paid")


def voided(street: Street) -> None:
    finalised(street)
    street.does("POST", f"{INVOICE}/void", {"reissue": True})


def odd(street: Street) -> None:
    use(street, edge("stop"))
    street.now += 10 * 60_000
    street.minute()


def contradicted(street: Street) -> None:
    use(street, used("a", value="1"))
    use(street, used("a", value="2"))


SHOWN: dict[str, tuple[Callable[[Street], None], Detail]] = {
    "balance.low": (low, {"alert": "mine", "balance": "4", "threshold": "5", "currency": "USD"}),
    "balance.depleted": (depleted, {"balance": "0", "threshold": "0", "currency": "USD"}),
    "balance.recovered": (recovered, {"balance": "95", "currency": "USD"}),
    "spend.above": (spent, {"alert": "mine", "value": "10", "threshold": "9.99", "currency": "USD"}),
    "usage.above": (much_used, {"alert": "mine", "value": "20", "threshold": "19"}),
    "top_up.requested": (requested, {"amount": "50", "currency": "USD"}),
    "credit.granted": (credit, {"credit": "c5", "amount": "5", "kind": "paid", "currency": "USD"}),
    "credit.expired": (expired, {"credit": "c7", "amount": "7", "at": "2026-11-25T00:00:00Z", "currency": "USD"}),
    "invoice.finalized": (finalised, {"number": "TX-000001", "total": "10", "amount_due": "10", "currency": "USD"}),
    "invoice.paid": (paid, {"number": "TX-000001", "amount_due": "10", "currency": "USD"}),
    "invoice.voided": (voided, {"number": "TX-000001", "reissue": True}),
    "session.anomaly": (odd, {"event": "1:stop:0", "meter": "runtime"}),
    "event.conflict": (contradicted, {"meter": "requests"}),
}
"""What makes each type, and something of what it tells."""

ELSEWHERE = {
    "top_up.succeeded": "test_top_up::test_a_balance_below_its_threshold_is_charged_with_tax_and_credited_without",
    "top_up.failed": "test_top_up::"
    "test_a_card_that_does_not_pay_is_told_once_tried_three_times_more_and_then_left_alone",
    "top_up.action_required": "test_top_up::test_a_page_on_which_nobody_pays_ends_and_none_is_made_again",
    "top_up.returned": "test_taking_back::test_what_remains_of_a_refunded_top_up_is_taken_back_once",
    "invoice.payment_failed": "test_charging::test_a_declined_card_is_told_once_and_tried_again_on_a_schedule",
    "webhook_endpoint.disabled": "test_notify::test_an_endpoint_that_nothing_reached_for_days_is_disabled_and_told_of",
}
"""Which test shows the types that need Stripe, or a user's server."""

CONTRACT = """`balance.low`, `balance.depleted`, `balance.recovered`, `spend.above`, `usage.above`,
`top_up.requested|succeeded|failed|action_required|returned`, `credit.granted|expired`,
`invoice.finalized|paid|payment_failed|voided`, `session.anomaly`, `event.conflict`, `webhook_endpoint.disabled`"""


def test_every_type_of_the_contract_is_shown_and_no_other() -> None:
    groups = [written.split(".") for written in re.findall(r"`(.+?)`", CONTRACT)]
    listed = [f"{about}.{what}" for about, names in groups for what in names.split("|")]
    assert sorted(listed) == sorted([*SHOWN, *ELSEWHERE])
    assert listed == list(DETAIL_TYPES), "an endpoint can ask for each of them"


@pytest.mark.parametrize("name", SHOWN)
def test_it_is_told_once_with_a_stable_id_and_amounts_as_text(street: Street, name: str) -> None:
    happen, told = SHOWN[name]
    happen(street)
    street.flow()
    first = [each for each in street.announced(name) if told.items() <= each.items()]
    assert len(first) == 1, street.announced(name)
    (detail,) = first
    assert detail["customer"] == "acme"
    for field in ("amount", "balance", "value", "threshold", "total", "amount_due"):
        assert isinstance(detail.get(field, ""), str)
        decimal_of(detail.get(field, "0"))
    known = street.announced(name)
    for _ in range(2):
        street.minute()
        street.hour()
    assert street.announced(name) == known
    assert len({each["id"] for each in known}) == len(known)


@pytest.mark.parametrize("name", ELSEWHERE)
def test_the_test_that_shows_it_is_there_and_asks_for_it(name: str) -> None:
    file, _, wanted = ELSEWHERE[name].partition("::")
    source = (Path(__file__).parent / f"{file}.py").read_text(encoding="utf-8")
    (found,) = [
        ast.get_source_segment(source, node) or ""
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef) and node.name == wanted
    ]
    about, _, what = name.partition(".")
    assert f'announced("{name}")' in found or (f'announced(f"{about}.{{state}}")' in found and what in source)


@pytest.mark.parametrize(
    ("kind", "meter"), [("spend_above", None), ("usage_above", "requests")], ids=["spend", "usage"]
)
def test_an_alert_on_the_running_period_is_told_once_in_each_period_in_which_it_is_crossed(
    street: Street, kind: str, meter: str | None
) -> None:
    name = kind.replace("_", ".")
    alert(street, kind=kind, meter=meter, threshold="9")
    for at, value, count in (
        ("2026-11-20T17:00:00Z", "18", 1 if meter else 0),
        ("2026-11-20T18:00:00Z", "2", 1),
        ("2026-11-21T00:00:00Z", "9", 1),
        ("2026-12-02T00:00:00Z", "5", 1),
        ("2026-12-03T00:00:00Z", "15", 2),
        ("2027-01-02T00:00:00Z", "40", 3),
    ):
        street.advance(at)
        use(street, used(at, timestamp=at, value=value))
        assert len(street.announced(name)) == count, at
    street.does("PATCH", "/v1/customers/acme", {"alerts": []})
    street.now += 1
    alert(street, kind=kind, meter=meter, threshold="9")
    street.flow()
    assert len(street.announced(name)) == 4, "a new alert is evaluated at once"
