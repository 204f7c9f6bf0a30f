"""Webhook endpoints: what is asked for, what is refused, and the days of failures that disable one."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.endpoints import (
    DETAIL_TYPES,
    DISABLED,
    Endpoint,
    EndpointRequest,
    after_failure,
    after_success,
    disabling,
    enabled,
    new_endpoint,
)
from metering.errors import Invalid
from metering.faults import read_model
from metering.times import DAY, HOUR, MINUTE

URL = "https://example.com/hooks"
NOW = 1_795_190_400_000


def made(events: object = "*", **more: Any) -> Endpoint:
    return new_endpoint(read_model(EndpointRequest, {"url": URL, "events": events, **more}), NOW)


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, ["/url", "/events"]),
        ({"url": 5, "events": "all"}, ["/url", "/events"]),
        ({"url": URL, "events": []}, ["/events"]),
        ({"url": URL, "events": ["balance.low", "balance.high", "invoice.*"]}, ["/events/1", "/events/2"]),
        ({"url": URL, "events": [5, None]}, ["/events/0", "/events/1"]),
        ({"url": "", "events": "*", "id": "a b"}, ["/url", "/id"]),
        ({"url": "x" * 2_001, "events": "*"}, ["/url"]),
        ({"url": URL, "events": "*", "secret": "mine"}, ["/secret"]),
    ],
)
def test_every_fault_of_an_endpoint_is_told_at_once_with_its_pointer(body: Any, pointers: list[str]) -> None:
    with pytest.raises(Invalid) as refused:
        read_model(EndpointRequest, body)
    assert sorted(fault.pointer for fault in refused.value.faults) == sorted(pointers)


@pytest.mark.parametrize(
    ("events", "kept"),
    [
        ("*", ("*",)),
        (["*"], ("*",)),
        (["*", "balance.low"], ("*",)),
        (["spend.above", "balance.low", "spend.above"], ("balance.low", "spend.above")),
    ],
)
def test_what_is_asked_for_is_kept_in_one_way(events: object, kept: tuple[str, ...]) -> None:
    assert made(events).events == kept


def test_without_an_id_it_is_named_by_what_it_is() -> None:
    same = [made(["balance.low", "spend.above"]), made(["spend.above", "balance.low"])]
    others = [made(), made("*", id="mine"), made("*", url="https://example.com/other"), same[0]]
    assert same[0].id == same[1].id
    assert len({each.id for each in others}) == 4
    assert others[1].id == "mine"


def test_it_wants_what_it_asked_for_and_never_its_own_end() -> None:
    for name in DETAIL_TYPES:
        assert made().wants(name, {})
        assert made([name]).wants(name, {})
        assert not made([each for each in DETAIL_TYPES if each != name]).wants(name, {})
    assert made().wants("what.is.yet.to.come", {})
    assert not made("*", id="mine").wants(DISABLED, {"endpoint": "mine"})
    assert made("*", id="mine").wants(DISABLED, {"endpoint": "other"})
    assert not after_failure(made(), NOW, gone=True).wants("balance.low", {})


Happening = tuple[str, int]


def lived(*happenings: Happening) -> list[str]:
    """What became of an endpoint after each: enabled, failing, or why it was disabled."""
    endpoint = made()
    seen: list[str] = []
    for what, at in happenings:
        if what == "ok":
            endpoint = after_success(endpoint)
        elif what == "on":
            endpoint = enabled(endpoint)
        else:
            endpoint = after_failure(endpoint, NOW + at, gone=what == "gone")
        seen.append(endpoint.disabled or ("enabled" if endpoint.failing_since is None else "failing"))
    return seen


def failing(*at: int) -> list[Happening]:
    return [("no", each) for each in at]


@pytest.mark.parametrize(
    ("happenings", "last"),
    [
        ([("ok", 0)], "enabled"),
        (failing(0), "failing"),
        ([*failing(0), ("ok", 1)], "enabled"),
        ([("gone", 0)], "gone"),
        ([("gone", 0), *failing(9 * DAY)], "gone"),
        ([("gone", 0), ("ok", 1)], "gone"),
        ([("gone", 0), ("on", 1)], "enabled"),
        (failing(0, DAY, 2 * DAY, 3 * DAY, 4 * DAY, 5 * DAY - 1), "failing"),
        ([*failing(0, DAY, 2 * DAY, 3 * DAY, 4 * DAY), ("ok", 1), *failing(5 * DAY)], "failing"),
        ([*failing(0, DAY, 2 * DAY, 3 * DAY, 4 * DAY), ("on", 1), *failing(5 * DAY)], "failing"),
        (failing(0, 6 * DAY), "failing"),
        (failing(0, DAY, 2 * DAY, 3 * DAY, 5 * DAY + 1), "failing"),
    ],
)
def test_an_endpoint_becomes(happenings: list[Happening], last: str) -> None:
    assert lived(*happenings)[-1] == last


@pytest.mark.parametrize("every", [MINUTE, HOUR, 5 * HOUR, DAY, 27 * HOUR])
def test_it_is_disabled_by_the_first_failure_after_five_days_of_nothing_else(every: int) -> None:
    endpoint, at = made(), 0
    while not endpoint.disabled:
        endpoint = after_failure(endpoint, NOW + at, gone=False)
        at += every
    assert endpoint.disabled == "failing"
    assert endpoint.disabled_at is not None
    assert 5 * DAY <= endpoint.disabled_at - NOW < 5 * DAY + every
    told = disabling(endpoint)
    assert (told.detail_type, told.detail["reason"], told.detail["endpoint"]) == (DISABLED, "failing", endpoint.id)
    assert set(told.detail) == {"endpoint", "reason", "failing_since"}, "no address: it may hold a secret"


def test_an_endpoint_that_is_down_is_written_once_an_hour_at_the_most() -> None:
    endpoint, written = made(), 0
    for minutes in range(24 * 60):
        after = after_failure(endpoint, NOW + minutes * MINUTE, gone=False)
        written += after != endpoint
        endpoint = after
    assert written == 24


def test_an_endpoint_that_works_is_not_written_at_all() -> None:
    assert after_success(made()) == made()


@given(st.lists(st.tuples(st.sampled_from(["ok", "no"]), st.integers(1, 3 * DAY)), min_size=1, max_size=40))
def test_whatever_happens_it_is_disabled_only_after_five_days_without_a_success(steps: list[Happening]) -> None:
    at, since_success, happenings = 0, 0, []
    for what, later in steps:
        at += later
        happenings.append((what, at))
        since_success = at if what == "ok" else since_success
        if lived(*happenings)[-1] == "failing" and what == "ok":
            raise AssertionError("a success forgets every failure")
        if lived(*happenings)[-1] not in ("enabled", "failing"):
            assert at - since_success >= 5 * DAY
            return
