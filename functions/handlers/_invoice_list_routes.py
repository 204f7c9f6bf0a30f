"""The route that lists invoices: a customer's, all that have numbers, or all drafts. Contract: api.md."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Annotated, get_args

from aws_lambda_powertools.event_handler.api_gateway import Response
from pydantic import Field, TypeAdapter

from adapters.periods import Place
from adapters.shards import SHARDS
from billing.invoices import Invoice, Status
from handlers import _live
from handlers._paging import Instant, page, page_of_stream, place
from handlers._routes import Body, needs, query, query_limit, router
from handlers._settling import View, look, view_of
from handlers.invoice import draft_of, is_due
from metering.errors import Fault, Invalid, NotFound, Unreadable

# A draft takes the usage of its period to be read: a page holds no more of them, whatever its limit.
_MOST_DRAFTS = 50
# Where a page of each list ended: in the numbers under each prefix, and among the ended periods.
_REACHED: TypeAdapter[dict[str, str]] = TypeAdapter(dict[str, str])
_DRAFT: TypeAdapter[tuple[int, int, str, str]] = TypeAdapter(
    tuple[Annotated[int, Field(ge=0, lt=SHARDS)], Instant, str, str]
)
# Heads that are read at once, and for a page at the most.
_AT_ONCE, _MOST_HEADS = 100, 2000


@router.get("/v1/invoices")
@needs("read")
def list_invoices() -> Response[str]:
    """Invoices without their lines, newest first: a customer's, drafts in grace included, or all numbered ones.

    With the status `draft` and no customer: the drafts in grace of all customers, in an order of their own. A page may
    hold fewer rows than its limit, or none, and have a `next`.
    """
    status, customer = _status(), query("customer")
    if customer:
        return page_of_stream(_of_customer(customer), lambda row: not status or row["status"] == status)
    if status == "draft":
        return page(_drafts(), most_looked_at=_MOST_DRAFTS)
    return page(_numbered(status), most_looked_at=_MOST_HEADS)


def _status() -> str:
    """The status that is asked for.

    Raises:
        Invalid: there is none of that name.
    """
    status = query("status")
    if status and status not in get_args(Status):
        said = f"must be one of {', '.join(get_args(Status))}"
        raise Invalid(f"`status` {said}", faults=[Fault("/status", said)])
    return status


def _of_customer(customer: str) -> Iterator[Body]:
    live = _live.live
    view = view_of(customer, live, live.clock())
    yield from map(_head, reversed(list(_waiting(view))))
    yield from map(_head, view.live.invoices.of_customer(view.wallet.customer))


def _waiting(view: View) -> Iterator[Invoice]:
    """The drafts of the periods that have ended, oldest first."""
    drafts = (draft_of(view, period) for period in view.wallet.periods if period.closed)
    return (draft for draft in drafts if is_due(view, draft))


def _numbered(status: str) -> Iterator[tuple[object, Body | None]]:
    live, before = _live.live, place(_REACHED) or {}
    at_once = _AT_ONCE if status else min(_AT_ONCE, query_limit() + 1)
    for reached, invoice in live.invoices.all(live.invoice_prefix, before, at_once):
        yield reached, _head(invoice) if not status or invoice.status == status else None


def _drafts() -> Iterator[tuple[object, Body | None]]:
    """A row for each period that has ended and is not invoiced yet; None where no invoice will come of it."""
    live, now = _live.live, _live.live.clock()
    for where, customer, start in live.periods.ended(_place_of_draft(), min(_MOST_DRAFTS, query_limit()) + 1):
        found = None
        with suppress(NotFound, Unreadable):  # a customer that cannot be read is told of where it is read
            waiting = _waiting(look(customer, live, now))
            found = next((draft for draft in waiting if draft.period.start == start), None)
        yield [where.shard, where.due_at, where.customer, where.sort], _head(found) if found else None


def _place_of_draft() -> Place | None:
    after = place(_DRAFT)
    return Place(*after) if after else None


def _head(invoice: Invoice) -> Body:
    return {name: value for name, value in invoice.as_json().items() if name != "lines"}
