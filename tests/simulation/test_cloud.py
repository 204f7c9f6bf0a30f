"""The deployed template on a local cloud and the pure function: over HTTP, too, they say the same to the last digit."""

import itertools
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from metering.times import DAY, HOUR, MINUTE, QUARTER, floor, format_time
from tests.simulation.auditor import check_bills, check_ledger, check_metering
from tests.simulation.catalogue import METERS, PLANS, Json, customers
from tests.simulation.happenings import amended, events, spoilt
from tests.simulation.record import Record

if TYPE_CHECKING:
    from infra.local.cloud import Cloud

pytestmark = [pytest.mark.cloud, pytest.mark.deep]

_numbers = itertools.count(1)
leaps = st.sampled_from((10 * MINUTE, HOUR, 7 * HOUR, 2 * DAY))


@pytest.fixture(scope="module")
def moving(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Cloud"]:
    """A cloud of its own, as its clock is moved."""
    from infra.local import cloud as clouds
    from infra.local.processes import free_port

    home: Path = tmp_path_factory.mktemp("simulation")
    port = free_port()
    try:
        made = clouds.start(port, home=home)
        with made.api() as api:
            for kind, several in (("meters", METERS), ("plans", PLANS)):
                for each in several:
                    assert api.put(f"/v1/{kind}/{each['key']}", json=each).status_code == 201
        yield made
    finally:
        clouds.stop(port, home=home)


class Deployment:
    """Customers of one scenario alone on the cloud, and what they were told."""

    def __init__(self, cloud: "Cloud", api: httpx.Client) -> None:
        self.cloud, self.api, self.record = cloud, api, Record()
        number = next(_numbers)
        for name, body in customers(self.now).items():
            assert self.api.put(f"/v1/customers/{name}-{number}", json=body).status_code == 201
            self.record.written.append({"id": f"{name}-{number}", **body})
        self.names = [each["id"] for each in self.record.written]

    @property
    def now(self) -> int:
        from infra.local.clock import now_milliseconds

        return now_milliseconds(self.cloud)

    def advance(self, leap: int) -> None:
        from infra.local.clock import advance

        advance(self.cloud, self.now + leap)

    def change(self) -> None:
        """Another plan from tomorrow, and a credit for a while."""
        begin = floor(self.now, QUARTER) + QUARTER
        credit = {
            "id": "one",
            "amount": "30",
            "effective_at": format_time(begin),
            "expires_at": format_time(begin + DAY),
        }
        plan = {"plan": "other", "plan_effective_at": format_time(begin + DAY)}
        for name in (each for each in self.names if each.startswith(("berlin", "utc"))):
            assert self.api.patch(f"/v1/customers/{name}", json=plan).status_code == 200
            assert self.api.post(f"/v1/customers/{name}/credits", json=credit).status_code == 201
            self.record.written += [{"id": name, **plan}, {"id": name, "credits": [credit]}]

    def post(self, batch: list[Json]) -> None:
        answer = self.api.post("/v1/events", json=batch)
        assert answer.status_code in (202, 400), answer.text
        self.record.take(batch, {"accepted": 0, **answer.json()})

    def stop_everything(self) -> None:
        """A stop for all that runs, so that what is told does not depend on when it is read."""
        now = self.now
        stops = [
            {
                "id": "the-end",
                "customer": name,
                "meter": session["meter"],
                "timestamp": now,
                "type": "stop",
                "dimensions": session["key"],
            }
            for name, expected in self.record.expected(now).items()
            for session in expected.told["sessions"]
            if session["end"] is None
        ]
        if stops:
            self.post(stops)

    def ask(self, path: str, query: Mapping[str, str]) -> tuple[int, Any]:
        answer = self.api.get(path, params=dict(query))
        return answer.status_code, answer.json()

    def check(self, random: Random, *, ended: bool) -> None:
        """Lay both beside each other, once everything has arrived."""
        from infra.local.clock import wait_until_quiet

        wait_until_quiet(self.cloud)
        for name, expected in self.record.expected(self.now, random).items():
            check_metering(self.ask, name, expected, random)
            if not name.startswith("free"):
                check_bills(self.ask, name, expected.told, ended=ended)
                check_ledger(self.ask, name)


@pytest.mark.parametrize("late", [False, True])
@seed(int(os.environ.get("SIMULATED_SEED", "1")))
@settings(
    max_examples=2,
    deadline=None,
    phases=[Phase.generate],
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data(), number=st.integers(0, 2**16))
def test_whatever_is_posted_to_a_deployment_is_what_the_pure_function_makes_of_it(
    moving: "Cloud", late: bool, data: st.DataObject, number: int
) -> None:
    """`late`: periods are closed and invoiced between the requests, and what comes for them then is an adjustment."""
    chance = Random(number)  # noqa: S311 - what it does can be repeated
    with moving.api() as api:
        deployment = Deployment(moving, api)
        deployment.change()
        for _ in range(2):
            batch = data.draw(st.lists(events(deployment.names, deployment.now), min_size=10, max_size=40))
            batch += [data.draw(amended(each)) for each in chance.sample(batch, 5)] + [data.draw(spoilt(batch[0]))]
            batch += chance.sample(batch, 5)
            chance.shuffle(batch)
            for first in range(0, len(batch), 13):
                deployment.post(batch[first : first + 13])
            if late:
                deployment.advance(data.draw(leaps))
        deployment.advance(5 * MINUTE)  # what was ahead of the clock has come
        deployment.stop_everything()
        deployment.advance(data.draw(leaps))
        deployment.check(chance, ended=not late)
