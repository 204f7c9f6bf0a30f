"""The end of a month on a local cloud of its own, whose clock is moved: invoices, numbers, payment, top-ups."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import stripe

from adapters.stripe import API_VERSION
from billing.periods import local_month
from infra.local.clock import advance, now_milliseconds, wait_until_quiet
from metering.times import DAY, HOUR
from tests.stories.story import METERS, PLAN, Story, eventually

if TYPE_CHECKING:
    from infra.local.cloud import Cloud

pytestmark = [pytest.mark.cloud, pytest.mark.deep]

MINUTE = 60_000


@pytest.fixture(scope="module")
def moving(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Cloud"]:
    from infra.local import cloud as clouds
    from infra.local.processes import free_port

    home: Path = tmp_path_factory.mktemp("moving")
    port = free_port()
    try:
        yield clouds.start(port, home=home)
    finally:
        clouds.stop(port, home=home)


def card_holder(cloud: "Cloud", card: str) -> str:
    """A Stripe customer with a saved card, made with the real SDK."""
    client = stripe.StripeClient(
        cloud.stripe_api_key, stripe_version=API_VERSION, base_addresses={"api": cloud.stripe_url}
    )
    customer = client.v1.customers.create({})
    method = client.v1.payment_methods.attach(card, {"customer": customer.id})
    client.v1.customers.update(customer.id, {"invoice_settings": {"default_payment_method": method.id}})
    return customer.id


def refund_untold(cloud: "Cloud", payment: str, amount: int) -> None:
    """Refund a payment, and let every webhook about it be lost on its way."""
    httpx.post(f"{cloud.stripe_url}/_control/webhooks/faults", json={"drop": True, "times": 100}).raise_for_status()
    client = stripe.StripeClient(
        cloud.stripe_api_key, stripe_version=API_VERSION, base_addresses={"api": cloud.stripe_url}
    )
    client.v1.refunds.create({"payment_intent": payment, "amount": amount})
    wait_until_quiet(cloud)
    httpx.delete(f"{cloud.stripe_url}/_control/webhooks/faults").raise_for_status()


def charges(cloud: "Cloud") -> dict[str, Any]:
    told: dict[str, Any] = httpx.get(f"{cloud.stripe_url}/_control/charges").raise_for_status().json()
    return told


def test_a_month_ends_in_numbered_invoices_that_are_paid_and_a_low_balance_tops_itself_up(moving: "Cloud") -> None:
    with moving.api() as api:
        for key, meter in METERS.items():
            assert api.put(f"/v1/meters/{key}", json=meter).status_code == 201
        assert api.put("/v1/plans/story", json=PLAN).status_code == 201
        now = now_milliseconds(moving)
        later, prepaid, declined = (
            _customer(moving, api, "later", {"collection": "charge_automatically"}, "pm_card_visa"),
            _customer(moving, api, "prepaid", {"top_up": {"threshold": "10", "amount": "50"}}, "pm_card_visa"),
            _customer(
                moving,
                api,
                "declined",
                {"top_up": {"threshold": "10", "amount": "50"}, "collection": "charge_automatically"},
                "pm_card_chargeCustomerFail",
            ),
        )
        assert api.post("/v1/customers/prepaid/credits", json={"id": "first", "amount": "20"}).status_code == 201

        for story in (later, prepaid, declined):
            assert story.post([story.request("usage", now, "1234.5")]).status_code == 202  # 12.345 → 12.35

        assert eventually(lambda: prepaid.balance() == "57.65", 20)  # 20 − 12.35, below 10, + 50
        wait_until_quiet(moving)
        # Before the first credit was there the balance was low too; that attempt may have been cancelled by it.
        attempts = api.get("/v1/customers/prepaid/top_ups").json()["rows"]
        (attempt,) = [row for row in attempts if row["status"] != "canceled"]
        assert attempt["status"] == "succeeded"
        assert {credit["id"] for credit in prepaid.get("/v1/customers/prepaid/balance")["credits"]} == {
            "first",
            attempt["payment_intent"],
        }
        (refused,) = api.get("/v1/customers/declined/top_ups").json()["rows"]
        assert (refused["status"], declined.balance()) == ("failed", "0")

        month_end = local_month("UTC", now).end
        advance(moving, month_end + 30 * MINUTE)
        waiting = api.get("/v1/invoices", params={"customer": "later"}).json()["rows"]
        assert [invoice["status"] for invoice in waiting] == ["draft"]  # in grace
        assert later.post([later.request("late", month_end - 1000, "100")]).json()["accepted"] == 1
        advance(moving, month_end + 2 * HOUR)

        told = {row["customer"]: row for row in api.get("/v1/invoices").json()["rows"]}
        assert sorted(row["number"] for row in told.values()) == ["INV000001", "INV000002", "INV000003"]
        assert {name: row["status"] for name, row in told.items()} == {
            "later": "paid",  # by card
            "prepaid": "paid",  # by credit
            "declined": "finalized",
        }
        assert told["later"]["subtotal"] == told["later"]["amount_due"] == "13.35"  # with what came in grace
        assert (told["prepaid"]["credits_applied"], told["prepaid"]["amount_due"]) == ("12.35", "0")
        page = api.get(f"/v1/invoices/{told['later']['number']}.html")
        assert "13.35" in page.text
        assert "&lt;b&gt;" in page.text  # what users write is escaped

        paid = charges(moving)
        cents = sum(int(Decimal(amount) * 100) for amount in (attempt["charged"], told["later"]["amount_due"]))
        assert paid["amount"] == {"usd": cents}

        # Everything that can be sent again is sent again, a day later: nothing is charged or numbered twice.
        before = api.get("/v1/invoices").json()
        advance(moving, month_end + DAY)
        assert charges(moving)["amount"] == {"usd": cents}
        assert [row["number"] for row in api.get("/v1/invoices").json()["rows"]] == [
            row["number"] for row in before["rows"]
        ]
        ledger = prepaid.get("/v1/customers/prepaid/ledger")["rows"]
        assert sum(Decimal(row["amount"]) for row in ledger) == Decimal(prepaid.balance())

        # What no webhook told is found in Stripe's list of events.
        left = Decimal(prepaid.balance())
        refund_untold(moving, attempt["payment_intent"], 2000)
        assert Decimal(prepaid.balance()) == left
        advance(moving, month_end + DAY + HOUR)
        assert Decimal(prepaid.balance()) == left - 20


def _customer(cloud: "Cloud", api: httpx.Client, name: str, more: dict[str, Any], card: str) -> Story:
    body = {"plan": "story", "name": "A <b>name</b>", "stripe_customer": card_holder(cloud, card), **more}
    answer = api.put(f"/v1/customers/{name}", json=body)
    assert answer.status_code == 201, answer.text
    return Story(cloud, api, name, now_milliseconds(cloud))
