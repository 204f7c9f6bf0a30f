"""A refunded or lost top-up: its credit is taken back, what had been spent of it is owed again. Contract: api.md."""

from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from metering.times import DAY, HOUR, SECOND
from tests.handlers.street import Street, queue_record, used
from tests.handlers.test_top_up import balance, hear
from tests.infra.local.stripe.in_process import InProcess

RETURNED = "Usage paid by a top-up that was returned"


def topped_up(street: Street, stand_in: InProcess, amount: str = "50", **customer: Any) -> str:
    """Acme buys credit by hand, with 20 % tax on top; returns the payment."""
    holder = stand_in.customer()[0]
    street.does("PATCH", "/v1/customers/acme", {"stripe_customer": holder, "tax_rate": "20", **customer})
    street.does("POST", "/v1/customers/acme/top_ups", {"id": "mine", "amount": amount})
    street.flow()
    street.deliver("TOP_UP")
    street.flow()
    (row,) = street.does("GET", "/v1/customers/acme/top_ups")["rows"]
    return str(row["payment_intent"])


def refund(street: Street, stand_in: InProcess, payment: str, amount: int | None = None) -> str:
    """Give some of a payment back in Stripe's dashboard, in cents; returns the refund."""
    asked: Any = {"payment_intent": payment, **({"amount": amount} if amount else {})}
    made = stand_in.stripe.refunds.create(asked)
    hear(street)
    return str(made.id)


def used_up(street: Street, dollars: str) -> None:
    """Use something for so many dollars."""
    street.post(used(f"u-{dollars}", value=str(Decimal(dollars) * 2)))
    street.flow()


def draft_lines(street: Street) -> list[tuple[str, str]]:
    lines = street.does("GET", "/v1/customers/acme/invoices/draft")["lines"]
    return [(line["description"], line["amount"]) for line in lines]


def ledger(street: Street) -> list[tuple[str, str]]:
    rows = street.does("GET", "/v1/customers/acme/ledger")["rows"]
    return [(row["kind"], row["amount"]) for row in reversed(rows)]


def test_what_remains_of_a_refunded_top_up_is_taken_back_once(street: Street, stand_in: InProcess) -> None:
    payment = topped_up(street, stand_in)
    used_up(street, "20")
    refund(street, stand_in, payment, 3000)  # half of 60, tax included: half of its credit
    for _ in range(3):
        street.run("TOP_UP", [queue_record({"payment_intent": payment})])
    assert balance(street) == "5"
    assert ledger(street) == [("grant", "50"), ("draw", "-20"), ("revoke", "-25")]
    (row,) = street.does("GET", "/v1/customers/acme/top_ups")["rows"]
    assert (row["status"], row["returned"]) == ("succeeded", "30")
    (news,) = street.announced("top_up.returned")
    assert (news["attempt"], news["returned"], news["credit"]) == ("mine", "30", "25")
    assert draft_lines(street) == [("requests", "20")]


def test_what_had_been_spent_of_it_is_owed_again_by_the_running_period(street: Street, stand_in: InProcess) -> None:
    payment = topped_up(street, stand_in)
    used_up(street, "20")
    refund(street, stand_in, payment)
    assert balance(street) == "0"
    assert draft_lines(street) == [("requests", "20"), (RETURNED, "20")]
    street.does("POST", "/v1/customers/acme/credits", {"id": "c", "amount": "15"})
    street.advance("2026-12-01T02:00:00Z")
    invoice = street.does("GET", "/v1/invoices/acme:20261101T0000Z")
    assert (invoice["subtotal"], invoice["credits_applied"], invoice["tax"]) == ("40", "35", "1")
    line = invoice["lines"][1]
    assert (line["kind"], line["credit"]) == ("adjustment", payment)
    explained = street.does("GET", "/v1/invoices/acme:20261101T0000Z/explain")["rows"]
    assert explained[1]["steps"] == {"returned": {"credit": payment, "top_ups": "/v1/customers/acme/top_ups"}}
    assert [row["differs"] for row in explained] == [False, False]


