"""Routes of the catalogue: meters, plans, customers and API keys. Contract: api.md, Catalogue."""

from collections.abc import Iterator

from aws_lambda_powertools.event_handler.api_gateway import Response

from adapters.items import ConditionFailed
from adapters.keys import SCOPES
from billing.accounts import revise
from billing.customers import Account, Customer
from billing.customers import misfits as misfits_of_customer
from billing.fields import merge_patch
from billing.plans import Plan, misfits
from handlers import _live
from handlers._live import Live
from handlers._paging import NAME, page, page_of_all, place
from handlers._routes import (
    Body,
    meter_named,
    name_of,
    needs,
    no_content,
    query,
    query_limit,
    read_body,
    reply,
    router,
)
from handlers._settling import settle_customer
from metering.errors import Conflict, Fault, Invalid, NotFound
from metering.faults import Contradiction, read_model
from metering.meters import Meter
from metering.times import HOUR, MINUTE, QUARTER, SECOND, floor, parse_time

# What of a meter decides quantities, and so is fixed once it has events; dimensions may be added.
_FIXED = ("aggregation", "unique_by", "session", "weight", "round_up", "minimum", "max_duration")
# How much later than the clock says a meter may be written: the time that it takes, and what clocks differ.
_WRITTEN_WITHIN = 10 * SECOND


def _named(body: Body, name: str, key: str) -> Body:
    if body.setdefault(name, key) != key:
        raise Invalid("the body", faults=[Fault(f"/{name}", "is another one than the path names")])
    return body


@router.get("/v1/meters")
@needs("read")
def list_meters() -> Response[str]:
    """All meters, by key."""
    return page_of_all(map(_shown, _live.live.catalog.meters().values()), "key")


@router.get("/v1/meters/<key>")
@needs("read")
def get_meter(key: str) -> Response[str]:
    """One meter."""
    return reply(_shown(meter_named(name_of(key))))


def _shown(meter: Meter) -> Body:
    return meter.model_dump(mode="json")


@router.put("/v1/meters/<key>")
@needs()
def put_meter(key: str) -> Response[str]:
    """Write a meter; what decides quantities cannot change once it has events, but for dimensions that are added."""
    body = _named(read_body(), "key", name_of(key))
    body.pop("dimensions_since", None)  # what GET showed may be sent back
    meter = read_model(Meter, body)
    live = _live.live
    catalog = live.catalog
    stored = catalog.meters().get(meter.key)
    if stored and catalog.is_used("meters", meter.key):
        if _differs(stored, meter):
            raise Conflict("the meter has events: what decides quantities cannot change", "meter_in_use")
        meter = meter.replacing(stored, _notice(live))
    if stored != meter:
        catalog.put_meter(meter)
    return reply(_shown(meter), created=stored is None)


