"""What looks odd about sessions is announced when it has stood for a minute, once; never if it dissolved. Law 4.5."""

from contextlib import suppress
from random import Random
from typing import Any

import pytest

from adapters.watches import PATIENCE, SHARDS
from handlers import rate
from metering.times import DAY, HOUR, MINUTE, SECOND
from metering.windows import latest_sessions
from tests.handlers.street import NOW, Crash, Street, edge


def announced(street: Street) -> list[tuple[str, str]]:
    return sorted((news["event"], news["closed_by"]) for news in street.announced("session.anomaly"))


def states(street: Street) -> list[str]:
    return sorted(str(item["state"]) for item in street.items("Ledger", "suspect"))


def wait(street: Street, milliseconds: int = PATIENCE) -> None:
    street.now += milliseconds
    street.minute()


def shown(street: Street) -> list[str]:
    query = {"customer": "acme", "meter": "runtime", "status": "anomalous"}
    return sorted(row["id"] for row in street.does("GET", "/v1/sessions", query=query)["rows"])


ORPHAN, CUT = ("1:stop:35", "orphan"), ("1:start:40", "start")
ODD = [edge("stop", 35), edge("start", 40), edge("start", 50)]


def test_an_anomaly_is_shown_at_once_and_told_a_minute_later_once(street: Street) -> None:
    street.post(*ODD)
    records = list(street.streams["pair"])
    for _ in range(3):
        street.run("pair", records)
    street.flow()
    assert shown(street) == ["1:start:40", "1:stop:35"]
    wait(street, PATIENCE - SECOND)
    assert announced(street) == []
    assert states(street) == ["standing", "standing"]
    wait(street, SECOND)
    assert announced(street) == [CUT, ORPHAN]
    street.run("pair", records)
    for _ in range(3):
        wait(street, HOUR)
    assert announced(street) == [CUT, ORPHAN]
    assert states(street) == ["announced", "announced"]


@pytest.mark.parametrize(
    ("odd", "explained"),
    [
        ([edge("stop", 35)], edge("start", 5)),
        ([edge("start", 5), edge("start", 40)], edge("stop", 35)),
        ([edge("start", -420)], edge("stop", -70)),
        ([edge("stop", 35)], edge("stop", 35, revision=1, void=True)),
        ([edge("start", 5), edge("start", 40)], edge("start", 5, revision=1, void=True)),
    ],
    ids=["a late start", "a late stop", "a stop before its longest duration", "no stop at all", "no start at all"],
)
def test_what_dissolves_within_the_minute_is_never_told(
    street: Street, odd: list[dict[str, Any]], explained: dict[str, Any]
) -> None:
    street.post(*odd)
    street.flow()
    assert states(street) == ["standing"]
    wait(street, PATIENCE - SECOND)
    street.post(explained)
    street.flow()
    for _ in range(3):
        wait(street, PATIENCE)
    assert announced(street) == []
    assert states(street) == ["dissolved"]
    assert shown(street) == []


def test_what_is_odd_again_after_it_dissolved_is_told(street: Street) -> None:
    street.post(edge("stop", 35))
    street.flow()
    street.post(edge("start", 5))
    street.flow()
    wait(street)
    assert announced(street) == []
    street.post(edge("start", 5, revision=1, void=True))
    street.flow()
    assert announced(street) == []
    wait(street)
    assert announced(street) == [ORPHAN]
    # What was told stays told, and is not told again.
    street.post(edge("start", 5, revision=2))
    street.flow()
    wait(street)
    street.post(edge("start", 5, revision=3, void=True))
    street.flow()
    for _ in range(3):
        wait(street, DAY)
    assert announced(street) == [ORPHAN]


@pytest.mark.parametrize("seed", range(6))
def test_a_stream_that_is_shuffled_and_repeated_tells_what_stands_once(street: Street, seed: int) -> None:
    random = Random(seed)  # noqa: S311 - a repeatable shuffle, no secret
    edges = [*ODD, *(edge(kind, at, "2") for kind, at in (("start", 1), ("stop", 2), ("start", 3), ("start", 4)))]
    random.shuffle(edges)
    for each in edges:
        street.post(each)
        if random.random() < 0.7:
            street.flow(random)
    street.flow(random)
    assert announced(street) == []
    for _ in range(3):
        street.now += PATIENCE
        street.minute()
    assert announced(street) == sorted([CUT, ORPHAN, ("2:start:3", "start")])


