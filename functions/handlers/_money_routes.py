"""Routes of money: balances, credits, the ledger, top-ups and invoices. Contract: api.md, Reading and acting."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

from aws_lambda_powertools.event_handler.api_gateway import Response

from adapters.items import Put
from adapters.ledger import attempt_put, grant_put
from adapters.outbox import outbox_item
from billing import top_ups
from billing.credits import CreditRequest
from billing.customers import NoCurrency
from billing.fields import Positive, Written
from billing.invoices import Invoice, invoice_id
from billing.rating import subtotal, subtotal_exact
from billing.settlement import Announcement
from billing.wallet import Wallet, balance, grant
from handlers import _live
from handlers._paging import page_of_all, page_of_stream
from handlers._routes import (
    Body,
    name_of,
    needs,
    query,
    read_body,
    read_model,
    reply,
    router,
)
from handlers._settling import View, look, settle_customer, without_wallet
from handlers.invoice import draft_of, finalize_period, is_due, number_invoices
from metering.decimals import text
from metering.errors import Conflict, NotFound
from metering.meters import Key
from metering.times import format_time
from portal.invoice import HEADERS, render
from portal.invoice_table import as_csv, file_name


def _view(customer: str) -> View:
    """A customer as of now; one that has no currency yet has nothing, and owes nothing."""
    live, name = _live.live, name_of(customer)
    now = live.clock()
    try:
        return look(name, live, now)
    except NoCurrency:
        return without_wallet(live.catalog.account(name), live, now)


@router.get("/v1/customers/<customer>/balance")
@needs("read")
def get_balance(customer: str) -> Response[str]:
    """What a customer can spend, as of now."""
    view = _view(customer)
    return reply(
        {
            "balance": text(balance(view.wallet)),
            "balance_exact": text(_balance_exact(view)),
            "currency": view.wallet.currency or None,
            "credits": view.live.ledger.credits(view.wallet),
            "as_of": format_time(view.now),
        }
    )


def _balance_exact(view: View) -> Fraction:
    """The balance before the running period's lines are rounded, where credits pay all of them."""
    exact = Fraction(balance(view.wallet))
    for period in view.wallet.periods:
        lines = view.lines(period)
        if not period.closed and period.credits_applied + period.debt == period.owed:
            exact += Fraction(subtotal(lines)) - subtotal_exact(lines)
    return exact


@router.get("/v1/customers/<customer>/access")
@needs("read")
def get_access(customer: str) -> Response[str]:
    """Whether a customer may go on: not with `prepaid_only` and nothing left."""
    view = _view(customer)
    left = balance(view.wallet)
    allowed = not (view.account.customer.prepaid_only and left <= 0)
    return reply({"allowed": allowed, "balance": text(left)})


@router.get("/v1/customers/<customer>/credits")
@needs("read")
def list_credits(customer: str) -> Response[str]:
    """All credits of a customer, by id."""
    view = _view(customer)
    return page_of_all(view.live.ledger.credits(view.wallet), "id")


@router.post("/v1/customers/<customer>/credits")
@needs()
def post_credit(customer: str) -> Response[str]:
    """Grant a credit; the same request again answers what the first one did."""
    request = read_model(CreditRequest, read_body())
    live, name = _live.live, name_of(customer)
    granted: list[Body] = []

    def change(view: View) -> tuple[Wallet, list[Put]] | None:
        known = live.ledger.grant_of(name, request.id)
        if known:
            if known[0] != request:
                raise Conflict(f"there is another credit {request.id!r}", "id_conflict")
            return None
        wallet = grant(view.wallet, request, view.now)
        put = grant_put(name, wallet.credits[-1], request)
        granted[:] = [wallet.credits[-1].as_json()]
        return wallet, [put]

    settle_customer(name, live, live.clock(), change)
    known = live.ledger.grant_of(name, request.id)
    return reply(known[1] if known else granted[0], created=bool(granted))


@router.get("/v1/customers/<customer>/ledger")
@needs("read")
def get_ledger(customer: str) -> Response[str]:
    """The ledger, newest first."""
    view = _view(customer)
    return page_of_stream(view.live.ledger.entries(view.wallet, view.settlement.entries))


class TopUpRequest(Written):
    """What users post to `/v1/customers/{id}/top_ups`."""

    id: Key
    amount: Positive


