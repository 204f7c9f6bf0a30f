"""`taximeter replay`: whatever became of the windows, they are what their events say afterwards."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from adapters.items import Item, Put
from handlers import _door, _live, aggregate
from metering.times import DAY, HOUR, parse_duration
from metering.window_items import pack_slots
from metering.windows import Tally as Used
from taximeter.command import main
from taximeter.replaying import place as places
from taximeter.replaying.command import asked_of
from taximeter.replaying.place import Place
from taximeter.replaying.progress import Progress, Tally
from taximeter.replaying.run import Replay
from tests.handlers.street import NOW, Street, edge, used

DAMAGE = pack_slots({(NOW - HOUR, (("provider", "aws"),)): Used(events=7, quantity=Used().quantity + 700)})


@dataclass
class Bench:
    """A street as a deployment with AWS credentials sees it.

    Attributes:
        calls: how many times aggregate was called, and with how many records each.
        fails: makes the call of this number fail.
    """

    street: Street
    folder: Path
    calls: list[int] = field(default_factory=list)
    fails: int | None = None
    runs: int = 0

    @property
    def place(self) -> Place:
        street = self.street
        return Place(
            catalog=street.catalog,
            events=street.events,
            raw_events=street.raw_events,
            events_table=street.table("Events"),
            usage_table=street.table("Usage"),
            outbox=street.outbox,
            scan=street.tables["Events"].scan,
            aggregate=self.aggregate,
            now=street.now,
            accept_past=parse_duration("35d"),
        )

    def aggregate(self, event: Any) -> str | None:
        self.calls.append(len(event["Records"]))
        if len(self.calls) == self.fails:
            return "it is down"
        aggregate.handler(json.loads(json.dumps(event)), None)
        return None

    def replay(
        self, since: str = "2026-11-20", until: str = "2026-11-21", customer: str = "", meter: str = "", **more: Any
    ) -> Tally:
        self.runs += 1
        asked = asked_of(self.place, since, until, customer, meter, **more)
        progress = Progress(self.folder, [since, until, customer, meter])
        run = f"run-{self.runs}"
        return Replay(self.place, asked, progress, run, concurrency=1, sleep=lambda _: self.street.flow()).run()

    def windows(self) -> dict[str, tuple[Any, ...]]:
        """What is kept, without versions: what replaying must restore."""
        kinds = ("window", "open", "day", "late", "minute")
        return {
            f"{item['pk']!s} {item['sk']!s}": (item.get("data"), item.get("chunks"))
            for item in self.street.items("Usage", *kinds)
            if "ttl" not in item
        }

    def damage(self, sort: str, customer: str = "acme") -> None:
        """Change what a window says, and nothing else of it."""
        table = self.street.table("Usage")
        item = table.get(customer, sort)
        assert item is not None
        table.put(Put({**item, "data": DAMAGE}))
        for stream in self.street.streams.values():
            stream.clear()

    def lose(self, sort: str, customer: str = "acme") -> None:
        self.street.table("Usage").delete(customer, sort)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bench:
    street = Street()
    monkeypatch.setattr(_door.metrics.provider, "namespace", "Taximeter")
    monkeypatch.setattr(_live, "live", street)
    street.prepare()
    return Bench(street, tmp_path)


HOUR_OF_USE = "hour#2026-11-20T15#requests"


def test_a_damaged_window_is_right_again_and_doing_it_twice_changes_nothing(bench: Bench) -> None:
    bench.street.post(used("a", 1, "2"), used("b", 20, "3"))
    bench.street.flow()
    right = bench.windows()
    bench.damage(HOUR_OF_USE)
    assert bench.windows() != right

    first = bench.replay()
    assert bench.windows() == right
    assert (first.hours, first.changed, first.windows) == (1, 1, (f"acme {HOUR_OF_USE}",))
    second = bench.replay()
    assert (second.hours, second.changed) == (1, 0)
    assert bench.windows() == right


def test_a_lost_window_comes_back_and_hours_without_anything_get_none(bench: Bench) -> None:
    bench.street.post(used("a", 1, "2"))
    bench.street.flow()
    right = bench.windows()
    bench.lose(HOUR_OF_USE)
    assert bench.replay().changed == 1
    assert bench.windows() == right


def test_a_window_without_any_event_is_emptied(bench: Bench) -> None:
    bench.street.post(used("a", 1, "2"))
    bench.street.flow()
    item = bench.street.table("Usage").get("acme", HOUR_OF_USE)
    assert item is not None
    bench.street.table("Usage").put(Put({**item, "sk": "hour#2026-11-20T03#requests"}))
    bench.replay()
    query = {"customer": "acme", "meter": "requests", "window": "total"}
    assert bench.street.does("GET", "/v1/usage", query=query)["rows"][0]["quantity"] == "2"


def test_every_minute_of_a_heavy_hour_is_folded_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aggregate, "_LIGHT_BYTES", 1_000)
    for minute in range(0, 60, 2):
        bench.street.post(*(used(f"{minute}-{number}", minute, "1.5") for number in range(10)))
    bench.street.flow()
    (head,) = bench.street.items("Usage", "window")
    assert head["minutes"] == "inside"
    right = bench.windows()
    bench.damage(HOUR_OF_USE)
    bench.replay()
    assert bench.windows() == right
    assert bench.calls == [60]
    bench.street.post(used("late", 3, "1"))
    bench.street.flow()
    (head,) = bench.street.items("Usage", "window")
    assert head["minutes"] == "apart"
    right = bench.windows()
    bench.damage("by-minute#requests#2026-11-20T15:04")
    bench.damage("by-minute#requests#2026-11-20T15:58")
    bench.replay()
    assert {name: bench.windows()[name] for name in right} == right
    assert bench.calls == [60, 60]


def test_a_day_that_is_kept_as_a_whole_is_right_again(bench: Bench) -> None:
    bench.street.post(*(used(f"{hour}", timestamp=NOW - 3 * DAY + hour * HOUR, value="2") for hour in range(4)))
    bench.street.flow()
    bench.street.minute()
    right = bench.windows()
    bench.damage("day#2026-11-17#requests")
    tally = bench.replay("2026-11-17", "2026-11-18")
    assert bench.windows() == right
    assert tally.windows == ("acme day#2026-11-17#requests",)


def test_sessions_are_paired_again_by_pokes_and_their_windows_are_right_again(bench: Bench) -> None:
    bench.street.post(edge("start", -90), edge("stop", 30), edge("start", 5, vm="2"), edge("stop", 2, vm="3"))
    bench.street.flow()
    right = bench.windows()
    bench.damage("hour#2026-11-20T13#runtime")
    bench.damage("hour#2026-11-20T15#runtime")
    tally = bench.replay()
    assert bench.windows() == right
    assert (tally.sessions, tally.unanswered) == (3, 0)
    assert bench.replay().changed == 0


def test_a_fact_that_is_wrong_is_superseded(bench: Bench) -> None:
    bench.street.post(edge("start", 5), edge("stop", 30))
    bench.street.flow()
    right = bench.windows()
    items = bench.street.tables["Events"].all()
    late = [item for item in items if item["kind"] == "edge" and "stop" in str(item["sk"])]
    for item in late:  # as if pair had never seen the stop
        bench.street.table("Events").delete(str(item["pk"]), str(item["sk"]))
    bench.replay()
    assert bench.windows() != right
    for item in late:
        bench.street.table("Events").put(Put(item))
    bench.street.streams["pair"].clear()
    assert bench.replay().changed > 0
    assert bench.windows() == right


def test_edges_that_were_never_paired_are_found_by_a_scan_alone(bench: Bench) -> None:
    bench.street.post(edge("start", 5), edge("stop", 30))
    bench.street.flow()
    right = bench.windows()
    bench.street.tables["Events"]._items.clear()
    bench.street.tables["Events"]._partitions.clear()
    bench.street.tables["Usage"]._items.clear()
    bench.street.tables["Usage"]._partitions.clear()
    bench.street.post(edge("start", 5), edge("stop", 30))
    for stream in bench.street.streams.values():
        stream.clear()

    assert bench.replay().hours == 0
    assert bench.windows() == {}
    assert bench.replay(scan=True).edges == 2
    bench.street.flow()
    assert bench.windows() == right


def bare(of: dict[str, Any]) -> dict[str, Any]:
    """A void that says no more than which edge it is."""
    identity = {name: of[name] for name in ("id", "customer", "meter", "timestamp")}
    return identity | {"void": True, "revision": 1}


def test_a_void_that_was_lost_on_its_way_to_its_edge_is_brought_there_again(bench: Bench) -> None:
    bench.street.post(edge("start", 5), edge("stop", 30), bare(edge("start", 5)))
    bench.street.flow()
    right = bench.windows()
    table = bench.street.tables["Events"]
    places = [(str(item["pk"]), str(item["sk"])) for item in table.all() if item["kind"] == "edge"]
    (lost,) = [(pk, sk) for pk, sk in places if "#~" not in pk and f"#{1:016d}#" in sk]
    table.delete(*lost)
    tally = bench.replay()
    assert table.get(*lost)
    assert (tally.unanswered, bench.windows()) == (0, right)


@pytest.mark.parametrize(("minutes", "scan"), [(5, False), (30, True)])
def test_a_void_that_was_never_paired_is_found_beside_a_start_and_else_by_a_scan(
    bench: Bench, minutes: int, scan: bool
) -> None:
    edges = {5: edge("start", 5), 30: edge("stop", 30)}
    bench.street.post(*edges.values())
    bench.street.flow()
    right = bench.windows()
    bench.street.post(bare(edges[minutes]))
    bench.street.streams["pair"].clear()
    assert bench.replay().changed == (not scan)
    bench.replay(scan=scan)
    bench.street.flow()
    assert bench.windows() != right
    rows = bench.street.does("GET", "/v1/events", query={"customer": "acme", "meter": "runtime"})["rows"]
    assert [row["id"] for row in rows if row["status"] == "void"] == [edges[minutes]["id"]]


def test_only_what_is_asked_for_is_replayed(bench: Bench) -> None:
    bench.street.does("PUT", "/v1/customers/other", {"plan": "serverless"})
    bench.street.post(used("a", 1), used("b", 1, customer="other"), edge("start", 1), edge("stop", 2))
    bench.street.flow()
    assert bench.replay(customer="acme", meter="requests").hours == 1
    assert bench.replay(meter="requests").customers == 2
    assert bench.replay(until="2026-11-20T15:00:00Z").hours == 0
    assert bench.replay(since="2026-11-20T15:30:00Z", until="2026-11-20T15:45:00Z").hours == 3


def test_an_interrupted_replay_goes_on_where_it_was(bench: Bench) -> None:
    for number in range(5):
        bench.street.does("PUT", f"/v1/customers/c{number}", {"plan": "serverless"})
        bench.street.post(used("a", 1, customer=f"c{number}"), used("b", -1440, customer=f"c{number}"))
    bench.street.flow()
    right = bench.windows()
    for number in range(5):
        bench.damage(HOUR_OF_USE, f"c{number}")
        bench.damage("hour#2026-11-19T15#requests", f"c{number}")
    bench.fails = 5
    with pytest.raises(RuntimeError, match="aggregate failed: it is down"):
        bench.replay("2026-11-19", "2026-11-21")
    assert len(list(bench.folder.iterdir())) == 1
    before = len(bench.calls)
    tally = bench.replay("2026-11-19", "2026-11-21")
    assert (tally.customers, tally.hours, tally.changed) == (6, 10, 10)
    assert len(bench.calls) - before == 6
    assert bench.windows() == right
    assert not list(bench.folder.iterdir())


def test_what_cannot_be_processed_is_told(bench: Bench) -> None:
    bench.street.post(used("a", 1))
    bench.street.flow()
    (segment,) = bench.street.items("Events", "usage")
    damaged: Item = {**segment, "data": b"damaged"}
    bench.street.table("Events").put(Put(damaged))
    assert bench.replay().parked == 1
    assert len(bench.street.parked()) == 1


@pytest.mark.parametrize(
    ("since", "until", "said"),
    [
        ("2026-10-02", "2026-11-20", "the earliest hour is 2026-10-02T16:00:00Z"),
        ("2026-11-20", "2026-11-20", "--from must lie before --to"),
        ("2026-12-01", "2026-12-02", "--from must lie before --to, and before now"),
        ("yesterday", "2026-11-20", "--from must be an RFC 3339 time"),
    ],
)
def test_an_interval_that_cannot_be_replayed_is_refused(bench: Bench, since: str, until: str, said: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        bench.replay(since, until)
    assert said in str(refused.value)


def test_the_oldest_hour_that_may_be_written_is_replayed(bench: Bench) -> None:
    assert asked_of(bench.place, "2026-10-02T16:00:00Z", "2026-11-21", "", "").start == NOW - 49 * DAY


@pytest.fixture
def command(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """The command on the street."""
    monkeypatch.setattr(places, "place_of", lambda _: bench.place)
    monkeypatch.setattr("taximeter.replaying.command.deployment", lambda *_: None)
    monkeypatch.chdir(bench.folder)
    words = ["replay", "--from", "2026-11-20", "--to", "2026-11-21", "--concurrency", "1"]
    return lambda *more: CliRunner().invoke(main, [*words, *more])


def test_the_command_tells_what_changed(bench: Bench, command: Callable[..., Any]) -> None:
    bench.street.post(used("a", 1, "2"))
    bench.street.flow()
    bench.damage(HOUR_OF_USE)
    done = command("--json")
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["hours"], told["changed"], told["windows"]) == (1, 1, [f"acme {HOUR_OF_USE}"])
    assert command().stdout == "1 customers · 1 hours · 0 sessions · 0 windows changed\n"
    assert "reads the whole Events table" in command("--scan").stderr
    assert "there is no customer 'nobody'" in command("--customer", "nobody").stderr
    assert "there is no meter 'none'" in command("--meter", "none").stderr


def test_what_was_interrupted_goes_on_though_the_hour_has_turned(bench: Bench, command: Callable[..., Any]) -> None:
    for number in range(60):  # more than are under way at a time
        bench.street.does("PUT", f"/v1/customers/c{number:02d}", {})
        bench.street.post(used("a", 1, customer=f"c{number:02d}"))
    bench.street.flow()
    bench.fails = 55
    ahead = ("--from", "2026-11-20", "--to", "2026-11-23")
    assert "the same command goes on from there" in command(*ahead).stderr
    bench.street.now += 3 * HOUR
    bench.street.post(used("b", 150))
    bench.street.flow()
    done = command(*ahead, "--json")
    assert "going on after" in done.stderr
    told = json.loads(done.stdout)
    assert (told["customers"], told["hours"], told["changed"]) == (61, 60, 0), "acme's new hour came after it began"
    assert len(bench.calls) < 55 + 60, "what was done is not done again"
    assert not list(bench.folder.iterdir())
    assert json.loads(command(*ahead, "--json").stdout)["hours"] == 61


def test_the_command_fails_when_something_could_not_be_processed(bench: Bench, command: Callable[..., Any]) -> None:
    bench.street.post(used("a", 1))
    bench.street.flow()
    (segment,) = bench.street.items("Events", "usage")
    bench.street.table("Events").put(Put({**segment, "data": b"damaged"}))
    done = command()
    assert (done.exit_code, "taximeter parked tells why" in done.stderr) == (3, True)


def test_what_is_remembered_of_another_kind_is_not_trusted(bench: Bench) -> None:
    progress = Progress(bench.folder, ["x"])
    progress.state.write_text('{"after": 7, "nonsense": true}', encoding="utf-8")
    assert Progress(bench.folder, ["x"]).tally == Tally()
