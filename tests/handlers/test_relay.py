"""The outbox reaches the bus: everything in it, nothing else, under ids that stay."""

from typing import Any

import pytest

from handlers import relay
from metering.errors import Unavailable
from tests.handlers.street import Street


def test_what_is_in_the_outbox_reaches_the_bus_with_its_id(street: Street) -> None:
    street.does("POST", "/v1/customers/acme/credits", {"id": "c", "amount": "20"})
    records = list(street.streams["relay"])
    street.run("relay", records)
    street.run("relay", records)
    (first, second) = street.announced("credit.granted")
    assert first == second
    assert first["id"] == "acme:credit.granted:c"
    assert first["customer"] == "acme"
    assert {entry["Source"] for entry in street.bus_entries} == {"taximeter"}


def test_what_the_bus_does_not_take_brings_the_batch_again(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    street.does("POST", "/v1/customers/acme/credits", {"id": "c", "amount": "20"})

    def refuse(items: Any) -> None:
        raise Unavailable(f"refused {len(items)}")

    monkeypatch.setattr(street.bus, "publish", refuse)
    with pytest.raises(Unavailable):
        relay.handler({"Records": street.streams["relay"]}, None)
