"""What one Stripe test account holds, and its clock."""

from __future__ import annotations

import heapq
import itertools
import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from .cards import Card
from .problems import Json, missing

API_VERSION = "2026-10-28.endive"
# Whose request an event comes from when it comes from none.
NOBODY: Json = {"id": None, "idempotency_key": None}

# By what objects are looked up, so that no call looks at every object of a kind.
_INDEXED = {
    "charge": ("customer", "payment_intent"),
    "checkout.session": ("customer", "payment_intent"),
    "customer_balance_transaction": ("customer",),
    "dispute": ("charge", "payment_intent"),
    "invoice": ("customer",),
    "invoice_payment": ("invoice", "payment__payment_intent"),
    "invoiceitem": ("invoice", "customer"),
    "line_item": ("invoice",),
    "payment_intent": ("customer",),
    "payment_method": ("customer",),
    "refund": ("charge", "payment_intent"),
}


@dataclass
class Account:
    """The account's objects, in the order in which they were made.

    It knows nothing of HTTP. Whoever calls it holds the one lock around it.

    Attributes:
        url: where the stand-in's own pages are.
        clock: the machine's time, in seconds since the epoch.
        objects: every object by its id, in the shape of the API.
        kinds: the ones that were not deleted, once more, by kind and id.
        cards: what no answer shows: the test card behind each payment method.
        secrets: what the events for each endpoint are signed with.
        slow: payment methods whose payments take days.
        set_up: payment methods whose holder agreed to later charges.
        pending: invoice items that were made for no invoice in particular.
        lines: what the checkout sessions sell, by their ids.
        wishes: what they say of the intents that they will make.
        offset_milliseconds: how far its clock is ahead of the machine's.
        origin: the request being carried out, as its events name it.
        unsent: ids of events that were not handed to the courier yet.
    """

    url: str = "http://127.0.0.1"
    clock: Callable[[], float] = time.time
    objects: dict[str, Json] = field(default_factory=dict)
    kinds: dict[str, dict[str, Json]] = field(default_factory=dict)
    cards: dict[str, Card] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    slow: set[str] = field(default_factory=set)
    set_up: set[str] = field(default_factory=set)
    pending: set[str] = field(default_factory=set)
    lines: dict[str, list[Json]] = field(default_factory=dict)
    wishes: dict[str, Json] = field(default_factory=dict)
    offset_milliseconds: int = 0
    origin: Json = field(default_factory=NOBODY.copy)
    unsent: list[str] = field(default_factory=list)
    _told: dict[str, str] = field(default_factory=dict)  # packed: ten thousand customers make many events
    _ahead: list[tuple[int, int, Callable[[], object]]] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _index: dict[tuple[str, str, str], dict[str, Json]] = field(default_factory=dict)

    def now(self) -> int:
        """Returns the account's time, in seconds since the epoch."""
        return self.now_milliseconds() // 1000

    def now_milliseconds(self) -> int:
        """Returns the account's time, in milliseconds since the epoch."""
        return round(self.clock() * 1000) + self.offset_milliseconds

    def at(self, milliseconds: int, act: Callable[[], object]) -> None:
        """Lets something happen once the account's time is this; what is due first happens first."""
        heapq.heappush(self._ahead, (milliseconds, next(self._numbers), act))

    def let_time_pass(self) -> None:
        """Does all that is due by now; nobody asks for it, unless it is a request that was late."""
        self.origin = NOBODY.copy()
        while self._ahead and self._ahead[0][0] <= self.now_milliseconds():
            heapq.heappop(self._ahead)[2]()
            self.origin = NOBODY.copy()

    def name(self, prefix: str) -> str:
        """Returns a random id."""
        return f"{prefix}_{secrets.token_hex(12)}"

    def add(self, prefix: str, kind: str, **values: object) -> Json:
        """Makes an object with a random id, keeps it and returns it."""
        identifier = self.name(prefix)
        made: Json = {"id": identifier, "object": kind, **values}
        self.objects[identifier] = made
        self.kinds.setdefault(kind, {})[identifier] = made
        self.note(made)
        return made

    def note(self, thing: Json) -> None:
        """Lets an object be found by what it is tied to; to be called again when one of these ties changes."""
        for name in _INDEXED.get(thing["object"], ()):
            value = _at(thing, name)
            if isinstance(value, str):
                self._index.setdefault((thing["object"], name, value), {})[thing["id"]] = thing

    def get(self, kind: str, identifier: str, *, param: str | None = "id") -> Json:
        """Returns an object, or raises ``resource_missing``. Of the deleted, only customers can still be read."""
        found = self.objects.get(identifier)
        gone = found is not None and found.get("deleted") and kind != "customer"
        if found is None or found["object"] != kind or gone:
            raise missing(kind, identifier, param=param)
        return found

    def every(self, kind: str, keep: Callable[[Json], bool] = lambda _: True) -> Iterator[Json]:
        """Returns the objects of a kind, oldest first, that were not deleted and pass ``keep``."""
        return filter(keep, self.kinds.get(kind, {}).values())

    def tied(self, kind: str, **wanted: str | None) -> Iterator[Json]:
        """Returns the objects of a kind with these values, oldest first; None stands for any value.

        ``payment__payment_intent`` names a value inside another.
        """
        return self._fitting(kind, wanted, iter(self._candidates(kind, wanted).values()))

    def newest(self, kind: str, **wanted: str | None) -> Iterator[Json]:
        """Returns the same as ``tied``, newest first."""
        return self._fitting(kind, wanted, reversed(self._candidates(kind, wanted).values()))

    def _candidates(self, kind: str, wanted: Mapping[str, str | None]) -> dict[str, Json]:
        for name in _INDEXED.get(kind, ()):
            value = wanted.get(name)
            if value is not None:
                return self._index.get((kind, name, value), {})
        return self.kinds.get(kind, {})

    def _fitting(self, kind: str, wanted: Mapping[str, str | None], rows: Iterator[Json]) -> Iterator[Json]:
        alive = self.kinds.get(kind, {})
        asked = {name: value for name, value in wanted.items() if value is not None}
        if not asked:
            return rows
        return (
            row for row in rows if row["id"] in alive and all(_at(row, name) == value for name, value in asked.items())
        )

    def forget(self, thing: Json) -> Json:
        """Deletes an object and returns what the API says of it from then on."""
        self.remove(thing)
        gone: Json = {"id": thing["id"], "object": thing["object"], "deleted": True}
        self.objects[thing["id"]] = gone
        return gone

    def remove(self, thing: Json) -> None:
        """Removes an object without a trace."""
        del self.objects[thing["id"]]
        del self.kinds[thing["object"]][thing["id"]]

    def change(self, thing: Json, event: str, **changes: object) -> None:
        """Changes an object and tells its new and previous values, if they differ."""
        differ = {key: value for key, value in changes.items() if thing.get(key) != value}
        previous = {key: thing.get(key) for key in differ}
        thing.update(differ)
        if differ:
            self.tell(event, thing, previous)

    def tell(self, event: str, thing: Json, previous: Json | None = None) -> None:
        """Records an event with the object as it is now, to be sent to the endpoints."""
        data: Json = {"object": thing}
        if previous is not None:
            data["previous_attributes"] = previous
        made = self.add(
            "evt",
            "event",
            api_version=API_VERSION,
            created=self.now(),
            livemode=False,
            pending_webhooks=sum(1 for _ in self.endpoints(event)),
            request=dict(self.origin),
            type=event,
        )
        self._told[made["id"]] = json.dumps(data)
        self.unsent.append(made["id"])

    def event(self, identifier: str) -> Json:
        """Returns an event with the object as it was then."""
        return {**self.objects[identifier], "data": json.loads(self._told[identifier])}

    def endpoints(self, event: str) -> Iterator[Json]:
        """Yields the webhook endpoints that want an event of this type."""
        return self.every(
            "webhook_endpoint",
            lambda endpoint: endpoint["status"] == "enabled" and bool({"*", event} & set(endpoint["enabled_events"])),
        )


def copied(thing: Json) -> Json:
    """Returns a copy that nothing shares with the object."""
    made: Json = json.loads(json.dumps(thing))  # many times faster than copy.deepcopy
    return made


def _at(thing: Json, name: str) -> object:
    outer, _, inner = name.partition("__")
    return thing[outer][inner] if inner else thing[outer]
