"""`taximeter stripe`: keys are kept without being shown, cards are saved on Stripe's page."""

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto import mock_aws
from typer.testing import CliRunner

from taximeter import connecting
from taximeter.command import main
from tests.handlers.conftest import at_stripe
from tests.taximeter.conftest import Service


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """What the deployment's secret holds, at any time."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with mock_aws():
        manager = boto3.client("secretsmanager", region_name="us-east-1")
        manager.create_secret(Name="Stripe", SecretString='{"signing_key": "kept"}')
        found = SimpleNamespace(client=lambda _: manager, output=lambda *_: "Stripe")
        monkeypatch.setattr(connecting, "deployment", lambda *_: found)
        yield lambda: json.loads(manager.get_secret_value(SecretId="Stripe")["SecretString"])


def run(*words: str, stdin: str) -> Any:
    return CliRunner().invoke(main, ["stripe", *words], input=stdin)


def test_a_key_is_kept_beside_what_there_is_and_never_shown(secret: Any) -> None:
    done = run("key", stdin="rk_test_abc\n")
    assert (done.exit_code, secret()) == (0, {"signing_key": "kept", "stripe_api_key": "rk_test_abc"})
    assert "rk_test_abc" not in done.stdout + done.stderr
    assert "restricted" not in done.stderr
    assert "restricted" in run("key", stdin="sk_live_abc").stderr
    assert secret()["stripe_api_key"] == "sk_live_abc"


def test_a_webhook_secret_is_taken_beside_the_one_before_until_that_is_forgotten(secret: Any) -> None:
    for given in ("whsec_1", "whsec_2", "whsec_2", "whsec_3"):
        assert run("webhook-secret", stdin=given).exit_code == 0
    assert secret()["stripe_webhook_secrets"] == ["whsec_3", "whsec_2"]
    assert run("webhook-secret", "--replace", stdin="whsec_4").exit_code == 0
    assert secret() == {"signing_key": "kept", "stripe_webhook_secrets": ["whsec_4"]}


@pytest.mark.parametrize(("command", "given"), [("key", "pk_live_abc"), ("key", ""), ("webhook-secret", "rk_live_x")])
def test_what_is_no_key_is_refused(secret: Any, command: str, given: str) -> None:
    assert run(command, stdin=given).exit_code == 2
    assert secret() == {"signing_key": "kept"}


def test_a_customer_is_linked_or_made_with_a_page_for_its_card(service: Service) -> None:
    service.street.prepare()
    stripe = at_stripe(service.street)
    assert service.told("stripe", "link", "acme", "cus_1") == {"customer": "acme", "stripe_customer": "cus_1"}
    service.street.does("PATCH", "/v1/customers/acme", {"stripe_customer": None})
    url = service.run("stripe", "card", "acme", "--return-url", "https://example.com/back").stdout.strip()
    (session,) = stripe.stripe.checkout.sessions.list().data
    assert (session.url, session.mode) == (url, "setup")
    holder = service.street.does("GET", "/v1/customers/acme")["stripe_customer"]
    assert [each.id for each in stripe.stripe.customers.list().data] == [holder]
