"""Taking invoices back, and what people say about them. Law 5.7."""

from itertools import count
from typing import Any
from unittest.mock import Mock

import pytest

from adapters.items import ConditionFailed
from billing.invoices import moved
from tests.handlers.street import Street, used

NOVEMBER, AGAIN = "acme:20261101T0000Z", "acme:20261101T0000Z-2"
DECEMBER = "acme:20261201T0000Z"


@pytest.fixture
def invoiced(street: Street) -> Street:
    """Ten dollars for November, four of them paid by a credit that was used up, and a dollar in December."""
    street.does("POST", "/v1/customers/acme/credits", {"id": "c", "amount": "4"})
    street.post(used("a", value="20"))
    street.flow()
    street.advance("2026-12-01T03:00:00Z")
    street.post(used("b", value="2", timestamp=street.now))
    street.flow()
    return street


def shown(street: Street, name: str = NOVEMBER) -> Any:
    return street.does("GET", f"/v1/invoices/{name}")


def say(street: Street, what: str, name: str = NOVEMBER, **body: Any) -> tuple[int, Any]:
    return street.call("POST", f"/v1/invoices/{name}/{what}", body)


def balance(street: Street) -> str:
    return str(street.does("GET", "/v1/customers/acme/balance")["balance"])


def ledger_sum(street: Street) -> str:
    rows = street.does("GET", "/v1/customers/acme/ledger")["rows"]
    return str(rows[0]["balance_after"])


def test_a_void_invoice_keeps_its_number_and_its_credits_return_to_pay_what_is_running(invoiced: Street) -> None:
    assert (shown(invoiced)["amount_due"], balance(invoiced)) == ("6", "0")
    for _ in range(2):
        status, voided = say(invoiced, "void", "TX-000001")
        assert (status, voided["status"], voided["number"]) == (200, "void", "TX-000001")
        assert voided["reissued_as"] is None
    assert balance(invoiced) == ledger_sum(invoiced) == "3"
    invoiced.flow()
    assert [each["number"] for each in invoiced.announced("invoice.voided")] == ["TX-000001"]


def test_the_period_of_a_void_invoice_is_forgiven_so_late_usage_changes_nothing(invoiced: Street) -> None:
    for name in ("before", "after"):
        invoiced.post(used(name, 1, value="8"))
        invoiced.flow()
        say(invoiced, "void")
    assert invoiced.does("GET", "/v1/customers/acme/invoices/draft")["subtotal"] == "1"


def test_a_period_is_invoiced_anew_under_the_next_number_with_what_is_known_now(invoiced: Street) -> None:
    invoiced.post(used("late", 1, value="8"))
    invoiced.flow()
    assert invoiced.does("GET", "/v1/customers/acme/invoices/draft")["subtotal"] == "5"
    for _ in range(2):
        status, voided = say(invoiced, "void", reissue=True)
        assert (status, voided["status"], voided["reissued_as"]) == (200, "void", AGAIN)
    again = shown(invoiced, AGAIN)
    assert (shown(invoiced)["reissued_as"], again["reissued_as"]) == (AGAIN, None)
    assert (again["number"], again["total"], again["credits_applied"]) == ("TX-000002", "14", "4")
    assert invoiced.does("GET", "/v1/customers/acme/invoices/draft")["subtotal"] == "1"
    invoiced.advance("2027-01-02T00:00:00Z")
    rows = invoiced.does("GET", "/v1/invoices", query={"customer": "acme"})["rows"]
    assert [(row["number"], row["status"]) for row in rows] == [
        ("TX-000003", "finalized"),
        ("TX-000002", "past_due"),
        ("TX-000001", "void"),
    ]


def test_an_invoice_that_adjusted_an_earlier_one_adjusts_it_again_when_it_is_made_anew(invoiced: Street) -> None:
    invoiced.post(used("late", 1, value="8"))
    invoiced.flow()
    invoiced.advance("2027-01-02T00:00:00Z")
    december = "acme:20261201T0000Z"
    assert shown(invoiced, december)["total"] == "5"
    say(invoiced, "void", december, reissue=True)
    assert shown(invoiced, f"{december}-2")["total"] == "5"
    assert invoiced.does("GET", "/v1/customers/acme/invoices/draft")["lines"] == []


