"""Every sample under events/<function>/ is given to its function, which does what the sample's name promises."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapters.items import from_wire
from handlers import (
    aggregate,
    alert,
    api,
    authorize,
    collect,
    ingest,
    invoice,
    notify,
    pair,
    rate,
    relay,
    stripe_events,
    stripe_webhook,
    top_up,
)
from tests.handlers.street import NOW, Street
from tests.infra.local.stripe.in_process import InProcess

ROOT = Path(__file__).parents[2] / "events"
SAMPLES = {f"{path.parent.name}/{path.stem}": path for path in sorted(ROOT.glob("*/*.json"))}
MODULES: dict[str, Any] = {
    "aggregate": aggregate,
    "alert": alert,
    "api": api,
    "authorize": authorize,
    "collect": collect,
    "ingest": ingest,
    "invoice": invoice,
    "notify": notify,
    "pair": pair,
    "rate": rate,
    "relay": relay,
    "stripe_events": stripe_events,
    "stripe_webhook": stripe_webhook,
    "top_up": top_up,
}
Check = Callable[[Street, Any], bool]


def status(code: int, word: str = "") -> Check:
    return lambda _, answer: answer["statusCode"] == code and word in str(answer.get("body"))


def wrote(table: str, kind: str, number: int) -> Check:
    return lambda street, _: len(street.items(table, kind)) == number and not street.parked()


def parked(function: str) -> Check:
    return lambda street, _: [item["function"] for item in street.parked()] == [function]


def queued(queue: str, number: int = 1) -> Check:
    return lambda street, _: len(street.queues[queue]) == number


def announced(*kinds: str) -> Check:
    return lambda street, _: sorted(entry["DetailType"] for entry in street.bus_entries) == sorted(kinds)


def asks_stripe(*calls: str) -> Check:
    """Nothing comes of what Stripe says that is none of ours."""

    def asked(street: Street, _: Any) -> bool:
        assert street.stand_in
        made = [each["endpoint"] for each in street.stand_in.read("requests")["data"]]
        return made == list(calls) and not street.parked("unknown")

    return asked


PROMISES: dict[str, Check] = {
    "aggregate/damaged": parked("aggregate"),
    "aggregate/facts": wrote("Usage", "window", 1),
    "aggregate/put_off": wrote("Usage", "window", 1),
    "aggregate/segment": wrote("Usage", "window", 1),
    "alert/balance_low": lambda street, _: street.queues["topic"] == ["Balance low: acme"],
    "alert/endpoint_disabled": lambda street, _: street.queues["topic"] == ["Webhook endpoint disabled: hooks"],
    "api/balance": status(200, '"balance":"0"'),
    "api/forbidden": status(403, '"forbidden"'),
    "api/grant_credit": status(201, '"remaining":"20"'),
    "api/health": status(200, "ok"),
    "api/make_webhook_endpoint": status(201, '"secret":"whsec_'),
    "api/put_customer": status(200, '"name":"Acme"'),
    "api/put_meter": status(200, '"requests"'),
    "api/usage": status(200, '"rows":[]'),
    "api/webhook_endpoint_within": status(400, '"pointer":"/url"'),
    "authorize/known_key": lambda _, answer: answer["isAuthorized"] and "read" in answer["context"]["scopes"],
    "authorize/sending_events": lambda _, answer: answer["isAuthorized"],
    "authorize/unknown_key": lambda _, answer: answer == {"isAuthorized": False},
    "collect/card_added": lambda street, _: not street.parked() and not street.queues["COLLECT"],
    "collect/finalized": parked("collect"),
    "collect/refunded": asks_stripe("GET /v1/invoice_payments"),
    "collect/retry": parked("collect"),
    "collect/stripe_invoice": asks_stripe("GET /v1/invoices/{}"),
    "ingest/batch": status(202, '"accepted":3'),
    "ingest/cloud_event_batch": status(202, '"accepted":2'),
    "ingest/cloud_event_binary": status(202, '"accepted":1'),
    "ingest/cloud_event_refused": status(400, "subject: Field required"),
    "ingest/cloud_event_structured": status(202, '"accepted":1'),
    "ingest/gzip": status(202, '"accepted":3'),
    "ingest/malformed": status(400, '"invalid"'),
    "ingest/ndjson": status(202, '"accepted":2'),
    "ingest/one": status(202, '"accepted":1'),
    "ingest/partly_refused": status(202, '"accepted":1'),
    "ingest/unknown_meter": status(400, "unknown_meter"),
    "invoice/queue": wrote("Ledger", "invoice", 0),
    "invoice/schedule": queued("INVOICE", 0),
    "notify/announcement": wrote("Ledger", "delivery", 1),
    "notify/delivery": lambda street, _: not street.webhooks.posted and not street.parked("unknown"),
    "notify/unreadable": lambda street, _: [i["function"] for i in street.parked("unknown")] == ["notify"],
    "pair/correction": wrote("Events", "facts", 1),
    "pair/damaged": parked("pair"),
    "pair/orphan_stop": wrote("Ledger", "suspect", 1),
    "pair/poke": wrote("Events", "facts", 0),
    "pair/start_and_stop": wrote("Events", "facts", 1),
    "rate/looked_at_again": wrote("Ledger", "watch", 0),
    "rate/queue": wrote("Ledger", "wallet", 1),
    "rate/schedule": queued("RATE"),
    "rate/windows": wrote("Ledger", "wallet", 1),
    "relay/announcements": announced("balance.low", "top_up.requested", "credit.granted"),
    "stripe_webhook/forged": status(400, '"signature"'),
    "stripe_webhook/invoice_paid": queued("COLLECT"),
    "stripe_webhook/payment_intent_succeeded": queued("TOP_UP"),
    "stripe_events/schedule": lambda street, _: street.seen_events.swept_until() is not None,
    "top_up/canceled": lambda street, _: not street.parked(),
    "top_up/card_saved": lambda street, _: [i["function"] for i in street.parked()] == ["top_up"],
    "top_up/refunded": lambda street, _: [i["function"] for i in street.parked("unknown")] == ["top_up"],
    "top_up/requested": lambda street, _: not street.parked(),
    "top_up/standing_still": lambda street, _: not street.parked(),
}


def test_every_sample_promises_something() -> None:
    ours = {name for name in SAMPLES if name.split("/")[0] in MODULES}
    assert ours == PROMISES.keys()


@pytest.mark.parametrize("name", PROMISES)
def test_a_sample_does_what_it_promises(
    street: Street, stand_in: InProcess, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert stand_in.read("requests")["data"] == []
    monkeypatch.setattr(stripe_webhook, "real_now", lambda: NOW)  # its signature is of that moment
    monkeypatch.setattr(alert, "Topic", lambda _: _Topic(street))
    street.keys.store("my-app", "tx_sample-key-of-the-tests", ["ingest", "read"])
    street.webhooks.addresses["169.254.169.254"] = ["169.254.169.254"]
    if name.startswith("notify/"):
        street.does("POST", "/v1/webhook_endpoints", {"id": "hooks", "url": "https://example.com", "events": "*"})
    event = json.loads(SAMPLES[name].read_text(encoding="utf-8"))
    for record in event.get("Records", []):
        if "dynamodb" in record:
            table = record["eventSourceARN"].split("/")[1]
            street.table(table).put_many([from_wire(record["dynamodb"]["NewImage"])])
    function = name.split("/", maxsplit=1)[0]
    answer = MODULES[function].handler(event, None)
    assert PROMISES[name](street, answer), (answer, street.parked(), street.queues)


class _Topic:
    def __init__(self, street: Street) -> None:
        self._street = street

    def publish(self, subject: str, message: str) -> None:
        assert "\n\n" in message
        self._street.queues["topic"].append(subject)


@pytest.mark.parametrize("name", ["aggregate", "collect", "invoice", "notify", "pair", "rate", "relay", "top_up"])
def test_an_empty_batch_is_no_work(street: Street, name: str) -> None:
    before = [list(table.all()) for table in street.tables.values()]
    MODULES[name].handler({"Records": []}, None)
    assert [list(table.all()) for table in street.tables.values()] == before
