"""The ways of money for an invoice through Stripe, and what has to hold when each was gone. Law 5.7."""

from decimal import Decimal
from functools import partial
from typing import Any

from metering.times import MINUTE, SECOND
from tests.handlers.owing import DECLINED, DUE, GOOD, finalised, invoice, say, theirs, told, tried
from tests.handlers.payment_flows import Flow
from tests.handlers.street import NOW, Street, used
from tests.infra.local.stripe.in_process import InProcess

NEXT = "acme:20261201T0000Z"


def _owing(street: Street, stand_in: InProcess, card: str = "pm_card_visa", **customer: Any) -> None:
    finalised(street, stand_in, card, **customer)


def _open_there(street: Street, stand_in: InProcess) -> Any:
    """Finalised at Stripe, and its card does not pay."""
    finalised(street, stand_in, DECLINED)
    street.deliver("COLLECT")
    street.flow()
    (their,) = theirs(stand_in)
    assert their.status == "open"
    return their


def _decided(street: Street, stand_in: InProcess, action: str) -> None:
    _open_there(street, stand_in)
    say(street, action)
    street.flow()
    assert street.queues["COLLECT"]


def _hear(street: Street, stand_in: InProcess) -> None:
    """What Stripe has told last is on the queue."""
    street.now += SECOND
    named = theirs(stand_in)[0].id
    street.queues["COLLECT"].append({"stripe_invoice": named})


def _paid_on_its_page(street: Street, stand_in: InProcess) -> None:
    stand_in.control(f"invoices/{_open_there(street, stand_in).id}/pay", {"card": GOOD})
    _hear(street, stand_in)


def _voided_there(street: Street, stand_in: InProcess) -> None:
    stand_in.stripe.invoices.void_invoice(_open_there(street, stand_in).id)
    _hear(street, stand_in)


def _paid_besides(street: Street, stand_in: InProcess) -> None:
    stand_in.control(f"invoices/{_open_there(street, stand_in).id}/pay", {"card": GOOD})
    say(street, "mark_paid")


def _another_card(street: Street, stand_in: InProcess) -> None:
    _open_there(street, stand_in)
    holder = street.does("GET", "/v1/customers/acme")["stripe_customer"]
    card = stand_in.stripe.payment_methods.attach("pm_card_visa", {"customer": holder})
    stand_in.stripe.customers.update(holder, {"invoice_settings": {"default_payment_method": card.id}})
    street.queues["COLLECT"].append({"customer": "acme", "card_added": True})


def _small(street: Street, stand_in: InProcess) -> None:
    body = {"collection": "charge_automatically", "stripe_customer": stand_in.customer()[0]}
    street.does("PATCH", "/v1/customers/acme", body)
    street.post(used("a", value="0.8"))
    street.flow()
    street.advance("2026-12-01T02:00:00Z")


