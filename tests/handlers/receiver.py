"""A user's server in memory: it keeps what is posted to it, and answers as it is told."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from adapters.addresses import Address
from adapters.webhooks import Target, Webhooks
from billing.deliveries import Answer

PUBLIC = "93.184.215.14"


@dataclass(frozen=True, slots=True)
class Posted:
    """One request as it arrived."""

    host: str
    path: str
    headers: Mapping[str, str]
    body: str

    @property
    def message(self) -> str:
        """Its `webhook-id`."""
        return self.headers["webhook-id"]


class Receiver(Webhooks):
    """The real sender, all but its sockets: names are looked up in a dictionary, and calls are kept.

    Attributes:
        posted: what arrived, oldest first.
        answers: what the next calls are answered; 200 when there is none left.
        addresses: what names resolve to; all others to one public address.
        lookups: the names that were looked up.
        interrupt: called "before" and "after" a call; what it raises ends the process there.
    """

    def __init__(self) -> None:
        super().__init__(resolve=self._look_up)
        self.posted: list[Posted] = []
        self.answers: list[Answer] = []
        self.addresses: dict[str, list[str]] = {}
        self.lookups: list[str] = []
        self.interrupt: Callable[[str], None] = lambda _moment: None

    def _look_up(self, host: str, port: int, **_: Any) -> list[Any]:
        self.lookups.append(host)
        return [(None, None, None, "", (address, port)) for address in self.addresses.get(host, [PUBLIC])]

    def _call(self, target: Target, addresses: list[Address], headers: Mapping[str, str], body: str) -> Answer:
        assert addresses
        self.interrupt("before")
        self.posted.append(Posted(target.host, target.path, headers, body))
        answer = self.answers.pop(0) if self.answers else Answer(200)
        self.interrupt("after")
        return answer
