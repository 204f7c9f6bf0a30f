"""Every handler runs against a street in memory."""

from collections.abc import Callable

import pytest

from handlers import _door, _live
from tests.handlers.street import Street
from tests.infra.local.stripe.in_process import Clock, InProcess


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
def stand_in(street: Street) -> InProcess:
    """Stripe, as far as we need it, at the end of the street and by its clock."""
    return at_stripe(street)


def at_stripe(street: Street) -> InProcess:
    """Put a stand-in for Stripe at the end of a street."""
    street.stand_in = InProcess(clock=_ClockOf(street))
    return street.stand_in


class _ClockOf(Clock):
    """A street's clock, as Stripe reads it."""

    def __init__(self, street: Street) -> None:
        self._street = street

    def __call__(self) -> float:
        return self._street.now / 1000
