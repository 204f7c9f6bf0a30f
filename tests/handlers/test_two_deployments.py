"""Two deployments that share one account at Stripe, with customers of the same ids: each pays what is its own."""

from collections.abc import Callable, Iterator

import pytest

from handlers import _live, stripe_events
from metering.times import SECOND
from tests.handlers.owing import collected, invoice
from tests.handlers.street import Street, used
from tests.handlers.test_top_up import DECLINED, attempts, balance
from tests.infra.local.stripe.in_process import InProcess

On = Callable[[Street], None]


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> On:
    """Puts every handler on a street."""
    return lambda street: monkeypatch.setattr(_live, "live", street)


@pytest.fixture
def both(street: Street, stand_in: InProcess, on: On) -> list[Street]:
    """A street, and another one that is like it but for its secret."""
    other = Street(stand_in=stand_in)
    other.environment["STRIPE_SECRET_ARN"] = "another"
    on(other)
    other.prepare()
    return [street, other]


def each(both: list[Street], on: On) -> Iterator[Street]:
    for street in both:
        on(street)
        yield street


def hear_all(both: list[Street], on: On) -> None:
    """Either is told of everything that happened in the account."""
    for street in each(both, on):
        street.now += SECOND
        stripe_events.sweep(street, street.now)
        for queue in ("TOP_UP", "COLLECT"):
            street.deliver(queue)
        street.flow()
        assert not [*street.parked(), *street.parked("unknown")]


def test_customers_of_one_id_are_two_at_stripe(both: list[Street], on: On, stand_in: InProcess) -> None:
    for street in each(both, on):
        street.does("POST", "/v1/customers/acme/payment_setup")
    assert len(stand_in.stripe.customers.list().data) == 2


@pytest.mark.parametrize("shared", [False, True], ids=["two Stripe customers", "one for both"])
def test_each_charges_its_own_invoice_and_top_up_of_the_same_id(
    both: list[Street], on: On, stand_in: InProcess, shared: bool
) -> None:
    holder = stand_in.customer()[0]
    for street in each(both, on):
        holder = holder if shared else stand_in.customer()[0]
        body = {"collection": "charge_automatically", "stripe_customer": holder}
        street.does("PATCH", "/v1/customers/acme", body)
        street.does("POST", "/v1/customers/acme/top_ups", {"id": "june", "amount": "5"})
        street.post(used("a", value="20"))
        street.flow()
        street.deliver("TOP_UP")
        street.advance("2026-12-01T02:00:00Z")
        collected(street)
    hear_all(both, on)
    for street in each(both, on):
        assert attempts(street) == [("succeeded", None)]
        assert (invoice(street)["status"], invoice(street)["amount_due"]) == ("paid", "5")
    assert (stand_in.read("charges")["succeeded"], stand_in.read("charges")["amount"]) == (4, {"usd": 2000})


def test_what_goes_back_of_a_payment_of_the_other_takes_nothing_here(
    both: list[Street], on: On, stand_in: InProcess
) -> None:
    holder = stand_in.customer()[0]
    for street in each(both, on):
        street.does("PATCH", "/v1/customers/acme", {"stripe_customer": holder})
        street.does("POST", "/v1/customers/acme/top_ups", {"id": "june", "amount": "5"})
        street.flow()
        street.deliver("TOP_UP")
    last = stand_in.stripe.payment_intents.list().data[0]
    stand_in.stripe.refunds.create({"payment_intent": last.id})
    hear_all(both, on)
    assert [balance(street) for street in each(both, on)] == ["5", "0"]


def test_a_card_that_is_saved_for_the_other_has_nothing_tried_here(
    both: list[Street], on: On, stand_in: InProcess
) -> None:
    for street in each(both, on):
        street.does("PATCH", "/v1/customers/acme", {"stripe_customer": stand_in.customer(DECLINED)[0]})
        street.does("PATCH", "/v1/customers/acme", {"top_up": {"threshold": "10", "amount": "50"}})
        street.flow()
        street.deliver("TOP_UP")
    street.does("POST", "/v1/customers/acme/payment_setup")
    page = stand_in.stripe.checkout.sessions.list().data[0]
    stand_in.control(f"checkout/sessions/{page.id}/complete", {"card": "4242424242424242"})
    for _ in range(2):
        hear_all(both, on)
    assert [attempts(street)[0][0] for street in each(both, on)] == ["failed", "succeeded"]
    assert [len(attempts(street)) for street in each(both, on)] == [1, 2]