def _notice(live: Live) -> int:
    """The next full hour of which no event can have been folded: at least five minutes ahead (law 4.9).

    An event may be ahead of the clock; meters are read anew once one of the hour may come (`adapters.remembered`).
    """
    ahead = max(5 * MINUTE, live.acceptance.future + _WRITTEN_WITHIN)
    return -(-(live.clock() + ahead) // HOUR) * HOUR


def _differs(stored: Meter, meter: Meter) -> bool:
    removed = set(stored.dimensions) - set(meter.dimensions)
    return bool(removed) or any(getattr(stored, name) != getattr(meter, name) for name in _FIXED)


@router.delete("/v1/meters/<key>")
@needs()
def delete_meter(key: str) -> Response[str]:
    """Remove a meter that no event and no plan names."""
    catalog = _live.live.catalog
    meter = meter_named(name_of(key))
    named = any(item.meter == meter.key for plan, _ in catalog.plans().values() for item in plan.items)
    if named or catalog.is_used("meters", meter.key):
        raise Conflict("the meter has events, or a plan prices it", "meter_in_use")
    catalog.delete_meter(meter.key)
    return no_content()


@router.get("/v1/plans")
@needs("read")
def list_plans() -> Response[str]:
    """The newest version of every plan, by key."""
    return page_of_all((_plan_shown(*found) for found in _live.live.catalog.plans().values()), "key")


@router.get("/v1/plans/<key>")
@needs("read")
def get_plan(key: str) -> Response[str]:
    """One plan, the newest version or the one that `version` names."""
    version = query("version")
    if version and not (version.isascii() and version.isdigit() and len(version) <= 6):
        raise NotFound("there is no such version")
    return reply(_plan_shown(*_live.live.catalog.plan(name_of(key), int(version) if version else None)))


def _plan_shown(plan: Plan, version: int) -> Body:
    return {**plan.model_dump(mode="json"), "version": version}


@router.put("/v1/plans/<key>")
@needs()
def put_plan(key: str) -> Response[str]:
    """Write a plan: a new version when anything changed; it holds for periods that open after the next quarter."""
    body = _named(read_body(), "key", name_of(key))
    body.pop("version", None)  # what GET showed may be sent back
    live = _live.live
    plan = read_model(Plan, body, misfits(body, live.catalog.meters()))
    # A minute's notice, so that no function still remembers the version before when a period opens.
    version, created = live.catalog.put_plan(plan, floor(live.clock() + MINUTE, QUARTER) + QUARTER)
    return reply(_plan_shown(plan, version), created=created)


@router.delete("/v1/plans/<key>")
@needs()
def delete_plan(key: str) -> Response[str]:
    """Remove a plan that no customer ever had."""
    catalog = _live.live.catalog
    plan, _ = catalog.plan(name_of(key))
    if catalog.is_used("plans", plan.key):
        raise Conflict("a customer has or had the plan", "plan_in_use")
    catalog.delete_plan(plan.key)
    return no_content()


@router.get("/v1/customers")
@needs("read")
def list_customers() -> Response[str]:
    """All customers, in a fixed order that is not alphabetical."""
    accounts = _live.live.catalog.customers(place(NAME) or "", query_limit() + 1)
    return page((account.customer.id, _account_shown(account)) for account in accounts)


@router.get("/v1/customers/<customer>")
@needs("read")
def get_customer(customer: str) -> Response[str]:
    """One customer."""
    return reply(_account_shown(_live.live.catalog.account(name_of(customer))))


def _account_shown(account: Account) -> Body:
    return account.customer.model_dump(mode="json")


@router.put("/v1/customers/<customer>")
@needs()
def put_customer(customer: str) -> Response[str]:
    """Write a customer, whole."""
    return _write_customer(name_of(customer), read_body(), None)


@router.patch("/v1/customers/<customer>")
@needs()
def patch_customer(customer: str) -> Response[str]:
    """Change a customer by a JSON merge patch (RFC 7396)."""
    stored = _live.live.catalog.account(name_of(customer))
    merged = merge_patch(stored.customer.model_dump(mode="json"), read_body())
    return _write_customer(stored.customer.id, merged, stored)


def _write_customer(name: str, body: Body, read: Account | None) -> Response[str]:
    live = _live.live
    asked = body.pop("plan_effective_at", None)
    further = [*_not_there(body), *_no_instant(asked)]
    customer = read_model(Customer, _named(body, "id", name), further)
    effective_at = None if asked is None else parse_time(asked)
    stored = read or live.catalog.accounts([name]).get(name)
    plan = None if customer.plan is None else live.catalog.plan(customer.plan)
    wallet = live.ledger.wallet(name)
    running = wallet.running.start if wallet and wallet.running else None
    now = live.clock()
    charged = live.ledger.is_touched(name)
    account = revise(stored, customer, plan, now, effective_at, running, charged=charged)
    if plan:
        live.catalog.use("plans", plan[0].key)
    if account != stored:
        try:
            live.catalog.put_account(account, stored)
        except ConditionFailed:
            raise Conflict("the customer was changed by somebody else meanwhile") from None
    # Also when nothing changed: a request that is sent again finishes what the first one may have left.
    if account.customer.currency:
        settle_customer(name, live, now)
    if account.customer.ends_at is not None and not account.plans:
        live.watches.watch(name, now)  # no wallet is due then, and what runs has to end
    return reply(_account_shown(account), created=stored is None)


def _not_there(written: Body) -> Iterator[Contradiction]:
    """What a customer, as it was written, asks for that is not there."""
    catalog, plan = _live.live.catalog, written.get("plan")
    if isinstance(plan, str) and plan and plan.isascii():  # what else is no key, and its field says so
        try:
            catalog.plan(plan)
        except NotFound as error:
            yield ("plan",), error.detail
    if written.get("alerts"):
        yield from misfits_of_customer(written, catalog.meters())


def _no_instant(written: object) -> Iterator[Contradiction]:
    try:
        _ = None if written is None else parse_time(written)
    except Invalid as error:
        yield ("plan_effective_at",), error.detail


@router.delete("/v1/customers/<customer>")
@needs()
def delete_customer(customer: str) -> Response[str]:
    """Remove a customer that never used anything."""
    live = _live.live
    account = live.catalog.account(name_of(customer))
    name = account.customer.id
    if live.ledger.is_touched(name) or live.usage.has_any(name):
        raise Conflict("the customer has usage, credits or invoices", "customer_in_use")
    live.catalog.delete_customer(name)
    live.ledger.forget(name)
    return no_content()


@router.get("/v1/api_keys")
@needs()
def list_keys() -> Response[str]:
    """All API keys, by id, without their secrets."""
    return page_of_all(({"id": key.id, "scopes": list(key.scopes)} for key in _live.live.keys.all()), "id")


@router.post("/v1/api_keys")
@needs()
def create_key() -> Response[str]:
    """Make an API key; it is shown this once."""
    body = read_body()
    key_id, scopes = body.get("id"), body.get("scopes")
    faults = []
    if not isinstance(key_id, str) or not key_id or "#" in key_id or len(key_id) > 128:
        faults.append(Fault("/id", "must be a name of at most 128 characters"))
    if not isinstance(scopes, list) or not scopes or not set(map(str, scopes)) <= set(SCOPES):
        faults.append(Fault("/scopes", "must be some of ingest, read, admin"))
    if faults:
        raise Invalid("the body is not valid", faults=faults)
    try:
        key = _live.live.keys.create(str(key_id), map(str, scopes or ()))
    except ConditionFailed:
        raise Conflict("there is a key of that id", "id_conflict") from None
    return reply({"id": key_id, "scopes": scopes, "key": key}, created=True)


@router.delete("/v1/api_keys/<key_id>")
@needs()
def delete_key(key_id: str) -> Response[str]:
    """Revoke an API key; a cached authorization may outlive it by a minute."""
    _live.live.keys.delete(name_of(key_id))
    return no_content()
