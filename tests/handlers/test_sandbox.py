"""Payments from end to end at a real Stripe sandbox: what the stand-in shows is shown there, too.

`pytest` goes through them with the stand-in; `pytest -m sandbox`, with a key in STRIPE_SANDBOX_KEY, with the real one.
"""

import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from adapters.clock import real_now
from adapters.stripe import Stripe
from handlers import stripe_events
from metering.times import DAY, HOUR, MINUTE, QUARTER, floor, format_time
from tests.handlers.conftest import at_stripe
from tests.handlers.street import Street, queue_record, used
from tests.infra.local.stripe.sandbox import KEY, eventually, sandbox
from tests.infra.local.stripe.stand_in import Driven

DAILY = {
    "currency": "USD",
    "period": "day",
    "items": [{"key": "requests", "meter": "requests", "price": {"model": "per_unit", "unit_price": "0.5"}}],
}


@dataclass
class Shop:
    """A customer of a deployment in memory, whose Stripe is somewhere.

    Attributes:
        name: of the customer; another one each time, as Stripe remembers keys for a day.
    """

    street: Street
    stripe: Driven
    name: str

    @property
    def path(self) -> str:
        return f"/v1/customers/{self.name}"

    @property
    def holder(self) -> str:
        return str(self.street.does("GET", self.path)["stripe_customer"])

    def link(self, card: str, **more: Any) -> None:
        self.street.does("PATCH", self.path, {"stripe_customer": self.stripe.customer(card)[0], **more})
        self.street.flow()

    def handle(self) -> None:
        for queue in ("TOP_UP", "COLLECT"):
            self.street.deliver(queue)
        self.street.flow()

    def buy(self, amount: str) -> Any:
        self.street.does("POST", f"{self.path}/top_ups", {"id": "mine", "amount": amount})
        self.street.flow()
        self.handle()
        return self.top_up()

    def top_up(self) -> Any:
        return self.street.does("GET", f"{self.path}/top_ups")["rows"][0]

    def balance(self) -> str:
        return str(self.street.does("GET", f"{self.path}/balance")["balance"])

    def owe_yesterday(self, quantity: str) -> Any:
        """Use something yesterday and have that day invoiced; returns the invoice when collecting has been tried."""
        at = floor(self.street.now, DAY) - HOUR
        self.street.post(used("y", value=quantity, customer=self.name, timestamp=at))
        self.street.flow()
        self.street.minute()
        (draft,) = self.street.does("GET", "/v1/invoices", query={"customer": self.name})["rows"]
        self.street.does("POST", f"/v1/invoices/{draft['id']}/finalize")
        self.street.flow()
        self.handle()
        return self.invoice(draft["id"])

    def invoice(self, name: str) -> Any:
        return self.street.does("GET", f"/v1/invoices/{name}")


@pytest.fixture(params=["stand-in", pytest.param("sandbox", marks=pytest.mark.sandbox)])
def shop(request: pytest.FixtureRequest, build: Callable[[], Street]) -> Iterator[Shop]:
    street = build()
    street.now = real_now()
    street.prepare()
    street.does("PUT", "/v1/plans/daily", DAILY)
    name = f"shop-{uuid.uuid4().hex[:12]}"
    starts_at = format_time(floor(street.now, DAY) - 3 * DAY)
    street.does("PUT", f"/v1/customers/{name}", {"plan": "daily", "starts_at": starts_at})
    if request.param == "stand-in":
        yield Shop(street, at_stripe(street), name)
        return
    with sandbox() as real:
        street.secrets["stripe_api_key"] = os.environ[KEY]
        street.__dict__["stripe"] = Stripe(street.secret)
        yield Shop(street, real, name)


def test_credit_is_bought_once_and_taken_back_when_it_is_refunded(shop: Shop) -> None:
    shop.link("pm_card_visa")
    bought = shop.buy("25")
    assert (bought["status"], shop.balance()) == ("succeeded", "25")
    payment = bought["payment_intent"]
    shop.street.run("TOP_UP", [queue_record({"customer": shop.name, "attempt": "mine"})] * 2)
    assert shop.balance() == "25"
    intent = shop.stripe.stripe.payment_intents.retrieve(payment)
    assert (intent.status, intent.amount_received) == ("succeeded", 2500)
    shop.stripe.stripe.refunds.create({"payment_intent": payment, "amount": 1000})
    shop.street.run("TOP_UP", [queue_record({"payment_intent": payment})])
    assert (shop.balance(), shop.top_up()["returned"]) == ("15", "10")


def test_a_declined_card_is_a_failure_with_its_payment_cancelled(shop: Shop) -> None:
    shop.link("pm_card_chargeCustomerFail")
    failed = shop.buy("25")
    assert (failed["status"], failed["reason"], shop.balance()) == ("failed", "generic_decline", "0")
    assert shop.stripe.stripe.payment_intents.retrieve(failed["payment_intent"]).status == "canceled"


def test_a_card_that_asks_for_its_holder_leads_to_a_page_that_can_be_closed(shop: Shop) -> None:
    shop.link("pm_card_authenticationRequired")
    asked = shop.buy("25")
    assert (asked["status"], asked["reason"]) == ("action_required", "authentication_required")
    assert asked["url"].startswith("http")
    shop.street.does("POST", f"{shop.path}/top_ups/mine/cancel")
    shop.handle()
    assert shop.top_up()["status"] == "canceled"
    (page,) = shop.stripe.stripe.checkout.sessions.list({"customer": shop.holder}).data
    assert page.status == "expired"


def test_an_invoice_is_charged_once_and_shows_what_was_refunded(shop: Shop) -> None:
    shop.link("pm_card_visa", collection="charge_automatically", tax_rate="20")
    paid = shop.owe_yesterday("20")
    assert (paid["status"], paid["amount_due"]) == ("paid", "12")
    theirs = shop.stripe.stripe.invoices.retrieve(paid["stripe_invoice"])
    assert (theirs.status, theirs.total, theirs.amount_paid) == ("paid", 1200, 1200)
    (payment,) = shop.stripe.stripe.invoice_payments.list({"invoice": paid["stripe_invoice"]}).data
    intent = str(payment.payment.payment_intent)
    shop.stripe.stripe.refunds.create({"payment_intent": intent, "amount": 500})
    shop.street.run("COLLECT", [queue_record({"payment_intent": intent})])
    assert shop.invoice(paid["id"])["amount_refunded"] == "5"


def test_an_invoice_below_the_minimum_is_held_and_never_seen_there(shop: Shop) -> None:
    shop.link("pm_card_visa", collection="charge_automatically")
    held = shop.owe_yesterday("0.6")
    assert (held["status"], held["amount_due"], held["held"]) == ("finalized", "0.3", True)
    assert shop.stripe.stripe.invoices.list({"customer": shop.holder}).data == []


def test_what_stripe_has_told_is_heard_without_a_webhook(shop: Shop) -> None:
    shop.street.seen_events.sweep_done(shop.street.now - QUARTER)
    shop.link("pm_card_visa")
    bought = shop.buy("25")
    assert bought["status"] == "succeeded"
    told = {"customer": shop.name, "attempt": "mine", "paid": bought["payment_intent"]}

    def heard() -> bool:
        shop.street.now = max(shop.street.now + MINUTE, real_now() + MINUTE)
        stripe_events.sweep(shop.street, shop.street.now)
        return told in shop.street.queues["TOP_UP"]

    assert eventually(heard, shop.stripe)
