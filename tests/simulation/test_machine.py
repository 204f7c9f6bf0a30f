"""A running system and the pure function, kept apart for as long as they can: they say the same to the last digit."""

import os
from random import Random

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from metering.times import DAY, HOUR, MINUTE, QUARTER, floor, format_time
from tests.simulation.catalogue import Json
from tests.simulation.happenings import BEGINNINGS, NAMES, amended, events, spoilt, steps
from tests.simulation.world import World

seeds = st.integers(0, 2**16)


def chance(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - what it does can be repeated


crashes = st.none() | st.integers(0, 12)


class Differential(RuleBasedStateMachine):
    """Whatever happens in whatever order: once it has arrived, both say the same."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[Json] = []
        self.changed: set[tuple[str, str]] = set()

    @initialize(begin=st.sampled_from(BEGINNINGS))
    def begin(self, begin: int) -> None:
        self.world = World(begin)

    @rule(data=st.data(), writes_left=crashes, answer_lost=st.booleans())
    def post(self, data: st.DataObject, writes_left: int | None, answer_lost: bool) -> None:
        batch = data.draw(st.lists(events(self.world.now), min_size=1, max_size=6))
        self.sent += batch
        if data.draw(st.integers(0, 5)) == 0:
            batch.append(data.draw(spoilt(batch[0])))
        self.world.post(batch, writes_left, answer_lost=answer_lost)

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def amend(self, data: st.DataObject) -> None:
        batch = data.draw(st.lists(st.sampled_from(self.sent[-20:]).flatmap(amended), min_size=1, max_size=3))
        self.sent += batch
        self.world.post(batch)

    @rule(seed=seeds, writes_left=crashes, answer_lost=st.booleans())
    def deliver_something(self, seed: int, writes_left: int | None, answer_lost: bool) -> None:
        self.world.survive(lambda: self.world.deliver_something(chance(seed)), writes_left, answer_lost=answer_lost)

    @rule(seed=seeds, writes_left=crashes, answer_lost=st.booleans())
    def deliver_everything(self, seed: int, writes_left: int | None, answer_lost: bool) -> None:
        self.world.survive(lambda: self.world.street.flow(chance(seed)), writes_left, answer_lost=answer_lost)

    @rule(data=st.data())
    def time_passes(self, data: st.DataObject) -> None:
        self.world.street.now += data.draw(steps(self.world.now))

    @rule(writes_left=crashes)
    def a_minute_strikes(self, writes_left: int | None) -> None:
        self.world.survive(self.world.street.minute, writes_left)

    @rule(seed=seeds, writes_left=crashes)
    def an_hour_strikes(self, seed: int, writes_left: int | None) -> None:
        self.world.street.flow(chance(seed))  # nothing is under way for longer than the grace
        self.world.survive(self.world.street.hour, writes_left)

    @rule(
        name=st.sampled_from([name for name in NAMES if name != "free"]),
        quarters=st.integers(-9, 99),
        lasting=st.sampled_from([None, QUARTER, 3 * DAY]),
        writes_left=crashes,
    )
    def grant(self, name: str, quarters: int, lasting: int | None, writes_left: int | None) -> None:
        begin = floor(self.world.now, QUARTER) + quarters * QUARTER
        credit: Json = {"id": f"credit-{len(self.world.written)}", "amount": "30", "effective_at": format_time(begin)}
        if lasting is not None:
            credit["expires_at"] = format_time(max(begin, floor(self.world.now, QUARTER)) + lasting)
        self.world.grant(name, credit, writes_left)

    @rule(name=st.sampled_from(NAMES), ahead=st.integers(20 * MINUTE, 5 * DAY))
    def end(self, name: str, ahead: int) -> None:
        if (name, "ends_at") not in self.changed:
            self.changed.add((name, "ends_at"))
            self.world.patch(name, {"ends_at": format_time(floor(self.world.now + ahead, QUARTER))})

    @rule(name=st.sampled_from(["berlin", "utc"]), ahead=st.integers(0, 5 * DAY))
    def change_plan(self, name: str, ahead: int) -> None:
        if (name, "plan") not in self.changed:
            self.changed.add((name, "plan"))
            at = format_time(floor(self.world.now + QUARTER + ahead, QUARTER))
            self.world.patch(name, {"plan": "other", "plan_effective_at": at})

    @rule(seed=seeds)
    def agree(self, seed: int) -> None:
        self.world.check(chance(seed))

    def teardown(self) -> None:
        if hasattr(self, "world"):
            try:
                self.world.check(chance(0))
                self.world.street.now += HOUR
                self.world.check()
            finally:
                self.world.close()


class Punctual(RuleBasedStateMachine):
    """Where the clock stands at each event's time as it is posted, both also move the wallet alike."""

    world: World

    @initialize(begin=st.sampled_from(BEGINNINGS))
    def begin(self, begin: int) -> None:
        self.world = World(begin)

    @rule(data=st.data(), seed=seeds)
    def post(self, data: st.DataObject, seed: int) -> None:
        now = self.world.now
        self.world.post(data.draw(st.lists(events(now, at=now), min_size=1, max_size=6)))
        self.world.street.flow(chance(seed))

    @rule(data=st.data())
    def time_passes(self, data: st.DataObject) -> None:
        self.world.street.now += data.draw(steps(self.world.now))

    @rule(hour=st.booleans())
    def the_schedule_strikes(self, hour: bool) -> None:
        (self.world.street.hour if hour else self.world.street.minute)()

    @rule(
        name=st.sampled_from([name for name in NAMES if name != "free"]),
        quarters=st.integers(1, 99),
        lasting=st.sampled_from([None, QUARTER, 3 * DAY]),
        amount=st.sampled_from(["1", "30", "500"]),
        priority=st.sampled_from([50, 50, 10]),
    )
    def grant(self, name: str, quarters: int, lasting: int | None, amount: str, priority: int) -> None:
        begin = floor(self.world.now, QUARTER) + quarters * QUARTER
        credit: Json = {"id": f"credit-{len(self.world.written)}", "amount": amount, "effective_at": format_time(begin)}
        if lasting is not None:
            credit["expires_at"] = format_time(begin + lasting)
        self.world.grant(name, credit | {"priority": priority})

    @rule(seed=seeds)
    def agree(self, seed: int) -> None:
        self.world.check(chance(seed), money=True)

    def teardown(self) -> None:
        if hasattr(self, "world"):
            try:
                self.world.check(chance(0), money=True)
            finally:
                self.world.close()


def run(machine: type[RuleBasedStateMachine], lives: int, moves: int, *, same: bool) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=lives,
            stateful_step_count=moves,
            deadline=None,
            derandomize=same,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


MACHINES = [Differential, Punctual]


@pytest.mark.parametrize("machine", MACHINES)
def test_a_short_life_of_the_running_system_and_the_pure_function_agree(machine: type[RuleBasedStateMachine]) -> None:
    run(machine, 8, 12, same=True)


@pytest.mark.deep
@pytest.mark.parametrize("machine", MACHINES)
def test_a_thousand_steps_and_more_find_no_difference(machine: type[RuleBasedStateMachine]) -> None:
    run(machine, int(os.environ.get("SIMULATED_LIVES", "50")), 40, same=False)
