"""What runs: every function, the door, the watch, and the same on the local cloud."""

import json
from pathlib import Path
from typing import Any

import pytest

from handlers._live import STRIPE_INTERVAL_SECONDS
from handlers._oddities import METRICS
from tests.infra.templates import Template, functions, label, mappings, of_type

HANDLERS = Path(__file__).parents[2] / "functions" / "handlers"


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
        assert not {"LOCAL_CLOCK", "LOCAL_WEBHOOKS", "STRIPE_URL"} & set(environment)


def test_all_functions_are_one_asset(service: Template) -> None:
    keys = {properties["Code"]["S3Key"] for _, properties in functions(service).values()}
    assert len(keys) == 1


@pytest.mark.parametrize(
    ("route", "function", "keyed"),
    [
        ("POST /v1/events", "ingest", True),
        ("ANY /v1/{proxy+}", "api", True),
        ("GET /v1/health", "api", False),
        ("GET /v1/openapi.json", "api", False),
        ("GET /docs", "api", False),
        ("GET /payment/done", "api", False),
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
    assert len(routes) == 7


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
    assert by_metric["WebhooksFailed"] == {label([{"Name": "service", "Value": "notify"}])}
    summed = [alarm for alarm in alarms.values() if "Metrics" in alarm]
    waiting, parked = (_counted(alarm) for alarm in sorted(summed, key=lambda alarm: len(alarm["Metrics"])))
    assert waiting == {("MessagesWaiting", each) for each in ("top_up", "collect", "notify")}
    parking = {"pair", "aggregate", "rate", "top_up", "invoice", "collect", "notify"}
    unreadable = {("UnreadableCustomers", each) for each in ("ingest", "api")}
    assert parked == {("ParkedRecords", each) for each in parking} | unreadable
    assert all(alarm["AlarmActions"] for alarm in alarms.values())


def _counted(alarm: dict[str, Any]) -> set[tuple[str, str]]:
    """What an alarm adds up: metrics, and the functions that count them."""
    metrics = [entry["MetricStat"]["Metric"] for entry in alarm["Metrics"] if "MetricStat" in entry]
    return {(metric["MetricName"], metric["Dimensions"][0]["Value"]) for metric in metrics}


def test_there_is_one_dashboard_that_shows_every_kind_of_odd_session(service: Template) -> None:
    [dashboard] = of_type(service, "AWS::CloudWatch::Dashboard").values()
    for metric in METRICS.values():
        assert f'\\"Taximeter\\",\\"{metric}\\",\\"service\\",\\"pair\\"' in json.dumps(dashboard)


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


def test_the_local_clouds_functions_share_its_clock_and_its_stripe_and_may_call_this_machine(
    local_service: Template,
) -> None:
    for name, (_, properties) in functions(local_service).items():
        environment = properties["Environment"]["Variables"]
        assert environment["LOCAL_CLOCK"] == "stored"
        assert environment["LOCAL_WEBHOOKS"] == "loopback"
        assert ("STRIPE_URL" in environment) == (name in {"api", "top_up", "collect", "stripe_events"})


def test_a_customer_is_led_back_to_the_api(service: Template, local_service: Template) -> None:
    for template, begins in ((service, '"ApiEndpoint"'), (local_service, "http://127.0.0.1")):
        for name in ("api", "top_up"):
            parts = functions(template)[name][1]["Environment"]["Variables"]["RETURN_URL"]["Fn::Join"][1]
            assert begins in json.dumps(parts[0])
            assert parts[-1].endswith("/payment/done")


def test_all_who_call_stripe_at_once_stay_below_its_25_calls_a_second(service: Template) -> None:
    ours = functions(service)
    mappings = of_type(service, "AWS::Lambda::EventSourceMapping").values()
    for name in ("top_up", "collect"):
        [mapping] = [each for each in mappings if each["FunctionName"] == {"Ref": ours[name][0]}]
        most = mapping["ScalingConfig"]["MaximumConcurrency"] * mapping["BatchSize"]
        assert most / STRIPE_INTERVAL_SECONDS <= 25
