"""The one tree of errors.

    TaximeterError
    ├── Invalid            something is not of the shape the contract asks for
    ├── NotFound           what was named does not exist
    ├── Conflict           what was asked contradicts what is there
    ├── Forbidden          the key or token may not do this
    ├── TooLarge           a request or an item is over its limit
    ├── Unavailable        nothing is wrong with the request: send it again
    └── Unreadable         a stored record cannot be processed; it is parked, never dropped

A `code` is stable and documented; `detail` is a sentence for people. Which HTTP status a class becomes is decided at
the door (handlers), never here.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a body: where (a JSON pointer, RFC 6901) and what."""

    pointer: str
    detail: str


class TaximeterError(Exception):
    """Anything that Taximeter itself says is wrong.

    Attributes:
        code: stable, lower case with underscores, part of the public contract.
        detail: a sentence for people; never holds secrets or personal data.
        faults: every fault of a body at once, empty where the error is not about one.
    """

    default_code = "error"

    def __init__(self, detail: str, code: str = "", faults: Sequence[Fault] = ()) -> None:
        super().__init__(detail)
        self.code = code or self.default_code
        self.detail = detail
        self.faults = tuple(faults)


class Invalid(TaximeterError, ValueError):
    """Something is not of the shape that the contract asks for; pydantic collects it as a ValueError."""

    default_code = "invalid"


class NotFound(TaximeterError):
    """What was named does not exist."""

    default_code = "not_found"


class Conflict(TaximeterError):
    """What was asked contradicts what is there."""

    default_code = "conflict"


class Forbidden(TaximeterError):
    """The key is known but may not do this."""

    default_code = "forbidden"


class TooLarge(TaximeterError):
    """A request is over its limit, or what would have to be kept of an hour."""

    default_code = "too_large"


class Unavailable(TaximeterError):
    """Nothing is wrong with the request: send it again."""

    default_code = "retry"


class Unreadable(TaximeterError):
    """A stored record cannot be processed: it is parked with its payload."""

    default_code = "unreadable"
