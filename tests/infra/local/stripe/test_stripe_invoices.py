"""Invoices, driven by the real SDK."""

from __future__ import annotations

import pytest
import stripe

from tests.infra.local.stripe.stand_in import StandIn


def _draft(stand_in: StandIn, customer: str, *amounts: int) -> stripe.Invoice:
    invoice = stand_in.stripe.invoices.create(
        {
            "customer": customer,
            "currency": "usd",
            "auto_advance": False,
            "pending_invoice_items_behavior": "exclude",
        }
    )
    if not amounts:
        return invoice
    lines = [{"amount": amount, "description": f"Line {amount}"} for amount in amounts]
    return stand_in.stripe.invoices.add_lines(invoice.id, {"lines": lines})  # type: ignore[typeddict-item]  # a plain dict is one


def _open(stand_in: StandIn, customer: str, *amounts: int) -> stripe.Invoice:
    return stand_in.stripe.invoices.finalize_invoice(_draft(stand_in, customer, *amounts).id)


def test_an_invoice_is_made_filled_finalised_and_paid(stand_in: StandIn) -> None:
    customer, _ = stand_in.customer()
    invoice = _draft(stand_in, customer, 1000, 500, -300)
    item = stand_in.stripe.invoice_items.create(
        {"customer": customer, "invoice": invoice.id, "amount": 42, "currency": "usd", "metadata": {"line": "4"}}
    )
    assert item.invoice == invoice.id
    draft = stand_in.stripe.invoices.retrieve(invoice.id)
    assert (draft.status, draft.total, draft.number) == ("draft", 1242, None)
    opened = stand_in.stripe.invoices.finalize_invoice(invoice.id, {"auto_advance": False})
    assert (opened.status, opened.amount_due, opened.hosted_invoice_url is None) == ("open", 1242, False)
    paid = stand_in.stripe.invoices.pay(invoice.id, {"expand": ["payments"]})
    assert (paid.status, paid.amount_paid, paid.amount_remaining) == ("paid", 1242, 0)
    assert paid.payments is not None
    payment = paid.payments.data[0]
    assert (payment.status, payment.amount_paid) == ("paid", 1242)
    intent = stand_in.stripe.payment_intents.retrieve(str(payment.payment.payment_intent))
    assert (intent.status, intent.amount_received) == ("succeeded", 1242)
    found = stand_in.stripe.invoice_payments.list({"payment": {"type": "payment_intent", "payment_intent": intent.id}})
    assert [row.invoice for row in found] == [invoice.id]
    assert stand_in.read("charges")["amount"] == {"usd": 1242}


def test_an_invoice_shows_ten_lines_and_pages_the_rest_in_order(stand_in: StandIn) -> None:
    customer, _ = stand_in.customer()
    invoice = _draft(stand_in, customer, *range(100, 125))
    assert (len(invoice.lines.data), invoice.lines.has_more) == (10, True)
    lines = stand_in.stripe.invoices.line_items.list(invoice.id, {"limit": 7})
    assert [line.amount for line in lines.auto_paging_iter()] == list(range(100, 125))
    assert invoice.total == sum(range(100, 125))


def test_an_invoice_has_at_most_250_lines(stand_in: StandIn) -> None:
    customer, _ = stand_in.customer()
    invoice = _draft(stand_in, customer, *[1] * 250)
    with pytest.raises(stripe.InvalidRequestError):
        stand_in.stripe.invoice_items.create({"customer": customer, "invoice": invoice.id, "amount": 1})
    assert stand_in.stripe.invoices.retrieve(invoice.id).total == 250
    assert len(list(stand_in.stripe.invoice_items.list({"limit": 100}).auto_paging_iter())) == 250


@pytest.mark.parametrize(("behavior", "total"), [("include", 700), ("exclude", 0)])
def test_pending_items_are_on_the_next_invoice_only_if_it_includes_them(
    stand_in: StandIn, behavior: str, total: int
) -> None:
    customer, _ = stand_in.customer()
    stand_in.stripe.invoice_items.create({"customer": customer, "amount": 700, "currency": "usd"})
    invoice = stand_in.stripe.invoices.create({"customer": customer, "pending_invoice_items_behavior": behavior})
    assert invoice.total == total
    pending = stand_in.stripe.invoice_items.list({"customer": customer, "pending": True})
    assert len(pending.data) == (0 if total else 1)


