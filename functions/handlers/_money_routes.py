"""Routes of money: credits, top-ups and invoices. Contract: api.md, Reading and acting."""

from dataclasses import replace

from aws_lambda_powertools.event_handler.api_gateway import Response

from adapters.items import Put
from adapters.ledger import attempt_put, grant_put
from adapters.outbox import outbox_item
from billing import top_ups
from billing.credits import CreditRequest
from billing.fields import Positive
from billing.settlement import Announcement
from billing.wallet import Wallet, grant
from handlers import _live
from handlers._paging import page_of_all, page_of_stream
from handlers._routes import (
    Body,
    fault_at,
    name_of,
    needs,
    read_body,
    reply,
    router,
)
from handlers._settling import View, settle_customer, view_of
from metering.decimals import text
from metering.errors import Conflict
from metering.faults import Written, read_model
from metering.meters import Key


def _view(customer: str) -> View:
    live = _live.live
    return view_of(name_of(customer), live, live.clock())


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
        with fault_at("/amount"):
            wallet = grant(view.wallet, request, view.now)
        put = grant_put(name, wallet.credits[-1], request)
        granted[:] = [wallet.credits[-1].as_json()]
        return wallet, [put]

    settle_customer(name, live, live.clock(), change)
    known = live.ledger.grant_of(name, request.id)
    return reply(known[1] if known else granted[0], created=bool(granted))


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
