"""The last minutes of a busy hour, and the sum of those before them: what a refresh of one minute needs. Law 4.3."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from metering.windows import Slots, merge

MOST_MINUTES = 8
"""That are kept apart: events may come five minutes ahead of the clock, and some time behind it."""

_FEWEST_MINUTES = 3


@dataclass(frozen=True, slots=True)
class Minutes:
    """What is kept of an hour, cut so that its last minutes can be folded again one by one.

    Attributes:
        sealed: the sum of the minutes before the last ones; no part of it can be replaced.
        last: the usage of each of the last minutes in which there was any, by name (`05`).
    """

    sealed: Slots = field(default_factory=dict)
    last: Mapping[str, Slots] = field(default_factory=dict)

    @property
    def whole(self) -> Slots:
        """The usage of the hour."""
        return merge(self.sealed, *self.last.values())

    def has_sealed(self, minutes: Iterable[str]) -> bool:
        """Whether the sum may hold one of these minutes, so that it cannot be folded again by itself."""
        first = min(self.last, default="")
        return bool(self.sealed) and any(minute < first for minute in minutes)

    def replacing(self, folded: Mapping[str, Slots]) -> "Minutes":
        """These minutes folded anew, the others as they were; the oldest ones beyond `MOST_MINUTES` sealed."""
        known = {**self.last, **folded}
        minutes = Minutes(self.sealed, {minute: slots for minute, slots in known.items() if slots})
        while len(minutes.last) > MOST_MINUTES:
            minutes = minutes._sealing_one()
        return minutes

    def sealing_one(self) -> "Minutes | None":
        """The oldest of the last minutes sealed too; None if as few are left as there have to be."""
        return self._sealing_one() if len(self.last) > _FEWEST_MINUTES else None

    def _sealing_one(self) -> "Minutes":
        oldest = min(self.last)
        rest = {minute: slots for minute, slots in self.last.items() if minute != oldest}
        return Minutes(merge(self.sealed, self.last[oldest]), rest)
