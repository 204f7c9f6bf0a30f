"""How far an import has come, on disk beside its file: what was interrupted goes on where it was."""

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import IO, Any

_HEAD_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Tally:
    """What is known of some rows: all of them are durable or refused.

    Attributes:
        rows: how many they are: those of the windows before, and some of the running window.
        rejected_bytes: how long the file of the refused rows is.
        ordered: how many of them are of the running window, the first in its order (`taximeter.importing.ordering`).
    """

    rows: int = 0
    accepted: int = 0
    rejected: int = 0
    rejected_bytes: int = 0
    ordered: int = 0


def identity_of(path: Path, *settings: object) -> str:
    """Tell this file, read in this way and sent to this place, from every other."""
    about = path.stat()
    with path.open("rb") as file:
        head = hashlib.sha256(file.read(_HEAD_BYTES)).hexdigest()
    told = json.dumps([about.st_size, about.st_mtime_ns, head, *settings], default=str)
    return hashlib.sha256(told.encode()).hexdigest()


class Progress:
    """The state file and the file of refused rows. One batch after the other, in the order in which they are made.

    Attributes:
        resumed_at: how many rows were known when this began.
        rejected: where the refused rows are written.
    """

    def __init__(self, path: Path, identity: str, *, restart: bool = False) -> None:
        self.state = path.with_name(f"{path.name}.import.json")
        self.rejected = path.with_name(f"{path.name}.rejected.ndjson")
        self._identity = identity
        self._file: IO[bytes] | None = None
        self.tally = Tally() if restart else self._remembered()
        self.resumed_at = self.tally.rows
        if not self.tally.rejected:
            self.rejected.unlink(missing_ok=True)
        elif self.rejected.stat().st_size > self.tally.rejected_bytes:
            # Written for rows that were not known yet: they are sent, and told of, again.
            os.truncate(self.rejected, self.tally.rejected_bytes)

    def __enter__(self) -> "Progress":
        """Nothing to prepare."""
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _: TracebackType | None
    ) -> None:
        """Close what is open; the state stays."""
        if self._file:
            self._file.close()

    def advance(self, rows: int, refused: Iterable[bytes], *, ends_window: bool = False) -> None:
        """Remember that the next rows are durable, but for the refused ones, each a line to be kept."""
        told = list(refused)
        if told:
            self._tell(told)
        self.tally = replace(
            self.tally,
            rows=self.tally.rows + rows,
            accepted=self.tally.accepted + rows - len(told),
            rejected=self.tally.rejected + len(told),
            ordered=0 if ends_window else self.tally.ordered + rows,
        )
        fresh = self.state.with_suffix(".tmp")
        fresh.write_text(json.dumps({"identity": self._identity, **asdict(self.tally)}) + "\n", encoding="utf-8")
        fresh.replace(self.state)

    def finish(self) -> None:
        """Forget how far it came: all of it did."""
        self.state.unlink(missing_ok=True)

    def _tell(self, refused: list[bytes]) -> None:
        if self._file is None:
            self._file = self.rejected.open("ab")
        self._file.writelines(refused)
        self._file.flush()
        self.tally = replace(self.tally, rejected_bytes=self._file.tell())

    def _remembered(self) -> Tally:
        try:
            found: dict[str, Any] = json.loads(self.state.read_text(encoding="utf-8"))
            if found.pop("identity") != self._identity:
                return Tally()
            tally = Tally(**found)
            whole = not tally.rejected or self.rejected.stat().st_size >= tally.rejected_bytes
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return Tally()  # none, or none that can be trusted: beginning anew is harmless
        return tally if whole else Tally()