def test_late_usage_and_a_void_take_what_was_owed_again_along(street: Street, stand_in: InProcess) -> None:
    payment = topped_up(street, stand_in)
    used_up(street, "20")
    refund(street, stand_in, payment)
    street.advance("2026-12-01T02:00:00Z")
    street.post(used("late", value="2"))
    street.flow()
    assert draft_lines(street) == [("Adjustment of 2026-11-01 to 2026-11-30", "1")]
    again = street.does("POST", "/v1/invoices/acme:20261101T0000Z/void", {"reissue": True})["reissued_as"]
    lines = street.does("GET", f"/v1/invoices/{again}")["lines"]
    assert [(line["description"], line["amount"]) for line in lines] == [("requests", "21"), (RETURNED, "20")]
    assert draft_lines(street) == []


def test_a_customer_who_pays_ahead_falls_below_zero(street: Street, stand_in: InProcess) -> None:
    payment = topped_up(street, stand_in, prepaid_only=True)
    used_up(street, "20")
    refund(street, stand_in, payment)
    assert balance(street) == "-20"
    street.does("POST", "/v1/customers/acme/credits", {"id": "c", "amount": "30"})
    assert balance(street) == "10"


def test_what_was_revoked_by_hand_before_is_not_owed_again(street: Street, stand_in: InProcess) -> None:
    payment = topped_up(street, stand_in)
    used_up(street, "20")
    street.does("POST", f"/v1/customers/acme/credits/{payment}/revoke", {"id": "r", "amount": "10"})
    refund(street, stand_in, payment)
    assert draft_lines(street) == [("requests", "20"), (RETURNED, "20")]
    assert balance(street) == "0"


def test_a_credit_that_was_used_up_long_ago_is_owed_again(street: Street, stand_in: InProcess) -> None:
    payment = topped_up(street, stand_in)
    used_up(street, "50")
    street.advance("2026-12-01T02:00:00Z")
    street.advance("2026-12-03T00:00:00Z")
    assert street.does("GET", "/v1/customers/acme/credits")["rows"][0]["remaining"] == "0"
    refund(street, stand_in, payment)
    assert draft_lines(street) == [(RETURNED, "50")]


def test_who_has_ended_gets_an_invoice_of_its_own_for_it(street: Street, stand_in: InProcess) -> None:
    payment = topped_up(street, stand_in, ends_at="2026-11-21T00:00:00Z")
    used_up(street, "50")
    street.advance("2026-11-21T02:00:00Z")
    refund(street, stand_in, payment)
    street.now += 2 * HOUR
    for _ in range(2):
        street.hour()
    rows = street.does("GET", "/v1/invoices", query={"customer": "acme"})["rows"]
    assert [row["subtotal"] for row in rows] == ["50", "50"]
    assert rows[0]["credits_applied"] == "0"


@pytest.mark.parametrize(("status", "left"), [("won", "50"), ("lost", "0")])
def test_a_lost_dispute_takes_the_credit_and_one_that_is_open_or_won_does_not(
    street: Street, stand_in: InProcess, status: str, left: str
) -> None:
    topped_up(street, stand_in)
    (charge,) = stand_in.read("charges")["data"]
    dispute = stand_in.control(f"charges/{charge['id']}/dispute", {})
    hear(street)
    assert balance(street) == "50"
    stand_in.control(f"disputes/{dispute['id']}", {"status": status})
    hear(street)
    assert balance(street) == left
    assert len(street.announced("top_up.returned")) == (left == "0")


def test_a_refund_that_does_not_arrive_gives_the_credit_again(street: Street, stand_in: InProcess) -> None:
    payment = topped_up(street, stand_in)
    used_up(street, "20")
    made = refund(street, stand_in, payment)
    assert balance(street) == "0"
    stand_in.control(f"refunds/{made}/fail", {})
    hear(street)
    assert [news["credit"] for news in street.announced("top_up.returned")] == ["50", "-50"]
    # The 20 that are owed again since are paid with what was given again: 50 were bought, and 20 used.
    assert balance(street) == "30"


def test_a_refund_that_is_made_anew_after_one_did_not_arrive_takes_what_was_given_again(
    street: Street, stand_in: InProcess
) -> None:
    payment = topped_up(street, stand_in)
    used_up(street, "20")
    first = refund(street, stand_in, payment)
    stand_in.control(f"refunds/{first}/fail", {})
    hear(street)
    refund(street, stand_in, payment)
    assert balance(street) == "0"
    draft = street.does("GET", "/v1/customers/acme/invoices/draft")
    assert Decimal(draft["subtotal"]) - Decimal(draft["credits_applied"]) == 20, "what was used is paid by nothing"


