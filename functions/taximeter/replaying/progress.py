"""How far a replay has come, on disk: what was interrupted goes on where it was."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

_MOST_NAMED = 100


@dataclass(frozen=True, slots=True)
class Tally:
    """What is known of the customers and days that are done.

    Attributes:
        end: where the interval ends: what was asked for ahead of the clock ends where it did when this began; 0 before.
        scanned_to: the key behind which the scan goes on; empty before it and after it.
        scan_done: whether the scan is over, or none is wanted.
        after: the last customer that is done whole.
        days_done: how many days of the next customer are done.
        customers: how many are done whole.
        hours: how many hours of a meter something is addressed to, or was kept of.
        sessions: how many were paired anew.
        edges: how many the scan found in the interval.
        unanswered: of the sessions, those that pair has not told of again in time.
        parked: hours whose records could not be processed.
        changed: windows that are not as they were.
        windows: the first of them, as `customer window`.
    """

    end: int = 0
    scanned_to: tuple[str, ...] = ()
    scan_done: bool = False
    after: str = ""
    days_done: int = 0
    customers: int = 0
    hours: int = 0
    sessions: int = 0
    edges: int = 0
    unanswered: int = 0
    parked: int = 0
    changed: int = 0
    windows: tuple[str, ...] = ()

    def with_changed(self, windows: Sequence[str]) -> "Tally":
        """With these windows counted, and named as long as there are few."""
        named = (*self.windows, *windows)[:_MOST_NAMED]
        return replace(self, changed=self.changed + len(windows), windows=named)


class Progress:
    """The state file of one replay.

    Attributes:
        resumed: whether there was one.
    """

    def __init__(self, folder: Path, asked: Sequence[object], *, restart: bool = False) -> None:
        identity = hashlib.sha256(json.dumps(asked).encode()).hexdigest()
        self.state = folder / f"taximeter-replay-{identity[:12]}.json"
        remembered = None if restart else self._remembered()
        self.resumed = remembered is not None
        self.tally = remembered or Tally()

    def advance(self, tally: Tally) -> None:
        """Remember how far it is."""
        self.tally = tally
        fresh = self.state.with_suffix(".tmp")
        fresh.write_text(json.dumps(asdict(tally)) + "\n", encoding="utf-8")
        fresh.replace(self.state)

    def finish(self) -> None:
        """Forget how far it came: all of it did."""
        self.state.unlink(missing_ok=True)

    def _remembered(self) -> Tally | None:
        try:
            found: dict[str, Any] = json.loads(self.state.read_text(encoding="utf-8"))
            found |= {name: tuple(found[name]) for name in ("scanned_to", "windows")}
            return Tally(**found)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None  # none, or none that can be trusted: beginning anew is harmless