@router.get("/v1/customers/<customer>/top_ups")
@needs("read")
def list_top_ups(customer: str) -> Response[str]:
    """The top-ups of a customer, newest first."""
    live = _live.live
    account = live.catalog.account(name_of(customer))
    attempts = sorted(live.ledger.attempts(account.customer.id), key=lambda each: each.requested_at, reverse=True)
    return page_of_stream(attempt.as_json() for attempt in attempts)


@router.post("/v1/customers/<customer>/top_ups")
@needs()
def post_top_up(customer: str) -> Response[str]:
    """Ask for a top-up by hand; it is carried out like any other, at most one at a time."""
    request = read_model(TopUpRequest, read_body())
    live, name = _live.live, name_of(customer)
    created: list[bool] = []

    def change(view: View) -> tuple[Wallet, list[Put]] | None:
        known = live.ledger.attempt(name, request.id)
        if known:
            if known.amount != request.amount or known.automatic:
                raise Conflict(f"there is another top-up {request.id!r}", "id_conflict")
            return None
        if view.wallet.top_ups.open is not None:
            raise Conflict("another top-up is open", "top_up_open")
        customer_ = view.account.customer
        attempt = top_ups.attempt(customer_, view.wallet.currency, request.amount, view.now, request.id)
        wallet = replace(view.wallet, top_ups=top_ups.opened(view.wallet.top_ups, attempt, customer_.timezone))
        detail = {"attempt": attempt.id, "amount": text(attempt.amount), "currency": attempt.currency}
        news = Announcement(f"{name}:top_up.requested:{attempt.id}", "top_up.requested", detail)
        created[:] = [True]
        return wallet, [attempt_put(None, attempt), Put(outbox_item(name, news, view.now))]

    settle_customer(name, live, live.clock(), change)
    attempt = live.ledger.attempt(name, request.id)
    return reply(attempt.as_json() if attempt else {}, created=bool(created))


@router.get("/v1/customers/<customer>/invoices/draft")
@needs("read")
def get_draft(customer: str) -> Response[str]:
    """The running period's invoice as it would be now."""
    view = _view(customer)
    running = next((period for period in view.wallet.periods if not period.closed), None)
    if running is None:
        raise NotFound("no period is running")
    return reply(draft_of(view, running).as_json())


@router.get("/v1/invoices")
@needs("read")
def list_invoices() -> Response[str]:
    """Invoices without their lines, newest first: a customer's, drafts in grace included, or all numbered ones."""
    status, customer = query("status"), query("customer")
    rows = _of_customer(customer) if customer else _all()
    return page_of_stream(rows, lambda row: not status or row["status"] == status)


def _of_customer(customer: str) -> Iterator[Body]:
    view = _view(customer)
    for period in reversed([period for period in view.wallet.periods if period.closed]):
        if is_due(view, waiting := draft_of(view, period)):
            yield _head(waiting)
    yield from map(_head, view.live.invoices.of_customer(view.wallet.customer))


def _all() -> Iterator[Body]:
    for _, invoice in _live.live.invoices.all(_prefix(), ""):
        yield _head(invoice)


def _head(invoice: Invoice) -> Body:
    return {name: value for name, value in invoice.as_json().items() if name != "lines"}


def _prefix() -> str:
    return str(_live.live.issuer.get("invoice_prefix") or "")


def invoice_named(name: str) -> Invoice:
    """An invoice by id or number: finalised, or the draft of an open period.

    Raises:
        NotFound: there is none.
    """
    live = _live.live
    identity = live.invoices.id_of_number(_prefix(), name) or name
    try:
        return live.invoices.whole(identity)
    except NotFound:
        customer, _, _ = identity.rpartition(":")
        view = look(customer, live, live.clock()) if customer in live.catalog.accounts([customer]) else None
        for period in view.wallet.periods if view else ():
            if view and invoice_id(customer, period.start) == identity:
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
    """Finalise an ended period's invoice now, without waiting for the grace."""
    live = _live.live
    draft = invoice_named(name_of(name))
    if draft.status == "draft":
        finalized = finalize_period(draft.customer, draft.period.start, live, live.clock(), skip_grace=True)
        number_invoices([finalized] if finalized else [], live, live.clock())
    return reply(live.invoices.whole(draft.id).as_json())
