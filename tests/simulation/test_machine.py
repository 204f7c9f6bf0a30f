"""A running system and the pure function, kept apart for as long as they can: they say the same to the last digit."""

import os
import sys
from random import Random
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from metering.times import DAY, HOUR, MINUTE, QUARTER, floor, format_time
from tests.simulation.catalogue import Json
from tests.simulation.happenings import BEGINNINGS, NAMES, amended, events, spoilt, steps
from tests.simulation.world import World

seeds = st.integers(0, 2**16)
few = st.lists(st.sampled_from(NAMES), min_size=1, max_size=2)
PAYING_BY_MONTH = ["berlin", "utc"]
crashes = st.none() | st.integers(0, 12)
lasting = st.sampled_from([None, QUARTER, 3 * DAY])


def chance(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - what it does can be repeated


class Life(RuleBasedStateMachine):
    """What happens to every running system: time passes, plans change and credits are given.

    Attributes:
        steps_agreed: the steps of all lives to whose end both said the same.
    """

    steps_agreed: ClassVar[int] = 0
    money: ClassVar[bool] = False
    world: World
    names: list[str]

    def __init__(self) -> None:
        super().__init__()
        self.changed: set[tuple[str, str]] = set()
        self.steps_taken = 0

    def begin(self, begin: int, names: list[str], cramped: bool) -> None:
        self.world, self.names = World(begin, cramped=cramped), names

    @invariant()
    def a_step_is_counted(self) -> None:
        self.steps_taken += 1

    @rule(data=st.data())
    def time_passes(self, data: st.DataObject) -> None:
        self.world.street.now += data.draw(steps(self.world.now))

    def change_plan(self, name: str, ahead: int) -> None:
        """Change the plan of a customer from some instant ahead, once."""
        if (name, "plan") not in self.changed:
            self.changed.add((name, "plan"))
            at = format_time(floor(self.world.now + QUARTER + ahead, QUARTER))
            self.world.patch(name, {"plan": "other", "plan_effective_at": at})

    @rule(seed=seeds)
    def agree(self, seed: int) -> None:
        self.world.check(chance(seed), money=self.money)

    def give(self, name: str, begin: int, lasts: int | None, writes_left: int | None = None, **credit: object) -> None:
        """Grant a credit; who has no currency cannot have one."""
        if name == "free":
            return
        credit |= {"id": f"credit-{len(self.world.record.written)}", "effective_at": format_time(begin)}
        if lasts is not None:
            credit["expires_at"] = format_time(max(begin, floor(self.world.now, QUARTER)) + lasts)
        self.world.grant(name, credit, writes_left)

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            if sys.exc_info()[0] is None:  # else the step that failed is what is to be told
                self.agree_at_the_end()
                type(self).steps_agreed += self.steps_taken
        finally:
            self.world.close()

    def agree_at_the_end(self) -> None:
        self.world.check(chance(0), money=self.money)


class Differential(Life):
    """Whatever happens in whatever order: once it has arrived, both say the same."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[Json] = []

    @initialize(begin=st.sampled_from(BEGINNINGS), names=few, cramped=st.booleans())
    def begin_anywhere(self, begin: int, names: list[str], cramped: bool) -> None:
        self.begin(begin, names, cramped)

    @rule(data=st.data(), writes_left=crashes, answer_lost=st.booleans(), repeated=st.booleans())
    def post(self, data: st.DataObject, writes_left: int | None, answer_lost: bool, repeated: bool) -> None:
        batch = data.draw(st.lists(events(self.names, self.world.now), min_size=1, max_size=6))
        self.sent += batch
        if data.draw(st.integers(0, 5)) == 0:
            batch.append(data.draw(spoilt(batch[0])))
        self.world.post(batch + batch[-2:] if repeated else batch, writes_left, answer_lost=answer_lost)

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

    @rule(writes_left=crashes)
    def a_minute_strikes(self, writes_left: int | None) -> None:
        self.world.survive(self.world.street.minute, writes_left)

    @rule(seed=seeds, writes_left=crashes)
    def an_hour_strikes(self, seed: int, writes_left: int | None) -> None:
        self.world.street.flow(chance(seed))  # nothing is under way for longer than the grace
        self.world.survive(self.world.street.hour, writes_left)

    @rule(data=st.data(), quarters=st.integers(-9, 99), lasts=lasting, writes_left=crashes)
    def grant(self, data: st.DataObject, quarters: int, lasts: int | None, writes_left: int | None) -> None:
        begin = floor(self.world.now, QUARTER) + quarters * QUARTER
        self.give(data.draw(st.sampled_from(self.names)), begin, lasts, writes_left, amount="30")

    @rule(name=st.sampled_from(PAYING_BY_MONTH), ahead=st.integers(0, 5 * DAY))
    def plan_changes(self, name: str, ahead: int) -> None:
        self.change_plan(name, ahead)

    @rule(data=st.data(), ahead=st.integers(20 * MINUTE, 5 * DAY))
    def end(self, data: st.DataObject, ahead: int) -> None:
        name = data.draw(st.sampled_from(self.names))
        if (name, "ends_at") not in self.changed:
            self.changed.add((name, "ends_at"))
            self.world.patch(name, {"ends_at": format_time(floor(self.world.now + ahead, QUARTER))})

    def agree_at_the_end(self) -> None:
        super().agree_at_the_end()
        self.world.street.now += HOUR
        self.world.check()


class Punctual(Life):
    """Where the clock stands at each event's time as it is posted, both also move the wallet alike."""

    money = True

    @initialize(begin=st.sampled_from(BEGINNINGS), names=few, cramped=st.booleans(), ahead=st.integers(0, 5 * DAY))
    def begin_with_a_change_ahead(self, begin: int, names: list[str], cramped: bool, ahead: int) -> None:
        """A change of plan is known from the beginning: it shortens a period, of which a credit may have paid."""
        self.begin(begin, names, cramped)
        for name in set(PAYING_BY_MONTH) & set(names):
            self.change_plan(name, ahead)

    @rule(data=st.data(), seed=seeds, repeated=st.booleans())
    def post(self, data: st.DataObject, seed: int, repeated: bool) -> None:
        # The minutes before have struck: else an hour that has passed is paid for when its last window has come.
        self.world.settle()
        now = self.world.now
        batch = data.draw(st.lists(events(self.names, now, at=now), min_size=1, max_size=6))
        self.world.post(batch + batch[-2:] if repeated else batch)
        self.world.street.flow(chance(seed))

    @rule(data=st.data(), until_then=st.sampled_from([HOUR, 3 * HOUR]), last=st.sampled_from(["40", "90", "200"]))
    def owe_less_and_more_again(self, data: st.DataObject, until_then: int, last: str) -> None:
        """What a credit paid that has ended since comes back, and is drawn again."""
        name = data.draw(st.sampled_from(self.names))
        begin = floor(self.world.now, QUARTER) + QUARTER
        self.give(name, begin, QUARTER, amount="500")
        self.world.street.now = begin
        for value, leap in (("100", until_then), ("-90", HOUR), (last, 0)):
            self.world.settle()
            self.world.post(
                [
                    {
                        "id": f"swing-{value}",
                        "customer": name,
                        "meter": "requests",
                        "timestamp": self.world.now,
                        "value": value,
                    }
                ]
            )
            self.world.settle()
            self.world.street.now += leap

    @rule(hour=st.booleans())
    def the_schedule_strikes(self, hour: bool) -> None:
        (self.world.street.hour if hour else self.world.street.minute)()

    @rule(
        data=st.data(),
        quarters=st.integers(1, 99),
        lasts=lasting,
        amount=st.sampled_from(["1", "30", "500"]),
        priority=st.sampled_from([50, 50, 10]),
    )
    def grant(self, data: st.DataObject, quarters: int, lasts: int | None, amount: str, priority: int) -> None:
        begin = floor(self.world.now, QUARTER) + quarters * QUARTER
        self.give(data.draw(st.sampled_from(self.names)), begin, lasts, amount=amount, priority=priority)


def run(machine: type[Life], number: int, lives: int, moves: int) -> int:
    """Live the lives of a number, of so many steps at most; returns how many steps both agreed about.

    The same number gives the same lives, so that nothing fails for a life that nobody can see again.
    """
    machine.steps_agreed = 0
    run_state_machine_as_test(
        seed(number)(machine),
        settings=settings(
            max_examples=lives,
            stateful_step_count=moves,
            deadline=None,
            database=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        ),
    )
    return machine.steps_agreed


MACHINES = [Differential, Punctual]


@pytest.mark.parametrize("machine", MACHINES)
def test_a_short_life_of_the_running_system_and_the_pure_function_agree(machine: type[Life]) -> None:
    assert run(machine, 0, 5, 12) >= 32


@pytest.mark.deep
@pytest.mark.parametrize("machine", MACHINES)
def test_a_thousand_steps_and_more_find_no_difference(machine: type[Life]) -> None:
    """Lives of forty steps at most, most of which come to that; the two machines make 1,000 and more of them.

    `SIMULATED_SEED` gives other lives than those of every run, and `SIMULATED_LIVES` says how many.
    """
    number, lives = int(os.environ.get("SIMULATED_SEED", "1")), int(os.environ.get("SIMULATED_LIVES", "20"))
    steps_agreed = run(machine, number, lives, 40)
    print(f"{machine.__name__}: {steps_agreed} steps of the lives of {number}")  # noqa: T201 - what the run was worth
    assert steps_agreed >= 20 * lives