def test_who_asked_stripe_before_another_run_had_written_asks_again(street: Street, stand_in: InProcess) -> None:
    """Two refunds in a row, two messages at once: the one that knows of both comes to its end first."""
    payment = topped_up(street, stand_in)
    told = queue_record({"payment_intent": payment})
    stand_in.stripe.refunds.create({"payment_intent": payment, "amount": 3000})

    def overtake(name: str, do: Callable[[], Any]) -> Any:
        done = do()
        if name == "Ledger get wallet":  # Stripe has been asked
            street.interfere = lambda _, do: do()
            stand_in.stripe.refunds.create({"payment_intent": payment, "amount": 3000})
            street.run("TOP_UP", [told])
            assert balance(street) == "0"
        return done

    street.interfere = overtake
    street.run("TOP_UP", [told])
    assert balance(street) == "0"
    assert street.does("GET", "/v1/customers/acme/top_ups")["rows"][0]["returned"] == "60"


def test_a_refund_that_is_heard_of_before_the_success_is_taken_back_all_the_same(
    street: Street, stand_in: InProcess
) -> None:
    street.does("PATCH", "/v1/customers/acme", {"stripe_customer": stand_in.customer()[0]})
    street.does("POST", "/v1/customers/acme/top_ups", {"id": "mine", "amount": "50"})
    street.flow()
    lost: Any = {"method": "POST", "path": "/v1/payment_intents/*/confirm", "drop": True, "processed": True}
    stand_in.control("faults", lost)
    street.deliver("TOP_UP")
    (intent,) = stand_in.stripe.payment_intents.list().data
    stand_in.stripe.refunds.create({"payment_intent": intent.id})
    street.run("TOP_UP", [queue_record({"payment_intent": intent.id})])
    assert balance(street) == "0"
    street.deliver("TOP_UP")
    assert balance(street) == "0"


def test_a_payment_of_nobody_s_is_nothing(street: Street, stand_in: InProcess) -> None:
    intent = stand_in.stripe.payment_intents.create({"amount": 100, "currency": "usd"}).id
    stranger: Any = {"taximeter_customer": "nobody", "taximeter_top_up": "x"}
    other = stand_in.stripe.payment_intents.create({"amount": 100, "currency": "usd", "metadata": stranger}).id
    street.run("TOP_UP", [queue_record({"payment_intent": each}) for each in (intent, other)])
    assert not street.parked("unknown")


@pytest.mark.parametrize("seed", range(6))
def test_whatever_goes_back_when_what_was_paid_less_what_went_back_is_what_was_bought(
    street: Street, stand_in: InProcess, seed: int
) -> None:
    """Credit that remains, plus what was spent, less what is owed again: the share of the payment that is left."""
    chance = Random(seed)  # noqa: S311 - what it does can be repeated
    payment = topped_up(street, stand_in)
    spent, refunds = Decimal(0), list[str]()
    for step in range(10):
        street.now += chance.choice((SECOND, HOUR, DAY))
        if refunds and chance.random() < 0.3:
            stand_in.control(f"refunds/{refunds.pop(chance.randrange(len(refunds)))}/fail", {})
            hear(street)
        elif chance.random() < 0.5:
            dollars = Decimal(chance.randint(1, 12))
            used_up(street, f"{dollars}.00" if step % 2 else f"{dollars}")
            street.minute()
        else:
            left = stand_in.stripe.payment_intents.retrieve(payment, {"expand": ["latest_charge"]}).latest_charge
            most: Any = left
            if most.amount > most.amount_refunded:
                part = chance.randint(1, most.amount - most.amount_refunded)
                refunds.append(refund(street, stand_in, payment, part))
        rows = street.does("GET", "/v1/customers/acme/ledger", query={"limit": "1000"})["rows"]
        spent = -sum((Decimal(row["amount"]) for row in rows if row["kind"] in ("draw", "return")), Decimal(0))
        again = sum((Decimal(amount) for name, amount in draft_lines(street) if name == RETURNED), Decimal(0))
        (top_up,) = street.does("GET", "/v1/customers/acme/top_ups")["rows"]
        bought = Decimal(50) - Decimal(50) * Decimal(top_up["returned"]) / 60
        assert abs(Decimal(balance(street)) + spent - again - bought) <= Decimal("0.005")
        assert not street.parked()
