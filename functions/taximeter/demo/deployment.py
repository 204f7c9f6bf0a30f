"""What the demo asks of a deployment: the API over HTTP, the Stripe SDK, and a queue on the alert topic."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx

from taximeter.demo.agreement import Observed

if TYPE_CHECKING:
    from infra.local.cloud import Cloud

Json = dict[str, Any]


class Api:
    """The deployed API, with the admin key."""

    def __init__(self, url: str, key: str) -> None:
        self._client = httpx.Client(base_url=url, headers={"x-api-key": key}, timeout=60)

    def call(self, method: str, path: str, body: object = None, **query: str) -> Any:  # noqa: ANN401 - JSON
        """The answer's JSON.

        Raises:
            RuntimeError: the API refuses.
        """
        answer = self._client.request(method, path, json=body, params=query)
        if answer.is_error:
            message = f"{method} {path} answers {answer.status_code}: {answer.text}"
            raise RuntimeError(message)
        return answer.json()

    def rows(self, path: str, **query: str) -> list[Json]:
        """All rows of a list, page by page."""
        found: list[Json] = []
        following: str | None = ""
        while following is not None:
            page = self.call("GET", path, **query, **({"next": following} if following else {}))
            found += page["rows"]
            following = page["next"]
        return found

    def knows(self, path: str) -> bool:
        """Whether there is something at a path."""
        return self._client.get(path).is_success

    def observe(self, customer: str, start: str, end: str) -> Observed:
        """Everything about a customer and its usage of an interval."""
        span = {"customer": customer, "meter": "runtime", "from": start, "to": end}
        account = f"/v1/customers/{customer}"
        return Observed(
            usage=self.rows("/v1/usage", group_by="provider,region", **span),
            sessions=self.rows("/v1/sessions", **span),
            balance=self.call("GET", f"{account}/balance"),
            ledger=self.rows(f"{account}/ledger"),
            invoices=[
                self.call("GET", f"/v1/invoices/{head['id']}") for head in self.rows("/v1/invoices", customer=customer)
            ],
            top_ups=self.rows(f"{account}/top_ups"),
        )


def save_cards(cloud: "Cloud", customers: Mapping[str, str]) -> dict[str, str]:
    """Make a Stripe customer with Stripe's test card for each customer, by the real SDK.

    Args:
        cloud: where the stand-in for Stripe runs.
        customers: their names by their ids.

    Returns:
        The ids of the Stripe customers by those of the customers.
    """
    import stripe  # noqa: PLC0415 - only the demo of the client's commands needs it

    client = stripe.StripeClient(cloud.stripe_api_key, base_addresses={"api": cloud.stripe_url}).v1
    made = {}
    for customer, name in customers.items():
        holder = client.customers.create({"name": name, "metadata": {"taximeter_customer": customer}})
        card = client.payment_methods.attach("pm_card_visa", {"customer": holder.id})
        client.customers.update(holder.id, {"invoice_settings": {"default_payment_method": card.id}})
        made[customer] = holder.id
    return made


def charges(cloud: "Cloud") -> list[Json]:
    """Every charge that the stand-in for Stripe has made."""
    found: list[Json] = httpx.get(f"{cloud.stripe_url}/_control/charges", timeout=30).raise_for_status().json()["data"]
    return found


class Inbox:
    """A queue that listens to the alert topic, as an operator's mailbox would."""

    def __init__(self, cloud: "Cloud", name: str) -> None:
        self._queues, self._topics = cloud.client("sqs"), cloud.client("sns")
        topic = cloud.outputs["AlertTopicArn"]
        self._url = self._queues.create_queue(QueueName=name)["QueueUrl"]
        attributes = self._queues.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])["Attributes"]
        # A topic may only send to a queue that lets it.
        lets = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": attributes["QueueArn"],
            "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [lets]})
        self._queues.set_queue_attributes(QueueUrl=self._url, Attributes={"Policy": policy})
        self._subscription = self._topics.subscribe(
            TopicArn=topic,
            Protocol="sqs",
            Endpoint=attributes["QueueArn"],
            Attributes={"RawMessageDelivery": "true"},
            ReturnSubscriptionArn=True,
        )["SubscriptionArn"]

    def messages(self) -> list[str]:
        """What has arrived, each once."""
        found = []
        while received := self._queues.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10).get("Messages"):
            for message in received:
                found.append(message["Body"])
                self._queues.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
        return found

    def close(self) -> None:
        """Remove the subscription and the queue."""
        self._topics.unsubscribe(SubscriptionArn=self._subscription)
        self._queues.delete_queue(QueueUrl=self._url)


@contextmanager
def inbox(cloud: "Cloud", name: str) -> Iterator[Inbox]:
    """An inbox that is gone afterwards."""
    opened = Inbox(cloud, name)
    try:
        yield opened
    finally:
        opened.close()
