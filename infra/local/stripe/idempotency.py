"""Idempotency keys, as Stripe keeps them."""

from __future__ import annotations

from dataclasses import dataclass, field

from .problems import Problem, invalid
from .wire import Answer

_KEPT_SECONDS = 86_400
_MOST_CHARACTERS = 255


@dataclass(frozen=True, slots=True)
class _Used:
    request: str
    at_seconds: int
    answer: Answer | None


@dataclass
class Keys:
    """The keys of one account: what was asked under each, and what was answered.

    An answer is kept for 24 hours once its request began to be carried out, errors and all. Nothing is kept of requests
    that were refused before that.
    """

    used: dict[str, _Used] = field(default_factory=dict)

    def begin(self, key: str, request: str, now_seconds: int) -> Answer | None:
        """Reserves a key, or returns the answer that was given under it.

        Raises:
            Problem: 400 when the key is too long or something else was asked under it, 409 when it is being answered
                right now.
        """
        if len(key) > _MOST_CHARACTERS:
            raise invalid(f"Keys for idempotent requests are up to {_MOST_CHARACTERS} characters long.")
        known = self.used.get(key)
        if known is None or known.at_seconds + _KEPT_SECONDS <= now_seconds:
            self.used[key] = _Used(request, now_seconds, None)
            return None
        if known.request != request:
            text = (
                "Keys for idempotent requests can only be used with the same parameters they were"
                f" first used with. Try using a key other than '{key}'."
            )
            raise Problem(400, "idempotency_error", text)
        if known.answer is None:
            text = f"There is currently another in-progress request using this key ({key})."
            raise Problem(409, "idempotency_error", text, code="idempotency_key_in_use")
        headers = {**known.answer.headers, "Idempotent-Replayed": "true"}
        return Answer(known.answer.status, known.answer.body, headers)

    def finish(self, key: str, answer: Answer) -> None:
        """Keeps the answer given under a key."""
        known = self.used[key]
        self.used[key] = _Used(known.request, known.at_seconds, answer)

    def abandon(self, key: str) -> None:
        """Frees a key whose request was never carried out."""
        self.used.pop(key, None)
