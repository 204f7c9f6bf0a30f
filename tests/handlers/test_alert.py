"""What a person has to look at reaches the operator's topic, in words."""

import pytest

from billing.endpoints import DISABLED
from handlers import alert
from tests.handlers.owing import DECLINED, collected, finalised
from tests.handlers.street import Street, bus_event, used
from tests.infra.local.stripe.in_process import InProcess


def test_a_balance_that_falls_low_is_told_once_in_words(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, str]] = []

    class Told:
        def __init__(self, arn: str) -> None:
            assert arn == "topic"

        def publish(self, subject: str, message: str) -> None:
            told.append((subject, message))

    monkeypatch.setattr(alert, "Topic", Told)
    street.does("PATCH", "/v1/customers/acme", {"alerts": [{"key": "low", "kind": "balance_below", "threshold": "10"}]})
    street.does("POST", "/v1/customers/acme/credits", {"id": "c", "amount": "12"})
    for number in range(8):
        street.post(used(f"e{number}", number))
        street.flow()
        street.minute()
    (news,) = street.announced("balance.low")
    alert.handler(bus_event("balance.low", news), None)
    ((subject, message),) = told
    assert subject == "Balance low: acme"
    assert "balance: 9.5" in message
    assert "threshold: 10" in message


def test_a_disabled_endpoint_is_told_by_its_id_alone() -> None:
    detail = {"id": "1", "endpoint": "hooks", "reason": "gone", "failing_since": None}
    subject, message = alert.message("webhook_endpoint.disabled", detail)
    assert subject == "Webhook endpoint disabled: hooks"
    assert "reason: gone" in message


@pytest.mark.parametrize(
    ("card", "detail_type", "subject"),
    [
        ("pm_card_chargeCustomerFail", "top_up.failed", "Top-up failed: acme"),
        ("pm_card_authenticationRequired", "top_up.action_required", "Top-up needs its customer: acme"),
    ],
)
def test_a_top_up_that_a_card_did_not_pay_is_told_without_the_page(
    street: Street, stand_in: InProcess, card: str, detail_type: str, subject: str
) -> None:
    body = {"stripe_customer": stand_in.customer(card)[0], "top_up": {"threshold": "10", "amount": "50"}}
    street.does("PATCH", "/v1/customers/acme", body)
    street.flow()
    street.deliver("TOP_UP")
    street.flow()
    (news,) = street.announced(detail_type)
    told = alert.message(detail_type, news)
    assert told[0] == subject
    assert "amount: 50" in told[1]
    assert "http" not in told[1]


def test_an_invoice_that_was_not_paid_is_told_without_its_page(street: Street, stand_in: InProcess) -> None:
    finalised(street, stand_in, DECLINED)
    collected(street)
    (news,) = street.announced("invoice.payment_failed")
    subject, message = alert.message("invoice.payment_failed", news)
    assert subject == "Invoice not paid: acme"
    assert "reason: generic_decline" in message
    assert "http" not in message


@pytest.mark.parametrize(("detail_type", "whose"), [("balance.low", "customer"), (DISABLED, "endpoint")])
def test_a_subject_is_never_longer_than_a_topic_takes(detail_type: str, whose: str) -> None:
    subject, _ = alert.message(detail_type, {whose: "x" * 128})
    assert len(subject) == 100
