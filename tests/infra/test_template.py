"""What the synthesised templates promise: what is kept, who feeds whom, and who may do what."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

Template = Mapping[str, Any]

HANDLERS = Path(__file__).parents[2] / "functions" / "handlers"
READ = {"GetItem", "BatchGetItem", "Query"}
SETTLE = {"GetItem", "PutItem", "UpdateItem", "ConditionCheckItem", "Query"}
STREAM = {"DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"}
WALLETS = {
    "Usage": {"Query", "GetItem"},
    "Catalog": READ,
    "Ledger": SETTLE,
    "Ledger/index/due": {"Query"},
}
RECEIVE = {"ReceiveMessage", "DeleteMessage", "GetQueueAttributes"}
SEND = {"SendMessage"}
FAILED = {"FailedRecords": {"ListBucket"}, "FailedRecords/*": {"PutObject"}}
SECRET = {"Stripe": {"GetSecretValue"}}
CATALOGUE_WRITES = {"PutItem", "UpdateItem", "DeleteItem", "ConditionCheckItem"}

# All that each function may do, beside writing its own log.
MAY: dict[str, dict[str, set[str]]] = {
    "authorize": {"Catalog": {"GetItem"}},
    "ingest": {"Catalog": READ, "Events": {"BatchWriteItem", "PutItem"}},
    "pair": {
        "Events": {"Query", "GetItem", "UpdateItem", "PutItem", "BatchWriteItem"},
        "Catalog": READ,
        "Ledger": {"PutItem"},
        "Events/stream": STREAM,
        **FAILED,
    },
    "aggregate": {
        "Events": {"Query"},
        "Usage": {"GetItem", "PutItem"},
        "Catalog": READ,
        "Ledger": {"PutItem"},
        "Events/stream": STREAM,
        **FAILED,
    },
    "rate": {
        **WALLETS,
        "Rate": SEND | RECEIVE,
        "Undelivered": SEND,
        "Usage/stream": STREAM,
        **FAILED,
    },
    "relay": {"Bus": {"PutEvents"}, "Ledger/stream": STREAM, **FAILED},
    "alert": {"Alerts": {"Publish"}, "Undelivered": SEND},
    "top_up": {**WALLETS, **SECRET, "TopUp": RECEIVE},
    "invoice": {
        **WALLETS,
        "Invoice": SEND | RECEIVE,
        "TopUp": SEND,
        "Collect": SEND,
        "Undelivered": SEND,
    },
    "collect": {
        "Ledger": SETTLE,
        "Ledger/index/due": {"Query"},
        "Catalog": READ | {"PutItem", "UpdateItem"},
        **SECRET,
        "Collect": RECEIVE,
    },
    "stripe_webhook": {**SECRET, "TopUp": SEND, "Collect": SEND},
    "api": {
        **WALLETS,
        "Catalog": READ | CATALOGUE_WRITES,
        "Events": {"Query"},
        "Rate": SEND,
        "TopUp": SEND,
    },
}


@pytest.fixture(scope="session")
def data(assembly: Path) -> Template:
    return read(assembly, "TaximeterData")


@pytest.fixture(scope="session")
def service(assembly: Path) -> Template:
    return read(assembly, "TaximeterService")


@pytest.fixture(scope="session")
def local_data(local_assembly: Path) -> Template:
    return read(local_assembly, "TaximeterData")


@pytest.fixture(scope="session")
def local_service(local_assembly: Path) -> Template:
    return read(local_assembly, "TaximeterService")


def read(assembly: Path, stack: str) -> Template:
    template: Template = json.loads((assembly / f"{stack}.template.json").read_text("utf-8"))
    return template


def of_type(template: Template, kind: str) -> dict[str, Any]:
    return {
        name: resource["Properties"] for name, resource in template["Resources"].items() if resource["Type"] == kind
    }


def named(template: Template, kind: str, name: str) -> dict[str, Any]:
    """The only resource of a kind whose logical id is a name and a hash."""
    [found] = [
        properties
        for identifier, properties in of_type(template, kind).items()
        if re.fullmatch(rf"(?:Pipeline|Money|Api|Messages)?{name}[0-9A-F]{{8}}", identifier)
    ]
    return dict(found)


def functions(service: Template) -> dict[str, tuple[str, dict[str, Any]]]:
    """Every function's logical id and properties, by the name of its handler's file."""
    found = {}
    for identifier, properties in of_type(service, "AWS::Lambda::Function").items():
        module, name, call = properties["Handler"].split(".")
        assert (module, call) == ("handlers", "handler")
        found[name] = (identifier, properties)
    return found


def mappings(service: Template, source: str) -> dict[str, dict[str, Any]]:
    """The event source mappings of one kind of source, by the function that they feed."""
    names = {identifier: name for name, (identifier, _) in functions(service).items()}
    return {
        names[properties["FunctionName"]["Ref"]]: properties
        for properties in of_type(service, "AWS::Lambda::EventSourceMapping").values()
        if label(properties["EventSourceArn"]).endswith("/stream") == (source == "stream")
    }


def label(resource: object) -> str:
    """A short name for what an IAM statement or a mapping points at."""
    text = json.dumps(resource)
    across = re.search(
        r"PublishOutput(?:FnGetAtt|Ref)(Catalog|Events|Usage|Ledger|FailedRecords|Stripe)"
        r"[0-9A-F]{8}(StreamArn)?",
        text,
    )
    if across is None:
        within = re.search(r'"(?:Fn::GetAtt": \[)?"?(?:Messages)?(\w+?)[0-9A-F]{8}"', text)
        return within.group(1) if within else text
    rest = re.search(r'"(/\*|index/\w+)"', text)
    suffix = rest.group(1).removeprefix("/") if rest else ""
    parts = [across.group(1), "stream" if across.group(2) else "", suffix]
    return "/".join(part for part in parts if part)


def statements(service: Template, role: str) -> Iterator[tuple[set[str], list[Any]]]:
    """The actions and resources that a role is allowed."""
    for policy in of_type(service, "AWS::IAM::Policy").values():
        if {"Ref": role} not in policy["Roles"]:
            continue
        for statement in policy["PolicyDocument"]["Statement"]:
            assert statement["Effect"] == "Allow"
            yield set(many(statement["Action"])), many(statement["Resource"])


def many(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


# What is remembered


@pytest.mark.parametrize(
    ("table", "stream", "ttl"),
    [
        ("Catalog", None, None),
        ("Events", "NEW_IMAGE", "ttl"),
        ("Usage", "NEW_IMAGE", "ttl"),
        ("Ledger", "NEW_AND_OLD_IMAGES", "ttl"),
    ],
)
def test_a_table_is_on_demand_recoverable_and_protected(
    data: Template, table: str, stream: str | None, ttl: str | None
) -> None:
    properties = named(data, "AWS::DynamoDB::GlobalTable", table)
    [replica] = properties["Replicas"]
    assert properties["BillingMode"] == "PAY_PER_REQUEST"
    assert [key["AttributeName"] for key in properties["KeySchema"]] == ["pk", "sk"]
    assert replica["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert replica["DeletionProtectionEnabled"] is True
    assert properties.get("StreamSpecification", {}).get("StreamViewType") == stream
    assert properties.get("TimeToLiveSpecification", {}).get("AttributeName") == ttl


def test_only_the_ledger_has_an_index_and_it_holds_keys_only(data: Template) -> None:
    tables = of_type(data, "AWS::DynamoDB::GlobalTable")
    indexes = [i for table in tables.values() for i in table.get("GlobalSecondaryIndexes", ())]
    [due] = indexes
    assert due["IndexName"] == "due"
    assert [key["AttributeName"] for key in due["KeySchema"]] == ["due_shard", "due_at"]
    assert due["Projection"] == {"ProjectionType": "KEYS_ONLY"}


def test_what_is_remembered_stays_when_the_stack_goes(data: Template, assembly: Path) -> None:
    kept = {"AWS::DynamoDB::GlobalTable", "AWS::SecretsManager::Secret", "AWS::S3::Bucket"}
    for resource in data["Resources"].values():
        if resource["Type"] in kept:
            assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == "Retain"
    manifest = json.loads((assembly / "manifest.json").read_text("utf-8"))
    assert manifest["artifacts"]["TaximeterData"]["properties"]["terminationProtection"] is True


def test_nothing_in_the_stack_that_runs_remembers(service: Template) -> None:
    kinds = {resource["Type"] for resource in service["Resources"].values()}
    assert not {kind for kind in kinds if "DynamoDB" in kind or "S3" in kind or "Secret" in kind}


# What runs


def test_every_function_has_a_handler_and_every_handler_a_function(service: Template) -> None:
    files = {path.stem for path in HANDLERS.glob("*.py") if not path.stem.startswith("_")}
    assert set(functions(service)) == files


def test_every_function_says_how_it_runs(service: Template) -> None:
    logs = of_type(service, "AWS::Logs::LogGroup")
    for name, (_, properties) in functions(service).items():
        assert properties["Runtime"] == "python3.13"
        assert properties["Architectures"] == ["arm64"]
        assert properties["FunctionName"] == f"Taximeter-{name}"
        assert 5 <= properties["Timeout"] <= 120
        assert 256 <= properties["MemorySize"] <= 1024
        logging = properties["LoggingConfig"]
        assert logging["LogFormat"] == "JSON"
        assert logging["SystemLogLevel"] == "WARN"
        assert logs[logging["LogGroup"]["Ref"]]["RetentionInDays"] == 30


def test_no_log_is_kept_for_ever(service: Template) -> None:
    assert all(log["RetentionInDays"] for log in of_type(service, "AWS::Logs::LogGroup").values())


def test_every_function_is_told_the_tables_and_the_settings(service: Template) -> None:
    for name, (_, properties) in functions(service).items():
        environment = properties["Environment"]["Variables"]
        for table in ("Catalog", "Events", "Usage", "Ledger"):
            assert label(environment[f"{table.upper()}_TABLE"]) == table
        assert environment["ACCEPT_PAST"] == "35d"
        assert environment["ACCEPT_FUTURE"] == "5m"
        assert environment["GRACE"] == "1h"
        assert set(json.loads(environment["ISSUER"])) == {
            "name",
            "address",
            "tax_id",
            "invoice_prefix",
        }
        assert environment["POWERTOOLS_SERVICE_NAME"] == name
        assert environment["POWERTOOLS_METRICS_NAMESPACE"] == "Taximeter"
        assert not {"LOCAL_CLOCK", "STRIPE_URL"} & set(environment)


def test_all_functions_are_one_asset(service: Template) -> None:
    keys = {properties["Code"]["S3Key"] for _, properties in functions(service).values()}
    assert len(keys) == 1


# Who may do what


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
                # Lambda names the objects that it puts there.
                assert "*" not in json.dumps(resource) or label(resource) == "FailedRecords/*"


def test_a_role_is_assumed_by_one_service_only(service: Template) -> None:
    for role in of_type(service, "AWS::IAM::Role").values():
        [statement] = role["AssumeRolePolicyDocument"]["Statement"]
        assert list(statement["Principal"]) == ["Service"]


# Who feeds whom


@pytest.mark.parametrize(
    ("consumer", "table", "events", "kinds"),
    [
        ("pair", "Events", ["INSERT", "MODIFY"], ["edge", "poke"]),
        ("aggregate", "Events", ["INSERT", "MODIFY"], ["usage", "facts"]),
        ("rate", "Usage", ["INSERT", "MODIFY"], None),
        ("relay", "Ledger", ["INSERT"], ["outbox"]),
    ],
)
def test_a_stream_feeds_its_consumer_with_its_kinds_only(
    service: Template, consumer: str, table: str, events: list[str], kinds: list[str] | None
) -> None:
    mapping = mappings(service, "stream")[consumer]
    [chosen] = mapping["FilterCriteria"]["Filters"]
    pattern = json.loads(chosen["Pattern"])
    assert label(mapping["EventSourceArn"]) == f"{table}/stream"
    assert pattern["eventName"] == events
    assert pattern.get("dynamodb") == (None if kinds is None else {"NewImage": {"kind": {"S": kinds}}})


def test_a_stream_never_loses_a_record_and_never_waits_for_one_for_ever(service: Template) -> None:
    consumers = mappings(service, "stream")
    assert set(consumers) == {"pair", "aggregate", "rate", "relay"}
    for mapping in consumers.values():
        assert mapping["StartingPosition"] == "TRIM_HORIZON"
        assert mapping["MaximumBatchingWindowInSeconds"] == 5
        assert mapping["BisectBatchOnFunctionError"] is True
        assert 0 < mapping["MaximumRetryAttempts"] <= 10
        # The stream itself forgets after a day.
        assert 3_600 <= mapping["MaximumRecordAgeInSeconds"] < 86_400
        assert label(mapping["DestinationConfig"]["OnFailure"]["Destination"]) == "FailedRecords"
        assert "FunctionResponseTypes" not in mapping


@pytest.mark.parametrize(
    ("consumer", "queue"),
    [("rate", "Rate"), ("top_up", "TopUp"), ("invoice", "Invoice"), ("collect", "Collect")],
)
def test_a_queue_waits_for_its_function_and_gives_up_into_dead_letters(
    service: Template, consumer: str, queue: str
) -> None:
    mapping = mappings(service, "queue")[consumer]
    properties = named(service, "AWS::SQS::Queue", queue)
    _, function = functions(service)[consumer]
    assert label(mapping["EventSourceArn"]) == queue
    assert mapping["ScalingConfig"]["MaximumConcurrency"] >= 2
    assert properties["VisibilityTimeout"] >= 6 * function["Timeout"]
    assert label(properties["RedrivePolicy"]["deadLetterTargetArn"]) == f"{queue}Dead"


def test_a_top_up_waits_before_it_is_looked_at(service: Template, local_service: Template) -> None:
    assert named(service, "AWS::SQS::Queue", "TopUp")["DelaySeconds"] == 30
    assert named(local_service, "AWS::SQS::Queue", "TopUp")["DelaySeconds"] == 1


@pytest.mark.parametrize(("name", "rate"), [("rate", "1 minute"), ("invoice", "1 hour")])
def test_a_schedule_tells_the_instant_it_is_for(service: Template, name: str, rate: str) -> None:
    identifier, _ = functions(service)[name]
    [schedule] = [
        schedule
        for schedule in of_type(service, "AWS::Scheduler::Schedule").values()
        if schedule["Target"]["Arn"]["Fn::GetAtt"][0] == identifier
    ]
    assert schedule["ScheduleExpression"] == f"rate({rate})"
    event = json.loads(schedule["Target"]["Input"])
    assert event == {"source": "schedule", "time": "<aws.scheduler.scheduled-time>"}
    assert label(schedule["Target"]["DeadLetterConfig"]["Arn"]) == "Undelivered"


@pytest.mark.parametrize(
    ("detail_type", "target"),
    [("balance.low", "Alert"), ("top_up.requested", "TopUp"), ("invoice.finalized", "Collect")],
)
def test_the_bus_carries_an_event_to_whom_it_concerns(service: Template, detail_type: str, target: str) -> None:
    [rule] = [
        rule
        for rule in of_type(service, "AWS::Events::Rule").values()
        if rule["EventPattern"] == {"detail-type": [detail_type]}
    ]
    [only] = rule["Targets"]
    assert label(only["Arn"]).removeprefix("Money") == target
    assert only["RetryPolicy"]["MaximumRetryAttempts"] > 0
    assert label(only["DeadLetterConfig"]["Arn"]) == "Undelivered"


def test_every_queue_refuses_plain_http(service: Template) -> None:
    queues = set(of_type(service, "AWS::SQS::Queue"))
    covered = {
        queue["Ref"]
        for policy in of_type(service, "AWS::SQS::QueuePolicy").values()
        for queue in policy["Queues"]
        if "aws:SecureTransport" in json.dumps(policy["PolicyDocument"])
    }
    assert covered == queues


# The door


@pytest.mark.parametrize(
    ("route", "function", "keyed"),
    [
        ("POST /v1/events", "ingest", True),
        ("ANY /v1/{proxy+}", "api", True),
        ("GET /v1/health", "api", False),
        ("POST /v1/stripe/webhook", "stripe_webhook", False),
    ],
)
def test_a_route_leads_to_its_function_and_asks_for_a_key(
    service: Template, route: str, function: str, *, keyed: bool
) -> None:
    routes = of_type(service, "AWS::ApiGatewayV2::Route").values()
    [properties] = [found for found in routes if found["RouteKey"] == route]
    integration = properties["Target"]["Fn::Join"][1][1]["Ref"]
    uri = of_type(service, "AWS::ApiGatewayV2::Integration")[integration]["IntegrationUri"]
    assert uri["Fn::GetAtt"][0] == functions(service)[function][0]
    assert (properties["AuthorizationType"] == "CUSTOM") == keyed
    assert len(routes) == 4


def test_an_authorizers_answer_is_cached_for_its_key_and_its_route(service: Template) -> None:
    [authorizer] = of_type(service, "AWS::ApiGatewayV2::Authorizer").values()
    assert authorizer["IdentitySource"] == ["$request.header.x-api-key", "$context.routeKey"]
    assert authorizer["AuthorizerResultTtlInSeconds"] == 60
    assert authorizer["EnableSimpleResponses"] is True
    assert authorizer["AuthorizerPayloadFormatVersion"] == "2.0"


def test_the_door_is_throttled_and_logged(service: Template) -> None:
    [stage] = of_type(service, "AWS::ApiGatewayV2::Stage").values()
    assert stage["StageName"] == "$default"
    assert stage["DefaultRouteSettings"]["ThrottlingRateLimit"] > 0
    assert stage["DefaultRouteSettings"]["ThrottlingBurstLimit"] > 0
    entry = json.loads(stage["AccessLogSettings"]["Format"])
    assert entry["route"] == "$context.routeKey"


# The watch


def test_every_dead_letter_every_lag_and_every_error_raises_an_alarm(service: Template) -> None:
    alarms = of_type(service, "AWS::CloudWatch::Alarm")
    watched = {(a.get("MetricName"), label(a.get("Dimensions"))) for a in alarms.values()}
    queues = of_type(service, "AWS::SQS::Queue")
    fed = {label({"Fn::GetAtt": [queue]}) for queue, p in queues.items() if "RedrivePolicy" in p}
    final = {label({"Fn::GetAtt": [queue]}) for queue in queues} - fed
    by_metric: dict[str | None, set[str]] = {}
    for metric, what in watched:
        by_metric.setdefault(metric, set()).add(what)
    assert by_metric["ApproximateNumberOfMessagesVisible"] == final
    assert len(by_metric["Errors"]) == len(functions(service))
    assert len(by_metric["IteratorAge"]) == len(mappings(service, "stream"))
    [parked] = [alarm for alarm in alarms.values() if "Metrics" in alarm]
    assert "ParkedRecords" in json.dumps(parked)
    assert all(alarm["AlarmActions"] for alarm in alarms.values())


def test_there_is_one_dashboard(service: Template) -> None:
    assert len(of_type(service, "AWS::CloudWatch::Dashboard")) == 1


# The local cloud


def test_the_local_cloud_needs_nothing_prepared(local_data: Template, local_service: Template) -> None:
    for template in (local_data, local_service):
        assert not {"Parameters", "Rules", "Conditions", "Mappings"} & set(template)


def test_the_local_cloud_is_the_same_but_for_what_is_thrown_away(service: Template, local_service: Template) -> None:
    watching = {"AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard"}

    def names(template: Template) -> set[str]:
        return {
            name
            for name, resource in template["Resources"].items()
            if resource["Type"] not in watching and not name.startswith("Watch")
        }

    assert names(local_service) == names(service)
    assert not of_type(local_service, "AWS::CloudWatch::Alarm")
    assert not of_type(local_service, "AWS::CloudWatch::Dashboard")


def test_the_local_clouds_data_goes_with_it(local_data: Template) -> None:
    assert {r["DeletionPolicy"] for r in local_data["Resources"].values() if "DeletionPolicy" in r} == {"Delete"}
    for table in of_type(local_data, "AWS::DynamoDB::GlobalTable").values():
        assert table["Replicas"][0]["DeletionProtectionEnabled"] is False


def test_the_local_clouds_functions_share_its_clock_and_its_stripe(local_service: Template) -> None:
    for name, (_, properties) in functions(local_service).items():
        environment = properties["Environment"]["Variables"]
        assert environment["LOCAL_CLOCK"] == "stored"
        assert ("STRIPE_URL" in environment) == (name in {"top_up", "collect"})
