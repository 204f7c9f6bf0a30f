"""The bus, queues, the topic and the secret: what is sent arrives whole, what is refused is sent again."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from adapters.bus import Bus
from adapters.lag import Lag
from adapters.outbox import outbox_item
from adapters.queues import Queue
from adapters.secrets import Secret
from adapters.topic import Topic
from billing.settlement import Announcement
from metering.errors import Unavailable
from metering.times import format_time
from tests.billing.histories import START

Clients = Callable[[str], Any]


def news(number: int) -> Any:
    return outbox_item("acme", Announcement(f"n{number}", "balance.low", {"balance": "1.5", "ü": number}), START)


def arrivals(client: Any, url: str) -> list[Any]:
    found: list[Any] = []
    while messages := client.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            found.append(json.loads(message["Body"]))
            client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return found


def test_announcements_arrive_on_the_bus_with_their_ids(aws: Clients) -> None:
    events, sqs = aws("events"), aws("sqs")
    events.create_event_bus(Name="ours")
    url = sqs.create_queue(QueueName="caught")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name="all", EventBusName="ours", EventPattern=json.dumps({"source": ["taximeter"]}))
    events.put_targets(Rule="all", EventBusName="ours", Targets=[{"Id": "1", "Arn": arn}])
    Bus("ours", events).publish([news(number) for number in range(23)])
    caught = arrivals(sqs, url)
    assert sorted(event["detail"]["ü"] for event in caught) == list(range(23))
    first = next(event for event in caught if event["detail"]["ü"] == 0)
    assert (first["source"], first["detail-type"]) == ("taximeter", "balance.low")
    assert first["detail"] == {"id": "n0", "customer": "acme", "balance": "1.5", "ü": 0}
    assert first["time"] == format_time(START), "when it was announced, however often it is put on the bus"


class Refusing:
    """A bus that refuses every announcement so many times."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.taken: list[str] = []
        self.seen: dict[str, int] = {}

    def put_events(self, Entries: list[Any]) -> Any:  # noqa: N803 - the SDK's own name
        assert 0 < len(Entries) <= 10
        told = []
        for entry in Entries:
            name = json.loads(entry["Detail"])["id"]
            self.seen[name] = self.seen.get(name, 0) + 1
            refused = self.seen[name] <= self.times and int(name[1:]) % 2 == 1
            told.append({"ErrorCode": "ThrottlingException"} if refused else {"EventId": "1"})
            self.taken += [] if refused else [name]
        return {"Entries": told}


def test_what_the_bus_refuses_is_sent_again_alone() -> None:
    client: Any = Refusing(times=2)
    Bus("ours", client).publish([news(number) for number in range(15)])
    assert sorted(client.taken) == sorted(f"n{number}" for number in range(15))


def test_what_the_bus_refuses_every_time_is_not_forgotten() -> None:
    client: Any = Refusing(times=99)
    with pytest.raises(Unavailable):
        Bus("ours", client).publish([news(number) for number in range(3)])
    assert client.taken == ["n0", "n2"]
    Bus("ours", client).publish([])


def test_messages_arrive_in_their_queue(aws: Clients) -> None:
    sqs = aws("sqs")
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    sent = [{"customers": [f"é{number}"]} for number in range(23)]
    Queue(url, sqs).send(sent)
    Queue(url, sqs).send([])
    assert sorted(arrivals(sqs, url), key=str) == sorted(sent, key=str)


def test_a_message_that_is_put_off_does_not_arrive_yet(aws: Clients) -> None:
    sqs = aws("sqs")
    url = sqs.create_queue(QueueName="later")["QueueUrl"]
    Queue(url, sqs).send([{"minutes": ["05"]}], 300)
    assert arrivals(sqs, url) == []
    names = ["ApproximateNumberOfMessagesDelayed"]
    assert sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"] == {names[0]: "1"}