@pytest.mark.parametrize("written", range(9))
@pytest.mark.parametrize("answer_lost", [False, True])
def test_a_process_that_ends_while_it_suspects_or_tells_and_runs_again_tells_once(
    street: Street, written: int, answer_lost: bool
) -> None:
    def crash(work: Any) -> None:
        street.writes_left, street.answer_lost = written, answer_lost
        with suppress(Crash):
            work()
        street.writes_left = None
        street.flow()

    street.post(*ODD)
    crash(street.flow)
    street.now += PATIENCE
    crash(street.minute)
    wait(street)
    assert announced(street) == [CUT, ORPHAN]


def test_a_poke_that_came_to_nothing_is_repeated_an_hour_later(street: Street) -> None:
    street.post(*ODD)
    street.flow()
    street.now += PATIENCE
    lost = 0
    for _ in range(3):  # the minute pokes, and what it writes never arrives
        rate.tick(street, street.now)
        street.deliver("RATE")
        lost += len(street.streams.pop("pair", []))
        street.now += MINUTE
    assert lost == 2
    assert announced(street) == []
    wait(street, HOUR)
    assert announced(street) == [CUT, ORPHAN]


def test_a_poke_that_is_handled_again_leaves_what_was_suspected_since(street: Street) -> None:
    street.post(edge("stop", 35))
    street.flow()
    street.post(edge("start", 5))
    street.flow()
    street.now += PATIENCE
    street.minute()
    poke = [item for item in street.items("Events", "poke") if "suspect" in str(item["sk"])]
    assert len(poke) == 1
    street.post(edge("start", 5, revision=1, void=True))
    street.flow()
    street.changed("Events", None, poke[0])
    street.flow()
    assert announced(street) == []
    assert states(street) == ["standing"]
    wait(street)
    assert announced(street) == [ORPHAN]


@pytest.mark.parametrize("poked", [False, True])
def test_a_stop_that_was_an_orphan_and_comes_again_with_its_start_is_none_any_longer(
    street: Street, poked: bool
) -> None:
    """It is told of as both then, until the poke about it has it looked at again."""
    street.post(edge("stop", 20))
    again = list(street.streams["pair"])
    street.flow()
    street.post(edge("start", 5))
    street.now += PATIENCE
    if poked:  # which comes with the two of them, if the stream is read again from where the stop is
        rate.tick(street, street.now)
        street.deliver("RATE")
    street.streams["pair"] = again + street.streams["pair"]
    street.flow()
    assert shown(street) == []
    street.minute()
    assert shown(street) == []
    assert announced(street) == []
    told = latest_sessions(street.raw_events.facts("acme", "runtime", NOW - HOUR))
    assert {each.closed_by for each in told} == {"stop", "void"}


def test_an_ordinary_session_is_never_suspected(street: Street) -> None:
    before = street.tables["Ledger"].all()
    for minutes in range(0, 50, 10):
        for each in (edge("start", minutes), edge("stop", minutes + 5)):
            street.post(each)
            street.run("pair", street.streams.pop("pair"))
    assert street.tables["Ledger"].all() == before


def test_what_is_told_is_counted_by_its_kind(street: Street, capsys: pytest.CaptureFixture[str]) -> None:
    street.post(*ODD, edge("start", -420, "2"))
    street.flow()
    assert "SessionsCut" not in capsys.readouterr().out
    wait(street)
    written = capsys.readouterr().out
    for metric in ("OrphanStops", "SessionsCutByAStart", "SessionsCutByTheirDuration"):
        assert written.count(f'"{metric}":[1') == 1


def test_suspects_are_spread_over_their_shards(street: Street) -> None:
    street.post(*(edge("stop", 35, f"m{number}") for number in range(40)))
    street.flow()
    found = [len(street.watches.due_suspects(shard, NOW + PATIENCE, 100)) for shard in range(SHARDS)]
    assert sum(found) == 40
    assert all(found)
