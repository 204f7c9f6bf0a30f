"""Stripe through the real SDK, against the stand-in: what each call makes of each answer."""

from collections.abc import Iterator
from decimal import Decimal, Inexact
from types import SimpleNamespace
from typing import Any

import pytest

from adapters.secrets import Secret
from adapters.stripe import Payments, in_minor_units
from infra.local.stripe.server import running
from metering.errors import Conflict, Unavailable
from tests.infra.local.stripe.stand_in import StandIn, client

OURS = {"taximeter_customer": "acme", "taximeter_top_up": "acme:1"}


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    with running() as server:
        yield StandIn(server, client(server.url).v1)


def payments_with(stand_in: StandIn, *keys: str) -> Payments:
    """Payments whose secret shows one key after the other, as one that is being replaced."""
    shown = list(keys)
    read: Any = SimpleNamespace(
        get_secret_value=lambda **_: {
            "SecretString": f'{{"stripe_api_key": "{shown.pop(0) if len(shown) > 1 else shown[0]}"}}'
        }
    )
    return Payments(Secret("arn", read), stand_in.server.url)


@pytest.fixture
def payments(stand_in: StandIn) -> Payments:
    return payments_with(stand_in, "sk_test_key")


def fail(stand_in: StandIn, path: str, method: str = "*", **fault: Any) -> None:
    stand_in.control("faults", {"path": path, "method": method, **fault})


def test_a_payment_is_made_without_a_charge_and_confirmed_with_one(stand_in: StandIn, payments: Payments) -> None:
    customer, _ = stand_in.customer()
    made = payments.create_payment(customer, 5000, "USD", OURS, "k:create")
    assert (made.outcome, made.metadata) == ("open", OURS)
    assert stand_in.read("charges")["data"] == []
    assert payments.create_payment(customer, 5000, "USD", OURS, "k:create").id == made.id
    for _ in range(2):
        assert payments.confirm_payment(made.id, "k:confirm").outcome == "succeeded"
    assert payments.payment(made.id).outcome == "succeeded"
    assert stand_in.read("charges")["amount"] == {"usd": 5000}


@pytest.mark.parametrize(
    ("card", "outcome", "reason"),
    [
        ("pm_card_chargeCustomerFail", "declined", "generic_decline"),
        ("pm_card_authenticationRequired", "action_required", "authentication_required"),
        ("pm_card_authenticationRequiredOnSetup", "action_required", "authentication_required"),
    ],
)
def test_a_decline_is_an_answer_told_by_the_call_and_by_asking(
    stand_in: StandIn, payments: Payments, card: str, outcome: str, reason: str
) -> None:
    customer, _ = stand_in.customer(card)
    made = payments.create_payment(customer, 5000, "USD", OURS, "k:create")
    told = payments.confirm_payment(made.id, "k:confirm")
    assert (told.id, told.outcome, told.reason) == (made.id, outcome, reason)
    asked = payments.payment(made.id)
    assert (asked.outcome, asked.reason) == (outcome, reason)
    assert payments.cancel_payment(made.id, "k:cancel").outcome == outcome
    with pytest.raises(Conflict):
        payments.confirm_payment(made.id, "k:again")


def test_a_payment_that_was_made_cannot_be_cancelled_and_says_so(stand_in: StandIn, payments: Payments) -> None:
    customer, _ = stand_in.customer()
    made = payments.create_payment(customer, 5000, "USD", OURS, "k:create")
    payments.confirm_payment(made.id, "k:confirm")
    assert payments.cancel_payment(made.id, "k:cancel").outcome == "succeeded"


def test_the_newest_card_pays_where_none_is_the_default(stand_in: StandIn, payments: Payments) -> None:
    customer = stand_in.stripe.customers.create({"name": "Ada"}).id
    stand_in.stripe.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": customer})
    stand_in.stripe.payment_methods.attach("pm_card_visa", {"customer": customer})
    made = payments.create_payment(customer, 100, "USD", OURS, "k")
    assert payments.confirm_payment(made.id, "c").outcome == "succeeded"


def test_a_customer_without_a_card_is_refused_for_good(stand_in: StandIn, payments: Payments) -> None:
    customer = stand_in.stripe.customers.create({"name": "Ada"}).id
    made = payments.create_payment(customer, 100, "USD", OURS, "k")
    with pytest.raises(Conflict) as refused:
        payments.confirm_payment(made.id, "c")
    assert refused.value.code == "stripe_refused"
    with pytest.raises(Conflict):
        payments.create_payment("cus_unheard_of", 100, "USD", OURS, "l")


@pytest.mark.parametrize(
    "fault", [{"drop": True}, {"drop": True, "processed": True}, {"status": 500}, {"status": 429}, {"status": 409}]
)
def test_an_answer_that_does_not_come_is_unknown(stand_in: StandIn, payments: Payments, fault: dict[str, Any]) -> None:
    customer, _ = stand_in.customer()
    fail(stand_in, "/v1/payment_intents", "POST", **fault)
    with pytest.raises(Unavailable) as unknown:
        payments.create_payment(customer, 5000, "USD", OURS, "k:create")
    assert unknown.value.code == "stripe_unavailable"
    found = payments.find_payment(customer, OURS)
    assert (found is not None) == bool(fault.get("processed"))


