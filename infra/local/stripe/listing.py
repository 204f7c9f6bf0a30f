"""Pages of objects, newest first, and the expansion of ids into objects."""

from __future__ import annotations

import copy
from collections.abc import Iterable

from .account import Account
from .problems import Json, invalid, missing

PAGING = "limit starting_after ending_before"


def page(rows: Iterable[Json], params: Json, url: str) -> Json:
    """Returns the page of ``rows`` (oldest first) that the parameters ask for.

    Raises:
        Problem: the limit is not 1 to 100, or the cursor names nothing.
    """
    limit = params.get("limit", 10)
    if not 1 <= limit <= 100:
        raise invalid("Limit must be between 1 and 100.", param="limit")
    found = [row for row in reversed(list(rows)) if _in_time(row, params.get("created"))]
    if "ending_before" in params:
        before = found[: _position(found, params["ending_before"], "ending_before")]
        return _page(before[-limit:], url, has_more=len(before) > limit)
    if "starting_after" in params:
        found = found[_position(found, params["starting_after"], "starting_after") + 1 :]
    return _page(found[:limit], url, has_more=len(found) > limit)


def _page(data: list[Json], url: str, *, has_more: bool) -> Json:
    return {"object": "list", "data": data, "has_more": has_more, "url": url}


def _position(rows: list[Json], identifier: str, param: str) -> int:
    for position, row in enumerate(rows):
        if row["id"] == identifier:
            return position
    raise missing("object", identifier, param=param)


def _in_time(row: Json, bounds: Json | int | None) -> bool:
    if bounds is None:
        return True
    created = row["created"]
    if isinstance(bounds, int):
        return bool(created == bounds)
    return all(
        {
            "gt": created > bound,
            "gte": created >= bound,
            "lt": created < bound,
            "lte": created <= bound,
        }[key]
        for key, bound in bounds.items()
    )


def expand(account: Account, answer: Json, paths: list[str]) -> Json:
    """Returns a copy of the answer in which the ids at these paths are objects.

    Raises:
        Problem: there is nothing to expand at a path.
    """
    expanded = copy.deepcopy(answer)
    for path in paths:
        _expand(account, expanded, path.split("."), path)
    return expanded


def _expand(account: Account, node: Json, steps: list[str], path: str) -> None:
    step, rest = steps[0], steps[1:]
    if step == "payments" and node["object"] == "invoice":
        rows = account.every("invoice_payment", lambda row: row["invoice"] == node["id"])
        node["payments"] = page(rows, {}, "/v1/invoice_payments")
    if step not in node:
        raise invalid(f"This property cannot be expanded ({path}).", param="expand[]")
    if isinstance(node[step], str) and node[step] in account.objects:
        node[step] = copy.deepcopy(account.objects[node[step]])
    for inner in node[step] if isinstance(node[step], list) else [node[step]]:
        if rest and isinstance(inner, dict):
            _expand(account, inner, rest, path)
