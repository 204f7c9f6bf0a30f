"""What a deployment says to people who ask: `usage`, `balance`, `invoices` and `events`."""

import re
from itertools import islice
from typing import Annotated, Literal

import typer

from taximeter.client import ApiKey, AsJson, Client, Json, Port, Query, Url, connected
from taximeter.tables import pairs, say, show, show_json

Customer = Annotated[str, typer.Argument(help="The customer's id.")]
Meter = Annotated[str, typer.Argument(help="The meter's key.")]
Since = Annotated[str, typer.Option("--from", help="A day (UTC), or an RFC 3339 time.")]
Until = Annotated[str, typer.Option("--to", help="A day (UTC) or a time, not included.")]
Limit = Annotated[int, typer.Option(min=1, help="How many rows at most.")]
Window = Literal["minute", "hour", "day", "week", "month", "year", "total"]

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def usage(  # noqa: PLR0913 - each is an option of the command
    customer: Customer,
    meter: Meter,
    *,
    since: Since = "",
    until: Until = "",
    window: Annotated[Window, typer.Option(help="How the interval is cut.")] = "total",
    group_by: Annotated[str, typer.Option(help="Dimensions to keep apart; with commas.")] = "",
    where: Annotated[list[str] | None, typer.Option(help="DIMENSION=VALUE that usage must have.")] = None,
    timezone: Annotated[str, typer.Option(help="Where days and months begin.")] = "UTC",
    url: Url = "",
    key: ApiKey = "",
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Show how much was used; of the running period unless told."""
    with connected(url, key, port) as client:
        query = {"customer": customer, "meter": meter, "window": window, "timezone": timezone, "group_by": group_by}
        query |= interval(since, until) | {f"where.{name}": value for name, value in map(_pair, where or ())}
        rows = list(client.rows("usage", query=query))
        if as_json:
            show_json({"rows": rows})
            return
        names = [name for name in dict.fromkeys(group_by.split(",")) if name]
        show(
            ["start", "end", *names, "quantity", "events"], (_used(row, names) for row in rows), {"quantity", "events"}
        )


def _used(row: Json, names: list[str]) -> list[object]:
    return [row["start"], row["end"], *map(row["dimensions"].get, names), row["quantity"], row["events"]]


def balance(customer: Customer, *, url: Url = "", key: ApiKey = "", port: Port = None, as_json: AsJson = False) -> None:
    """Show what a customer can spend, and the credits that it is made of."""
    with connected(url, key, port) as client:
        told = client.get("customers", customer, "balance")
        if as_json:
            show_json(told)
            return
        currency = told["currency"] or "balance"
        show([currency, "as of", "runs out at"], [[told["balance"], told["as_of"], told["runs_out_at"]]], {currency})
        if told["credits"]:
            typer.echo()
            names = ["id", "kind", "remaining", "amount", "priority", "effective_at", "expires_at"]
            show(names, ([each[name] for name in names] for each in told["credits"]), names[2:5])


def invoices(
    customer: Annotated[str, typer.Argument(help="The customer's id; of all customers unless given.")] = "",
    *,
    status: Annotated[str, typer.Option(help="Only those of this status.")] = "",
    limit: Limit = 100,
    url: Url = "",
    key: ApiKey = "",
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """List invoices, newest first."""
    with connected(url, key, port) as client:
        rows, more = _first(client, limit, "invoices", {"customer": customer, "status": status})
        if as_json:
            show_json({"rows": rows, "more": more})
            return
        show(
            ["number", "customer", "status", "from", "to", "currency", "total", "due"],
            map(_invoiced, rows),
            {"total", "due"},
        )
        _tell_of_more(more=more)


def _invoiced(row: Json) -> list[object]:
    start, end = row["period"]["start"], row["period"]["end"]
    names = ("customer", "status", "currency", "total", "amount_due")
    customer, status, currency, total, due = (row[name] for name in names)
    return [row["number"] or "-", customer, status, start, end, currency, total, due]


def events(  # noqa: PLR0913 - each is an option of the command
    customer: Customer,
    meter: Meter,
    *,
    since: Since = "",
    until: Until = "",
    limit: Limit = 100,
    url: Url = "",
    key: ApiKey = "",
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """List the events that were sent, newest first."""
    with connected(url, key, port) as client:
        query = {"customer": customer, "meter": meter} | interval(since, until)
        rows, more = _first(client, limit, "events", query)
        if as_json:
            show_json({"rows": rows, "more": more})
            return
        show(["timestamp", "id", "what", "status", "dimensions"], map(_sent, rows))
        _tell_of_more(more=more)


def _sent(row: Json) -> list[object]:
    what = row.get("type") or row.get("value")
    return [row["timestamp"], row["id"], what, row["status"], pairs(row.get("dimensions") or {})]


def interval(since: str, until: str) -> dict[str, str]:
    """What of `from` and `to` is given, a day as its first instant in UTC."""
    given = {"from": since, "to": until}
    return {name: f"{at}T00:00:00Z" if _DAY.fullmatch(at) else at for name, at in given.items() if at}


def _pair(written: str) -> tuple[str, str]:
    name, equals, value = written.partition("=")
    if not (name and equals):
        raise ValueError(f"{written!r} is not of the form DIMENSION=VALUE")
    return name, value


def _first(client: Client, most: int, path: str, query: Query) -> tuple[list[Json], bool]:
    """The first rows of a list, and whether there are more."""
    rows = list(islice(client.rows(path, query=query, most=most + 1), most + 1))
    return rows[:most], len(rows) > most


def _tell_of_more(*, more: bool) -> None:
    if more:
        say("there are more: --limit shows them")
