"""The parts of the stand-in that stand alone, and the program around them."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.local.stripe import contract, form
from infra.local.stripe.account import Account
from infra.local.stripe.problems import Problem
from tests.infra.local.stripe.stand_in import StandIn


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("a=1&b=", {"a": "1", "b": ""}),
        ("a[b][c]=1&a[d]=2", {"a": {"b": {"c": "1"}, "d": "2"}}),
        ("a[0][x]=1&a[1][x]=2", {"a": [{"x": "1"}, {"x": "2"}]}),
        ("a[]=1&a[]=2", {"a": ["1", "2"]}),
        ("metadata[0]=1", {"metadata": {"0": "1"}}),
        ("lines[0][metadata][0]=1", {"lines": [{"metadata": {"0": "1"}}]}),
        ("a%5Bb%5D=%26+x", {"a": {"b": "& x"}}),
    ],
)
def test_a_form_is_read_as_nested_values(text: str, expected: dict[str, Any]) -> None:
    assert form.decode(text) == expected


@pytest.mark.parametrize("text", ["a[b=1", "[a]=1", "a=1&a[b]=2"])
def test_a_malformed_form_is_refused(text: str) -> None:
    with pytest.raises(Problem):
        form.decode(text)


@given(st.text())
def test_no_text_breaks_the_form(text: str) -> None:
    try:
        form.decode(text)
    except Problem as problem:
        assert problem.status == 400  # noqa: PT017 - any other outcome is as good


def _event() -> dict[str, Any]:
    account = Account()
    account.tell("customer.created", {"id": "cus_1", "object": "customer"})
    return account.event(account.unsent[0])


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        ({}, None),
        ({"created": "now"}, "created"),
        ({"livemode": 0}, "livemode"),
        ({"surprise": 1}, "surprise"),
        ({"type": "customer.sneezed"}, "type"),
        ({"request": {"id": 5, "idempotency_key": None}}, "request.id"),
        ({"created": None}, "created"),
    ],
)
def test_an_answer_that_departs_from_the_sdks_classes_is_found(change: dict[str, Any], finding: str | None) -> None:
    found = contract.differences({**_event(), **change})
    assert len(found) == (finding is not None)
    assert finding is None or f"event.{finding}" in found[0]


def test_an_answer_without_a_needed_key_is_found() -> None:
    event = _event()
    del event["created"]
    assert contract.differences(event) == ["event.created: missing"]


@pytest.mark.parametrize(
    ("error", "known"),
    [
        ({"type": "card_error", "code": "card_declined", "message": "No."}, True),
        ({"type": "card_error", "code": "card_sneezed", "message": "No."}, False),
        ({"type": "sneeze", "message": "No."}, False),
        ({"type": "card_error", "reason": "No."}, False),
        ({"type": "card_error", "payment_intent": {"id": "pi_1", "object": "payment_intent"}}, False),
        ({"message": "No."}, False),
    ],
)
def test_an_error_that_stripe_does_not_know_is_found(error: dict[str, Any], known: bool) -> None:
    assert (contract.of_error(error) == []) == known


def test_the_pages_save_a_card_and_pay_an_invoice(stand_in: StandIn) -> None:
    customer, _ = stand_in.customer()
    session = stand_in.stripe.checkout.sessions.create(
        {
            "mode": "setup",
            "currency": "usd",
            "customer": customer,
            "success_url": "https://example.com/?of={CHECKOUT_SESSION_ID}",
        }
    )
    assert session.url is not None
    assert "Save a card" in httpx.get(session.url).text
    refused = httpx.post(session.url, data={"card": "4000000000000002"})
    assert (refused.status_code, "declined" in refused.text) == (402, True)
    done = httpx.post(session.url, data={"card": "4242 4242 4242 4242"})
    assert (done.status_code, done.headers["location"]) == (303, f"https://example.com/?of={session.id}")
    assert len(stand_in.stripe.payment_methods.list({"customer": customer}).data) == 2
    invoice = stand_in.stripe.invoices.create({"customer": customer, "currency": "usd"})
    stand_in.stripe.invoices.add_lines(invoice.id, {"lines": [{"amount": 900}]})
    opened = stand_in.stripe.invoices.finalize_invoice(invoice.id)
    assert opened.hosted_invoice_url is not None
    assert "9.00 USD due" in httpx.get(opened.hosted_invoice_url).text
    assert "paid" in httpx.post(opened.hosted_invoice_url, data={"card": "4242424242424242"}).text
    assert httpx.get(f"{stand_in.server.url}/checkout/cs_none").status_code == 404


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("faults", {}, 400),
        ("faults", {"status": 500, "drop": True}, 400),
        ("faults", {"status": 429, "processed": True}, 400),
        ("faults", {"code": "lock_timeout", "drop": True}, 400),
        ("webhooks/faults", {"type": "*"}, 400),
        ("limits", {"overall": 0}, 400),
        ("clock", {"offset": 1}, 400),
        ("nothing", {}, 404),
        ("payment_intents/pi_none/authenticate", {}, 404),
    ],
)
def test_a_wrong_control_request_is_refused(stand_in: StandIn, path: str, body: dict[str, Any], status: int) -> None:
    assert httpx.post(f"{stand_in.server.url}/_control/{path}", json=body).status_code == status


def test_the_program_says_when_it_is_ready_and_ends_when_told() -> None:
    root = Path(__file__).parents[4]
    program = [sys.executable, "-m", "infra.local.stripe", "--port", "0"]
    with subprocess.Popen(program, cwd=root, stdout=subprocess.PIPE, text=True) as child:  # noqa: S603 - our own program
        assert child.stdout is not None
        line = child.stdout.readline()
        assert line.startswith("Stripe stand-in ready on http://127.0.0.1:")
        url = line.split()[-1]
        assert httpx.get(f"{url}/v1/customers", auth=("sk_test_curl", "")).json()["data"] == []
        child.send_signal(signal.SIGTERM)
        assert child.wait(timeout=10) == 0
