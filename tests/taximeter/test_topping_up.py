"""`taximeter top-ups`: buying credit by hand, and seeing to what waits for a person."""

import pytest

from taximeter import topping_up
from tests.handlers.conftest import at_stripe
from tests.handlers.test_top_up import DECLINED, NEEDS_A_PERSON, RULE
from tests.infra.local.stripe.in_process import InProcess
from tests.taximeter.conftest import Service


@pytest.fixture
def stripe(service: Service, monkeypatch: pytest.MonkeyPatch) -> InProcess:
    """Stripe behind a deployment whose queues are handled while somebody waits."""
    service.street.prepare()

    def pass_a_second(_: float) -> None:
        service.street.now += 1000
        service.street.deliver("TOP_UP")
        service.street.flow()

    monkeypatch.setattr("taximeter.topping_up.time.sleep", pass_a_second)
    return at_stripe(service.street)


def link(service: Service, stripe: InProcess, card: str = "pm_card_visa", **more: object) -> None:
    service.street.does("PATCH", "/v1/customers/acme", {"stripe_customer": stripe.customer(card)[0], **more})
    service.street.flow()


def test_credit_is_bought_by_hand_once_under_its_id(service: Service, stripe: InProcess) -> None:
    link(service, stripe)
    for _ in range(2):
        (row,) = service.told("top-ups", "buy", "acme", "25", "--id", "mine")["rows"]
        assert (row["status"], row["amount"]) == ("succeeded", "25")
    assert stripe.read("charges")["amount"] == {"usd": 2500}
    lines = service.run("top-ups", "list", "acme").stdout.splitlines()
    assert lines[1].split()[:3] == ["mine", "acme", "succeeded"]


def test_a_card_that_does_not_pay_is_a_failure(service: Service, stripe: InProcess) -> None:
    link(service, stripe, DECLINED)
    done = service.run("top-ups", "buy", "acme", "25")
    assert done.exit_code == 1
    assert "generic_decline" in done.stdout


def test_what_needs_a_person_is_listed_with_its_page_and_can_be_ended(service: Service, stripe: InProcess) -> None:
    link(service, stripe, NEEDS_A_PERSON, top_up=RULE)
    service.street.deliver("TOP_UP")
    (row,) = service.told("top-ups", "list", "--status", "action_required")["rows"]
    assert row["url"]
    assert service.told("top-ups", "cancel", "acme", row["id"])["rows"][0]["status"] == "canceled"
    assert service.told("top-ups", "list")["rows"] == []
    assert service.run("top-ups", "cancel", "acme", row["id"]).exit_code == 0
    assert service.run("top-ups", "cancel", "acme", "none").exit_code == 1


def test_one_that_does_not_end_is_told(service: Service, stripe: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    link(service, stripe)
    monkeypatch.setattr(topping_up, "_WAIT_SECONDS", 0)
    done = service.run("top-ups", "buy", "acme", "25")
    assert (done.exit_code, "it is still requested" in done.stderr) == (1, True)
    assert service.run("top-ups", "buy", "acme", "3", "--no-wait").exit_code == 1  # another is open