def test_draws_and_returns_of_an_invoiced_period_say_which_invoice_it_was_or_the_last_of_several(
    invoiced: Street,
) -> None:
    invoiced.does("POST", "/v1/customers/acme/credits", {"id": "d", "amount": "100"})

    def told() -> list[tuple[str, str, str | None]]:
        rows = invoiced.does("GET", "/v1/customers/acme/ledger")["rows"]
        assert all(row["invoice"] is None for row in rows if row["period"] is None)
        return [(row["kind"], row["credit"], row["invoice"]) for row in rows if row["period"]]

    assert told() == [("draw", "d", None), ("draw", "c", NOVEMBER)]
    say(invoiced, "void", reissue=True)
    assert told() == [("draw", "d", None), ("draw", "c", AGAIN)]
    invoiced.now += 3_600_000
    say(invoiced, "void", AGAIN)
    assert ("return", "c", AGAIN) in told()
    invoiced.advance("2027-01-02T00:00:00Z")
    assert {invoice for _, _, invoice in told()} == {AGAIN, "acme:20261201T0000Z"}
    whole = invoiced.does("GET", "/v1/customers/acme/ledger")["rows"]
    page, rows = invoiced.does("GET", "/v1/customers/acme/ledger", query={"limit": "1"}), []
    while page["rows"]:
        rows += page["rows"]
        query = {"limit": "1", "next": page["next"]}
        page = invoiced.does("GET", "/v1/customers/acme/ledger", query=query) if page["next"] else {"rows": []}
    assert rows == whole


def test_what_a_later_invoice_asked_for_a_period_is_not_asked_again_when_it_is_made_anew(invoiced: Street) -> None:
    invoiced.post(used("late", 1, value="8"))
    invoiced.flow()
    invoiced.advance("2027-01-02T00:00:00Z")
    assert shown(invoiced, "acme:20261201T0000Z")["total"] == "5"  # four of them for November
    for before, again in ((NOVEMBER, AGAIN), (AGAIN, "acme:20261101T0000Z-3")):
        assert say(invoiced, "void", before, reissue=True)[0] == 200
        assert [line["amount"] for line in shown(invoiced, again)["lines"]] == ["14", "-4"]
    assert invoiced.does("GET", "/v1/customers/acme/invoices/draft")["lines"] == []
    assert balance(invoiced) == ledger_sum(invoiced)


@pytest.mark.parametrize("answer_lost", [False, True])
@pytest.mark.parametrize("reissue", [False, True])
def test_a_crash_while_an_invoice_is_voided_leaves_it_done_or_to_be_done_again(
    invoiced: Street, reissue: bool, answer_lost: bool
) -> None:
    invoiced.answer_lost = answer_lost
    for left in range(12):
        invoiced.writes_left = left
        try:
            say(invoiced, "void", reissue=reissue)
        except Exception:  # noqa: BLE001, S112 - the crash
            continue
    invoiced.writes_left = None
    assert say(invoiced, "void", reissue=reissue)[0] == 200
    invoiced.hour()
    numbers = [item["sk"] for item in invoiced.items("Ledger", "number")]
    assert numbers == (["00000001", "00000002"] if reissue else ["00000001"])
    assert balance(invoiced) == ledger_sum(invoiced) == ("0" if reissue else "3")


def test_what_is_paid_cannot_be_voided_and_a_draft_not_be_marked(invoiced: Street) -> None:
    assert say(invoiced, "void", "acme:20261201T0000Z")[1]["code"] == "invoice_status"
    assert say(invoiced, "mark_paid")[1]["status"] == "paid"
    assert say(invoiced, "mark_paid")[1]["status"] == "paid"
    status, answer = say(invoiced, "void")
    assert (status, answer["code"]) == (409, "invoice_paid")
    assert say(invoiced, "retry")[0] == 409
    invoiced.flow()
    assert len(invoiced.announced("invoice.paid")) == 1


def test_what_nobody_pays_is_given_up_and_can_still_be_paid(invoiced: Street) -> None:
    assert say(invoiced, "mark_uncollectible")[1]["status"] == "uncollectible"
    assert say(invoiced, "mark_paid")[1]["status"] == "paid"


