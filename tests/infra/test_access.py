"""Who may do what: the whole of it, function by function."""

import json

import pytest

from tests.infra.templates import Template, functions, label, of_type, statements

READ = {"GetItem", "BatchGetItem", "Query"}
SETTLE = READ | {"PutItem"}
STREAM = {"DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"}
WINDOWS = {"GetItem", "Query", "PutItem", "BatchWriteItem", "DeleteItem"}
WALLETS = {"Usage": {"Query"}, "Catalog": READ, "Ledger": SETTLE}
DUE = {"Ledger/index/due": {"Query"}}
RECEIVE = {"ReceiveMessage", "DeleteMessage", "GetQueueAttributes"}
SEND = {"SendMessage"}
FAILED = {"FailedRecords": {"ListBucket"}, "FailedRecords/*": {"PutObject"}}
SECRET = {"Stripe": {"GetSecretValue"}}

# All that each function may do, beside writing its own log.
ANYTHING = '"*"'
MAY: dict[str, dict[str, set[str]]] = {
    "authorize": {"Catalog": {"GetItem"}},
    "ingest": {"Catalog": READ | {"PutItem"}, "Events": {"BatchWriteItem"}},
    "pair": {
        "Events": {"Query", "PutItem", "BatchWriteItem"},
        "Catalog": READ,
        "Ledger": {"PutItem"},
        "Events/stream": STREAM,
        **FAILED,
    },
    "aggregate": {
        "Events": {"Query", "PutItem"},
        "Usage": WINDOWS,
        "Catalog": READ,
        "Ledger": {"PutItem"},
        "Refresh": SEND | RECEIVE,
        "Events/stream": STREAM,
        **FAILED,
    },
    "rate": {
        **WALLETS,
        **DUE,
        "Usage": WINDOWS,
        "Ledger": SETTLE | {"DeleteItem"},
        "Events": {"PutItem"},
        "Rate": SEND | RECEIVE,
        "Notify": SEND,
        "Undelivered": SEND,
        "Usage/stream": STREAM,
        **FAILED,
    },
    "relay": {"Bus": {"PutEvents"}, "Ledger/stream": STREAM, **FAILED},
    "alert": {"Alerts": {"Publish"}, "Undelivered": SEND},
    "top_up": {**WALLETS, **SECRET, "TopUp": SEND | RECEIVE, "Collect": SEND},
    "invoice": {
        **WALLETS,
        **DUE,
        "Invoice": SEND | RECEIVE,
        "TopUp": SEND,
        "Collect": SEND,
        "Undelivered": SEND,
        ANYTHING: {"GetMetricData"},
    },
    "collect": {**WALLETS, **SECRET, "Collect": SEND | RECEIVE},
    "stripe_webhook": {"Ledger": {"PutItem"}, **SECRET, "TopUp": SEND, "Collect": SEND},
    "stripe_events": {
        "Ledger": {"GetItem", "BatchGetItem", "PutItem"},
        **SECRET,
        "TopUp": SEND,
        "Collect": SEND,
        "Undelivered": SEND,
    },
    "notify": {"Ledger": {"GetItem", "Query", "PutItem"}, **SECRET, "Notify": SEND | RECEIVE},
    "api": {
        **WALLETS,
        **DUE,
        "Catalog": READ | {"PutItem", "DeleteItem"},
        "Ledger": SETTLE | {"DeleteItem"},
        "Events": {"Query"},
        **SECRET,
        "TopUp": SEND,
        "Collect": SEND,
        "Notify": SEND,
    },
}


@pytest.mark.parametrize("name", sorted(MAY))
def test_a_function_may_do_what_it_needs_and_nothing_else(service: Template, name: str) -> None:
    _, properties = functions(service)[name]
    granted: dict[str, set[str]] = {}
    for actions, resources in statements(service, properties["Role"]["Fn::GetAtt"][0]):
        for resource in resources:
            words = {action.partition(":")[2] for action in actions}
            granted.setdefault(label(resource), set()).update(words)
    [log] = [what for what in granted if what.endswith("Log")]
    assert granted.pop(log) == {"CreateLogStream", "PutLogEvents"}
    # CDK lets a function look at the queue that it gives up to.
    if "Undelivered" in granted:
        granted["Undelivered"] -= {"GetQueueAttributes", "GetQueueUrl"}
    assert granted == MAY[name]


def test_every_function_is_in_the_table_of_what_it_may_do(service: Template) -> None:
    assert set(MAY) == set(functions(service))


def test_no_role_is_allowed_a_wildcard(service: Template) -> None:
    roles = of_type(service, "AWS::IAM::Role")
    for role, properties in roles.items():
        assert "ManagedPolicyArns" not in properties
        assert "Policies" not in properties
        for actions, resources in statements(service, role):
            assert not any("*" in action for action in actions)
            for resource in resources:
                # Lambda names the objects that it puts there, and metrics have no names to give.
                only_metrics = (actions, label(resource)) == ({"cloudwatch:GetMetricData"}, ANYTHING)
                assert "*" not in json.dumps(resource) or label(resource) == "FailedRecords/*" or only_metrics


def test_a_role_is_assumed_by_one_service_only(service: Template) -> None:
    for role in of_type(service, "AWS::IAM::Role").values():
        [statement] = role["AssumeRolePolicyDocument"]["Statement"]
        assert list(statement["Principal"]) == ["Service"]
