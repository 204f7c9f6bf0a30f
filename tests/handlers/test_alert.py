"""A balance that fell low, and a webhook endpoint that was disabled, reach the operator's topic."""

import pytest

from billing.endpoints import DISABLED
from handlers import alert
from tests.handlers.street import Street, bus_event, used


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


@pytest.mark.parametrize(("detail_type", "whose"), [("balance.low", "customer"), (DISABLED, "endpoint")])
def test_a_subject_is_never_longer_than_a_topic_takes(detail_type: str, whose: str) -> None:
    subject, _ = alert.message(detail_type, {whose: "x" * 128})
    assert len(subject) == 100
