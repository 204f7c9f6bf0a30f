"""What Stripe tells, and which of it was handed on."""

from adapters.items import Table
from adapters.stripe_events import SeenEvents, StripeEvents
from tests.adapters.test_stripe import stripe_with
from tests.infra.local.stripe.in_process import InProcess


def test_what_was_handed_on_is_remembered(table: Table) -> None:
    seen = SeenEvents(table)
    assert (seen.among(["evt_1", "evt_2"]), seen.swept_until()) == (set(), None)
    for _ in range(2):
        seen.remember("evt_1", 5)
        seen.sweep_done(7)
    assert (seen.among(["evt_1", "evt_2"]), seen.swept_until()) == ({"evt_1"}, 7)


def test_events_are_listed_by_their_time_and_type_oldest_first_however_many(stripe_stand_in: InProcess) -> None:
    events = StripeEvents(stripe_with(stripe_stand_in, "sk_test_key"))
    begin = int(stripe_stand_in.clock()) * 1000
    for number in range(120):
        stripe_stand_in.clock.forward(1)
        stripe_stand_in.stripe.customers.create({"name": str(number)})
    stripe_stand_in.stripe.payment_intents.create({"amount": 100, "currency": "usd"})
    listed = events.between(begin, begin + 111_000, ["customer.created"])
    assert [each["data"]["object"]["name"] for each in listed] == [str(number) for number in range(110)]
    assert events.between(begin, begin + 10**6, ["payment_intent.created"])[0]["id"].startswith("evt_")
