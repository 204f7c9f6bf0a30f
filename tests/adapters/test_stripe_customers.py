"""Stripe's customers, through the real SDK: one for each of ours, and the card that pays."""

from adapters.stripe import metadata_of
from adapters.stripe_customers import StripeCustomers
from tests.adapters.test_stripe import stripe_with
from tests.infra.local.stripe.in_process import InProcess


def test_the_default_card_pays_else_the_newest_else_none(stripe_stand_in: InProcess) -> None:
    customers = StripeCustomers(stripe_with(stripe_stand_in, "sk_test_key"))
    customer = stripe_stand_in.stripe.customers.create({"name": "Ada"}).id
    assert customers.default_method(customer) is None
    methods = stripe_stand_in.stripe.payment_methods
    first, second = (methods.attach(card, {"customer": customer}).id for card in ("pm_card_visa", "pm_card_visa"))
    assert customers.default_method(customer) == second
    for _ in range(2):
        customers.set_default_method(customer, first)
    assert customers.default_method(customer) == first


def test_a_customer_is_made_once_and_knows_ours(stripe_stand_in: InProcess) -> None:
    customers = StripeCustomers(stripe_with(stripe_stand_in, "sk_test_key"))
    ours = {"taximeter_deployment": "d", "taximeter_customer": "acme"}
    made = {customers.create("Acme", "ada@example.com", ours) for _ in range(2)}
    assert len(made) == 1
    told = stripe_stand_in.stripe.customers.retrieve(made.pop())
    assert (told.name, told.email, metadata_of(told)) == ("Acme", "ada@example.com", ours)
    assert customers.create("Acme", "ada@example.com", {**ours, "taximeter_deployment": "another"}) != told.id
    assert stripe_stand_in.stripe.customers.retrieve(customers.create("bob", None, ours)).email is None
