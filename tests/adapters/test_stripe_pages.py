"""Pages that Stripe hosts, through the real SDK: to pay on, and to save a card on."""

import pytest

from adapters.payments import Asked
from adapters.stripe_pages import StripePages
from tests.adapters.test_payments import OURS
from tests.adapters.test_stripe import stripe_with
from tests.infra.local.stripe.in_process import InProcess

BACK = "https://example.com/done"


@pytest.fixture
def pages(stripe_stand_in: InProcess) -> StripePages:
    return StripePages(stripe_with(stripe_stand_in, "sk_test_key"))


def asked(stand_in: InProcess) -> Asked:
    return Asked(*stand_in.customer(), 6000, "usd", OURS)


def expiring(stand_in: InProcess) -> int:
    return int(stand_in.clock() + 3600 * 23) * 1000


def test_a_page_is_made_once_found_again_and_paid_on(stripe_stand_in: InProcess, pages: StripePages) -> None:
    wanted, ends = asked(stripe_stand_in), expiring(stripe_stand_in)
    made = {pages.to_pay(wanted, "Credit", BACK, ends, "k").id for _ in range(2)}
    (name,) = made
    page = pages.read(name)
    assert (page.status, page.paid, page.payment, page.expires_at, page.metadata) == ("open", False, None, ends, OURS)
    assert page.url
    found = pages.find(wanted.customer, OURS)
    assert found
    assert found.id == name
    assert pages.find(wanted.customer, {**OURS, "taximeter_top_up": "another"}) is None
    stripe_stand_in.control(f"checkout/sessions/{name}/complete", {"card": "4242424242424242"})
    for paid in (pages.read(name), pages.expire(name)):
        assert (paid.status, paid.paid, paid.customer) == ("complete", True, wanted.customer)
        assert paid.payment
        assert paid.method
    assert stripe_stand_in.read("charges")["amount"] == {"usd": 6000}


def test_a_page_that_was_closed_takes_no_payment(stripe_stand_in: InProcess, pages: StripePages) -> None:
    page = pages.to_pay(asked(stripe_stand_in), "Credit", BACK, expiring(stripe_stand_in), "k")
    for _ in range(2):
        assert pages.expire(page.id).status == "expired"
    with pytest.raises(AssertionError):
        stripe_stand_in.control(f"checkout/sessions/{page.id}/complete", {"card": "4242424242424242"})


@pytest.mark.parametrize("currency", ["EUR", None])
def test_a_card_is_saved_on_a_page(stripe_stand_in: InProcess, pages: StripePages, currency: str | None) -> None:
    customer = stripe_stand_in.stripe.customers.create({"name": "Ada"}).id
    page = pages.to_save_a_card(customer, currency, {"taximeter_customer": "acme"}, BACK)
    assert (page.method, page.metadata) == (None, {"taximeter_customer": "acme"})
    stripe_stand_in.control(f"checkout/sessions/{page.id}/complete", {"card": "4242424242424242"})
    done = pages.read(page.id)
    saved = stripe_stand_in.stripe.customers.payment_methods.list(customer).data
    assert (done.status, done.customer, done.method) == ("complete", customer, saved[0].id)
