"""Calling Stripe with the real SDK: keys, refusals, unknown outcomes, pauses, and the units that it counts in."""

from decimal import Decimal, Inexact
from types import SimpleNamespace
from typing import Any

import pytest

from adapters.payments import Payments
from adapters.secrets import Secret
from adapters.stripe import Pace, Stripe, from_minor_units, in_minor_units, is_chargeable
from metering.errors import Conflict, Unavailable
from tests.infra.local.stripe.in_process import URL, InProcess, Transport


def stripe_with(stand_in: InProcess, *keys: str, pace: Pace | None = None) -> Stripe:
    """Stripe called with a secret that shows one key after the other, as one that is being replaced."""
    shown = list(keys)
    read: Any = SimpleNamespace(
        get_secret_value=lambda **_: {
            "SecretString": f'{{"stripe_api_key": "{shown.pop(0) if len(shown) > 1 else shown[0]}"}}'
        }
    )
    return Stripe(Secret("arn", read), URL, pace, Transport(stand_in.application))


def test_a_key_that_was_replaced_is_read_anew_once(stripe_stand_in: InProcess) -> None:
    intent = stripe_stand_in.stripe.payment_intents.create({"amount": 100, "currency": "usd"}).id
    assert Payments(stripe_with(stripe_stand_in, "not-a-key", "sk_test_key")).read(intent).id == intent
    with pytest.raises(Unavailable):
        Payments(stripe_with(stripe_stand_in, "not-a-key")).read(intent)
    with pytest.raises(Unavailable) as missing:
        Payments(stripe_with(stripe_stand_in, "")).read(intent)
    assert missing.value.code == "stripe_key_missing"


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"drop": True}, "stripe_unavailable"),
        ({"drop": True, "processed": True}, "stripe_unavailable"),
        ({"status": 500}, "stripe_unavailable"),
        ({"status": 403}, "stripe_unavailable"),
        ({"status": 409}, "stripe_unavailable"),
        ({"status": 429}, "stripe_busy"),
        ({"delay_seconds": 30}, "stripe_unavailable"),
    ],
    ids=["lost before", "lost after", "500", "403", "409", "429", "slow"],
)
def test_an_answer_that_does_not_come_is_unknown(stripe_stand_in: InProcess, fault: dict[str, Any], code: str) -> None:
    stripe_stand_in.control("faults", fault)
    with pytest.raises(Unavailable) as unknown:
        stripe_with(stripe_stand_in, "sk_test_key").call(lambda client: client.v1.customers.create({}))
    assert unknown.value.code == code


def test_what_is_refused_never_gets_better_and_a_key_that_is_taken_is_asked_about(stripe_stand_in: InProcess) -> None:
    calling = stripe_with(stripe_stand_in, "sk_test_key")
    with pytest.raises(Conflict) as refused:
        calling.call(lambda client: client.v1.customers.retrieve("cus_unheard_of"))
    assert refused.value.code == "stripe_refused"
    calling.call(lambda client: client.v1.customers.create({"name": "Ada"}, {"idempotency_key": "k"}))
    with pytest.raises(Unavailable):
        calling.call(lambda client: client.v1.customers.create({"name": "Bob"}, {"idempotency_key": "k"}))


def test_calls_keep_their_pace_however_fast_they_come(stripe_stand_in: InProcess) -> None:
    clock = [100.0]
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock[0] += seconds

    calling = stripe_with(stripe_stand_in, "sk_test_key", pace=Pace(Decimal("0.25"), lambda: clock[0], sleep))
    for _ in range(3):
        calling.call(lambda client: client.v1.customers.list({}))
    clock[0] += 60  # nobody called for a while: that earns nothing
    for _ in range(2):
        calling.call(lambda client: client.v1.customers.list({}))
    assert slept == [0.25, 0.25, 0.25]


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


@pytest.mark.parametrize(
    ("units", "currency", "amount"), [(1250, "USD", "12.5"), (50_000, "ISK", "500"), (7, "JPY", "7")]
)
def test_what_stripe_writes_is_read_in_its_units(units: int, currency: str, amount: str) -> None:
    assert from_minor_units(units, currency) == Decimal(amount)


@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [
        *(("5.01", "USD", True), ("5", "JPY", True), ("5", "ISK", True)),
        *(("5.12", "KWD", True), ("5.124", "KWD", False), ("5.5", "MGA", False)),
    ],
)
def test_what_a_card_can_be_charged_with(amount: str, currency: str, *, expected: bool) -> None:
    assert is_chargeable(Decimal(amount), currency) == expected
