"""The webhook's door: nothing unsigned passes, and nothing of a message but its object's id is believed."""

import gzip
import hashlib
import hmac
import json
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest

from adapters.clock import real_now
from handlers import stripe_webhook
from tests.handlers.street import WEBHOOK_SECRET, Crash, Street, http_event


def signed(body: str, secret: str = WEBHOOK_SECRET, late_seconds: int = 0) -> str:
    at = real_now() // 1000 - late_seconds
    return f"t={at},v1={hmac.new(secret.encode(), f'{at}.{body}'.encode(), hashlib.sha256).hexdigest()}"


def knock(body: str, signature: str) -> tuple[int, Any]:
    event = http_event("POST", "/v1/stripe/webhook", body, headers={"stripe-signature": signature})
    answer = stripe_webhook.handler(event, None)
    return answer["statusCode"], json.loads(answer["body"])


def message(kind: str = "invoice.paid", identity: str | None = "evt_1", **about: Any) -> str:
    about = {"object": "invoice", "id": "x_1", "metadata": {"taximeter_invoice": "i"}, **about}
    return json.dumps({"id": identity, "type": kind, "data": {"object": about}})


def test_an_event_is_handed_on_and_known_from_then_on(street: Street) -> None:
    body = message()
    for _ in range(2):
        assert knock(body, signed(body)) == (200, {"received": True})
    assert street.queues["COLLECT"] == [{"stripe_invoice": "x_1"}] * 2, "once more is harmless"
    assert street.seen_events.among(["evt_1"]) == {"evt_1"}


def test_an_event_that_could_not_be_handed_on_is_not_known(street: Street) -> None:
    def breaks(name: str, do: Callable[[], Any]) -> Any:
        if name.startswith("queue"):
            raise Crash
        return do()

    street.interfere = breaks
    with pytest.raises(Crash):
        knock(message(), signed(message()))
    assert street.seen_events.among(["evt_1"]) == set(), "Stripe sends it again, and its list has it"


@pytest.mark.parametrize(
    "body",
    [message("charge.captured"), message(id=None), message(metadata={}), message(identity=None), "{}", "[]", "1"],
)
def test_what_is_not_for_us_is_acknowledged_and_dropped(street: Street, body: str) -> None:
    assert knock(body, signed(body))[0] == 200
    assert not any(street.queues.values())


BODY = message()


@pytest.mark.parametrize(
    "signature",
    [
        "",
        "v1=0,t=0",
        "t=1,t=2,v1=0",
        "t=99999999999999999999,v1=0",
        "t=²,v1=0",
        f"t={real_now() // 1000},v1=é",
        f"t={real_now() // 1000},v1=\ud800",
        signed(BODY, "whsec_of_somebody_else"),
        signed(BODY + " "),
        signed(BODY, late_seconds=301),
        signed(BODY, late_seconds=-86_400),
        signed(BODY).replace("v1=", "v0="),
    ],
    # They hold the time of day: names that stay.
    ids=[
        *("none", "short", "two-times", "long-time", "odd-digit", "not-ascii", "no-character"),
        *("other-secret", "other-body", "late", "ahead", "other-scheme"),
    ],
)
def test_what_stripe_did_not_sign_just_now_is_refused(street: Street, signature: str) -> None:
    status, answer = knock(BODY, signature)
    assert (status, answer["code"]) == (400, "signature")
    assert not any(street.queues.values())


def test_while_a_secret_is_being_replaced_either_of_the_two_signs(street: Street) -> None:
    street.secrets["stripe_webhook_secrets"] = ["whsec_old", "whsec_new"]
    for secret in ("whsec_old", "whsec_new"):
        assert knock(BODY, signed(BODY, secret))[0] == 200
    both = signed(BODY, "whsec_other") + "," + signed(BODY, "whsec_new").partition(",")[2]
    assert knock(BODY, both)[0] == 200


def test_before_the_operator_put_a_secret_there_nothing_passes(street: Street) -> None:
    for secrets in ([], [""], [None], "", None):
        street.__dict__.pop("secret", None)
        street.secrets["stripe_webhook_secrets"] = secrets
        for guess in ("", "None"):
            assert knock(BODY, signed(BODY, guess))[0] == 400


def test_what_is_signed_but_no_json_is_refused(street: Street) -> None:
    assert knock("{", signed("{"))[0] == 400
    assert not any(street.queues.values())


@pytest.mark.parametrize("packed", [False, True], ids=["base64", "gzip in base64"])
def test_the_body_is_checked_as_it_came(street: Street, packed: bool) -> None:
    """The gateway hands on what is not text in base64; the bytes of `é` are what was signed, not its escape."""
    body = message(note="é", identity="evt_2").replace("\\u00e9", "é")
    event = http_event("POST", "/v1/stripe/webhook", headers={"stripe-signature": signed(body)})
    given = gzip.compress(body.encode()) if packed else body.encode()
    event |= {"body": b64encode(given).decode(), "isBase64Encoded": True}
    event["headers"] |= {"content-encoding": "gzip"} if packed else {}
    assert stripe_webhook.handler(event, None)["statusCode"] == 200
    assert street.seen_events.among(["evt_2"])


@pytest.mark.parametrize(
    ("encoding", "event", "status"),
    [
        ("", {"body": "?", "isBase64Encoded": True}, 400),
        ("", {"body": "x" * (1024 * 1024 + 1)}, 413),
        ("gzip", {"body": b64encode(gzip.compress(b"x" * 2_000_000)).decode(), "isBase64Encoded": True}, 413),
        ("br", {"body": "{}"}, 400),
        ("", {"body": None}, 400),
    ],
    ids=["no base64", "too large", "too large unpacked", "another encoding", "none"],
)
def test_a_body_that_cannot_be_one_of_stripe_s_is_refused(
    street: Street, encoding: str, event: dict[str, Any], status: int
) -> None:
    knocked = http_event("POST", "/v1/stripe/webhook", headers={"content-encoding": encoding})
    assert stripe_webhook.handler({**knocked, **event}, None)["statusCode"] == status
    assert not any(street.queues.values())
