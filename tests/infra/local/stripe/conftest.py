"""A running stand-in for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from infra.local.stripe.server import running
from tests.infra.local.stripe.stand_in import StandIn, client


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    with running() as server:
        yield StandIn(server, client(server.url).v1)
