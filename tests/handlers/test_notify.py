"""From an announcement to users' servers: what is sent, when it is tried again, and when no more."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from adapters.clock import real_now
from adapters.endpoints import Endpoints
from billing.deliveries import DELAYS, LEASE, Answer
from billing.endpoints import Endpoint
from handlers import notify
from metering.times import DAY, HOUR, MINUTE, SECOND, format_time
from tests.handlers.receiver import Posted
from tests.handlers.street import NOW, Crash, Street, bus_event, queue_record

URL = "https://hooks.example.com/in?token=t-1"
ENDPOINT = {"id": "hooks", "url": URL, "events": "*"}
LOG = "/v1/webhook_endpoints/hooks/deliveries"
DOWN = Answer(503)
NEWS = {"id": "acme:balance.low:low:1", "customer": "acme", "balance": "4"}


@pytest.fixture
def listening(street: Street) -> Street:
    """A street on which one endpoint wants everything, and nothing has happened yet."""
    street.does("POST", "/v1/webhook_endpoints", ENDPOINT)
    street.queues["NOTIFY"].clear()
    return street


def tell(street: Street, detail_type: str = "balance.low", **detail: Any) -> None:
    """Have the bus tell something, and all that follows of it at this moment."""
    street.queues["NOTIFY"].append(bus_event(detail_type, {**NEWS, **detail}, street.now))
    street.deliver("NOTIFY")


def log(street: Street, endpoint: str = "hooks", **query: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = street.does("GET", f"/v1/webhook_endpoints/{endpoint}/deliveries", query=query)["rows"]
    return rows


def statuses(street: Street) -> list[str]:
    return [row["status"] for row in log(street)]


def wait(street: Street, milliseconds: int) -> None:
    """Let time pass, and the minute find what is due."""
    street.now += milliseconds
    street.minute()
    street.deliver("NOTIFY")


def until_the_next_try(street: Street) -> None:
    (due,) = [item["due_at"] for item in street.items("Ledger", "delivery")]
    wait(street, int(str(due)) - street.now)


def is_signed(posted: Posted, secret: str) -> bool:
    """The check that the Standard Webhooks specification describes, written from it."""
    key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    assert 24 <= len(key) <= 64
    signed = ".".join([posted.headers["webhook-id"], posted.headers["webhook-timestamp"], posted.body])
    expected = base64.b64encode(hmac.new(key, signed.encode(), hashlib.sha256).digest()).decode()
    given = [each.partition(",") for each in posted.headers["webhook-signature"].split(" ")]
    return any(version == "v1" and hmac.compare_digest(value, expected) for version, _, value in given)


def test_what_is_announced_is_posted_once_signed_with_the_endpoints_secret(listening: Street) -> None:
    secret = listening.does("GET", "/v1/webhook_endpoints/hooks")["secret"]
    listening.does("POST", "/v1/customers/acme/credits", {"id": "gift", "amount": "5"})
    listening.flow()
    listening.deliver("NOTIFY")
    (posted,) = listening.webhooks.posted
    assert (posted.host, posted.path) == ("hooks.example.com", "/in?token=t-1")
    assert is_signed(posted, secret)
    assert not is_signed(Posted(posted.host, posted.path, posted.headers, posted.body + " "), secret)
    told = json.loads(posted.body)
    assert list(told) == ["type", "timestamp", "data"]
    assert (told["type"], told["timestamp"]) == ("credit.granted", format_time(NOW))
    assert told["data"] == listening.announced("credit.granted")[0]
    assert (told["data"]["credit"], told["data"]["amount"]) == ("gift", "5")
    (row,) = log(listening)
    assert (row["webhook_id"], row["type"], row["status"]) == (posted.message, "credit.granted", "succeeded")
    assert (row["payload"], row["next_attempt_at"], row["reason"]) == (told, None, None)
    assert [(each["status"], each["reason"]) for each in row["attempts"]] == [(200, None)]


def test_the_signature_says_when_it_is_sent_by_a_real_clock(listening: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    began = real_now() // SECOND
    tell(listening)
    assert began <= int(listening.webhooks.posted[0].headers["webhook-timestamp"]) <= real_now() // SECOND
    monkeypatch.setattr(notify, "real_now", lambda: 1_674_087_231_999)
    tell(listening, id="other")
    assert listening.webhooks.posted[1].headers["webhook-timestamp"] == "1674087231"


def test_its_id_is_safe_in_a_header_and_cannot_blur_what_is_signed(listening: Street) -> None:
    tell(listening, id="acme.1:böse\r\nx-evil: 1")
    (posted,) = listening.webhooks.posted
    assert posted.message.isascii()
    assert posted.message.replace("_", "").isalnum()


def test_each_endpoint_gets_what_it_asked_for_under_a_secret_of_its_own(street: Street) -> None:
    secrets = {}
    for name, events in (("all", "*"), ("low", ["balance.low"]), ("paid", ["invoice.paid", "balance.low"])):
        made = street.does(
            "POST", "/v1/webhook_endpoints", {"id": name, "url": f"https://{name}.example/", "events": events}
        )
        secrets[f"{name}.example"] = made["secret"]
    assert len(set(secrets.values())) == 3
    tell(street)
    tell(street, "invoice.paid", id="acme:invoice.paid")
    tell(street, "credit.granted", id="acme:credit.granted")
    got = sorted((each.host, json.loads(each.body)["type"]) for each in street.webhooks.posted)
    assert got == [
        ("all.example", "balance.low"),
        ("all.example", "credit.granted"),
        ("all.example", "invoice.paid"),
        ("low.example", "balance.low"),
        ("paid.example", "balance.low"),
        ("paid.example", "invoice.paid"),
    ]
    for each in street.webhooks.posted:
        assert [host for host, secret in secrets.items() if is_signed(each, secret)] == [each.host]
    low = {each.message for each in street.webhooks.posted if "balance.low" in each.body}
    assert len(low) == 1, "who gets it at two places knows that it is the same"


def test_an_event_that_the_bus_tells_twice_is_delivered_once(listening: Street) -> None:
    for _ in range(3):
        tell(listening)
    assert len(listening.webhooks.posted) == 1
    assert statuses(listening) == ["succeeded"]


def test_a_message_that_comes_again_finds_it_delivered(listening: Street) -> None:
    tell(listening)
    (row,) = log(listening)
    notify.handler({"Records": [queue_record({"endpoint": "hooks", "delivery": row["id"]})] * 3}, None)
    assert len(listening.webhooks.posted) == 1


def test_it_is_tried_again_by_the_schedule_of_standard_webhooks_and_then_given_up(listening: Street) -> None:
    listening.webhooks.answers = [DOWN] * 20
    began, tried = listening.now, [0]
    tell(listening)
    while statuses(listening) == ["pending"]:
        before = len(listening.webhooks.posted)
        until_the_next_try(listening)
        assert len(listening.webhooks.posted) == before + 1
        tried.append(listening.now - began)
    waits = [after - before for before, after in pairwise(tried)]
    for waited, delay in zip(waits, DELAYS[1:], strict=True):
        assert delay <= waited <= delay * 11 // 10
    assert len({each.message for each in listening.webhooks.posted}) == 1
    assert len({each.body for each in listening.webhooks.posted}) == 1
    (row,) = log(listening)
    assert (row["status"], len(row["attempts"])) == ("failed", 10)
    wait(listening, 2 * DAY)
    assert len(listening.webhooks.posted) == 10


def test_the_schedule_is_the_specifications() -> None:
    hours = [2, 5, 10, 14, 20, 24]
    assert list(DELAYS) == [0, 5_000, 300_000, 1_800_000, *(each * 3_600_000 for each in hours)]


def test_a_try_within_a_minute_is_asked_for_with_a_delay_and_later_ones_by_the_minute(listening: Street) -> None:
    listening.webhooks.answers = [DOWN] * 2
    tell(listening)
    assert listening.delays == [6]  # five seconds and up to a tenth of them
    listening.now += 4 * SECOND
    listening.minute()
    listening.deliver("NOTIFY")
    assert len(listening.webhooks.posted) == 1, "it is not its time yet"
    wait(listening, 2 * SECOND)
    assert listening.delays == [6]
    assert len(listening.webhooks.posted) == 2
    wait(listening, 4 * MINUTE)
    assert len(listening.webhooks.posted) == 2
    wait(listening, 2 * MINUTE)
    assert statuses(listening) == ["succeeded"]


def test_what_failed_together_is_not_tried_again_at_one_moment(listening: Street) -> None:
    listening.webhooks.answers = [DOWN] * 40
    for number in range(20):
        tell(listening, id=f"n{number}")
    wait(listening, 6 * SECOND)
    dues = {int(str(item["due_at"])) for item in listening.items("Ledger", "delivery")}
    assert len(dues) > 10
    assert max(dues) - min(dues) <= 30 * SECOND


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (Answer(200), "succeeded"),
        (Answer(204), "succeeded"),
        (Answer(299), "succeeded"),
        (Answer(301), "pending"),
        (Answer(404), "pending"),
        (Answer(429), "pending"),
        (Answer(500), "pending"),
        (Answer(None, "timeout"), "pending"),
        (Answer(None, "connection"), "pending"),
        (Answer(410), "failed"),
    ],
)
def test_an_answer_means_what_the_specification_says(listening: Street, answer: Answer, status: str) -> None:
    listening.webhooks.answers = [answer]
    tell(listening)
    (row,) = log(listening)
    assert row["status"] == status
    assert [(each["status"], each["reason"]) for each in row["attempts"]] == [(answer.status, answer.reason)]


@pytest.mark.parametrize(("asked", "waited"), [(0, 5), (3, 5), (3_600, 3_600), (10**6, 86_400)])
def test_a_server_that_asks_for_time_gets_it_but_no_more_than_a_day(listening: Street, asked: int, waited: int) -> None:
    listening.webhooks.answers = [Answer(503, None, asked)]
    tell(listening)
    (item,) = listening.items("Ledger", "delivery")
    assert waited * SECOND <= int(str(item["due_at"])) - NOW <= waited * SECOND * 11 // 10


def test_an_endpoint_that_says_it_is_gone_is_disabled_and_asked_nothing_more(listening: Street) -> None:
    listening.webhooks.answers = [DOWN, Answer(410)]
    tell(listening)
    tell(listening, id="second")
    assert sorted(statuses(listening)) == ["failed", "pending"]
    shown = listening.does("GET", "/v1/webhook_endpoints/hooks")
    assert (shown["status"], shown["disabled_reason"], shown["disabled_at"]) == ("disabled", "gone", format_time(NOW))
    tell(listening, id="third")
    wait(listening, 6 * SECOND)
    assert len(listening.webhooks.posted) == 2
    assert sorted((row["status"], row["reason"]) for row in log(listening)) == [
        ("canceled", "endpoint_disabled"),
        ("failed", None),
    ]
    listening.flow()
    assert [each["reason"] for each in listening.announced("webhook_endpoint.disabled")] == ["gone"]


def test_an_endpoint_that_nothing_reached_for_days_is_disabled_and_told_of(listening: Street) -> None:
    listening.does("POST", "/v1/webhook_endpoints", {"id": "other", "url": "https://other.example", "events": "*"})
    listening.webhooks.addresses["hooks.example.com"] = ["10.0.0.1"]
    for hours in range(0, 5 * 24 + 1, 20):
        assert listening.does("GET", "/v1/webhook_endpoints/hooks")["status"] == "enabled"
        listening.now = NOW + hours * HOUR
        tell(listening, id=f"n{hours}")
    shown = listening.does("GET", "/v1/webhook_endpoints/hooks")
    assert (shown["status"], shown["disabled_reason"]) == ("disabled", "failing")
    assert (shown["failing_since"], shown["disabled_at"]) == (format_time(NOW), format_time(NOW + 5 * DAY))
    listening.flow()
    listening.deliver("NOTIFY")
    (told,) = listening.announced("webhook_endpoint.disabled")
    assert told == {
        "id": f"webhook_endpoint.disabled:hooks:{NOW + 5 * DAY}",
        "endpoint": "hooks",
        "reason": "failing",
        "failing_since": format_time(NOW),
    }
    heard = [json.loads(each.body)["type"] for each in listening.webhooks.posted]
    assert heard.count("webhook_endpoint.disabled") == 1, "the others are told, it is not"
    assert {each.host for each in listening.webhooks.posted} == {"other.example"}


def test_an_endpoint_is_never_told_of_its_own_end_whatever_it_was_enabled_for(listening: Street) -> None:
    tell(listening, "webhook_endpoint.disabled", endpoint="hooks")
    assert listening.webhooks.posted == []
    tell(listening, "webhook_endpoint.disabled", endpoint="other")
    assert len(listening.webhooks.posted) == 1


def test_one_success_is_enough_to_stay_enabled(listening: Street) -> None:
    for hours in range(0, 10 * 24, 20):
        listening.now = NOW + hours * HOUR
        listening.webhooks.answers = [DOWN] if hours != 100 else []
        tell(listening, id=f"n{hours}")
        shown = listening.does("GET", "/v1/webhook_endpoints/hooks")
        assert (shown["status"], shown["failing_since"] is None) == ("enabled", hours == 100)


def test_two_failures_with_days_of_silence_between_are_no_days_of_failures(listening: Street) -> None:
    listening.webhooks.answers = [DOWN] * 10
    tell(listening)
    for item in listening.items("Ledger", "delivery"):
        listening.ledger_table.delete(str(item["pk"]), str(item["sk"]))
    listening.now += 6 * DAY
    tell(listening, id="second")
    assert listening.does("GET", "/v1/webhook_endpoints/hooks")["status"] == "enabled"


def test_enabled_again_it_gets_what_comes_and_by_hand_what_was_canceled(listening: Street) -> None:
    listening.webhooks.answers = [DOWN, Answer(410)]
    tell(listening)
    tell(listening, id="second")
    wait(listening, 6 * SECOND)
    (canceled,) = log(listening, status="canceled")
    refused = listening.call("POST", f"{LOG}/{canceled['id']}/redeliver")
    assert (refused[0], refused[1]["code"]) == (409, "endpoint_disabled")
    for _ in range(2):
        shown = listening.does("POST", "/v1/webhook_endpoints/hooks/enable")
        assert (shown["status"], shown["disabled_reason"], shown["failing_since"]) == ("enabled", None, None)
    assert "secret" not in shown
    listening.does("POST", f"{LOG}/{canceled['id']}/redeliver")
    tell(listening, id="third")
    assert len(listening.webhooks.posted) == 4
    assert sorted(statuses(listening)) == ["failed", "succeeded", "succeeded"]


def test_what_was_given_up_is_sent_again_by_hand_with_all_its_tries(listening: Street) -> None:
    listening.webhooks.answers = [DOWN] * 11
    tell(listening)
    while statuses(listening) == ["pending"]:
        until_the_next_try(listening)
    (row,) = log(listening)
    again = listening.does("POST", f"{LOG}/{row['id']}/redeliver")
    assert (again["status"], again["next_attempt_at"]) == ("pending", format_time(listening.now))
    listening.deliver("NOTIFY")
    assert statuses(listening) == ["pending"]
    wait(listening, 6 * SECOND)
    (row,) = log(listening)
    assert (row["status"], len(row["attempts"])) == ("succeeded", 12)
    assert len({each.message for each in listening.webhooks.posted}) == 1


def test_what_arrived_is_sent_again_by_hand_too_once_for_each_time_it_is_asked(listening: Street) -> None:
    tell(listening)
    (row,) = log(listening)
    for count in (2, 3):
        listening.does("POST", f"{LOG}/{row['id']}/redeliver")
        listening.deliver("NOTIFY")
        assert len(listening.webhooks.posted) == count
    assert len({each.message for each in listening.webhooks.posted}) == 1


def test_what_waits_for_hours_is_tried_at_once_when_a_person_wants_it(listening: Street) -> None:
    listening.webhooks.answers = [DOWN] * 5
    tell(listening)
    for _ in range(4):
        until_the_next_try(listening)
    (row,) = log(listening)
    listening.does("POST", f"{LOG}/{row['id']}/redeliver")
    listening.deliver("NOTIFY")
    assert statuses(listening) == ["succeeded"]


def test_what_is_just_being_sent_is_not_sent_twice_by_hand(listening: Street) -> None:
    answers = []

    def ask(moment: str) -> None:
        if moment == "before":
            (row,) = log(listening)
            answers.append(listening.does("POST", f"{LOG}/{row['id']}/redeliver"))

    listening.webhooks.interrupt = ask
    tell(listening)
    assert [each["status"] for each in answers] == ["sending"]
    assert len(listening.webhooks.posted) == 1
    assert statuses(listening) == ["succeeded"]


def test_a_message_about_what_is_just_being_sent_does_nothing(listening: Street) -> None:
    def ask(moment: str) -> None:
        if moment == "before":
            (row,) = log(listening)
            notify.handler({"Records": [queue_record({"endpoint": "hooks", "delivery": row["id"]})]}, None)

    listening.webhooks.interrupt = ask
    tell(listening)
    assert len(listening.webhooks.posted) == 1


def survive(street: Street, step: Callable[[], None]) -> None:
    """Take a step in which the process may end, and then all that time, the queue and the minute bring."""
    try:
        step()
    except Crash:
        street.writes_left = None
        street.webhooks.interrupt = lambda _moment: None
        street.now += LEASE  # the queue hides its message for longer
        street.deliver("NOTIFY")
    street.writes_left = None
    for _ in range(4):
        wait(street, 10 * MINUTE)


def writes_of(street: Street, step: Callable[[], None]) -> int:
    street.writes_left = 1000
    step()
    left, street.writes_left = street.writes_left, None
    return 1000 - left


def test_a_delivery_is_three_writes_and_no_more(listening: Street) -> None:
    assert writes_of(listening, lambda: tell(listening)) == 3


@pytest.mark.parametrize("answer_lost", [False, True])
@pytest.mark.parametrize("number", range(3))
def test_a_process_that_ends_at_any_write_repeats_one_webhook_at_the_most(
    listening: Street, number: int, answer_lost: bool
) -> None:
    listening.writes_left, listening.answer_lost = number, answer_lost
    survive(listening, lambda: tell(listening))
    # Only where what came of a call was not written any more does nobody know that it was made.
    repeated = number == 2 and not answer_lost
    assert len(listening.webhooks.posted) == (2 if repeated else 1)
    assert len({each.message for each in listening.webhooks.posted}) == 1
    assert statuses(listening) == ["succeeded"]
    assert not listening.parked()


@pytest.mark.parametrize(("moment", "calls"), [("before", 1), ("after", 2)])
def test_a_process_that_ends_around_the_call_repeats_one_webhook_at_the_most(
    listening: Street, moment: str, calls: int
) -> None:
    def die(now: str) -> None:
        if now == moment:
            raise Crash

    listening.webhooks.interrupt = die
    survive(listening, lambda: tell(listening))
    assert len(listening.webhooks.posted) == calls
    assert len({each.message for each in listening.webhooks.posted}) == 1
    (row,) = log(listening)
    assert row["status"] == "succeeded"
    assert [each["reason"] for each in row["attempts"]] == ["interrupted", None]


@pytest.mark.parametrize("answer_lost", [False, True])
@pytest.mark.parametrize("number", range(3))
def test_a_process_that_ends_while_it_disables_an_endpoint_tells_of_it_once(
    listening: Street, number: int, answer_lost: bool
) -> None:
    listening.webhooks.answers = [Answer(410)] * 3
    listening.writes_left, listening.answer_lost = number, answer_lost
    survive(listening, lambda: tell(listening))
    listening.flow()
    assert len(listening.announced("webhook_endpoint.disabled")) == 1
    assert listening.does("GET", "/v1/webhook_endpoints/hooks")["status"] == "disabled"
    assert statuses(listening) == ["failed"]


@pytest.mark.parametrize("answer_lost", [False, True])
def test_a_redelivery_whose_message_was_never_sent_is_found_by_its_age(listening: Street, answer_lost: bool) -> None:
    tell(listening)
    (row,) = log(listening)
    listening.writes_left, listening.answer_lost = 0, answer_lost
    listening.call("POST", f"{LOG}/{row['id']}/redeliver")
    listening.writes_left = None
    listening.queues["NOTIFY"].clear()
    wait(listening, 16 * MINUTE)
    assert len(listening.webhooks.posted) == (2 if answer_lost else 1)
    assert statuses(listening) == ["succeeded"]


def test_a_delivery_whose_message_was_lost_is_found_by_its_age(listening: Street) -> None:
    notify.announce(bus_event("balance.low", NEWS), listening, listening.now)
    listening.queues["NOTIFY"].clear()
    wait(listening, 14 * MINUTE)
    assert listening.webhooks.posted == []
    wait(listening, 2 * MINUTE)
    assert len(listening.webhooks.posted) == 1


def test_what_ends_after_others_gave_it_up_changes_nothing(listening: Street) -> None:
    def be_slow(moment: str) -> None:
        if moment == "after" and len(listening.webhooks.posted) == 1:
            listening.now += LEASE
            (row,) = log(listening)
            notify.handler({"Records": [queue_record({"endpoint": "hooks", "delivery": row["id"]})]}, None)

    listening.webhooks.interrupt = be_slow
    tell(listening)
    (row,) = log(listening)
    assert row["status"] == "pending"
    assert [each["reason"] for each in row["attempts"]] == ["interrupted"]
    wait(listening, MINUTE)
    assert statuses(listening) == ["succeeded"]


def test_an_endpoint_that_others_keep_noting_stops_no_delivery(listening: Street) -> None:
    class Outrun(Endpoints):
        """Endpoints that somebody else has always written before one that was read is written."""

        def find(self, endpoint: str) -> Endpoint | None:
            found = super().find(endpoint)
            return found and replace(found, failing_since=NOW - 1, failed_at=NOW - 1)

    listening.endpoints = Outrun(listening.ledger_table)
    tell(listening)
    assert statuses(listening) == ["succeeded"]
    assert len(listening.webhooks.posted) == 1


def test_a_deleted_endpoint_is_sent_nothing_more(listening: Street) -> None:
    listening.webhooks.answers = [DOWN]
    tell(listening)
    assert listening.call("DELETE", "/v1/webhook_endpoints/hooks")[0] == 204
    wait(listening, 6 * SECOND)
    tell(listening, id="second")
    assert len(listening.webhooks.posted) == 1
    assert listening.call("GET", LOG)[0] == 404
    listening.does("POST", "/v1/webhook_endpoints", ENDPOINT)
    assert [(row["status"], row["reason"]) for row in log(listening)] == [("canceled", "endpoint_deleted")]


def test_a_name_that_has_become_private_is_not_called(listening: Street) -> None:
    listening.webhooks.addresses["hooks.example.com"] = ["93.184.215.14", "10.0.0.1"]
    tell(listening)
    (row,) = log(listening)
    assert [(each["status"], each["reason"]) for each in row["attempts"]] == [(None, "address_refused")]
    assert listening.webhooks.posted == []


def test_without_a_key_for_signing_nothing_is_sent_and_nothing_is_lost(listening: Street) -> None:
    listening.secrets.pop("signing_key")
    del listening.secret
    listening.queues["NOTIFY"].append(bus_event("balance.low", NEWS))
    for _ in range(3):
        listening.deliver("NOTIFY")
    assert listening.webhooks.posted == []
    assert not listening.parked("unknown")
    listening.secrets["signing_key"] = "again"
    del listening.secret
    listening.deliver("NOTIFY")
    assert statuses(listening) == ["succeeded"]


def test_what_was_given_up_is_counted_and_nothing_secret_is_logged(
    listening: Street, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    listening.webhooks.answers = [DOWN] * 10
    tell(listening, balance="4321.09")
    while statuses(listening) == ["pending"]:
        until_the_next_try(listening)
    counted, logged = capsys.readouterr().out, [vars(record) for record in caplog.records]
    assert counted.count('"WebhooksFailed":[1') == 1
    assert [(each["message"], each["endpoint"], each["status"]) for each in logged] == [
        ("webhook not delivered", "hooks", 503)
    ] * 10
    said = counted + str(logged)
    for secret in ("token", "t-1", "4321.09", "of-the-tests", "whsec_"):
        assert secret not in said


def test_the_log_is_told_newest_first_by_pages_and_by_status(listening: Street) -> None:
    for number in range(7):
        listening.now += SECOND
        listening.webhooks.answers = [DOWN] if number % 3 == 0 else []
        tell(listening, id=f"n{number}")
    rows = log(listening)
    assert [row["payload"]["data"]["id"] for row in rows] == [f"n{number}" for number in reversed(range(7))]
    paged: list[dict[str, Any]] = []
    query = {"limit": "3"}
    while True:
        told = listening.does("GET", LOG, query=query)
        paged += told["rows"]
        if told["next"] is None:
            break
        query["next"] = told["next"]
    assert paged == rows
    assert [row["payload"]["data"]["id"] for row in log(listening, status="pending")] == ["n6", "n3", "n0"]
    assert [row["payload"]["data"]["id"] for row in log(listening, status="pending", limit="2")] == ["n6", "n3"]
    assert listening.call("GET", LOG, query={"status": "lost"})[0] == 400


def test_the_log_is_kept_for_thirty_days(listening: Street) -> None:
    tell(listening)
    (item,) = listening.items("Ledger", "delivery")
    assert int(str(item["ttl"])) * 1000 == NOW + 30 * DAY
    assert "due_at" not in item


def test_a_message_that_makes_no_sense_is_parked_and_its_neighbour_is_handled(listening: Street) -> None:
    records = [
        queue_record({"detail-type": "balance.low", "detail": NEWS}),
        queue_record(bus_event("balance.low", NEWS)),
    ]
    notify.handler({"Records": records}, None)
    listening.deliver("NOTIFY")
    assert len(listening.webhooks.posted) == 1
    (item,) = listening.parked()
    assert item["function"] == "notify"
