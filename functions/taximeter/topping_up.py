"""Top-ups as people see to them: `taximeter top-ups list | buy | cancel`."""

import time
from itertools import islice
from typing import Annotated
from uuid import uuid4

import typer

from taximeter.client import ApiKey, AsJson, Client, Json, Port, Url, connected, path_of
from taximeter.reading import Customer, Limit
from taximeter.tables import say, show, show_json

TopUp = Annotated[str, typer.Argument(help="The top-up's id.")]

top_ups = typer.Typer(help="Top-ups: what is open, and what a person does about it.", no_args_is_help=True)

_WAIT_SECONDS = 90
_PATIENT = {"requested", "creating", "confirming", "linking"}


@top_ups.command("list")
def list_top_ups(
    customer: Annotated[str, typer.Argument(help="The customer's id; the open ones of all unless given.")] = "",
    *,
    status: Annotated[str, typer.Option(help="Only those of this status: action_required needs a person.")] = "",
    limit: Limit = 100,
    url: Url = "",
    key: ApiKey = "",
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """List a customer's top-ups, newest first, or those of all that are open."""
    with connected(url, key, port) as client:
        steps = ("customers", customer, "top_ups") if customer else ("top_ups",)
        rows = (row for row in client.rows(*steps) if status in ("", row["status"]))
        _show(list(islice(rows, limit)), as_json=as_json)


@top_ups.command("buy")
def buy(
    customer: Customer,
    amount: Annotated[str, typer.Argument(help="How much credit, before tax, in the customer's currency.")],
    *,
    identity: Annotated[str, typer.Option("--id", help="Of the top-up: the same again buys nothing more.")] = "",
    wait: Annotated[bool, typer.Option(help="Until it has ended, or needs the customer.")] = True,
    url: Url = "",
    key: ApiKey = "",
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Charge the customer's card and grant the credit; exit code 1 if that did not succeed."""
    with connected(url, key, port) as client:
        body = {"id": identity or f"by-hand-{uuid4()}", "amount": amount}
        made = client.call("POST", path_of("customers", customer, "top_ups"), body)
        if wait:
            made = _ended(client, made)
        _show([made], as_json=as_json)
    if wait and made["status"] != "succeeded":
        raise typer.Exit(1)


@top_ups.command("cancel")
def cancel(
    customer: Customer, top_up: TopUp, *, url: Url = "", key: ApiKey = "", port: Port = None, as_json: AsJson = False
) -> None:
    """End an open top-up, if nothing was paid yet: its payment is cancelled at Stripe, its page is closed."""
    with connected(url, key, port) as client:
        client.call("POST", path_of("customers", customer, "top_ups", top_up, "cancel"))
        _show([_ended(client, _one(client, customer, top_up), patient=True)], as_json=as_json)


def _one(client: Client, customer: str, top_up: str) -> Json:
    return next(row for row in client.rows("customers", customer, "top_ups") if row["id"] == top_up)


def _ended(client: Client, made: Json, *, patient: bool = False) -> Json:
    """Ask until a top-up has ended or needs the customer; with `patient` until it has ended."""
    waits_for = {*_PATIENT, "action_required"} if patient else _PATIENT
    deadline = time.monotonic() + _WAIT_SECONDS
    while made["status"] in waits_for and time.monotonic() < deadline:
        time.sleep(1)
        made = _one(client, made["customer"], made["id"])
    if made["status"] in waits_for:
        say(f"it is still {made['status']}: taximeter top-ups list {made['customer']}")
    return made


def _show(rows: list[Json], *, as_json: bool) -> None:
    if as_json:
        show_json({"rows": rows})
        return
    names = ["id", "customer", "status", "requested_at", "currency", "amount", "charged", "reason", "url"]
    show(names, ([row[name] for name in names] for row in rows), {"amount", "charged"})
