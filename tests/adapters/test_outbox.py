"""The outbox, and what could not be processed."""

import json

from adapters.items import Put
from adapters.outbox import Outbox, announced_at, outbox_item
from billing.settlement import Announcement
from metering.times import DAY
from tests.adapters.conftest import Bench
from tests.billing.histories import START

NEWS = Announcement("n-1", "session.anomaly", {"closed_by": "start", "ü": None})


def test_the_same_thing_is_announced_once(bench: Bench) -> None:
    outbox = Outbox(bench.table)
    for later in (0, 5, DAY):
        outbox.announce("acme", NEWS, START + later)
    assert bench.changes() == 1
    item = bench.table.get("acme", "outbox#n-1")
    assert item == outbox_item("acme", NEWS, START)
    assert json.loads(str(item["body"])) == {"id": "n-1", "customer": "acme", "closed_by": "start", "ü": None}
    assert item["ttl"] == (START + 7 * DAY) // 1000


def test_what_is_about_no_customer_says_none_and_when_it_was_announced_is_known(bench: Bench) -> None:
    item = outbox_item(None, NEWS, START + 999)
    bench.table.put(Put(item))
    assert bench.table.get("operator#", "outbox#n-1") == item
    assert json.loads(str(item["body"])) == {"id": "n-1", "closed_by": "start", "ü": None}
    assert announced_at(item) == START


def test_a_record_that_was_parked_keeps_its_payload_until_it_is_redriven(bench: Bench) -> None:
    outbox = Outbox(bench.table)
    record = {"dynamodb": {"NewImage": {"data": {"B": "AA=="}}}, "é": [1, None]}
    outbox.park("acme", "pair", record, "damaged", START)
    outbox.park("acme", "pair", record, "damaged", START)
    outbox.park("other", "rate", {"customer": "other"}, "why", START + 1)
    assert bench.changes() == 2
    (item,) = outbox.parked("acme")
    assert json.loads(str(item["record"])) == record
    assert (item["function"], item["reason"], item["parked_at"]) == ("pair", "damaged", START)
    assert sorted(str(each["pk"]) for each in outbox.all_parked(START + 1)) == ["acme", "other"]
    outbox.unpark(item)
    assert outbox.parked("acme") == []
    assert [each["pk"] for each in outbox.all_parked(START + 1)] == ["other"]
