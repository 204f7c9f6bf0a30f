"""The local cloud itself, with functions that only say what they were given."""

import gzip
import json
import shutil
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from infra.local import clock, processes
from infra.local import cloud as clouds
from infra.local.cloud import Cloud

pytestmark = [pytest.mark.cloud, pytest.mark.deep]

ECHO = """
import json, os, time

def handler(event, context):
    import boto3
    if event.get("routeArn"):
        return {"isAuthorized": True}
    if event.get("rawPath", "").endswith("/scan"):
        try:
            boto3.client("dynamodb").scan(TableName=os.environ["CATALOG_TABLE"])
        except Exception as refused:
            return {"statusCode": 200, "body": str(refused)}
    if "rawPath" in event:
        return {"statusCode": 200, "body": json.dumps(event)}
    if "Records" in event and event["Records"]:
        time.sleep(1)
    print(json.dumps(event))
"""
HANDLERS = Path(__file__).parents[3] / "functions" / "handlers"
FUNCTIONS = sorted(path.stem for path in HANDLERS.glob("[!_]*.py"))


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    handlers = tmp_path_factory.mktemp("echo") / "handlers"
    handlers.mkdir()
    # A package, or the one that is installed here would be found before it.
    (handlers / "__init__.py").touch()
    for name in FUNCTIONS:
        (handlers / f"{name}.py").write_text(ECHO)
    return handlers.parent


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home") / ".taximeter"


@pytest.fixture(scope="module")
def echoing(echo: Path, home: Path) -> Iterator[Cloud]:
    port = processes.free_port()
    try:
        yield clouds.start(port, home=home, context={"asset_directory": str(echo)})
    finally:
        clouds.stop(port, home=home)


def test_a_running_cloud_is_found_again(echoing: Cloud, home: Path) -> None:
    assert clouds.find(echoing.port, home=home) == echoing


def test_it_listens_on_loopback_alone(echoing: Cloud) -> None:
    elsewhere = [
        address[4][0]
        for address in socket.getaddrinfo(socket.gethostname(), None, type=socket.SOCK_STREAM)
        if not str(address[4][0]).startswith(("127.", "::1"))
    ]
    for address in elsewhere:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((str(address), echoing.port), timeout=2)


def test_a_second_one_on_the_same_port_is_refused_and_the_first_stays(echoing: Cloud, home: Path) -> None:
    with pytest.raises(RuntimeError, match="already running"):
        clouds.start(echoing.port, home=home)
    assert clouds.find(echoing.port, home=home) == echoing


def test_two_run_side_by_side(echoing: Cloud, cloud: Cloud) -> None:
    assert echoing.port != cloud.port
    for each in (echoing, cloud):
        with each.api() as api:
            assert api.get("/v1/health").status_code == httpx.codes.OK


def test_a_missing_key_is_refused_before_any_function_runs(echoing: Cloud) -> None:
    answer = httpx.get(f"{echoing.api_url}/v1/meters")
    assert answer.status_code == httpx.codes.UNAUTHORIZED


def test_a_function_may_only_do_what_it_was_granted(echoing: Cloud) -> None:
    with echoing.api() as api:
        assert "not authorized to perform: dynamodb:Scan" in api.get("/v1/scan").text


@pytest.mark.parametrize("content_type", ["application/json", "application/x-ndjson"])
def test_a_compressed_body_reaches_the_function_whole(echoing: Cloud, content_type: str) -> None:
    headers = {"content-encoding": "gzip", "content-type": content_type}
    body = gzip.compress(b'{"id": "e-1"}')
    with echoing.api() as api:
        event = api.post("/v1/anything", content=body, headers=headers).json()
    assert event["isBase64Encoded"] is True


def test_quiet_is_when_the_slow_consumers_of_a_stream_are_through(echoing: Cloud) -> None:
    clock.wait_until_quiet(echoing)
    item = {"pk": {"S": "acme"}, "sk": {"S": "1"}, "kind": {"S": "usage"}}
    echoing.client("dynamodb").put_item(TableName=echoing.outputs["EventsTable"], Item=item)
    began = time.monotonic()
    assert not clock.pending(echoing).quiet
    clock.wait_until_quiet(echoing)
    assert time.monotonic() - began > 0.9


