"""Who may call what."""

import pytest

from handlers import authorize
from tests.handlers.street import Street

ANYTHING = "ANY /v1/{proxy+}"
EVENTS = "POST /v1/events"


@pytest.mark.parametrize(
    ("scopes", "route", "allowed"),
    [
        (["ingest"], EVENTS, True),
        (["ingest"], ANYTHING, False),
        (["read"], EVENTS, False),
        (["read"], ANYTHING, True),
        (["admin"], EVENTS, True),
        (["admin"], ANYTHING, True),
        (["ingest", "read"], ANYTHING, True),
    ],
)
def test_a_key_opens_the_routes_of_its_scopes(street: Street, scopes: list[str], route: str, allowed: bool) -> None:
    key = street.keys.create("k", scopes)
    answer = authorize.handler({"headers": {"x-api-key": key}, "routeKey": route}, None)
    assert answer["isAuthorized"] == allowed
    if allowed:
        assert answer["context"] == {"key": "k", "scopes": " ".join(sorted(scopes))}


@pytest.mark.parametrize("key", ["", "tx_", "k", "keys", "x" * 5000])
def test_a_wrong_key_opens_nothing(street: Street, key: str) -> None:
    street.keys.create("k", ["admin"])
    assert authorize.handler({"headers": {"x-api-key": key}, "routeKey": ANYTHING}, None) == {"isAuthorized": False}


def test_a_key_that_was_made_by_the_api_opens_until_it_is_revoked(street: Street) -> None:
    made = street.does("POST", "/v1/api_keys", {"id": "app", "scopes": ["ingest"]})
    event = {"headers": {"x-api-key": made["key"]}, "routeKey": EVENTS}
    assert authorize.handler(event, None)["isAuthorized"]
    assert street.does("GET", "/v1/api_keys")["rows"] == [{"id": "app", "scopes": ["ingest"]}]
    assert street.call("DELETE", "/v1/api_keys/app") == (204, "")
    assert not authorize.handler(event, None)["isAuthorized"]
