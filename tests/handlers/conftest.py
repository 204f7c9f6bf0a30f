"""Every handler runs against a street in memory."""

from collections.abc import Callable, Iterator

import pytest

from handlers import _door, _live
from infra.local.stripe.server import running
from tests.handlers.street import Street
from tests.infra.local.stripe.stand_in import StandIn, client


@pytest.fixture(autouse=True)
def namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is counted is counted under the name that the template gives."""
    monkeypatch.setattr(_door.metrics.provider, "namespace", "Taximeter")


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Street]:
    """Makes a street and puts every handler on it."""

    def make() -> Street:
        street = Street()
        monkeypatch.setattr(_live, "live", street)
        return street

    return make


@pytest.fixture
def street(build: Callable[[], Street]) -> Street:
    """A street with the sample catalogue."""
    made = build()
    made.prepare()
    return made


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    """Stripe, as far as we need it."""
    with running() as server:
        yield StandIn(server, client(server.url).v1)
