"""Batches of events over HTTPS, sent until they are durable. Sending one again is harmless (law 4.1)."""

import gzip
import random
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from threading import Event as Flag
from typing import Any

import httpx

from taximeter.client import checked_address

_RETRIED = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}
_LONGEST_PAUSE_SECONDS = 30.0


class Stopped(RuntimeError):
    """The rest cannot be sent now; what was answered is durable."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an event was refused: the documented code, and a sentence."""

    code: str
    detail: str


class Sender:
    """Posts events to one deployment; it may be used by several threads at once.

    Attributes:
        halt: once set, nothing is tried again.
    """

    def __init__(
        self, url: str, key: str, *, attempts: int = 12, pause_seconds: float = 0.25, connections: int = 8
    ) -> None:
        self._client = httpx.Client(
            base_url=checked_address(url),
            headers={"x-api-key": key, "content-type": "application/x-ndjson", "content-encoding": "gzip"},
            timeout=httpx.Timeout(35, connect=10),
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
        )
        self._attempts = attempts
        self._pause_seconds = pause_seconds
        self.halt = Flag()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def post(self, lines: Sequence[bytes]) -> dict[int, Refusal]:
        """Send events, one a line, until each is durable or refused; returns the refused ones by their places.

        Raises:
            Stopped: the deployment will not take them, or did not for too long.
        """
        refused: dict[int, Refusal] = {}
        pending = list(range(len(lines)))
        tried = 0
        while pending:
            if tried == self._attempts or self.halt.is_set():
                raise Stopped("the deployment did not take the events, however often they were sent")
            told, wait_seconds = self._try([lines[place] for place in pending])
            again = [place for index, place in enumerate(pending) if told.get(index, _DURABLE).code == "retry"]
            refused |= {
                place: told[index]
                for index, place in enumerate(pending)
                if index in told and told[index].code != "retry"
            }
            tried = tried + 1 if len(again) == len(pending) else 0
            pending = again
            if pending:
                self.halt.wait(self._pause(tried, wait_seconds))
        return refused

    def _pause(self, tried: int, asked_seconds: float) -> float:
        grown = min(self._pause_seconds * 2**tried, _LONGEST_PAUSE_SECONDS)
        spread: float = grown * random.uniform(0.5, 1)  # noqa: S311 - only so that not all come back at once
        return max(spread, min(asked_seconds, _LONGEST_PAUSE_SECONDS))

    def _try(self, lines: Sequence[bytes]) -> tuple[dict[int, Refusal], float]:
        """One attempt: who is refused, `retry` for all if nobody knows, and how long to wait if so."""
        everything = dict.fromkeys(range(len(lines)), Refusal("retry", ""))
        try:
            answer = self._client.post("/v1/events", content=gzip.compress(b"\n".join(lines), 1))
        except httpx.TransportError:
            return everything, 0
        body = _json(answer)
        rows = body.get("rejected")
        wait_seconds = _seconds(answer.headers.get("retry-after", ""))
        if isinstance(rows, list) and answer.status_code in {202, 400, 503}:
            told = {int(row["index"]): Refusal(str(row["code"]), str(row["detail"])) for row in rows}
            if body.get("accepted", 0) + len(told) != len(lines) or not told.keys() <= everything.keys():
                raise Stopped("the answer does not tell of every event")
            return told, wait_seconds
        if answer.status_code in _RETRIED or answer.is_server_error:
            return everything, wait_seconds
        if answer.status_code in {401, 403}:
            raise Stopped(f"this API key may not send events to {self._client.base_url}")
        detail = body.get("detail") or "no answer of Taximeter"
        raise Stopped(f"{answer.url} answers {answer.status_code}: {detail}")


_DURABLE = Refusal("", "")


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _seconds(written: str) -> float:
    return float(written) if written.isascii() and written.isdigit() and len(written) < 6 else 0.0
