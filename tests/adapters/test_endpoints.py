"""Webhook endpoints, on every kind of table."""

from dataclasses import replace

import pytest

from adapters.endpoints import Endpoints, change_put
from adapters.items import ConditionFailed, Table
from billing.endpoints import Endpoint, after_failure
from metering.times import HOUR
from tests.billing.histories import START

HOOKS = Endpoint("hooks", "https://example.com/", ("*",), START, START)


def test_an_endpoint_is_kept_as_it_was_made_and_made_once(table: Table) -> None:
    endpoints = Endpoints(table)
    other = replace(HOOKS, id="a.b:c@d|e=f+g-h", events=("balance.low", "spend.above"))
    assert (endpoints.all(), endpoints.find("hooks")) == ([], None)
    for endpoint in (HOOKS, other):
        endpoints.make(endpoint)
        assert endpoints.find(endpoint.id) == endpoint
        with pytest.raises(ConditionFailed):
            endpoints.make(replace(endpoint, url="https://example.com/other"))
    assert endpoints.all() == [other, HOOKS]
    endpoints.delete("hooks")
    endpoints.delete("hooks")
    assert endpoints.all() == [other]


def test_an_endpoint_changes_only_from_what_was_read(table: Table) -> None:
    endpoints = Endpoints(table)
    endpoints.make(HOOKS)
    failing = after_failure(HOOKS, START, gone=False)
    disabled = after_failure(failing, START + HOUR, gone=True)
    endpoints.change(HOOKS, failing)
    for before in (HOOKS, disabled):
        with pytest.raises(ConditionFailed):
            endpoints.change(before, disabled)
    assert endpoints.find("hooks") == failing
    table.transact([change_put(failing, disabled)])
    assert endpoints.find("hooks") == disabled
    endpoints.delete("hooks")
    with pytest.raises(ConditionFailed):
        endpoints.change(disabled, HOOKS)
