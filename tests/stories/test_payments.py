"""Money through Stripe on a local cloud, over HTTP and by webhooks: a saved card, a page to pay on, a refund."""

from typing import Any

import httpx
import pytest
import stripe

from adapters.stripe import API_VERSION
from tests.stories.story import Story, eventually

pytestmark = [pytest.mark.cloud, pytest.mark.deep]


def at_stripe(story: Story) -> stripe.StripeClient:
    cloud = story.cloud
    return stripe.StripeClient(
        cloud.stripe_api_key, stripe_version=API_VERSION, base_addresses={"api": cloud.stripe_url}
    )


def complete(story: Story, url: str, card: str) -> None:
    """Do what a customer does on one of Stripe's pages."""
    session = url.rsplit("/", 1)[1]
    path = f"{story.cloud.stripe_url}/_control/checkout/sessions/{session}/complete"
    httpx.post(path, json={"card": card}).raise_for_status()


def patched(story: Story, body: dict[str, Any]) -> None:
    answer = story.api.patch(f"/v1/customers/{story.customer}", json=body)
    assert answer.status_code == 200, answer.text


def top_ups(story: Story) -> list[Any]:
    return list(story.get(f"/v1/customers/{story.customer}/top_ups")["rows"])


def test_a_saved_card_tops_up_and_a_refund_takes_it_back(story: Story) -> None:
    answer = story.api.post(f"/v1/customers/{story.customer}/payment_setup", json={})
    assert answer.status_code == 200, answer.text
    complete(story, answer.json()["url"], "4242424242424242")
    done = story.api.get("/payment/done")
    assert (done.status_code, "Thank you" in done.text) == (200, True)
    # 100 are there as a gift.
    patched(story, {"top_up": {"threshold": "110", "amount": "50", "daily_cap": "50"}})
    assert eventually(lambda: [row["status"] for row in top_ups(story)][:1] == ["succeeded"], 30)
    assert story.balance() == "150"
    (bought, *_) = top_ups(story)
    at_stripe(story).v1.refunds.create({"payment_intent": bought["payment_intent"], "amount": 2000})
    assert eventually(lambda: story.balance() == "130", 30)
    assert top_ups(story)[0]["returned"] == "20"


def test_a_card_that_asks_for_its_holder_is_paid_on_a_page(story: Story) -> None:
    client = at_stripe(story)
    holder = client.v1.customers.create({}).id
    method = client.v1.payment_methods.attach("pm_card_authenticationRequired", {"customer": holder}).id
    client.v1.customers.update(holder, {"invoice_settings": {"default_payment_method": method}})
    patched(story, {"stripe_customer": holder, "top_up": {"threshold": "110", "amount": "50", "daily_cap": "50"}})
    assert eventually(lambda: [row["status"] for row in top_ups(story)] == ["action_required"], 30)
    complete(story, top_ups(story)[0]["url"], "4242424242424242")
    assert eventually(lambda: story.balance() == "150", 30)
    assert [row["status"] for row in top_ups(story)] == ["succeeded"]
