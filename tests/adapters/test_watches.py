"""What has to be looked at again though nothing arrives."""

import json

import pytest

from adapters.events import EdgeKey
from adapters.items import Table
from adapters.ledger import Ledger, shard_of
from adapters.watches import PATIENCE, SHARDS, Suspect, Watches, suspect_of
from billing.settlement import Announcement
from metering.packing import digest
from metering.times import DAY
from tests.billing.histories import START

KEY = EdgeKey("acme", "runtime", "ab" * 16, START - 5)
NAME = digest(b"odd")
SUSPECT = Suspect(KEY, NAME, START + PATIENCE)
NEWS = Announcement(f"anomaly-{NAME}", "session.anomaly", {"closed_by": "orphan"})
KEPT_UNTIL = START + 50 * DAY


def standing(table: Table, at: int) -> list[Suspect]:
    watches = Watches(table)
    keys = [key for shard in range(SHARDS) for key in watches.due_suspects(shard, at, 10)]
    return watches.suspects(keys)


def state(table: Table) -> str:
    item = table.get("acme", f"suspect#{NAME}")
    return str(item["state"]) if item else ""


def test_a_watch_is_listed_beside_the_wallets_when_it_is_due_until_it_goes(table: Table) -> None:
    watches, ledger, shard = Watches(table), Ledger(table), shard_of("acme")
    assert watches.of_customer("acme") is None
    watches.watch("acme", START + 5)
    watches.watch("acme", START)
    assert watches.of_customer("acme") == START
    assert ledger.due_wallets(shard, START - 1, 10) == ([], [])
    assert ledger.due_wallets(shard, START, 10) == ([], ["acme"])
    for _ in range(2):
        watches.watch("acme", None)
    assert ledger.due_wallets(shard, START, 10) == ([], [])


def test_a_suspect_is_due_once_it_has_stood_for_a_minute_and_suspecting_it_again_changes_nothing(table: Table) -> None:
    for later in (0, 5, PATIENCE, DAY):
        Watches(table).suspect(KEY, NAME, START + later, KEPT_UNTIL + later)
    assert standing(table, START + PATIENCE - 1) == []
    assert standing(table, START + PATIENCE) == [SUSPECT]


@pytest.mark.parametrize("news", [NEWS, None])
def test_a_suspect_is_concluded_once(table: Table, news: Announcement | None) -> None:
    watches = Watches(table)
    watches.suspect(KEY, NAME, START, KEPT_UNTIL)
    told = [watches.conclude(SUSPECT, news, START + later, KEPT_UNTIL) for later in (0, 5)]
    assert told == [news is not None, False]
    assert state(table) == ("announced" if news else "dissolved")
    assert standing(table, START + DAY) == []
    item = table.get("acme", f"outbox#anomaly-{NAME}")
    assert (item is not None) == (news is not None)
    assert item is None or json.loads(str(item["body"]))["closed_by"] == "orphan"


def test_only_what_dissolved_can_stand_again(table: Table) -> None:
    watches, again = Watches(table), Suspect(KEY, NAME, START + DAY + PATIENCE)
    watches.suspect(KEY, NAME, START, KEPT_UNTIL)
    watches.conclude(SUSPECT, None, START, KEPT_UNTIL)
    watches.suspect(KEY, NAME, START + DAY, KEPT_UNTIL)
    assert standing(table, START + 2 * DAY) == [again]
    assert not watches.conclude(SUSPECT, NEWS, START + DAY, KEPT_UNTIL)  # that was another time
    assert watches.conclude(again, NEWS, START + DAY, KEPT_UNTIL)
    watches.suspect(KEY, NAME, START + 2 * DAY, KEPT_UNTIL)
    assert state(table) == "announced"
    assert standing(table, START + 3 * DAY) == []


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (f"{SUSPECT.reason}-2026-11-20T16", (NAME, SUSPECT.due_at)),
        ("2026-11-20T16-i-1:start", None),
        ("2026-11-20T16-suspect-1-2", None),
        ("replay-ab12", None),
    ],
)
def test_a_poke_says_which_suspect_it_is_about(reason: str, expected: tuple[str, int] | None) -> None:
    assert suspect_of(reason) == expected
