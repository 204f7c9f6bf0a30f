"""Routes of customers: who they are, and on which plan. Contract: api.md, Catalogue."""

from collections.abc import Iterator
from contextlib import suppress

from aws_lambda_powertools.event_handler.api_gateway import Response

from adapters.catalog import Damaged
from adapters.items import ConditionFailed
from billing.accounts import NOTHING_YET, Standing, reached, revise
from billing.customers import Account, Customer, PlanChange, misfits
from billing.fields import merge_patch
from billing.plans import Plan
from billing.wallet import Wallet
from handlers import _live
from handlers._beginning import begin_anew, first_start, was_charged
from handlers._live import Live
from handlers._paging import NAME, page, place
from handlers._routes import Body, name_of, named, needs, no_content, query_limit, read_body, reply, router
from handlers._settling import settle_customer
from metering.errors import Conflict, Invalid, NotFound
from metering.faults import Contradiction, read_model
from metering.times import parse_time


@router.get("/v1/customers")
@needs("read")
def list_customers() -> Response[str]:
    """All customers, in a fixed order that is not alphabetical; those that cannot be read are left out."""
    found = _live.live.catalog.customers(place(NAME) or "", query_limit() + 1)
    return page((name, _shown(account) if isinstance(account, Account) else None) for name, account in found)


@router.get("/v1/customers/<customer>")
@needs("read")
def get_customer(customer: str) -> Response[str]:
    """One customer."""
    return reply(_shown(_live.live.catalog.account(name_of(customer))))


def _shown(account: Account) -> Body:
    return account.customer.model_dump(mode="json")


@router.put("/v1/customers/<customer>")
@needs()
def put_customer(customer: str) -> Response[str]:
    """Write a customer, whole; also over one that cannot be read."""
    name = name_of(customer)
    return _write(name, read_body(), _live.live.catalog.accounts([name]).get(name))


@router.patch("/v1/customers/<customer>")
@needs()
def patch_customer(customer: str) -> Response[str]:
    """Change a customer by a JSON merge patch (RFC 7396)."""
    stored = _live.live.catalog.account(name_of(customer))
    merged = merge_patch(stored.customer.model_dump(mode="json"), read_body())
    return _write(stored.customer.id, merged, stored)


def _write(name: str, body: Body, stored: Account | Damaged | None) -> Response[str]:
    live = _live.live
    asked = body.pop("plan_effective_at", None)
    further = [*_not_there(body), *_no_instant(asked)]
    customer = read_model(Customer, named(body, "id", name), further)
    effective_at = None if asked is None else parse_time(asked)
    plan = None if customer.plan is None else live.catalog.plan(customer.plan)
    now = live.clock()
    account = _revised(stored, customer, plan, now, effective_at, live)
    _mark_used(account, plan, live)
    if account != stored:
        try:
            live.catalog.put_account(account, stored)
        except ConditionFailed:
            raise Conflict("the customer was changed by somebody else meanwhile") from None
    # Also when nothing changed: a request that is sent again finishes what the first one may have left.
    if account.customer.currency:
        _follow(account, stored, live, now)
    if account.customer.ends_at is not None and not account.plans:
        live.watches.watch(name, now)  # no wallet is due then, and what runs has to end
    if _pays_otherwise(account, stored):
        live.queue("COLLECT").send([{"customer": name, "card_added": True}])
    return reply(_shown(account), created=stored is None)


def _pays_otherwise(account: Account, stored: Account | Damaged | None) -> bool:
    """Whether a customer is another one at Stripe now, with whose card all that is unpaid is to be tried."""
    holder = account.customer.stripe_customer
    return holder is not None and isinstance(stored, Account) and holder != stored.customer.stripe_customer


def _revised(
    stored: Account | Damaged | None,
    customer: Customer,
    plan: tuple[Plan, int] | None,
    now: int,
    effective_at: int | None,
    live: Live,
) -> Account:
    wallet = live.ledger.wallet(customer.id)
    standing = NOTHING_YET
    if wallet:
        funded, charged = live.ledger.is_funded(customer.id), was_charged(wallet, live)
        standing = Standing(reached(wallet), charged=charged, granted=funded)
    before = _left_of(stored, customer, wallet, live) if isinstance(stored, Damaged) else stored
    return revise(before, customer, plan, now, effective_at, standing)


def _left_of(damaged: Damaged, customer: Customer, wallet: Wallet | None, live: Live) -> Account | None:
    """What there still is of a customer that cannot be read, as if all else had been as it is written now.

    Its wallet goes on: in its currency, on the plans that are stored or else on that of its last period.
    """
    if wallet is None:
        return None
    plans = damaged.plans
    if not plans and wallet.periods:
        last, first = wallet.periods[-1], first_start(wallet, live)
        plans = (PlanChange(last.start if first is None else first, last.plan, last.version),)
    starts_at = plans[0].effective_at if plans else None
    known = {"currency": wallet.currency, "starts_at": starts_at, "ends_at": None}
    return Account(customer.model_copy(update=known), plans)


def _mark_used(account: Account, plan: tuple[Plan, int] | None, live: Live) -> None:
    """Remember what may not be taken away any more, before the customer that needs it is stored."""
    if plan:
        live.catalog.use("plans", plan[0].key)
    for meter in {alert.meter for alert in account.customer.alerts if alert.meter}:
        live.catalog.use("alerts", meter)


def _follow(account: Account, stored: Account | Damaged | None, live: Live, now: int) -> None:
    """Let the wallet follow its customer.

    Raises:
        Conflict: what was to begin anew has been charged in the meantime; the customer is as it was.
    """
    try:
        begin_anew(account, live, now)
    except Conflict:
        if isinstance(stored, Account):
            with suppress(ConditionFailed):  # whoever changed it since has had to deal with the same
                live.catalog.put_account(stored, account)
        raise
    settle_customer(account.customer.id, live, now)


def _not_there(written: Body) -> Iterator[Contradiction]:
    """What a customer, as it was written, asks for that is not there."""
    catalog, plan = _live.live.catalog, written.get("plan")
    if isinstance(plan, str) and plan and plan.isascii():  # what else is no key, and its field says so
        try:
            catalog.plan(plan)
        except NotFound as error:
            yield ("plan",), error.detail
    if written.get("alerts"):
        yield from misfits(written, catalog.meters())


def _no_instant(written: object) -> Iterator[Contradiction]:
    try:
        _ = None if written is None else parse_time(written)
    except Invalid as error:
        yield ("plan_effective_at",), error.detail


@router.delete("/v1/customers/<customer>")
@needs()
def delete_customer(customer: str) -> Response[str]:
    """Remove a customer that never used anything."""
    live, name = _live.live, name_of(customer)
    if name not in live.catalog.accounts([name]):
        raise NotFound(f"there is no customer {name!r}")
    if live.ledger.is_touched(name) or live.usage.has_any(name):
        raise Conflict("the customer has usage, credits or invoices", "customer_in_use")
    live.catalog.delete_customer(name)
    live.ledger.forget(name)
    return no_content()
