"""Pages of objects, newest first, and the expansion of ids into objects."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from operator import itemgetter

from .account import Account, copied
from .problems import Json, invalid, missing

PAGING = "limit starting_after ending_before"


def page(rows: Iterator[Json], params: Json, url: str, keep: Callable[[Json], bool] = lambda _: True) -> Json:
    """Returns the page of ``rows`` that the parameters ask for, in their order, of those that pass ``keep``.

    The object that a page follows needs to be among the rows only: what it became meanwhile does not matter.

    Raises:
        Problem: the limit is not 1 to 100, or the cursor names nothing.
    """
    limit = params.get("limit", 10)
    if not 1 <= limit <= 100:
        raise invalid("Limit must be between 1 and 100.", param="limit")
    back = params.get("ending_before")
    if "starting_after" in params:
        _skip(rows, params["starting_after"])
    elif back:
        rows = _until(rows, back)
    found = (row for row in rows if keep(row) and within(row.get("created"), params.get("created")))
    if back:
        last = list(deque(found, maxlen=limit + 1))
        return _page(last[-limit:], url, has_more=len(last) > limit)
    data = list(islice(found, limit + 1))
    return _page(data[:limit], url, has_more=len(data) > limit)


def _page(data: list[Json], url: str, *, has_more: bool) -> Json:
    return {"object": "list", "data": data, "has_more": has_more, "url": url}


def _skip(rows: Iterator[Json], identifier: str) -> None:
    if identifier not in map(itemgetter("id"), rows):  # which leaves the iterator behind it
        raise missing("object", identifier, param="starting_after")


def _until(rows: Iterator[Json], identifier: str) -> Iterator[Json]:
    for row in rows:
        if row["id"] == identifier:
            return
        yield row
    raise missing("object", identifier, param="ending_before")


def within(instant: int | None, bounds: Json | int | None) -> bool:
    """Whether an instant is within the bounds that were asked for; none is within any."""
    if bounds is None:
        return True
    if instant is None:
        return False
    if isinstance(bounds, int):
        return instant == bounds
    return all(
        {
            "gt": instant > bound,
            "gte": instant >= bound,
            "lt": instant < bound,
            "lte": instant <= bound,
        }[key]
        for key, bound in bounds.items()
    )


def expand(account: Account, answer: Json, paths: list[str]) -> Json:
    """Returns the answer, or a copy of it in which the ids at these paths are objects.

    Raises:
        Problem: there is nothing to expand at a path.
    """
    if not paths:
        return answer
    expanded = copied(answer)
    for path in paths:
        _expand(account, expanded, path.split("."), path)
    return expanded


def _expand(account: Account, node: Json, steps: list[str], path: str) -> None:
    step, rest = steps[0], steps[1:]
    if step == "payments" and node["object"] == "invoice":
        rows = account.newest("invoice_payment", invoice=node["id"])
        node["payments"] = page(rows, {}, "/v1/invoice_payments")
    if step == "line_items" and node["object"] == "checkout.session":
        url = f"/v1/checkout/sessions/{node['id']}/line_items"
        node["line_items"] = page(iter(account.lines.get(node["id"], [])), {}, url)
    if step not in node:
        raise invalid(f"This property cannot be expanded ({path}).", param="expand[]")
    if isinstance(node[step], str) and node[step] in account.objects:
        node[step] = copied(account.objects[node[step]])
    for inner in node[step] if isinstance(node[step], list) else [node[step]]:
        if rest and isinstance(inner, dict):
            _expand(account, inner, rest, path)