def test_what_is_not_paid_in_time_is_past_due_and_can_still_be_paid(invoiced: Street) -> None:
    assert shown(invoiced)["due_at"] == "2026-12-31T03:00:00Z"
    invoiced.deliver("COLLECT")
    invoiced.advance("2026-12-31T03:00:00Z")
    assert shown(invoiced)["status"] == "finalized"
    invoiced.advance("2026-12-31T04:00:00Z")
    assert shown(invoiced)["status"] == "past_due"
    assert say(invoiced, "retry")[1]["status"] == "past_due"
    assert say(invoiced, "mark_paid")[1]["status"] == "paid"


def asked(street: Street) -> float:
    """What is asked of acme in all, less what was granted."""
    rows = street.does("GET", "/v1/invoices", query={"customer": "acme"})["rows"]
    return sum(float(row["subtotal"]) - float(row["credit_granted"]) for row in rows if row["status"] != "void")


def test_late_usage_that_another_invoice_asked_for_is_not_asked_for_again_when_its_period_is_made_anew(
    invoiced: Street,
) -> None:
    invoiced.post(used("late", 1, value="8"))
    invoiced.flow()
    invoiced.advance("2027-01-02T00:00:00Z")
    for name in (NOVEMBER, AGAIN):
        say(invoiced, "void", name, reissue=True)
    again = shown(invoiced, f"{NOVEMBER}-3")
    assert [(line["kind"], line["amount"]) for line in again["lines"]] == [("usage", "14"), ("adjustment", "-4")]
    assert asked(invoiced) == 14 + 1
    say(invoiced, "void", DECEMBER, reissue=True)
    assert shown(invoiced, f"{DECEMBER}-2")["subtotal"] == "5"
    invoiced.advance("2027-02-02T00:00:00Z")
    assert asked(invoiced) == 14 + 1


def test_a_forgiven_period_is_forgiven_on_other_invoices_too(invoiced: Street) -> None:
    invoiced.post(used("late", 1, value="8"))
    invoiced.flow()
    invoiced.advance("2027-01-02T00:00:00Z")
    say(invoiced, "void")
    invoiced.post(used("later", 1, value="100"))
    invoiced.flow()
    invoiced.advance("2027-02-02T00:00:00Z")
    assert asked(invoiced) == 1


@pytest.mark.parametrize(("value", "rest"), [("10", 5), ("30", 15)])
def test_a_void_invoice_does_not_forgive_the_periods_that_it_adjusted(invoiced: Street, value: str, rest: int) -> None:
    invoiced.post(used("a", value=value, revision=1), used("b2", value="40", timestamp=invoiced.now))
    invoiced.flow()
    invoiced.advance("2027-01-02T00:00:00Z")
    say(invoiced, "void", DECEMBER)
    invoiced.post(used("c", value="40", timestamp=invoiced.now))
    invoiced.flow()
    invoiced.advance("2027-02-02T00:00:00Z")
    assert asked(invoiced) == rest + 20
    assert balance(invoiced) == ledger_sum(invoiced)


def test_the_last_invoice_of_a_customer_who_has_ended_leaves_its_adjustments_to_one_of_their_own(
    invoiced: Street,
) -> None:
    invoiced.does("PATCH", "/v1/customers/acme", {"ends_at": "2026-12-10T00:00:00Z"})
    invoiced.post(used("late", 1, value="8"))
    invoiced.flow()
    invoiced.advance("2026-12-11T00:00:00Z")
    assert shown(invoiced, DECEMBER)["subtotal"] == "5"
    say(invoiced, "void", DECEMBER)
    invoiced.advance("2026-12-12T00:00:00Z")
    assert asked(invoiced) == 14


def test_a_forgiven_period_is_invoiced_after_all_with_what_is_known_now(invoiced: Street) -> None:
    say(invoiced, "void")
    assert balance(invoiced) == "3"  # four went back, and one pays for December
    invoiced.post(used("late", 1, value="3"))
    invoiced.flow()
    assert asked(invoiced) == 0
    for _ in range(2):
        status, voided = say(invoiced, "void", reissue=True)
        assert (status, voided["status"], voided["reissued_as"]) == (200, "void", AGAIN)
    again = shown(invoiced, AGAIN)
    assert (again["number"], again["subtotal"], again["credits_applied"]) == ("TX-000002", "11.5", "3")
    assert balance(invoiced) == ledger_sum(invoiced) == "0"
    assert [each["number"] for each in invoiced.announced("invoice.voided")] == ["TX-000001"]
    say(invoiced, "void", AGAIN)
    assert say(invoiced, "void", reissue=True)[1]["reissued_as"] == AGAIN  # that one can be made anew, not this
    assert invoiced.call("GET", f"/v1/invoices/{NOVEMBER}-3")[0] == 404
    assert say(invoiced, "void", AGAIN, reissue=True)[1]["reissued_as"] == f"{NOVEMBER}-3"
    invoiced.advance("2027-01-01T01:00:00Z")
    assert asked(invoiced) == 11.5 + 1


