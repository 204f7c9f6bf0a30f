"""A stand-in for each test: on a port, or in the process of the test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from infra.local.stripe import contract
from infra.local.stripe.application import Application
from infra.local.stripe.server import running
from tests.infra.local.stripe.in_process import InProcess
from tests.infra.local.stripe.stand_in import StandIn, client


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    with running() as server:
        yield StandIn(server, client(server.url).v1)
        hold_to_types(server.application)


@pytest.fixture
def in_process() -> Iterator[InProcess]:
    made = InProcess()
    yield made
    hold_to_types(made.application)


def hold_to_types(application: Application) -> None:
    """Holds all that a test left behind, asked for or not, to the SDK's types; events with what they tell of too."""
    account = application.account
    for kind, things in account.kinds.items():
        for identifier, thing in things.items():
            told = account.event(identifier) if kind == "event" else None
            for each in (told, told["data"]["object"]) if told else (thing,):
                assert contract.differences(each) == []
