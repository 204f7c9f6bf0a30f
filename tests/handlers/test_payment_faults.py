"""Every call that is made for a payment fails in every way, and each payment is made and credited once. Laws 5.6, 5.7.

The table is generated: each flow is gone once without a fault, and every call of a table, a queue, the secret, the bus
or Stripe that was made on the way is a row. So a new call is covered on the day it is added.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest
import stripe

from adapters.items import ConditionFailed
from handlers import collect, top_up
from tests.handlers import invoice_flows, payment_flows
from tests.handlers.payment_flows import Flow, begun, handle, hours_pass
from tests.handlers.street import Crash, Street, queue_record

HANDLERS = {"TOP_UP": top_up, "COLLECT": collect}
FLOWS = [*payment_flows.FLOWS, *invoice_flows.FLOWS]
QUICK = (payment_flows.FLOWS[0], invoice_flows.FLOWS[0])


class Lost(Exception):
    """AWS has not answered."""


@dataclass
class Interference:
    """Lets calls pass, names them, and does something to one of them.

    Attributes:
        street: whose calls they are.
        at: the place of the call that something is done to; None for none.
        fault: what is done to it.
        names: the calls that were made.
    """

    street: Street
    at: int | None = None
    fault: str = ""
    names: list[str] = field(default_factory=list)

    def __call__(self, name: str, do: Callable[[], Any]) -> Any:
        place = len(self.names)
        self.names.append(name)
        if place != self.at:
            return do()
        self.at = None
        return _FAULTS[self.fault](self.street, name, do)

    def off(self) -> None:
        """Let everything pass from now on."""
        self.at = None
        self.street.interfere = lambda _, do: do()


def _crash_before(_: Street, __: str, ___: Callable[[], Any]) -> Any:
    raise Crash


def _crash_after(_: Street, __: str, do: Callable[[], Any]) -> Any:
    do()
    raise Crash


def _lost(_: Street, name: str, do: Callable[[], Any]) -> Any:
    do()
    if name.startswith("Stripe"):
        raise stripe.APIConnectionError("lost", should_retry=True)  # type: ignore[no-untyped-call]  # the package gives it no types
    raise Lost


def _twice(_: Street, __: str, do: Callable[[], Any]) -> Any:
    """As the SDKs do when an answer did not come: what is conditional finds itself done."""
    do()
    return do()


def _other_run_first(street: Street, _: str, do: Callable[[], Any]) -> Any:
    _whole_run(street)
    return do()


def _other_run_after(street: Street, _: str, do: Callable[[], Any]) -> Any:
    done = do()
    _whole_run(street)
    return done


def _whole_run(street: Street) -> None:
    """What is queued is handled by somebody else too, from beginning to end, while this run is where it is."""
    for queue, module in HANDLERS.items():
        for message in list(street.queues[queue]):
            module.handler({"Records": [queue_record(message)]}, None)


def _refused_by(status: int) -> Callable[[Street, str, Callable[[], Any]], Any]:
    def refuse(street: Street, _: str, do: Callable[[], Any]) -> Any:
        assert street.stand_in
        street.stand_in.control("faults", {"status": status})
        return do()

    return refuse


_FAULTS: dict[str, Callable[[Street, str, Callable[[], Any]], Any]] = {
    "crash before": _crash_before,
    "crash after": _crash_after,
    "answer lost": _lost,
    "twice": _twice,
    "another run before": _other_run_first,
    "another run after": _other_run_after,
    "409": _refused_by(409),
    "429": _refused_by(429),
    "500 kept under the key": _refused_by(500),
}
OF_STRIPE_ALONE = ("409", "429", "500 kept under the key")


@cache
def calls_of(flow: Flow) -> tuple[str, ...]:
    """The calls that a flow makes when nothing goes wrong."""
    with begun(flow) as (street, _, _):
        street.interfere = recorded = Interference(street)
        handle(street)
        recorded.off()
        return tuple(recorded.names)


def cases() -> Iterator[Any]:
    for flow in FLOWS:
        for place, name in enumerate(calls_of(flow)):
            for fault in _FAULTS:
                if fault in OF_STRIPE_ALONE and not name.startswith("Stripe"):
                    continue
                # In the quick suite: what moves money, or remembers it.
                quick = flow in QUICK and name.split()[1] in ("put", "transact", "POST")
                marks = () if quick else (pytest.mark.deep,)
                yield pytest.param(flow, place, fault, id=f"{flow.name}, {place} {name}, {fault}", marks=marks)


@pytest.mark.parametrize(("flow", "place", "fault"), list(cases()))
def test_whatever_happens_to_a_call_money_moves_once(flow: Flow, place: int, fault: str) -> None:
    with begun(flow) as (street, stand_in, prepared):
        street.interfere = interfering = Interference(street, place, fault)
        with suppress(Crash, Lost, ConditionFailed):  # the queue brings the message again
            handle(street)
        interfering.off()
        for _ in range(2):
            handle(street)
        hours_pass(street)
        flow.holds(street, stand_in, prepared)


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)
def test_a_flow_holds_without_a_fault_and_calls_stripe(flow: Flow) -> None:
    with begun(flow) as (street, stand_in, prepared):
        handle(street)
        hours_pass(street)
        flow.holds(street, stand_in, prepared)
    assert any(name.startswith("Stripe") for name in calls_of(flow))
