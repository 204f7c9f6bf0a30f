"""Routes of credits. Contract: api.md, Reading and acting."""

from aws_lambda_powertools.event_handler.api_gateway import Response

from adapters.items import Put
from adapters.ledger import grant_put
from billing.credits import CreditRequest
from billing.wallet import Wallet, grant
from handlers import _live
from handlers._paging import page_of_all
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
from metering.errors import Conflict
from metering.faults import read_model


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
