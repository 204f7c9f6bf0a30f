"""Stripe and a deployment: its keys (`taximeter stripe key | webhook-secret`), and customers' cards (`link | card`).

Keys are asked for or read from standard input: what stands on a command line is in its history and in every list of
processes. What else the secret holds is kept.
"""

import json
import re
import sys
from typing import Annotated, Any

import typer

from taximeter.client import ApiKey, AsJson, Json, Port, Url, connected, path_of
from taximeter.operator import Name, deployment
from taximeter.reading import Customer
from taximeter.tables import say, show_json

stripe = typer.Typer(help="Stripe: its keys, and the cards of customers.", no_args_is_help=True)

_KEY = re.compile(r"(rk|sk)_(live|test)_\w+", re.ASCII)
_WEBHOOK_SECRET = re.compile(r"whsec_\S+", re.ASCII)


@stripe.command("key")
def set_key(*, name: Name = "Taximeter", port: Port = None) -> None:
    """Give a deployment its Stripe key: a restricted one (rk_…), asked for or from standard input."""
    given = _asked("Stripe key", _KEY, "rk_live_… or rk_test_…")
    if given.startswith("sk_"):
        say("this is the key for everything: a restricted one (rk_…) would do")
    _keep(name, port, {"stripe_api_key": given})
    typer.echo("kept; functions use it within five minutes, or at once where Stripe refuses the one before")


@stripe.command("webhook-secret")
def set_webhook_secret(
    *,
    replace: Annotated[bool, typer.Option(help="Forget the one before, instead of taking both for a while.")] = False,
    name: Name = "Taximeter",
    port: Port = None,
) -> None:
    """Give a deployment the signing secret of its webhook endpoint at Stripe; the one before stays valid beside it."""
    given = _asked("Webhook secret", _WEBHOOK_SECRET, "whsec_…")
    before = [] if replace else list(_kept(name, port).get("stripe_webhook_secrets") or ())
    _keep(name, port, {"stripe_webhook_secrets": [given, *(each for each in before[:1] if each != given)]})
    typer.echo("kept; functions take it within five minutes")


@stripe.command("link")
def link(
    customer: Customer,
    stripe_customer: Annotated[str, typer.Argument(help="Its id at Stripe (cus_…).")],
    *,
    url: Url = "",
    key: ApiKey = "",
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Say which customer at Stripe a customer is; `card` makes a new one."""
    with connected(url, key, port) as client:
        told = client.call("PATCH", path_of("customers", customer), {"stripe_customer": stripe_customer})
        _tell({"customer": customer, "stripe_customer": told["stripe_customer"]}, "stripe_customer", as_json=as_json)


@stripe.command("card")
def card(
    customer: Customer,
    *,
    return_url: Annotated[str, typer.Option(help="Where the customer is led afterwards.")] = "",
    url: Url = "",
    key: ApiKey = "",
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Show the page where a customer saves a card, and make the customer at Stripe if there is none yet."""
    with connected(url, key, port) as client:
        body = {"return_url": return_url} if return_url else {}
        told = client.call("POST", path_of("customers", customer, "payment_setup"), body)
        _tell({"customer": customer, "url": told["url"]}, "url", as_json=as_json)


def _tell(told: Json, name: str, *, as_json: bool) -> None:
    if as_json:
        show_json(told)
    else:
        typer.echo(told[name])


def _asked(what: str, pattern: re.Pattern[str], form: str) -> str:
    """What a person types unseen, or what a program writes."""
    given = typer.prompt(what, hide_input=True) if sys.stdin.isatty() else sys.stdin.readline()
    given = given.strip()
    if not pattern.fullmatch(given):
        raise typer.BadParameter(f"that is no {what.lower()}: {form}")
    return str(given)


def _kept(name: str, port: int | None) -> dict[str, Any]:
    """What the deployment's secret holds."""
    found = deployment(name, port)
    value = found.client("secretsmanager").get_secret_value(SecretId=found.output("Data", "StripeSecretArn"))
    return dict(json.loads(value["SecretString"]))


def _keep(name: str, port: int | None, more: dict[str, Any]) -> None:
    found = deployment(name, port)
    whole = {**_kept(name, port), **more}
    found.client("secretsmanager").put_secret_value(
        SecretId=found.output("Data", "StripeSecretArn"), SecretString=json.dumps(whole)
    )