def _held_and_another(street: Street, stand_in: InProcess, quantity: str) -> None:
    _small(street, stand_in)
    street.deliver("COLLECT")
    assert invoice(street)["held"]
    street.post(used("b", (street.now - NOW) // MINUTE, value=quantity))
    street.flow()
    street.advance("2027-01-01T02:00:00Z")


def _lost(street: Street, stand_in: InProcess) -> None:
    finalised(street, stand_in)
    street.deliver("COLLECT")
    (charge,) = stand_in.stripe.charges.list().data
    stand_in.stripe.refunds.create({"charge": charge.id, "amount": 20})
    dispute = stand_in.control(f"charges/{charge.id}/dispute", {})
    stand_in.control(f"disputes/{dispute['id']}", {"status": "lost"})
    street.queues["COLLECT"].append({"payment_intent": charge.payment_intent})


def adds_up(street: Street, stand_in: InProcess, *, elsewhere: bool = False) -> None:
    """What Stripe has charged are the invoices that are paid, each on one Stripe invoice; nothing went elsewhere."""
    rows = street.does("GET", "/v1/invoices", query={"customer": "acme"})["rows"]
    paid = Decimal(0) if elsewhere else sum(Decimal(row["amount_due"]) for row in rows if row["status"] == "paid")
    assert Decimal(stand_in.read("charges")["amount"].get("usd", 0)) / 100 == paid
    holder = street.does("GET", "/v1/customers/acme")["stripe_customer"]
    assert not stand_in.stripe.customers.retrieve(holder).balance
    assert not street.parked()
    assert not street.queues["COLLECT"]
    last = [row for row in rows if row["number"]]
    assert len(told(street, "invoice.finalized")) == len(last)
    assert len(told(street, "invoice.paid")) == sum(row["status"] == "paid" for row in rows)


def _stands(
    street: Street, stand_in: InProcess, _: Any, *, ours: str, there: list[tuple[str, int]], tries: int, **how: Any
) -> None:
    adds_up(street, stand_in, **how)
    assert invoice(street)["status"] == ours
    assert [(each.status, each.total) for each in theirs(stand_in)] == there
    assert tried(stand_in) == tries
    assert len(told(street, "invoice.payment_failed")) <= 1


def _sent_once(street: Street, stand_in: InProcess, _: Any) -> None:
    _stands(street, stand_in, _, ours="finalized", there=[("open", 720)], tries=0)
    assert stand_in.told("invoice.sent") == ["invoice.sent"]


def _told_once(street: Street, stand_in: InProcess, _: Any) -> None:
    _stands(street, stand_in, _, ours="past_due", there=[("open", 720)], tries=1)
    (news,) = told(street, "invoice.payment_failed")
    assert news["reason"] == "generic_decline"


def _held(street: Street, stand_in: InProcess, _: Any) -> None:
    adds_up(street, stand_in)
    assert (invoice(street)["status"], invoice(street)["held"]) == ("finalized", True)
    assert theirs(stand_in) == []


def _carried(street: Street, stand_in: InProcess, _: Any) -> None:
    adds_up(street, stand_in)
    assert {invoice(street, name)["status"] for name in (DUE, NEXT)} == {"paid"}
    assert [(each.status, each.total) for each in theirs(stand_in)] == [("paid", 1040)]
    assert tried(stand_in) == 1


def _both_held(street: Street, stand_in: InProcess, _: Any) -> None:
    adds_up(street, stand_in)
    assert all(invoice(street, name)["held"] for name in (DUE, NEXT))
    assert theirs(stand_in) == []


def _told_a_person(street: Street, stand_in: InProcess, _: Any) -> None:
    assert invoice(street)["status"] == "paid"
    assert len(street.parked()) == 1
    assert stand_in.read("charges")["amount"] == {"usd": 720}
    assert len(told(street, "invoice.paid")) == 1


def _is_lost(street: Street, stand_in: InProcess, _: Any) -> None:
    assert (invoice(street)["status"], invoice(street)["amount_refunded"]) == ("past_due", "7.2")
    assert [news["reason"] for news in told(street, "invoice.payment_failed")] == ["dispute_lost"]
    assert tried(stand_in) == 1
    assert not street.parked()


_PAID = [("paid", 720)]
FLOWS = [
    Flow("an invoice", _owing, partial(_stands, ours="paid", there=_PAID, tries=1)),
    Flow("an invoice that is sent", partial(_owing, collection="send_invoice"), _sent_once),
    Flow("a declined invoice", partial(_owing, card=DECLINED), _told_once),
    Flow("an invoice and another card", _another_card, partial(_stands, ours="paid", there=_PAID, tries=2)),
    Flow("an invoice paid on its page", _paid_on_its_page, partial(_stands, ours="paid", there=_PAID, tries=2)),
    Flow(
        "an invoice marked as paid",
        partial(_decided, action="mark_paid"),
        partial(_stands, ours="paid", there=_PAID, tries=1, elsewhere=True),
    ),
    Flow(
        "a void invoice",
        partial(_decided, action="void"),
        partial(_stands, ours="void", there=[("void", 720)], tries=1),
    ),
    Flow("an invoice voided there", _voided_there, partial(_stands, ours="void", there=[("void", 720)], tries=1)),
    Flow(
        "an invoice given up",
        partial(_decided, action="mark_uncollectible"),
        partial(_stands, ours="uncollectible", there=[("uncollectible", 720)], tries=1),
    ),
    Flow("an invoice paid twice", _paid_besides, _told_a_person),
    Flow("an invoice that is too small", _small, _held),
    Flow("an invoice that carries another", partial(_held_and_another, quantity="20"), _carried),
    Flow("two that are too small", partial(_held_and_another, quantity="0.1"), _both_held),
    Flow("a lost dispute", _lost, _is_lost),
]
