"""Signatures of webhooks: those of the specification, and none that fits anything else."""

import base64
import hashlib
import hmac
import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.signing import endpoint_secret, shown_secret, signed_headers

BODY = '{"test": 2432232314}'


def verified(headers: dict[str, str], body: str, secret: str) -> bool:
    """The check of a receiver, written from the specification."""
    key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{body}".encode()
    ours = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return any(hmac.compare_digest(each, f"v1,{ours}") for each in headers["webhook-signature"].split(" "))


def test_the_example_that_libraries_are_tested_with_comes_to_the_same_signature() -> None:
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    assert signed_headers(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", BODY, 1_614_265_330) == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@given(st.text(min_size=1), st.text(), st.integers(min_value=0, max_value=2**40))
def test_a_receiver_that_follows_the_specification_believes_it(key: str, body: str, now_seconds: int) -> None:
    key, body = (each.encode(errors="ignore").decode() for each in (key, body))
    secret = endpoint_secret(key, "hooks", 1)
    assert verified(signed_headers(secret, "msg_1", body, now_seconds), body, shown_secret(secret))


def test_the_lines_of_the_readme_believe_what_is_signed_and_fresh_and_nothing_else() -> None:
    page = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    (written,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    found: dict[str, Any] = {}
    exec(written, found)  # noqa: S102 - our own page
    secret, now = endpoint_secret("key", "hooks", 1), int(time.time())
    headers, shown = signed_headers(secret, "msg_1", BODY, now), shown_secret(secret)
    rotated = headers | {"webhook-signature": f"v1,bm9uZQ== v2,ü {headers['webhook-signature']}"}
    old = signed_headers(secret, "msg_1", BODY, now - 1_000)
    verify = found["verify"]
    assert verify(headers, BODY.encode(), shown)
    assert verify(rotated, BODY.encode(), shown)
    assert not verify(headers, b"{}", shown)
    assert not verify(headers, BODY.encode(), shown_secret(endpoint_secret("key", "other", 1)))
    assert not verify(old, BODY.encode(), shown)


@pytest.mark.parametrize(
    "changed", [{"webhook-id": "msg_2"}, {"webhook-timestamp": "2"}, {"webhook-signature": "v1,AAAA"}]
)
def test_whatever_is_changed_on_the_way_is_noticed(changed: dict[str, str]) -> None:
    secret = endpoint_secret("key", "hooks", 1)
    headers = signed_headers(secret, "msg_1", BODY, 1)
    assert verified(headers, BODY, shown_secret(secret))
    assert not verified(headers | changed, BODY, shown_secret(secret))
    assert not verified(headers, BODY + " ", shown_secret(secret))


def test_every_endpoint_has_another_secret_and_another_each_time_it_is_made() -> None:
    cases = [("key", "a", 1), ("key", "b", 1), ("key", "a", 2), ("other", "a", 1), ("key", "a.1", 2), ("key", "a", 12)]
    shown = [shown_secret(endpoint_secret(*case)) for case in cases]
    assert len(set(shown)) == len(cases)
    assert shown == [shown_secret(endpoint_secret(*case)) for case in cases]
    for each in shown:
        assert each.startswith("whsec_")
        assert len(base64.b64decode(each.removeprefix("whsec_"), validate=True)) == 32
