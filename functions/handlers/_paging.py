"""Pages of a list: `limit` rows, and an opaque `next` that says after which place the following ones begin.

A place is what orders the rows, never a count of them, so that rows which come or go meanwhile move no other row.
"""

import base64
import json
from collections.abc import Callable, Iterable
from typing import Annotated, Any, TypeVar

from aws_lambda_powertools.event_handler.api_gateway import Response
from pydantic import Field, TypeAdapter
from pydantic_core import from_json

from handlers._routes import Body, query, query_all, query_limit, reply, request_path
from metering.errors import Invalid
from metering.packing import canonical, digest
from metering.times import BEYOND

# Lambda gives back at most 6 MB; a page ends before that, however large its rows are.
_MOST_BYTES = 4 * 1024 * 1024
# A page ends too when it has passed over so many rows that nobody asked for, before its time is up.
_MOST_PASSED_OVER = 10_000

Instant = Annotated[int, Field(ge=0, lt=BEYOND)]
"""An instant in a place: whatever is computed from it can be written."""

NAME: TypeAdapter[str] = TypeAdapter(str)
"""A place that is the name of a row."""

_TOKEN: TypeAdapter[tuple[str, Any]] = TypeAdapter(tuple[str, Any])
_Place = TypeVar("_Place")


def place(shape: TypeAdapter[_Place]) -> _Place | None:
    """The place after which the page begins, of the shape that the places of this list have; None for the first page.

    Raises:
        Invalid: this API did not give it for this list with these parameters.
    """
    given = query("next")
    if not given:
        return None
    try:
        question, found = _TOKEN.validate_python(from_json(base64.urlsafe_b64decode(given + "=" * (-len(given) % 4))))
        after = shape.validate_python(found)
    except ValueError:
        raise not_given() from None
    if question != _question():
        raise not_given()
    return after


def not_given() -> Invalid:
    """The error of a `next` that this API did not give for this list."""
    return Invalid("`next` is not one that this API gave for this list")


def _question() -> str:
    asked = {name: value for name, value in query_all().items() if name not in ("limit", "next")}
    return digest(canonical([request_path(), asked]))[:8]


def _token(after: object) -> str:
    return base64.urlsafe_b64encode(canonical([_question(), after])).decode().rstrip("=")


def page(
    placed: Iterable[tuple[object, Body | None]], beside: Body | None = None, most_looked_at: int | None = None
) -> Response[str]:
    """Answer the first `limit` of these rows, each with its place; no more of them are computed than needed.

    In place of a row that is not asked for there may be None: it is passed over. Where very many are, the page ends
    before it is full, and the following one goes on from there; so it does after `most_looked_at`, where each row costs
    much. `beside` is what else each page says.
    """
    limit, size, passed_over = query_limit(), 0, 0
    rows: list[Body] = []
    after: object = None
    for looked_at, (where, row) in enumerate(placed):
        size += len(json.dumps(row)) if row else 0
        is_full = row is not None and (len(rows) == limit or (bool(rows) and size > _MOST_BYTES))
        if is_full or passed_over == _MOST_PASSED_OVER or looked_at == most_looked_at:
            return reply({**(beside or {}), "rows": rows, "next": _token(after)})
        if row:
            rows.append(row)
        else:
            passed_over += 1
        after = where
    return reply({**(beside or {}), "rows": rows, "next": None})


def page_of_all(rows: Iterable[Body], name: str) -> Response[str]:
    """A page of rows that are at hand as a whole, in the order of the attribute that names them."""
    after = place(NAME)
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
    after = place(NAME)
    rest = iter(rows)
    if after is not None and not any(row["id"] == after for row in rest):
        raise not_given()
    return page(((row["id"], row) for row in rest if wanted(row)), beside)
