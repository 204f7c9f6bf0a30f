"""A ledger restored from a backup knows nothing of what was paid since: none of it is lost, or paid twice."""

import json
from collections.abc import Sequence

import pytest

from adapters.items import Item, Put, string
from metering.times import DAY, MINUTE
from tests.handlers.owing import charged, collected, finalised, invoice
from tests.handlers.street import Street
from tests.handlers.test_top_up import attempts, balance, hear
from tests.infra.local.stripe.in_process import InProcess

ASKED = "/v1/customers/acme/top_ups"


def restore(street: Street, backup: Sequence[Item]) -> None:
    """The ledger as it was; nobody is told of what changes by that."""
    table = street.tables["Ledger"]
    told, table.changes = table.changes, lambda _old, _new: None
    for item in table.all():
        table.delete(string(item, "pk"), string(item, "sk"))
    for item in backup:
        table.transact([Put(item)])
    table.changes = told
    for queue in ("TOP_UP", "COLLECT"):
        street.queues[queue].clear()


def redriven(street: Street) -> None:
    """What `taximeter redrive` does with all that is parked of acme."""
    for item in street.parked():
        street.outbox.unpark(item)
        street.run("TOP_UP", [json.loads(string(item, "record"))])


@pytest.mark.parametrize("later", [MINUTE, 2 * DAY], ids=["soon", "when the keys have expired"])
def test_an_invoice_that_was_paid_since_is_found_and_not_charged_again(
    street: Street, stand_in: InProcess, later: int
) -> None:
    finalised(street, stand_in)
    backup = street.tables["Ledger"].all()
    collected(street)
    restore(street, backup)
    assert invoice(street)["status"] == "finalized"
    street.now += later
    street.now += 15 * MINUTE
    street.hour()
    collected(street)
    assert (invoice(street)["status"], charged(stand_in)) == ("paid", (1, {"usd": 720}))
    assert not street.parked()


@pytest.fixture
def restored(street: Street, stand_in: InProcess) -> Street:
    """A street on which a top-up was bought that its ledger does not know any more."""
    street.does("PATCH", "/v1/customers/acme", {"stripe_customer": stand_in.customer()[0]})
    hear(street)
    backup = street.tables["Ledger"].all()
    street.does("POST", ASKED, {"id": "june", "amount": "50"})
    street.deliver("TOP_UP")
    street.flow()
    street.deliver("TOP_UP")
    assert balance(street) == "50"
    restore(street, backup)
    assert (balance(street), attempts(street)) == ("0", [])
    return street


@pytest.mark.parametrize("later", [MINUTE, 2 * DAY], ids=["soon", "when the keys have expired"])
def test_a_top_up_that_is_asked_for_again_under_its_id_is_credited_and_not_charged_again(
    restored: Street, stand_in: InProcess, later: int
) -> None:
    restored.now += later
    restored.does("POST", ASKED, {"id": "june", "amount": "50"})
    restored.flow()
    hear(restored)
    assert (balance(restored), attempts(restored)) == ("50", [("succeeded", None)])
    assert charged(stand_in) == (1, {"usd": 5000})
    assert not restored.parked()


def test_one_that_is_asked_for_with_another_amount_buys_nothing_and_a_person_is_told(
    restored: Street, stand_in: InProcess
) -> None:
    restored.now += 2 * DAY
    restored.does("POST", ASKED, {"id": "june", "amount": "60"})
    restored.flow()
    restored.deliver("TOP_UP")
    hear(restored)
    assert (balance(restored), attempts(restored)) == ("0", [("failed", "payment_differs")])
    assert charged(stand_in) == (1, {"usd": 5000})
    assert len(restored.parked()) == 1


@pytest.mark.parametrize("action", ["credit", "refund"])
def test_one_of_which_nobody_asks_again_is_parked_until_a_person_has_credited_or_refunded_it(
    restored: Street, stand_in: InProcess, action: str
) -> None:
    hear(restored)
    (item,) = restored.parked()
    (payment,) = (each.id for each in stand_in.stripe.payment_intents.list().data)
    assert f"{payment} was paid" in str(item["reason"])
    redriven(restored)
    assert len(restored.parked()) == 1
    if action == "credit":
        restored.does("POST", "/v1/customers/acme/credits", {"id": payment, "amount": "50"})
    else:
        stand_in.stripe.refunds.create({"payment_intent": payment})
    redriven(restored)
    hear(restored)
    assert not restored.parked()
    assert balance(restored) == ("50" if action == "credit" else "0")