def test_a_unit_amount_times_its_quantity_is_rounded_once(stand_in: StandIn) -> None:
    customer, _ = stand_in.customer()
    item = stand_in.stripe.invoice_items.create(
        {"customer": customer, "currency": "usd", "unit_amount_decimal": "0.0125", "quantity_decimal": "1000"}  # type: ignore[arg-type]  # decimals travel as text
    )
    assert item.amount == 13


def test_an_item_on_a_draft_can_be_taken_off_again(stand_in: StandIn) -> None:
    customer, _ = stand_in.customer()
    invoice = _draft(stand_in, customer, 100)
    item = stand_in.stripe.invoice_items.create({"customer": customer, "invoice": invoice.id, "amount": 50})
    assert stand_in.stripe.invoice_items.delete(item.id).deleted
    assert stand_in.stripe.invoices.retrieve(invoice.id).total == 100


def test_a_declined_card_leaves_the_invoice_open_to_be_paid_later(stand_in: StandIn) -> None:
    customer, _ = stand_in.customer("pm_card_chargeCustomerFail")
    invoice = _open(stand_in, customer, 900)
    with pytest.raises(stripe.CardError) as caught:
        stand_in.stripe.invoices.pay(invoice.id)
    assert caught.value.code == "card_declined"
    after = stand_in.stripe.invoices.retrieve(invoice.id)
    assert (after.status, after.attempt_count, after.attempted) == ("open", 1, True)
    good = stand_in.stripe.payment_methods.attach("pm_card_visa", {"customer": customer})
    paid = stand_in.stripe.invoices.pay(invoice.id, {"payment_method": good.id})
    assert (paid.status, paid.attempt_count) == ("paid", 1)
    assert stand_in.read("charges")["amount"] == {"usd": 900}


def test_a_card_whose_holder_must_confirm_leaves_the_invoice_open_until_then(stand_in: StandIn) -> None:
    customer, _ = stand_in.customer("pm_card_authenticationRequired")
    invoice = _open(stand_in, customer, 900)
    with pytest.raises(stripe.CardError) as caught:
        stand_in.stripe.invoices.pay(invoice.id)
    error = caught.value.error
    assert error is not None
    assert error.payment_intent is not None
    assert caught.value.code == "invoice_payment_intent_requires_action"
    stand_in.control(f"payment_intents/{error.payment_intent.id}/authenticate")
    assert stand_in.stripe.invoices.retrieve(invoice.id).status == "paid"


def test_an_invoice_without_a_card_cannot_be_charged(stand_in: StandIn) -> None:
    customer = stand_in.stripe.customers.create()
    invoice = _open(stand_in, customer.id, 900)
    with pytest.raises(stripe.InvalidRequestError, match="default_payment_method"):
        stand_in.stripe.invoices.pay(invoice.id)


def test_an_invoice_is_sent_and_paid_by_its_customer(stand_in: StandIn) -> None:
    customer, _ = stand_in.customer()
    invoice = stand_in.stripe.invoices.create(
        {"customer": customer, "currency": "usd", "collection_method": "send_invoice", "days_until_due": 30}
    )
    stand_in.stripe.invoice_items.create({"customer": customer, "invoice": invoice.id, "amount": 5000})
    sent = stand_in.stripe.invoices.send_invoice(invoice.id)
    assert (sent.status, sent.due_date) == ("open", invoice.created + 30 * 86_400)
    stand_in.control(f"invoices/{invoice.id}/pay", {"card": "4242424242424242"})
    assert stand_in.stripe.invoices.retrieve(invoice.id).status == "paid"


def test_an_invoice_paid_elsewhere_charges_nothing(stand_in: StandIn) -> None:
    customer, _ = stand_in.customer()
    invoice = _open(stand_in, customer, 5000)
    paid = stand_in.stripe.invoices.pay(invoice.id, {"paid_out_of_band": True})
    assert (paid.status, paid.amount_remaining, paid.amount_paid_off_stripe) == ("paid", 0, 5000)
    assert stand_in.read("charges")["succeeded"] == 0
    payments = stand_in.stripe.invoice_payments.list({"invoice": invoice.id})
    intent = stand_in.stripe.payment_intents.retrieve(str(payments.data[0].payment.payment_intent))
    assert intent.status == "canceled"


