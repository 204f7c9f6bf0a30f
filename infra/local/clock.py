"""The local cloud's clock, and waiting until everything that it set in motion has come to rest."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import httpx

from adapters.clock import REMEMBERED_SECONDS, StoredClock, real_now
from infra.local.cloud import Cloud
from metering.times import format_time

_ROUNDS = 12
_PAUSE_SECONDS = 0.02


@cache
def _http() -> httpx.Client:
    """One client for all questions: making one takes longer than any of their answers."""
    return httpx.Client(timeout=30, trust_env=False)


@dataclass(frozen=True, slots=True)
class Pending:
    """What is under way: see `infra.local.emulator.pending`, and webhooks that Stripe's stand-in has yet to deliver."""

    streamed: int
    queued: int
    running: int
    records: int
    undelivered: int

    @property
    def quiet(self) -> bool:
        """Whether nothing is under way."""
        return not (self.streamed or self.queued or self.running or self.undelivered)


def pending(cloud: Cloud) -> Pending:
    """What is under way at this moment."""
    # Stripe first: what it delivers meanwhile is counted by the question that follows.
    webhooks = _http().get(f"{cloud.stripe_url}/_control/webhooks").raise_for_status().json()
    emulated = _http().get(f"{cloud.endpoint_url}/_taximeter/pending").raise_for_status()
    undelivered = 0 if webhooks["paused"] else webhooks["undelivered"]
    return Pending(**emulated.json(), undelivered=undelivered)


def wait_until_quiet(cloud: Cloud, timeout_seconds: float = 120) -> Pending:
    """Wait until every stream is read, every queue empty and every function done.

    Two readings in a row must agree: Stripe is asked first, and what ran meanwhile may have set it to work.

    Raises:
        TimeoutError: Something was still under way at the end of the time.
    """
    deadline = time.monotonic() + timeout_seconds
    before = pending(cloud)
    while time.monotonic() < deadline:
        time.sleep(_PAUSE_SECONDS)
        now = pending(cloud)
        if before.quiet and now == before:
            return now
        before = now
    message = f"still under way after {timeout_seconds:g} s: {before}"
    raise TimeoutError(message)


def now_milliseconds(cloud: Cloud) -> int:
    """What the cloud's functions take for the present time: milliseconds since the epoch."""
    return StoredClock(cloud.table("Catalog"))()


def advance(cloud: Cloud, to_milliseconds: int, say: Callable[[str], None] = lambda _: None) -> None:
    """Set the clock and run the scheduled functions at it, in order, until they have nothing left to do.

    Raises:
        ValueError: The time has passed already.
        TimeoutError: The cloud did not come to rest.
        RuntimeError: A scheduled function failed.
    """
    wait_until_quiet(cloud)
    present = now_milliseconds(cloud)
    if to_milliseconds < present:
        message = f"the clock only goes forward: it is {format_time(present)} there already"
        raise ValueError(message)
    _set(cloud, to_milliseconds)
    say(f"the clock is at {format_time(to_milliseconds)}")
    wait_until_quiet(cloud)
    _run(cloud, "StripeEvents", to_milliseconds)
    for number in range(1, _ROUNDS + 1):
        before = wait_until_quiet(cloud)
        for function in ("Rate", "Invoice"):
            _run(cloud, function, to_milliseconds)
            after = wait_until_quiet(cloud)
        say(f"round {number}: {after.records - before.records} changes")
        if after.records == before.records or not _is_anything_due(cloud, to_milliseconds):
            return
    message = f"the scheduled functions still find work after {_ROUNDS} rounds"
    raise TimeoutError(message)


def _is_anything_due(cloud: Cloud, at_milliseconds: int) -> bool:
    """Whether the scheduled functions would find anything: all that they look for stands in one index."""
    found = cloud.client("dynamodb").scan(
        TableName=cloud.outputs["LedgerTable"],
        IndexName="due",
        FilterExpression="due_at <= :now",
        ExpressionAttributeValues={":now": {"N": str(at_milliseconds)}},
        Select="COUNT",
    )
    return bool(found["Count"] or "LastEvaluatedKey" in found)


def _set(cloud: Cloud, to_milliseconds: int) -> None:
    """Set the clock of the functions and of Stripe's stand-in."""
    StoredClock(cloud.table("Catalog")).move_to(to_milliseconds)
    offset = {"offset_milliseconds": to_milliseconds - real_now()}
    _http().post(f"{cloud.stripe_url}/_control/clock", json=offset).raise_for_status()
    time.sleep(REMEMBERED_SECONDS * 1.1)


def _run(cloud: Cloud, function: str, at_milliseconds: int) -> None:
    """Invoke a function as its schedule would at an instant."""
    answer = cloud.client("lambda").invoke(
        FunctionName=cloud.outputs[f"{function}Function"],
        Payload=json.dumps({"source": "schedule", "time": format_time(at_milliseconds)}),
    )
    if "FunctionError" in answer:
        message = f"{function} failed: {answer['Payload'].read().decode()}"
        raise RuntimeError(message)
