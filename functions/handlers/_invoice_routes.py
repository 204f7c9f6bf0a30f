"""Routes of invoices: reading them, and what people do to them. Contract: api.md, Reading and acting."""

from aws_lambda_powertools.event_handler.api_gateway import Response
from pydantic import StrictBool

from adapters.items import ConditionFailed
from billing.invoices import Invoice, Status, check_collectable, invoice_id, moved
from billing.settlement import Announcement
from handlers import _live
from handlers._live import Live
from handlers._routes import name_of, needs, read_body, reply, router
from handlers._settling import look, view_of
from handlers._voiding import void_invoice
from handlers.invoice import draft_of, finalize_period, is_due, number_invoices
from metering.decimals import text
from metering.errors import Conflict, NotFound, Unavailable
from metering.faults import Written, read_model
from portal.invoice import HEADERS, render
from portal.invoice_table import as_csv, file_name

_ATTEMPTS = 5


@router.get("/v1/customers/<customer>/invoices/draft")
@needs("read")
def get_draft(customer: str) -> Response[str]:
    """The running period's invoice as it would be now."""
    live = _live.live
    view = view_of(name_of(customer), live, live.clock())
    return reply(draft_of(view, view.running).as_json())


def invoice_named(name: str) -> Invoice:
    """An invoice by id or number: finalised, or the draft of an open period.

    Raises:
        NotFound: there is none.
    """
    live = _live.live
    identity = live.invoices.named(live.invoice_prefix, name) or name
    try:
        return live.invoices.whole(identity)
    except NotFound:
        customer, _, _ = identity.rpartition(":")
        view = look(customer, live, live.clock()) if customer in live.catalog.accounts([customer]) else None
        for period in view.wallet.periods if view else ():
            if view and invoice_id(customer, period.start, period.issue) == identity:
                return draft_of(view, period)
        raise


@router.get("/v1/invoices/<name>.html")
@needs("read")
def get_invoice_page(name: str) -> Response[str]:
    """One invoice as a page that prints."""
    return Response(200, "text/html; charset=utf-8", render(invoice_named(name_of(name)).as_json()), dict(HEADERS))


@router.get("/v1/invoices/<name>.csv")
@needs("read")
def get_invoice_table(name: str) -> Response[str]:
    """The lines of one invoice as CSV (RFC 4180), with its tax and credits: the amounts add up to what is due.

    Texts that begin as formulas do have an apostrophe before them, so that a spreadsheet shows them as they are.
    """
    invoice = invoice_named(name_of(name)).as_json()
    headers = {"content-disposition": f'attachment; filename="{file_name(invoice)}"'}
    return Response(200, "text/csv; charset=utf-8; header=present", as_csv(invoice), headers)


@router.get("/v1/invoices/<name>")
@needs("read")
def get_invoice(name: str) -> Response[str]:
    """One invoice."""
    return reply(invoice_named(name_of(name)).as_json())


@router.post("/v1/invoices/<name>/finalize")
@needs()
def post_finalize(name: str) -> Response[str]:
    """Finalise an ended period's invoice now, without waiting for the grace.

    Nothing is invoiced of a period without lines, nor with `prepaid_only`.
    """
    live = _live.live
    draft = invoice_named(name_of(name))
    if draft.status == "draft":
        now = live.clock()
        _check_due(draft, live, now)
        finalized = finalize_period(draft.customer, draft.period.start, live, now, skip_grace=True)
        number_invoices([finalized] if finalized else [], live, now)
    return reply(live.invoices.whole(draft.id).as_json())


def _check_due(draft: Invoice, live: Live, now: int) -> None:
    """Refuse to conclude a period early of which no invoice would come."""
    if draft.period.end <= now and not is_due(look(draft.customer, live, now), draft):
        raise Conflict("there is nothing to invoice of this period", "nothing_to_invoice")


class VoidRequest(Written):
    """What users post to `/v1/invoices/{id}/void`."""

    reissue: StrictBool = False


@router.post("/v1/invoices/<name>/void")
@needs()
def post_void(name: str) -> Response[str]:
    """Take an invoice back; with `reissue` its period is invoiced anew, and `reissued_as` is the new one's id."""
    request = read_model(VoidRequest, read_body())
    live = _live.live
    return reply(void_invoice(_finalized(name), live, live.clock(), reissue=request.reissue).as_json())


@router.post("/v1/invoices/<name>/mark_paid")
@needs()
def post_mark_paid(name: str) -> Response[str]:
    """Say that an invoice was paid another way."""
    return _marked(name, "paid", "invoice.paid")


@router.post("/v1/invoices/<name>/mark_uncollectible")
@needs()
def post_mark_uncollectible(name: str) -> Response[str]:
    """Give an invoice up; it can still be paid."""
    return _marked(name, "uncollectible", None)


@router.post("/v1/invoices/<name>/retry")
@needs()
def post_retry(name: str) -> Response[str]:
    """Try again to collect what is due; one that is held is collected by itself, with others that are."""
    invoice = _finalized(name)
    check_collectable(invoice)
    asked = {"customer": invoice.customer, "invoice": invoice.id, "retry": invoice.collecting.tries}
    _live.live.queue("COLLECT").send([asked])
    return reply(invoice.as_json())


def _finalized(name: str) -> Invoice:
    invoice = invoice_named(name_of(name))
    if invoice.status == "draft":
        raise Conflict("the invoice is a draft: finalise it first", "invoice_status")
    return invoice


def _marked(name: str, status: Status, news: str | None) -> Response[str]:
    """Move an invoice, from wherever somebody else has moved it meanwhile."""
    live = _live.live
    for _ in range(_ATTEMPTS):
        invoice, now = _finalized(name), live.clock()
        after = moved(invoice, status, now)
        try:
            if after != invoice:
                live.invoices.move(invoice, after, _told(invoice, news), now)
        except ConditionFailed:
            continue
        if after.look_at is not None:  # Stripe is to know; should this message be lost, the sweep finds what is left
            live.queue("COLLECT").send([{"customer": after.customer, "invoice": after.id}])
        return reply(after.as_json())
    raise Unavailable("the invoice is being changed by others")


def _told(invoice: Invoice, news: str | None) -> list[Announcement]:
    detail = {
        "invoice": invoice.id,
        "number": invoice.number,
        "amount_due": text(invoice.amount_due),
        "currency": invoice.currency,
    }
    return [Announcement(f"{invoice.id}:{news}", news, detail)] if news else []