@pytest.mark.parametrize(
    ("verb", "then", "status"),
    [("void_invoice", None, "void"), ("mark_uncollectible", "pay", "uncollectible")],
)
def test_an_open_invoice_is_voided_or_given_up(stand_in: StandIn, verb: str, then: str | None, status: str) -> None:
    customer, _ = stand_in.customer()
    invoice = _open(stand_in, customer, 5000)
    assert getattr(stand_in.stripe.invoices, verb)(invoice.id).status == status
    if then:
        assert getattr(stand_in.stripe.invoices, then)(invoice.id).status == "paid"
    else:
        with pytest.raises(stripe.InvalidRequestError):
            stand_in.stripe.invoices.pay(invoice.id)


@pytest.mark.parametrize("verb", ["pay", "void_invoice", "mark_uncollectible", "finalize_invoice", "delete"])
def test_a_paid_invoice_stays_as_it_is(stand_in: StandIn, verb: str) -> None:
    customer, _ = stand_in.customer()
    invoice = _open(stand_in, customer, 5000)
    stand_in.stripe.invoices.pay(invoice.id)
    with pytest.raises(stripe.InvalidRequestError):
        getattr(stand_in.stripe.invoices, verb)(invoice.id)
    assert stand_in.read("charges")["succeeded"] == 1


def test_a_finalised_invoice_takes_metadata_and_nothing_else(stand_in: StandIn) -> None:
    customer, _ = stand_in.customer()
    invoice = _open(stand_in, customer, 5000)
    changed = stand_in.stripe.invoices.update(invoice.id, {"metadata": {"number": "A-1"}})
    assert changed.metadata is not None
    assert changed.metadata["number"] == "A-1"
    for change in (
        lambda: stand_in.stripe.invoices.update(invoice.id, {"description": "x"}),
        lambda: stand_in.stripe.invoices.add_lines(invoice.id, {"lines": [{"amount": 1}]}),
        lambda: stand_in.stripe.invoice_items.create({"customer": customer, "invoice": invoice.id, "amount": 1}),
    ):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            change()
        assert caught.value.code == "invoice_not_editable"


@pytest.mark.parametrize(
    ("amounts", "due", "status", "balance"),
    [
        ((), 0, "paid", 0),
        ((49,), 0, "paid", 49),
        ((50,), 50, "open", 0),
        ((100, -300), 0, "paid", -200),
    ],
)
def test_what_is_too_small_to_charge_moves_to_the_customers_balance(
    stand_in: StandIn, amounts: tuple[int, ...], due: int, status: str, balance: int
) -> None:
    customer, _ = stand_in.customer()
    invoice = _open(stand_in, customer, *amounts)
    assert (invoice.amount_due, invoice.status) == (due, status)
    assert stand_in.stripe.customers.retrieve(customer).balance == balance
    following = _open(stand_in, customer, 1000)
    assert following.amount_due == 1000 + balance


def test_voiding_gives_back_what_the_balance_had_paid(stand_in: StandIn) -> None:
    customer, _ = stand_in.customer()
    stand_in.stripe.customers.update(customer, {"balance": -300})
    invoice = _open(stand_in, customer, 1000)
    assert invoice.amount_due == 700
    stand_in.stripe.invoices.void_invoice(invoice.id)
    assert stand_in.stripe.customers.retrieve(customer).balance == -300


def test_a_draft_is_changed_listed_and_deleted(stand_in: StandIn) -> None:
    customer, _ = stand_in.customer()
    invoice = _draft(stand_in, customer, 10)
    assert stand_in.stripe.invoices.update(invoice.id, {"description": "May"}).description == "May"
    listed = stand_in.stripe.invoices.list({"customer": customer, "status": "draft"})
    assert [row.id for row in listed] == [invoice.id]
    assert stand_in.stripe.invoices.delete(invoice.id).deleted
    with pytest.raises(stripe.InvalidRequestError):
        stand_in.stripe.invoices.retrieve(invoice.id)


@pytest.mark.parametrize(
    "params",
    [
        {"collection_method": "send_invoice"},
        {"days_until_due": 3},
        {"auto_advance": True},
        {"default_payment_method": "pm_none"},
        {"subscription": "sub_none"},
    ],
)
def test_terms_that_do_not_fit_are_refused(stand_in: StandIn, params: dict[str, object]) -> None:
    customer, _ = stand_in.customer()
    with pytest.raises(stripe.InvalidRequestError):
        stand_in.stripe.invoices.create({"customer": customer, **params})  # type: ignore[arg-type]  # wrong on purpose
    assert not stand_in.stripe.invoices.list().data