def test_messages_say_whom_they_are_for_where_one_must_not_hold_up_the_others(aws: Clients) -> None:
    sqs = aws("sqs")
    url = sqs.create_queue(QueueName="fair")["QueueUrl"]
    names = ["a.b:c@d|e=f+g-h", "x" * 128]
    Queue(url, sqs).send([{"endpoint": name} for name in names], fair_by="endpoint")
    got = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["MessageGroupId"])["Messages"]
    assert sorted(each["Attributes"]["MessageGroupId"] for each in got) == sorted(names)
    assert sorted(json.loads(each["Body"])["endpoint"] for each in got) == sorted(names)


def test_a_queue_that_does_not_take_everything_says_so() -> None:
    client: Any = SimpleNamespace(send_message_batch=lambda **_: {"Failed": [{"Id": "0"}]})
    with pytest.raises(Unavailable):
        Queue("url", client).send([{}])


def test_a_message_reaches_those_who_subscribed(aws: Clients) -> None:
    sns, sqs = aws("sns"), aws("sqs")
    topic = sns.create_topic(Name="alerts")["TopicArn"]
    url = sqs.create_queue(QueueName="subscriber")["QueueUrl"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint="arn:aws:sqs:us-east-1:123456789012:subscriber")
    Topic(topic, sns).publish("Balance low: acme", "text")
    (got,) = arrivals(sqs, url)
    assert (got["Subject"], got["Message"]) == ("Balance low: acme", "text")


def test_a_secret_is_read_once_in_five_minutes_and_anew_once_it_was_refused(
    aws: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = aws("secretsmanager")
    arn = client.create_secret(Name="s", SecretString="{}")["ARN"]
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    secret = Secret(arn, client)
    with pytest.raises(Unavailable) as missing:
        secret.stripe_api_key()
    assert missing.value.code == "stripe_key_missing"
    assert secret.stripe_webhook_secrets() == []
    written = {"stripe_api_key": "sk_1", "stripe_webhook_secrets": ["whsec_1", "whsec_2"]}
    client.put_secret_value(SecretId=arn, SecretString=json.dumps(written))
    with pytest.raises(Unavailable):
        secret.stripe_api_key()
    secret.forget()
    assert secret.stripe_api_key() == "sk_1"
    assert secret.stripe_webhook_secrets() == ["whsec_1", "whsec_2"]
    client.put_secret_value(SecretId=arn, SecretString=json.dumps({**written, "stripe_api_key": "sk_2"}))
    now[0] += 299
    assert secret.stripe_api_key() == "sk_1"
    now[0] += 1
    assert secret.stripe_api_key() == "sk_2"


def test_the_key_for_signing_stays_where_stripes_keys_are_and_is_missed_by_name(aws: Clients) -> None:
    client = aws("secretsmanager")
    arn = client.create_secret(Name="with", SecretString='{"signing_key": "abc"}')["ARN"]
    assert Secret(arn, client).signing_key() == "abc"
    for number, written in enumerate(("{}", '{"signing_key": ""}', '{"signing_key": 5}')):
        arn = client.create_secret(Name=f"without-{number}", SecretString=written)["ARN"]
        with pytest.raises(Unavailable) as missing:
            Secret(arn, client).signing_key()
        assert missing.value.code == "signing_key_missing"


def test_how_far_consumers_are_behind_is_the_greatest_of_what_lambda_measured_lately(aws: Clients) -> None:
    watch = aws("cloudwatch")
    lag = Lag(["one", "other"], watch)
    assert lag.milliseconds() == 0
    now = datetime.now(UTC)
    for function, minutes, age in (("one", 1, 5), ("other", 2, 7000), ("other", 40, 9999), ("third", 1, 8888)):
        metric = {
            "MetricName": "IteratorAge",
            "Dimensions": [{"Name": "FunctionName", "Value": function}],
            "Timestamp": now - timedelta(minutes=minutes),
            "Value": age,
        }
        watch.put_metric_data(Namespace="AWS/Lambda", MetricData=[metric])
    assert lag.milliseconds() == 7000