def test_what_later_invoices_asked_for_a_forgiven_period_is_not_asked_twice_after_all(invoiced: Street) -> None:
    invoiced.post(used("late", 1, value="8"))
    invoiced.flow()
    invoiced.advance("2027-01-01T01:00:00Z")  # December carries four dollars for November
    say(invoiced, "void")
    invoiced.advance("2027-01-02T00:00:00Z")
    say(invoiced, "void", reissue=True)
    invoiced.advance("2027-02-01T01:00:00Z")
    assert asked(invoiced) == 14 + 1


@pytest.mark.parametrize("answer_lost", [False, True])
def test_a_crash_while_a_forgiven_period_is_invoiced_after_all_leaves_it_done_or_to_be_done_again(
    invoiced: Street, answer_lost: bool
) -> None:
    say(invoiced, "void")
    invoiced.answer_lost = answer_lost
    for writes in range(9):
        invoiced.writes_left = writes
        status, _ = say(invoiced, "void", reissue=True)
        invoiced.writes_left = None
        if status == 200:
            break
    assert shown(invoiced)["reissued_as"] == AGAIN
    invoiced.advance("2026-12-02T00:00:00Z")
    assert [shown(invoiced, AGAIN)[name] for name in ("number", "subtotal")] == ["TX-000002", "10"]
    assert balance(invoiced) == ledger_sum(invoiced)


@pytest.mark.parametrize(("mark", "news"), [("mark_paid", 1), ("mark_uncollectible", 0)])
def test_a_mark_holds_though_somebody_else_moves_the_invoice_meanwhile(
    invoiced: Street, monkeypatch: pytest.MonkeyPatch, mark: str, news: int
) -> None:
    move, moves = invoiced.invoices.move, count()

    def raced(before: Any, after: Any, told: Any, now: int) -> None:
        if next(moves) == 0:
            move(before, moved(before, "past_due", now), [], now)
        move(before, after, told, now)

    monkeypatch.setattr(invoiced.invoices, "move", raced)
    status, answer = say(invoiced, mark)
    assert (status, answer["status"]) == (200, mark.removeprefix("mark_"))
    invoiced.flow()
    assert len(invoiced.announced("invoice.paid")) == news


def test_a_mark_that_a_move_meanwhile_forbids_is_a_conflict_and_one_that_is_never_got_in_is_told(
    invoiced: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    move = invoiced.invoices.move

    def raced(before: Any, _after: Any, _told: Any, now: int) -> None:
        move(before, moved(before, "paid", now), [], now)
        raise ConditionFailed("raced")

    monkeypatch.setattr(invoiced.invoices, "move", raced)
    assert say(invoiced, "mark_uncollectible")[1]["code"] == "invoice_status"
    assert shown(invoiced)["status"] == "paid"
    monkeypatch.setattr(invoiced.invoices, "move", Mock(side_effect=ConditionFailed("raced")))
    invoiced.advance("2027-01-01T01:00:00Z")
    assert say(invoiced, "mark_paid", DECEMBER)[0] == 503


def test_late_usage_counts_while_an_earlier_period_waits_to_be_invoiced_anew(invoiced: Street) -> None:
    invoiced.advance("2027-01-02T00:00:00Z")
    invoiced.outbox.park("acme", "pair", {"any": "record"}, "damaged", invoiced.now)
    assert say(invoiced, "void", reissue=True)[1]["code"] == "record_parked"
    invoiced.post(used("late", value="4", timestamp="2026-12-07T00:00:00Z"))
    invoiced.flow()
    invoiced.outbox.unpark(invoiced.parked()[0])
    invoiced.advance("2027-02-02T00:00:00Z")
    assert asked(invoiced) == 10 + 1 + 2
