"""What a deployment works out for people who ask: `explain`, `quote` and `what-if`."""

import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from taximeter.client import ApiKey, AsJson, Client, Json, Port, Url, connected, path_of
from taximeter.tables import pairs, say, show, show_json

_WRITTEN_OUT = "@"


def explain(
    invoice: Annotated[str, typer.Argument(help="An invoice's id or number; with --draft, a customer's id.")],
    *,
    draft: Annotated[bool, typer.Option("--draft", help="Explain what is running instead.")] = False,
    line: Annotated[int | None, typer.Option(min=1, help="Only this line, day by day, with where to read on.")] = None,
    url: Url = "",
    key: ApiKey = "",
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Show how each line of an invoice came about, and what today's usage makes of it."""
    steps = ("customers", invoice, "invoices", "draft", "explain") if draft else ("invoices", invoice, "explain")
    with connected(url, key, port) as client:
        told = _explanation(client, steps)
        if line is not None:
            if line > len(told["rows"]):
                raise ValueError(f"it has {len(told['rows'])} lines")
            told["rows"] = told["rows"][line - 1 : line]
        if as_json:
            show_json(told)
        elif line is not None:
            _show_windows(told["rows"][0])
        else:
            _show_lines(told)


def _explanation(client: Client, steps: Sequence[str]) -> Json:
    """All pages as one."""
    pages = list(client.pages(*steps))
    return {**pages[0], "rows": [row for page in pages for row in page["rows"]], "next": None}


def _show_lines(told: Json) -> None:
    rows = [_explained(place, row) for place, row in enumerate(told["rows"], 1)]
    show(["line", "what", "how", "amount", "today"], rows, {"line", "amount", "today"})
    typer.echo()
    invoice, tax = told["invoice"], told["tax"]
    paid = pairs({each["credit"]: each["amount"] for each in told["credits"]["by"]})
    rest = [
        ("subtotal", invoice["subtotal"], ""),
        ("tax", invoice["tax"], f"{tax['rate']}% of {tax['taxed']}"),
        ("paid from credits", invoice["credits_applied"], paid),
        (f"due ({invoice['currency']})", invoice["amount_due"], ""),
        ("came since then", told["today"]["difference"], "goes onto a later invoice"),
    ]
    show(["", "amount", "how"], (row for row in rest if row[1] != "0" or row[0].startswith("due")), {"amount"})


def _explained(place: int, row: Json) -> list[object]:
    line, today = row["line"], row["today"]
    amount = line["amount"] if line else None
    now = (today["amount"] if today else "0") if row["differs"] else None
    return [place, (line or today)["description"], "; ".join(_how(row)), amount, now]


def _how(row: Json) -> Iterator[str]:
    """The steps of a line in words, as far as it has any."""
    steps, fee = row["steps"], row["steps"].get("fee")
    if quantity := steps.get("quantity"):
        said = f"{quantity['measured']} / {quantity['divide_by']}"
        taken = steps["included"]["used_up_here"]
        said += f" − {taken} included" if taken != "0" else ""
        yield f"{said} = {quantity['rated']} {quantity['unit'] or ''}".rstrip()
        yield steps["price"]["model"] if steps["price"] else "no price fits"
        yield f"windows: {len(row['usage']['windows'])}"
    if fee:
        yield f"{fee['fee']} × {fee['share']}" if fee["share"] != "1" else fee["fee"]
    if discount := steps.get("discount"):
        of = steps["left"]["before"]
        yield f"{discount['percent']}% of {of}" if discount["percent"] else f"{discount['amount']} off {of}"
    for name in ("minimum", "maximum"):
        if bound := steps.get(name):
            yield f"{steps['left']['before']} to a {name} of {bound['in_period']}"
    if adjusts := steps.get("adjusts"):
        yield adjusts["explain"] or "that period was not invoiced"


def _show_windows(row: Json) -> None:
    if not row["usage"]:
        say("no usage made this line")
        return
    windows = row["usage"]["windows"]
    names = ["start", "end", "quantity", "events"]
    rows = ([*(each[name] for name in names), each["links"]["events"] or each["links"]["usage"]] for each in windows)
    show([*names, "to be read at"], rows, names[2:])


def quote(
    file: Annotated[
        Path,
        typer.Argument(help='JSON or YAML: {"plan": …, "usage": [{"item" or "meter", "quantity", …}]}; - is stdin.'),
    ],
    *,
    url: Url = "",
    key: ApiKey = "",
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Show what some usage would cost on a plan; nothing is kept."""
    with connected(url, key, port) as client:
        told = client.call("POST", path_of("quotes"), _read(file))
        if as_json:
            show_json(told)
            return
        names = ["description", "quantity", "unit", "unit_price", "amount"]
        rows = [[line[name] for name in names] for line in told["lines"]]
        show(names, [*rows, [f"total ({told['currency']})", *[None] * 3, told["total"]]], {"quantity", *names[3:]})


def what_if(
    customer: Annotated[str, typer.Argument(help="The customer's id.")],
    plan: Annotated[str, typer.Argument(help="A plan's key, or @FILE for one that is written out (JSON or YAML).")],
    *,
    period: Annotated[
        str, typer.Option(help="Its first instant, or the id or number of its invoice; the running one unless given.")
    ] = "",
    url: Url = "",
    key: ApiKey = "",
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Show what a period of a customer would have cost on another plan, side by side; nothing is kept."""
    with connected(url, key, port) as client:
        asked = _read(Path(plan.removeprefix(_WRITTEN_OUT))) if plan.startswith(_WRITTEN_OUT) else plan
        body = {"plan": asked, **({"period": period} if period else {})}
        told = client.call("POST", path_of("customers", customer, "what_if"), body)
        if as_json:
            show_json(told)
            return
        show(*_side_by_side(told), {"current", "what if"})
        say(f"{told['period']['start']} to {told['period']['end']}, in {told['currency']}")


def _side_by_side(told: Json) -> tuple[list[str], list[list[object]]]:
    from billing.money import total  # noqa: PLC0415 - only this command adds
    from metering.decimals import decimal_of, text  # noqa: PLC0415 - the same

    sides = ("current", "what_if")
    amounts: defaultdict[str, dict[str, list[Any]]] = defaultdict(lambda: {side: [] for side in sides})
    for side in sides:
        for line in told[side]["lines"]:
            amounts[line["description"]][side].append(decimal_of(line["amount"]))
    rows: list[list[object]] = [["plan", *(told[side]["plan"]["key"] for side in sides)]]
    for what, each in amounts.items():
        rows.append([what, *(text(total(each[side])) if each[side] else None for side in sides)])
    rows.append(["subtotal", *(told[side]["subtotal"] for side in sides)])
    return ["", "current", "what if"], [*rows, ["difference", None, told["difference"]]]


def _read(file: Path) -> Any:  # noqa: ANN401 - any JSON
    """What a file holds.

    Raises:
        ValueError: it cannot be read.
    """
    from taximeter.applying.file import parsed  # noqa: PLC0415 - only commands that read files need YAML

    try:
        return parsed(sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8"))
    except OSError as fault:
        raise ValueError(str(fault)) from fault
