"""A stand-in for each test: on a port, or in the process of the test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from infra.local.stripe.server import running
from tests.infra.local.stripe.in_process import InProcess
from tests.infra.local.stripe.stand_in import StandIn, client


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    with running() as server:
        yield StandIn(server, client(server.url).v1)


@pytest.fixture
def in_process() -> InProcess:
    return InProcess()
