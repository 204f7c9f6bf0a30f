"""Deliveries of webhooks: they move only along their table, and every one of them ends."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.deliveries import (
    DELAYS,
    LEASE,
    TRANSITIONS,
    Answer,
    Delivery,
    State,
    abandoned,
    begun,
    canceled,
    ended,
    new_delivery,
    redelivered,
)
from metering.errors import Conflict
from metering.times import DAY, HOUR, SECOND

NOW = 1_795_190_400_000
DOWN, UP = Answer(500), Answer(200)


def fresh(identity: str = "n-1") -> Delivery:
    return new_delivery("hooks", "balance.low", {"id": identity, "balance": "4"}, NOW - SECOND, NOW)


STEPS: dict[State, Callable[[Delivery], Delivery]] = {
    "sending": lambda delivery: begun(delivery, NOW),
    "succeeded": lambda delivery: ended(delivery, UP, NOW),
    "failed": lambda delivery: ended(delivery, Answer(410), NOW),
    "canceled": lambda delivery: canceled(delivery, "endpoint_deleted", NOW),
}


@pytest.mark.parametrize("before", get_args(State))
@pytest.mark.parametrize("after", STEPS)
def test_a_delivery_moves_only_along_the_table(before: State, after: State) -> None:
    delivery = replace(fresh(), state=before)
    if after in TRANSITIONS[before]:
        assert STEPS[after](delivery).state == after
    else:
        with pytest.raises(Conflict) as refused:
            STEPS[after](delivery)
        assert refused.value.code == "delivery_state"


def test_the_same_announcement_makes_the_same_delivery_whenever_it_is_seen() -> None:
    first, again = fresh(), new_delivery("hooks", "balance.low", {"balance": "4", "id": "n-1"}, NOW - SECOND, NOW + DAY)
    assert (first.id, first.message) == (again.id, again.message)
    other = fresh("n-2")
    assert (first.id != other.id, first.message != other.message) == (True, True)
    assert new_delivery("other", "balance.low", {"id": "n-1"}, NOW, NOW).message == first.message
    assert new_delivery("hooks", "spend.above", {"id": "n-1"}, NOW, NOW).message != first.message


def test_ids_are_in_the_order_of_announcing() -> None:
    instants = [NOW, NOW + SECOND, NOW + HOUR, NOW + 40 * DAY, NOW + 400 * DAY]
    ids = [new_delivery("hooks", "balance.low", {"id": "n-1"}, at, at).id for at in instants]
    assert ids == sorted(ids)


def test_what_is_posted_is_the_specifications_payload() -> None:
    assert json.loads(fresh().payload) == {
        "type": "balance.low",
        "timestamp": "2026-11-20T15:59:59Z",
        "data": {"id": "n-1", "balance": "4"},
    }


def test_a_delivery_is_due_when_its_time_has_come_or_nobody_ends_its_try() -> None:
    waiting = ended(begun(fresh(), NOW), DOWN, NOW)
    assert waiting.due_at is not None
    for delivery, first in ((fresh(), NOW), (waiting, waiting.due_at), (begun(fresh(), NOW), NOW + LEASE)):
        assert delivery.is_due(first)
        assert not delivery.is_due(first - 2 * SECOND)
    for over in (ended(begun(fresh(), NOW), UP, NOW), canceled(fresh(), "endpoint_deleted", NOW)):
        assert not over.is_due(NOW + 9 * DAY)


def test_only_the_first_tries_are_waited_for_at_the_queue() -> None:
    delivery, briefly = fresh(), []
    for _ in DELAYS[1:]:
        delivery = ended(begun(delivery, NOW), DOWN, NOW)
        briefly.append(delivery.waits_briefly(NOW))
    assert briefly == [True] + [False] * 8


Answers = st.builds(
    Answer,
    st.one_of(st.none(), st.integers(100, 599)),
    st.none(),
    st.integers(0, 10**6),
)


@given(st.lists(st.one_of(Answers, st.none()), min_size=len(DELAYS), max_size=len(DELAYS)), st.text(min_size=1))
def test_whatever_is_answered_a_delivery_ends_within_its_tries(answers: list[Answer | None], identity: str) -> None:
    delivery, now = fresh(identity.encode(errors="ignore").decode()), NOW
    for answer in answers:
        before = now
        delivery = begun(delivery, now)
        delivery = abandoned(delivery, now + LEASE) if answer is None else ended(delivery, answer, now)
        if delivery.state != "pending":
            break
        assert delivery.due_at is not None
        assert before < delivery.due_at <= before + LEASE + DAY + DAY // 10
        now = delivery.due_at
    assert delivery.state in ("succeeded", "failed")
    assert delivery.due_at is None
    arrived = [answer for answer in answers[: len(delivery.attempts)] if answer and answer.succeeded]
    assert (delivery.state == "succeeded") == bool(arrived)


def test_by_hand_it_begins_anew_whatever_became_of_it() -> None:
    sending = begun(fresh(), NOW)
    waiting = ended(sending, DOWN, NOW)
    over = [ended(sending, UP, NOW), ended(sending, Answer(410), NOW), canceled(waiting, "endpoint_disabled", NOW)]
    for delivery in (waiting, *over, replace(waiting, tries=9)):
        again = redelivered(delivery, NOW + DAY)
        assert (again.state, again.due_at, again.tries, again.reason) == ("pending", NOW + DAY, 0, None)
        assert (again.message, again.payload, again.attempts) == (delivery.message, delivery.payload, delivery.attempts)
    assert redelivered(sending, NOW + 1) == sending
    assert redelivered(sending, NOW + LEASE).state == "pending"


def test_a_log_does_not_grow_for_ever() -> None:
    delivery = fresh()
    for number in range(200):
        delivery = redelivered(ended(begun(delivery, NOW + number), UP, NOW + number), NOW)
    assert len(delivery.attempts) == 50
    assert delivery.attempts[-1].at == NOW + 199