def test_quiet_waits_for_a_delayed_message(echoing: Cloud) -> None:
    clock.wait_until_quiet(echoing)
    echoing.client("sqs").send_message(
        QueueUrl=echoing.outputs["TopUpQueueUrl"], MessageBody=json.dumps({"customer": "acme"})
    )
    assert clock.pending(echoing).queued == 1
    clock.wait_until_quiet(echoing)
    assert clock.pending(echoing).queued == 0


def test_waiting_for_what_never_ends_is_given_up(echoing: Cloud) -> None:
    with pytest.raises(TimeoutError, match="still under way after 0 s"):
        clock.wait_until_quiet(echoing, timeout_seconds=0)


def test_the_clock_goes_forward_only(echoing: Cloud) -> None:
    hour = 3_600_000
    target = clock.now_milliseconds(echoing) + hour
    clock.advance(echoing, target)
    assert 0 <= clock.now_milliseconds(echoing) - target < hour
    with pytest.raises(ValueError, match="only goes forward"):
        clock.advance(echoing, target - hour)


def test_the_stand_in_and_the_deployment_know_each_other(echoing: Cloud) -> None:
    secret = echoing.client("secretsmanager").get_secret_value(SecretId=echoing.outputs["StripeSecretArn"])
    keys = json.loads(secret["SecretString"])
    assert keys["stripe_api_key"] == echoing.stripe_api_key
    assert keys["stripe_webhook_secrets"][0].startswith("whsec_")
    assert len(keys["signing_key"]) == 64, "what was made with the secret is still there"


def test_an_event_on_the_bus_has_the_time_that_was_given(echoing: Cloud) -> None:
    events, sqs = echoing.client("events"), echoing.client("sqs")
    bus, url = echoing.outputs["BusName"], sqs.create_queue(QueueName="timed")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name="timed", EventBusName=bus, EventPattern=json.dumps({"source": ["a-test"]}))
    events.put_targets(Rule="timed", EventBusName=bus, Targets=[{"Id": "1", "Arn": arn}])
    entry = {"Source": "a-test", "DetailType": "t", "EventBusName": bus}
    given = [datetime(2099, 1, day, 12, tzinfo=UTC) for day in (1, 2)]
    events.put_events(Entries=[{**entry, "Detail": "{}", "Time": each} for each in given])
    events.put_events(Entries=[{**entry, "Detail": "{}"}])
    told = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    times = sorted(json.loads(each["Body"])["time"] for each in told)
    assert times[1:] == ["2099-01-01T12:00:00Z", "2099-01-02T12:00:00Z"]
    assert times[0] < times[1], "that which says none has the present one"


def test_nothing_is_left_of_one_that_did_not_come_up(tmp_path: Path) -> None:
    home, port = tmp_path / ".taximeter", processes.free_port()
    with pytest.raises(RuntimeError, match="freshness_seconds"):
        clouds.start(port, home=home, context={"freshness_seconds": 301})
    assert not home.exists()
    assert not processes.listening(port)


def test_a_function_that_cannot_be_loaded_is_named_at_the_start(echo: Path, tmp_path: Path) -> None:
    home, port, broken = tmp_path / ".taximeter", processes.free_port(), tmp_path / "broken"
    shutil.copytree(echo, broken)
    (broken / "handlers" / "relay.py").write_text("import nothing_of_that_name")
    with pytest.raises(RuntimeError, match=r"Relay: .*nothing_of_that_name"):
        clouds.start(port, home=home, context={"asset_directory": str(broken)})
    assert not home.exists()
    assert not processes.listening(port)


def test_a_port_in_other_hands_is_refused(tmp_path: Path) -> None:
    home = tmp_path / ".taximeter"
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(RuntimeError, match="taken by another program"):
            clouds.start(port, home=home)
    assert not home.exists()


def test_a_stale_state_folder_is_no_obstacle_and_no_cloud(tmp_path: Path) -> None:
    home = tmp_path / ".taximeter"
    (home / "45990").mkdir(parents=True)
    (home / "45990" / "cloud.json").write_text('{"processes": {"emulator": 1}, "cloud": null}')
    assert clouds.find(45990, home=home) is None
    assert clouds.stop(45990, home=home)
    assert not home.exists()
    assert not clouds.stop(45990, home=home)