def test_a_payment_is_found_by_what_was_written_on_it_however_many_there_are(
    stand_in: StandIn, payments: Payments
) -> None:
    customer, _ = stand_in.customer()
    mine = payments.create_payment(customer, 5000, "USD", OURS, "mine")
    for number in range(101):
        stand_in.stripe.payment_intents.create(
            {
                "amount": 100,
                "currency": "usd",
                "customer": customer,
                "metadata": {"taximeter_top_up": f"acme:{number}2"},
            }
        )
    found = payments.find_payment(customer, OURS)
    assert found is not None
    assert found.id == mine.id
    assert payments.find_payment(customer, {**OURS, "taximeter_top_up": "acme:3"}) is None


def test_a_key_that_was_replaced_is_read_anew_once(stand_in: StandIn) -> None:
    customer, _ = stand_in.customer()
    made = payments_with(stand_in, "not-a-key", "sk_test_key").create_payment(customer, 100, "USD", OURS, "k")
    assert made.outcome == "open"
    with pytest.raises(Unavailable):
        payments_with(stand_in, "not-a-key").payment(made.id)
    with pytest.raises(Unavailable) as missing:
        payments_with(stand_in, "").payment(made.id)
    assert missing.value.code == "stripe_key_missing"


LINES = [("Requests", 500), ("Refund", -100), ("Tax 19%", 76)]


def test_an_invoice_is_made_filled_closed_and_paid(stand_in: StandIn, payments: Payments) -> None:
    customer, _ = stand_in.customer()
    ours = {"taximeter_invoice": "acme:1"}
    for _ in range(2):
        made = payments.create_invoice(customer, "USD", None, ours, "k:create")
        payments.add_items(customer, made.id, "USD", LINES, "k:item")
    assert (made.status, made.metadata) == ("draft", ours)
    assert payments.invoice(made.id).amount_due == 476
    closed = payments.finalize_invoice(made.id, "k:finalize")
    assert closed.status == "open"
    assert closed.hosted_invoice_url
    for _ in range(2):
        paid, refused = payments.pay_invoice(made.id, "k:pay")
        assert (paid.status, refused) == ("paid", None)
    assert stand_in.read("charges")["amount"] == {"usd": 476}


def test_an_invoice_that_the_card_does_not_pay_stays_open_with_the_reason(
    stand_in: StandIn, payments: Payments
) -> None:
    customer, _ = stand_in.customer("pm_card_chargeCustomerFail")
    made = payments.create_invoice(customer, "USD", None, {}, "k")
    payments.add_items(customer, made.id, "USD", LINES, "k:item")
    payments.finalize_invoice(made.id, "k:finalize")
    invoice, refused = payments.pay_invoice(made.id, "k:pay")
    assert (invoice.status, refused) == ("open", "generic_decline")


def test_an_invoice_to_be_sent_has_a_due_date(stand_in: StandIn, payments: Payments) -> None:
    customer, _ = stand_in.customer()
    made = payments.create_invoice(customer, "USD", 30, {}, "k")
    payments.add_items(customer, made.id, "USD", LINES, "k:item")
    payments.finalize_invoice(made.id, "k:finalize")
    assert payments.send_invoice(made.id, "k:send").status == "open"
    theirs = stand_in.stripe.invoices.retrieve(made.id)
    assert theirs.collection_method == "send_invoice"
    assert theirs.due_date


@pytest.mark.parametrize("hours", [0, 25])
def test_items_that_were_written_in_part_are_completed_and_never_doubled(
    stand_in: StandIn, payments: Payments, hours: int
) -> None:
    customer, _ = stand_in.customer()
    made = payments.create_invoice(customer, "USD", None, {}, "k")
    lines = [("up", 500), ("down", -500), ("rest", 70)]
    fail(stand_in, "/v1/invoiceitems", "POST", drop=True, processed=True)
    with pytest.raises(Unavailable):
        payments.add_items(customer, made.id, "USD", lines, "k:item")
    # After a day Stripe has forgotten the idempotency keys.
    stand_in.control("clock", {"offset_milliseconds": hours * 3_600_000})
    for _ in range(2):
        payments.add_items(customer, made.id, "USD", lines, "k:item")
        assert payments.invoice(made.id).amount_due == 70


def test_more_lines_than_stripe_takes_are_summed_up_in_the_last(stand_in: StandIn, payments: Payments) -> None:
    customer, _ = stand_in.customer()
    made = payments.create_invoice(customer, "USD", None, {}, "k")
    payments.add_items(customer, made.id, "USD", [(f"line {number} " * 99, number) for number in range(1, 301)], "k:i")
    assert payments.invoice(made.id).amount_due == 300 * 301 // 2


@pytest.mark.parametrize(
    ("amount", "currency", "units"),
    [
        ("12.50", "USD", 1250),
        ("-0.01", "EUR", -1),
        ("500", "JPY", 500),
        ("5.12", "KWD", 5120),
        ("500", "ISK", 50_000),
        ("500", "UGX", 50_000),
        ("500.00", "MGA", 500),
    ],
)
def test_amounts_are_written_in_the_units_that_stripe_charges(amount: str, currency: str, units: int) -> None:
    assert in_minor_units(Decimal(amount), currency) == units


@pytest.mark.parametrize(("amount", "currency"), [("0.001", "USD"), ("0.5", "JPY"), ("5.50", "MGA")])
def test_an_amount_that_cannot_be_charged_is_never_rounded_in_silence(amount: str, currency: str) -> None:
    with pytest.raises(Inexact):
        in_minor_units(Decimal(amount), currency)
