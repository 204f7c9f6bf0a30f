"""The ways of money through Stripe, each as a street that is about to go it, and what has to hold when it was gone."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from handlers import _door, _live, stripe_events
from metering.times import HOUR, MINUTE, SECOND
from tests.handlers.conftest import at_stripe
from tests.handlers.street import Street, used
from tests.infra.local.stripe.in_process import InProcess

RULE = {"threshold": "10", "amount": "50", "daily_cap": "100"}


@dataclass(frozen=True)
class Flow:
    """One way of money.

    Attributes:
        name: what happens.
        prepare: brings a street to where the messages wait that make it happen.
        holds: what has to hold in the end; `prepare`'s result is its third argument.
    """

    name: str
    prepare: Callable[[Street, InProcess], Any]
    holds: Callable[[Street, InProcess, Any], None]


@contextmanager
def begun(flow: Flow) -> Iterator[tuple[Street, InProcess, Any]]:
    """A street on which a flow is about to happen, with every handler on it."""
    before, namespace = _live.live, _door.metrics.provider.namespace
    street = Street()
    _live.live, _door.metrics.provider.namespace = street, "Taximeter"
    try:
        street.prepare()
        stand_in = at_stripe(street)
        yield street, stand_in, flow.prepare(street, stand_in)
    finally:
        _live.live, _door.metrics.provider.namespace = before, namespace


def handle(street: Street) -> None:
    """What is queued, and all that follows of it."""
    for queue in ("TOP_UP", "COLLECT"):
        street.deliver(queue)
    street.flow()


def hours_pass(street: Street, hours: int = 3) -> None:
    """The schedules run, and what Stripe has told is heard."""
    for _ in range(hours):
        street.now += HOUR
        street.minute()
        street.hour()
        stripe_events.sweep(street, street.now)
        for _ in range(2):
            handle(street)
            street.now += MINUTE


def _holder(street: Street, stand_in: InProcess, card: str = "pm_card_visa", **customer: Any) -> None:
    body = {"stripe_customer": stand_in.customer(card)[0], "tax_rate": "20", **customer}
    street.does("PATCH", "/v1/customers/acme", body)
    street.flow()


def _below(street: Street, stand_in: InProcess) -> None:
    _holder(street, stand_in, top_up=RULE)


def _declined(street: Street, stand_in: InProcess) -> None:
    _holder(street, stand_in, "pm_card_chargeCustomerFail", top_up=RULE)


def _asked(street: Street, stand_in: InProcess) -> None:
    _holder(street, stand_in, "pm_card_authenticationRequired", top_up=RULE)


def _paid_on_a_page(street: Street, stand_in: InProcess) -> None:
    _asked(street, stand_in)
    street.deliver("TOP_UP")
    street.flow()
    (page,) = stand_in.stripe.checkout.sessions.list().data
    stand_in.control(f"checkout/sessions/{page.id}/complete", {"card": "4242424242424242"})
    _hear(street)


def _hear(street: Street) -> None:
    street.now += SECOND
    stripe_events.sweep(street, street.now)


def _refunded(street: Street, stand_in: InProcess) -> str:
    _holder(street, stand_in)
    street.does("POST", "/v1/customers/acme/top_ups", {"id": "mine", "amount": "50"})
    street.flow()
    street.deliver("TOP_UP")
    street.post(used("u", value="40"))
    street.flow()
    (row,) = street.does("GET", "/v1/customers/acme/top_ups")["rows"]
    stand_in.stripe.refunds.create({"payment_intent": row["payment_intent"]})
    _hear(street)
    return str(row["payment_intent"])


def _saved_a_card(street: Street, stand_in: InProcess) -> None:
    _asked(street, stand_in)
    street.deliver("TOP_UP")
    street.flow()
    street.does("POST", "/v1/customers/acme/payment_setup")
    page = next(each for each in stand_in.stripe.checkout.sessions.list().data if each.mode == "setup")
    stand_in.control(f"checkout/sessions/{page.id}/complete", {"card": "4242424242424242"})
    _hear(street)


def rows(street: Street, path: str) -> list[Any]:
    return list(street.does("GET", path, query={"limit": "1000"})["rows"])


def balanced(street: Street, stand_in: InProcess) -> None:
    """What Stripe has charged are the credits that were paid and the invoices that are; every attempt has ended."""
    told = stand_in.read("charges")
    attempts = rows(street, "/v1/customers/acme/top_ups")
    invoices = street.does("GET", "/v1/invoices", query={"customer": "acme"})["rows"]
    bought = sum(Decimal(row["charged"]) for row in attempts if row["status"] == "succeeded")
    paid = sum(Decimal(row["amount_due"]) for row in invoices if row["status"] == "paid")
    assert Decimal(told["amount"].get("usd", 0)) / 100 == bought + paid
    granted = {row["id"]: Decimal(row["amount"]) for row in rows(street, "/v1/customers/acme/credits")}
    for row in attempts:
        if row["status"] == "succeeded":
            assert granted.pop(row["payment_intent"]) == Decimal(row["amount"])
    assert granted == {}, "a credit that nobody has paid"
    assert {row["status"] for row in attempts} <= {"succeeded", "failed", "canceled", "action_required"}
    open_ = {each.status for each in stand_in.stripe.payment_intents.list().data}
    assert open_ <= {"succeeded", "canceled"}
    assert not street.parked()


def statuses(street: Street) -> list[str]:
    return [row["status"] for row in rows(street, "/v1/customers/acme/top_ups")]


def _bought_once(street: Street, stand_in: InProcess, _: Any) -> None:
    balanced(street, stand_in)
    assert statuses(street).count("succeeded") == 1
    assert set(statuses(street)) <= {"succeeded", "canceled"}
    assert stand_in.read("charges")["succeeded"] == 1
    assert street.does("GET", "/v1/customers/acme/balance")["balance"] == "50"
    assert len({news["id"] for news in street.announced("top_up.succeeded")}) == 1


def _bought_with_another_card(street: Street, stand_in: InProcess, _: Any) -> None:
    """Whoever finds the page closed before the other card is known ends the first one as what it was: not paid."""
    balanced(street, stand_in)
    assert sorted(statuses(street)) in (["canceled", "succeeded"], ["failed", "succeeded"])
    assert stand_in.read("charges")["succeeded"] == 1
    assert street.does("GET", "/v1/customers/acme/balance")["balance"] == "50"
    assert street.announced("top_up.failed") == []


def _failed_and_told_once(street: Street, stand_in: InProcess, _: Any) -> None:
    balanced(street, stand_in)
    assert stand_in.read("charges")["succeeded"] == 0
    assert set(statuses(street)) <= {"failed", "canceled"}
    assert 1 <= statuses(street).count("failed") <= 2, "not tried for ever"
    assert len({news["id"] for news in street.announced("top_up.failed")}) == 1


def _asked_once(street: Street, stand_in: InProcess, _: Any) -> None:
    balanced(street, stand_in)
    assert (statuses(street).count("action_required"), statuses(street).count("failed")) in ((1, 0), (1, 1))
    (news,) = {each["id"]: each for each in street.announced("top_up.action_required")}.values()
    (session,) = stand_in.stripe.checkout.sessions.list().data
    assert (session.status, session.url) == ("open", news["url"])


def _taken_back(street: Street, stand_in: InProcess, _: Any) -> None:
    assert street.does("GET", "/v1/customers/acme/balance")["balance"] == "0"
    (row,) = rows(street, "/v1/customers/acme/top_ups")
    assert (row["status"], row["returned"]) == ("succeeded", "60")
    draft = street.does("GET", "/v1/customers/acme/invoices/draft")
    assert (draft["subtotal"], draft["credits_applied"]) == ("40", "20")
    assert len({news["id"] for news in street.announced("top_up.returned")}) == 1
    assert stand_in.read("charges")["succeeded"] == 1
    assert not street.parked()


FLOWS = [
    Flow("a top-up", _below, _bought_once),
    Flow("a declined top-up", _declined, _failed_and_told_once),
    Flow("a top-up that needs a person", _asked, _asked_once),
    Flow("a top-up paid on a page", _paid_on_a_page, _bought_once),
    Flow("a refunded top-up", _refunded, _taken_back),
    Flow("a saved card", _saved_a_card, _bought_with_another_card),
]
