"""What the functions of a benchmark find around them: a clock, a bus and queues that count."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace
from typing import TYPE_CHECKING

from adapters.bus import Bus
from adapters.lag import Lag
from adapters.queues import Queue
from adapters.remembered import Remembered
from handlers._live import Live
from metering.times import HOUR

if TYPE_CHECKING:
    from infra.benchmark.deployment import Deployment


@dataclass
class Environment(Live):
    """What one environment of a function remembers, and the deployment around it."""

    deployment: "Deployment | None" = None

    @property
    def around(self) -> "Deployment":
        """The deployment that it belongs to."""
        assert self.deployment is not None  # noqa: S101 - a dataclass's field after optional ones needs a default
        return self.deployment

    @cached_property
    def clock(self) -> Callable[[], int]:
        """The deployment's clock."""
        return lambda: self.around.now

    @cached_property
    def remembered(self) -> Remembered:
        """What it remembers, by the deployment's clock."""
        ahead = self.acceptance.future
        return Remembered(
            self.catalog, monotonic=lambda: self.around.now / 1000, epoch=lambda: (self.around.now + ahead) // HOUR
        )

    @cached_property
    def bus(self) -> Bus:
        """A bus that counts."""
        return Bus("bus", SimpleNamespace(put_events=self.around.put_events))  # type: ignore[arg-type]  # all that is called

    @cached_property
    def lag(self) -> Lag:
        """No consumer is ever behind here."""
        return Lag([], SimpleNamespace(get_metric_data=lambda **_: {"MetricDataResults": []}))  # type: ignore[arg-type]  # all that is called

    def queue(self, name: str) -> Queue:
        """A queue that counts, and keeps its messages until they are delivered."""
        return Queue(name, SimpleNamespace(send_message_batch=self.around.send))  # type: ignore[arg-type]  # all that is called
