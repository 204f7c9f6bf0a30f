"""A street on which acme owes November, with Stripe at its end: what the tests of collecting share."""

from collections.abc import Sequence
from typing import Any

from handlers import stripe_events
from metering.times import DAY, HOUR, SECOND
from tests.handlers.street import Street, queue_record, used
from tests.infra.local.stripe.in_process import InProcess

DUE = "acme:20261101T0000Z"
DECLINED = "pm_card_chargeCustomerFail"
NEEDS_A_PERSON = "pm_card_authenticationRequired"
GOOD = "4242424242424242"


def finalised(street: Street, stand_in: InProcess, card: str | None = "pm_card_visa", **customer: Any) -> Street:
    """A street on which acme's November is finalised: 10 dollars used, 4 paid from a credit, 20 % tax on the rest."""
    holder = {"stripe_customer": stand_in.customer(card)[0]} if card else {}
    patch = {"tax_rate": "20", "collection": "charge_automatically", **holder, **customer}
    street.does("PATCH", "/v1/customers/acme", patch)
    street.deliver("COLLECT")  # of another card there is nothing to collect yet
    street.does("POST", "/v1/customers/acme/credits", {"id": "c", "amount": "4"})
    street.post(used("a", value="20"))
    street.flow()
    street.advance("2026-12-01T02:00:00Z")
    assert [event["detail"]["amount_due"] for event in street.queues["COLLECT"]] == ["7.2"]
    return street


def invoice(street: Street, name: str = DUE) -> Any:
    return street.does("GET", f"/v1/invoices/{name}")


def say(street: Street, action: str, name: str = DUE, **body: Any) -> Any:
    """What a person does to an invoice."""
    return street.does("POST", f"/v1/invoices/{name}/{action}", body or None)


def charged(stand_in: InProcess) -> tuple[int, dict[str, int]]:
    told = stand_in.read("charges")
    return told["succeeded"], told["amount"]


def tried(stand_in: InProcess) -> int:
    """How often a card was asked for money."""
    return len(stand_in.read("charges")["data"])


def theirs(stand_in: InProcess) -> list[Any]:
    return list(stand_in.stripe.invoices.list().data)


def told(street: Street, detail_type: str) -> list[dict[str, Any]]:
    """What was announced of a type, each once: consumers may see it twice under its id."""
    street.flow()
    return list({news["id"]: news for news in street.announced(detail_type)}.values())


def message(street: Street, body: dict[str, Any]) -> None:
    """One message on the queue of collect."""
    street.run("COLLECT", [queue_record(body)])


def collected(street: Street) -> None:
    """What is queued, and what follows of it."""
    street.deliver("COLLECT")
    street.flow()
    street.deliver("COLLECT")
    street.flow()


def hear(street: Street) -> None:
    """Let everything arrive that Stripe has told and no webhook brought, and what follows of it."""
    street.now += SECOND
    stripe_events.sweep(street, street.now)
    street.deliver("TOP_UP")
    collected(street)


def days_pass(street: Street, days: int) -> None:
    """Every hour the schedules run, and what is queued is handled."""
    for _ in range(days * (DAY // HOUR)):
        street.now += HOUR
        street.hour()
        collected(street)


def calls(stand_in: InProcess, since: int = 0) -> Sequence[str]:
    """The calls that Stripe got."""
    return [str(each["endpoint"]) for each in stand_in.read("requests")["data"][since:]]
