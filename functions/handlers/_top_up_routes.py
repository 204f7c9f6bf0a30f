"""Routes of top-ups, and of the card that pays them. Contract: api.md, Reading and acting."""

from dataclasses import replace
from typing import get_args

from aws_lambda_powertools.event_handler.api_gateway import Response

from adapters.attempts import attempt_put
from adapters.items import ConditionFailed, Put
from adapters.outbox import outbox_item
from billing import top_ups
from billing.attempts import Attempt, State, attempt
from billing.customers import Account
from billing.fields import Positive, Text
from billing.money import check_digits
from billing.settlement import Announcement
from billing.wallet import Wallet
from handlers import _live
from handlers._paging import page_of_all, page_of_stream
from handlers._routes import fault_at, name_of, needs, query, read_body, reply, router
from handlers._settling import View, settle_customer
from metering.decimals import text
from metering.errors import Conflict, Fault, Invalid, NotFound
from metering.faults import Written, read_model
from metering.meters import Key
from portal.done import DONE
from portal.invoice import HEADERS

_MOST_OPEN = 1000
_END_OF_TIME = 1 << 53


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
    attempts = sorted(live.attempts.of_customer(account.customer.id), key=lambda each: each.requested_at, reverse=True)
    return page_of_stream(each.as_json() for each in attempts)


@router.get("/v1/top_ups")
@needs("read")
def list_open_top_ups() -> Response[str]:
    """The top-ups of all customers whose outcome is open, by id, a thousand at the most; with `status`, those in it."""
    live, status = _live.live, query("status")
    if status and status not in get_args(State):
        raise Invalid(f"`status` must be one of {', '.join(get_args(State))}")
    found = live.attempts.due(_END_OF_TIME, _MOST_OPEN)
    return page_of_all((each.as_json() for each in found if each.state == (status or each.state)), "id")


@router.post("/v1/customers/<customer>/top_ups")
@needs()
def post_top_up(customer: str) -> Response[str]:
    """Ask for a top-up by hand; it is carried out like any other, at most one at a time."""
    request = read_model(TopUpRequest, read_body())
    live, name = _live.live, name_of(customer)
    created: list[bool] = []

    def change(view: View) -> tuple[Wallet, list[Put]] | None:
        known = live.attempts.find(name, request.id)
        if known:
            if known.amount != request.amount or known.automatic:
                raise Conflict(f"there is another top-up {request.id!r}", "id_conflict")
            return None
        if view.wallet.top_ups.open is not None:
            raise Conflict("another top-up is open", "top_up_open")
        created[:] = [True]
        return _opened(view, request)

    settle_customer(name, live, live.clock(), change)
    return reply(_found(name, request.id).as_json(), created=bool(created))


def _opened(view: View, request: TopUpRequest) -> tuple[Wallet, list[Put]]:
    customer = view.account.customer
    with fault_at("/amount"):
        check_digits(request.amount, view.wallet.currency)
    made = attempt(customer, view.wallet.currency, request.amount, view.now, request.id)
    wallet = replace(view.wallet, top_ups=top_ups.opened(view.wallet.top_ups, made, customer.timezone))
    detail = {"attempt": made.id, "amount": text(made.amount), "currency": made.currency}
    news = Announcement(f"{customer.id}:top_up.requested:{made.id}", "top_up.requested", detail)
    return wallet, [attempt_put(None, made), Put(outbox_item(customer.id, news, view.now))]


@router.post("/v1/customers/<customer>/top_ups/<top_up>/cancel")
@needs()
def cancel_top_up(customer: str, top_up: str) -> Response[str]:
    """Have an open top-up ended, if nothing was paid by then: in a moment, as Stripe is asked first."""
    found = _found(name_of(customer), name_of(top_up))
    if not found.open and found.state != "canceled":
        raise Conflict(f"a top-up that is {found.state} cannot be canceled", "top_up_state")
    if found.open:
        message = {"customer": found.customer, "attempt": found.id, "cancel": True}
        _live.live.queue("TOP_UP").send([message], 1)
    return reply(found.as_json())


def _found(customer: str, name: str) -> Attempt:
    found = _live.live.attempts.find(customer, name)
    if found is None:
        raise NotFound(f"there is no top-up {name!r}")
    return found


class SetupRequest(Written):
    """What users may post to `/v1/customers/{id}/payment_setup`."""

    return_url: Text | None = None


@router.post("/v1/customers/<customer>/payment_setup")
@needs()
def post_payment_setup(customer: str) -> Response[str]:
    """Make a page of Stripe's where the customer saves a card; and the customer at Stripe, where there is none yet."""
    request = read_model(SetupRequest, read_body())
    live = _live.live
    return_url = request.return_url or live.setting("RETURN_URL")
    if not return_url.startswith(("https://", "http://")):
        said = "must be an address that begins with https://"
        raise Invalid(said, faults=[Fault("/return_url", said)])
    account = _at_stripe(live.catalog.account(name_of(customer)))
    holder, metadata = str(account.customer.stripe_customer), _written_on(account.customer.id)
    page = live.stripe_pages.to_save_a_card(holder, account.customer.currency, metadata, return_url)
    return reply({"url": page.url})


def _at_stripe(account: Account) -> Account:
    """The customer with its customer at Stripe, made now if there was none."""
    customer, live = account.customer, _live.live
    if customer.stripe_customer:
        return account
    holder = live.stripe_customers.create(customer.name or customer.id, customer.email, _written_on(customer.id))
    linked = replace(account, customer=customer.model_copy(update={"stripe_customer": holder}))
    try:
        live.catalog.put_account(linked, account)
    except ConditionFailed:
        raise Conflict("the customer was changed by somebody else meanwhile") from None
    return linked


def _written_on(customer: str) -> dict[str, str]:
    """What is written on what is made for a customer: ids only."""
    return {"taximeter_deployment": _live.live.deployment_id, "taximeter_customer": customer}


@router.get("/payment/done")
def get_done() -> Response[str]:
    """Where Stripe's pages lead afterwards; no key is needed."""
    return Response(200, "text/html; charset=utf-8", DONE, dict(HEADERS))
