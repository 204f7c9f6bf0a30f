"""Who feeds whom: streams, queues, schedules, the bus."""

import json

import pytest

from billing.deliveries import LEASE
from metering.spreading import LONGEST_PAUSE
from metering.times import SECOND, parse_duration
from tests.infra.templates import Template, functions, label, mappings, named, of_type


@pytest.mark.parametrize(
    ("consumer", "table", "events", "kinds"),
    [
        ("pair", "Events", ["INSERT", "MODIFY"], ["edge", "poke"]),
        ("aggregate", "Events", ["INSERT", "MODIFY"], ["usage", "facts", "sightings"]),
        ("rate", "Usage", ["INSERT", "MODIFY"], ["window", "open", "late"]),
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
    [
        *(("aggregate", "Refresh"), ("rate", "Rate"), ("top_up", "TopUp"), ("invoice", "Invoice")),
        *(("collect", "Collect"), ("notify", "Notify")),
    ],
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


def test_a_refresh_that_is_put_off_is_made_within_the_grace_even_if_it_fails_twice(service: Template) -> None:
    properties = named(service, "AWS::SQS::Queue", "Refresh")
    mapping = mappings(service, "queue")["aggregate"]
    environment = functions(service)["aggregate"][1]["Environment"]["Variables"]
    longest = LONGEST_PAUSE // SECOND + mapping["MaximumBatchingWindowInSeconds"]
    assert LONGEST_PAUSE // SECOND <= 900  # of a message
    assert (longest + 2 * properties["VisibilityTimeout"]) * SECOND < parse_duration(environment["GRACE"])
    assert properties.get("DelaySeconds", 0) == 0
    assert parse_duration(environment["FRESHNESS"]) == 5 * SECOND


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
    [
        *(("balance.low", "Alert"), ("webhook_endpoint.disabled", "Alert"), ("top_up.requested", "TopUp")),
        *(("invoice.finalized", "Collect"), ("invoice.voided", "Collect")),
        *(("top_up.failed", "Alert"), ("top_up.action_required", "Alert"), ("invoice.payment_failed", "Alert")),
    ],
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


def test_whatever_is_on_the_bus_goes_to_whoever_asked_for_it(service: Template) -> None:
    [rule] = [rule for rule in of_type(service, "AWS::Events::Rule").values() if "source" in rule["EventPattern"]]
    assert rule["EventPattern"] == {"source": ["taximeter"]}
    [only] = rule["Targets"]
    assert label(only["Arn"]) == "Notify"
    assert label(only["DeadLetterConfig"]["Arn"]) == "Undelivered"


def test_a_webhook_that_nobody_ends_is_taken_for_that_before_its_message_comes_again(service: Template) -> None:
    _, function = functions(service)["notify"]
    queue = named(service, "AWS::SQS::Queue", "Notify")
    assert function["Timeout"] * SECOND < LEASE < queue["VisibilityTimeout"] * SECOND
    assert queue.get("DelaySeconds", 0) == 0


def test_every_queue_refuses_plain_http(service: Template) -> None:
    queues = set(of_type(service, "AWS::SQS::Queue"))
    covered = {
        queue["Ref"]
        for policy in of_type(service, "AWS::SQS::QueuePolicy").values()
        for queue in policy["Queues"]
        if "aws:SecureTransport" in json.dumps(policy["PolicyDocument"])
    }
    assert covered == queues
