"""Law 5.7: collecting moves along a table of stages; tries have a schedule, and what stands at Stripe adds up."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.carrying import lines_to_collect, returned_parts, sums_to_collect, to_collect
from billing.collecting import (
    AGAIN,
    AUTHENTICATION_REQUIRED,
    BY_ITSELF,
    NO_PAYMENT_METHOD,
    NOT_BEGUN,
    TRANSITIONS,
    Asked,
    Collecting,
    begun,
    failed,
    into,
    read_collecting,
    told,
    trying,
    wants_try,
)
from billing.invoices import (
    check_collectable,
    finalize,
    moved,
    numbered,
)
from metering.errors import Conflict
from metering.times import DAY
from tests.billing.test_invoices import PERIOD, made

NOW = PERIOD.end


def owed(used: str = "100", count: int = 1, **fields: Any) -> Any:
    account, invoice = made(used, **fields)
    return numbered(finalize(invoice, account, NOW), "TX-", count)


def test_a_stage_moves_only_along_the_table() -> None:
    for before, allowed in TRANSITIONS.items():
        for after in TRANSITIONS:
            state = Collecting(before, look_at=1)
            if after in allowed:
                assert into(state, after, tries=3) == Collecting(after, tries=3)
            else:
                with pytest.raises(Conflict) as refused:
                    into(state, after)
                assert refused.value.code == "collection_stage"


@given(
    st.builds(
        Collecting,
        stage=st.sampled_from(list(TRANSITIONS)),
        issue=st.integers(0, 9),
        carries=st.lists(st.text(), max_size=3).map(tuple),
        told=st.lists(st.text(), max_size=3).map(tuple),
        look_at=st.none() | st.integers(0),
        sent=st.booleans(),
    )
)
def test_what_is_kept_is_read_back_and_nothing_is_kept_of_what_has_not_begun(state: Collecting) -> None:
    assert read_collecting(state.as_json()) == state
    assert NOT_BEGUN.as_json() == {}


def test_a_card_is_tried_again_after_its_first_decline_three_times_on_a_schedule() -> None:
    state, at = Collecting("open", look_at=NOW), NOW
    tries = []
    while state.look_at is not None:
        at = state.look_at
        tries.append(at - NOW)
        assert wants_try(state, BY_ITSELF, "pm_1", at)
        state = failed(trying(state, "pm_1", at), "generic_decline", at)
    assert tries == [0, *AGAIN]
    assert (state.tries, state.stage, state.reason) == (4, "open", "generic_decline")
    assert not wants_try(state, BY_ITSELF, "pm_1", at + 100 * DAY)


def test_a_try_that_came_late_is_followed_by_the_next_on_the_schedule() -> None:
    state = failed(trying(Collecting("open"), "pm_1", NOW), "generic_decline", NOW)
    late = failed(trying(state, "pm_1", NOW + 4 * DAY), "generic_decline", NOW + 4 * DAY)
    assert (state.look_at, late.look_at) == (NOW + DAY, NOW + 7 * DAY)


def test_another_card_has_a_schedule_of_its_own() -> None:
    first = failed(trying(Collecting("open"), "pm_1", NOW), "generic_decline", NOW)
    second = failed(trying(first, "pm_2", NOW + 9 * DAY), "generic_decline", NOW + 9 * DAY)
    assert second.look_at == NOW + 10 * DAY


def test_who_has_to_confirm_is_waited_for_and_who_has_no_card_is_looked_at_daily() -> None:
    asked = failed(trying(Collecting("open"), "pm_1", NOW), AUTHENTICATION_REQUIRED, NOW)
    none = failed(Collecting("waiting"), NO_PAYMENT_METHOD, NOW)
    assert (asked.look_at, none.look_at, none.stage) == (None, NOW + DAY, "waiting")


@pytest.mark.parametrize(
    ("asked", "method", "wants"),
    [
        (BY_ITSELF, "pm_1", False),
        (Asked(after_try=2), "pm_1", True),
        (Asked(after_try=1), "pm_1", False),
        (Asked(card_added=True), "pm_1", False),
        (Asked(card_added=True), "pm_2", True),
    ],
)
def test_somebody_asks_for_a_try_once(asked: Asked, method: str, wants: bool) -> None:
    state = Collecting("open", tries=2, method="pm_1", look_at=NOW + DAY)
    assert wants_try(state, asked, method, NOW) == wants


def test_a_reason_is_told_once() -> None:
    once = told(told(NOT_BEGUN, "a"), "a")
    assert (once.told, told(once, "b").told) == (("a",), ("a", "b"))


def test_every_stripe_invoice_of_one_has_keys_of_its_own() -> None:
    first = begun(NOT_BEGUN, "cus_1", None, (), NOW)
    second = begun(into(first, "filling"), "cus_2", 14, ("x",), NOW)
    assert [(each.issue, each.card_holder, each.days_until_due, each.carries) for each in (first, second)] == [
        (1, "cus_1", None, ()),
        (2, "cus_2", 14, ("x",)),
    ]


@pytest.mark.parametrize("fields", [{}, {"tax_rate": "19"}, {"tax_rate": "19", "credits_applied": "40"}])
def test_what_stands_on_a_stripe_invoice_adds_up_to_what_is_due_of_all(fields: dict[str, Any]) -> None:
    invoice, carried = owed(**fields), [owed("0.3", 2), owed("0.1", 3)]
    rows = [*lines_to_collect(invoice), *sums_to_collect(invoice, carried)]
    assert sum(amount for _, amount in rows) == to_collect(invoice, carried)
    assert [what for what, _ in rows[-2:]] == ["Carried over from TX-000002", "Carried over from TX-000003"]


@given(st.decimals(0, 200, places=2), st.lists(st.integers(1, 50), min_size=1, max_size=4))
def test_what_went_back_is_shared_in_order_and_none_gets_more_than_it_cost(returned: Decimal, used: list[int]) -> None:
    invoices = [owed(str(each)) for each in used]
    parts = returned_parts(returned, invoices)
    assert sum(parts) == min(returned, sum(used))
    assert all(0 <= part <= each.amount_due for part, each in zip(parts, invoices, strict=True))
    assert all(part == each.amount_due for part, each in zip(parts, invoices, strict=True) if sum(parts) == sum(used))


@pytest.mark.parametrize("status", ["paid", "past_due", "void", "uncollectible"])
def test_one_that_is_carried_moves_with_its_carrier_alone_until_it_is_paid(status: Any) -> None:
    carried = replace(owed(), collecting=Collecting("carried", carried_by="other"))
    with pytest.raises(Conflict) as refused:
        moved(carried, status, NOW)
    assert refused.value.code == "invoice_carried"
    assert moved(carried, status, NOW, "other").status == status
    lost = moved(moved(carried, "paid", NOW, "other"), "past_due", NOW)
    assert lost.status == "past_due"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"status": "paid"}, "invoice_status"),
        ({"collecting": Collecting("lost")}, "invoice_status"),
        ({"collecting": Collecting("carried", carried_by="x")}, "invoice_carried"),
        ({"collecting": Collecting("held")}, None),
        ({"status": "past_due"}, None),
    ],
)
def test_a_person_can_have_collected_what_is_due(change: dict[str, Any], code: str | None) -> None:
    invoice = replace(owed(), **change)
    if code is None:
        check_collectable(invoice)
    else:
        with pytest.raises(Conflict) as refused:
            check_collectable(invoice)
        assert refused.value.code == code


def test_an_invoice_shows_how_far_its_collecting_is() -> None:
    declined = Collecting("open", tries=2, reason="generic_decline", look_at=NOW + DAY)
    shown = replace(owed(), collecting=declined).as_json()
    assert (shown["attempt_count"], shown["payment_failure"]) == (2, "generic_decline")
    assert shown["next_payment_attempt"] == "2026-12-02T00:00:00Z"
    paid = moved(replace(owed(), collecting=declined), "paid", NOW).as_json()
    assert (paid["payment_failure"], paid["next_payment_attempt"]) == (None, None)
    held = replace(owed(), collecting=Collecting("held"))
    assert held.as_json()["held"] is True
    assert moved(held, "void", NOW).as_json()["held"] is False
