"""Pages of a list: `limit` rows, and an opaque `next` that says after which place the following ones begin.

A place is what orders the rows, never a count of them, so that rows which come or go meanwhile move no other row.
"""

import base64
import json
from collections.abc import Callable, Iterable
from typing import Any

from aws_lambda_powertools.event_handler.api_gateway import Response

from handlers._routes import Body, query, query_all, query_limit, reply, request_path
from metering.errors import Invalid
from metering.packing import canonical, digest

# Lambda gives back at most 6 MB; a page ends before that, however large its rows are.
_MOST_BYTES = 4 * 1024 * 1024
# Nor does anybody wait for ever while rows are passed over.
_MOST_LOOKED_AT = 2000


def place() -> Any:  # noqa: ANN401 - whatever orders the rows of the list, as JSON
    """The place after which the page begins; None for the first page.

    Raises:
        Invalid: this API did not give it for this list with these parameters.
    """
    given = query("next")
    if not given:
        return None
    try:
        question, found = json.loads(base64.urlsafe_b64decode(given + "=" * (-len(given) % 4)))
    except (ValueError, TypeError):
        question, found = None, None
    if question != _question():
        raise not_ours()
    return found


def not_ours() -> Invalid:
    """What to raise for a `next` that is made up, or belongs to another list."""
    return Invalid("`next` is not one that this API gave for this list")


def _question() -> str:
    asked = {name: value for name, value in query_all().items() if name not in ("limit", "next")}
    return digest(canonical([request_path(), asked]))[:8]


def _token(after: object) -> str:
    return base64.urlsafe_b64encode(canonical([_question(), after])).decode().rstrip("=")


def page(
    placed: Iterable[tuple[object, Body | None]], beside: Body | None = None, most_looked_at: int = _MOST_LOOKED_AT
) -> Response[str]:
    """Answer the first `limit` of these rows, each with its place; no more of them are computed than needed.

    `beside` is what else each page says. A row that is None is passed over; where `most_looked_at` rows were, the page
    ends before its limit, with a `next` that leads on.
    """
    limit, size = query_limit(), 0
    rows: list[Body] = []
    after: object = None
    for looked_at, (where, row) in enumerate(placed):
        size += len(json.dumps(row)) if row else 0
        if len(rows) == limit or (rows and size > _MOST_BYTES) or looked_at == most_looked_at:
            return reply({**(beside or {}), "rows": rows, "next": _token(after)})
        rows += [row] if row else []
        after = where
    return reply({**(beside or {}), "rows": rows, "next": None})


def page_of_all(rows: Iterable[Body], name: str) -> Response[str]:
    """A page of rows that are at hand as a whole, in the order of the attribute that names them."""
    after = place()
    named = {str(row[name]): row for row in rows}
    return page((key, named[key]) for key in sorted(named) if after is None or key > after)


def page_of_stream(
    rows: Iterable[Body], wanted: Callable[[Body], bool] = lambda _row: True, beside: Body | None = None
) -> Response[str]:
    """A page of rows that come one by one in an order of their own, named by their id.

    What is `wanted` may change while somebody pages, as a status does; so a page begins after a row whether that row is
    still wanted or not.

    Raises:
        Invalid: the row after which it begins is not among them any more.
    """
    after = place()
    rest = iter(rows)
    if after is not None and not any(row["id"] == after for row in rest):
        raise not_ours()
    return page(((row["id"], row) for row in rest if wanted(row)), beside)
