"""Routes of the catalogue: meters, plans and API keys. Contract: api.md, Catalogue."""

from collections.abc import Iterator
from contextlib import suppress

from aws_lambda_powertools.event_handler.api_gateway import Response

from adapters.catalog import Catalog
from adapters.items import ConditionFailed
from adapters.keys import SCOPES
from billing.plans import Plan, misfits
from handlers import _live
from handlers._live import Live
from handlers._paging import page_of_all
from handlers._routes import Body, meter_named, name_of, named, needs, no_content, query, read_body, reply, router
from metering.errors import Conflict, Fault, Invalid, NotFound
from metering.faults import read_model
from metering.meters import Meter
from metering.times import HOUR, MINUTE, QUARTER, SECOND, floor

# What of a meter decides quantities, and so is fixed once it has events; dimensions may be added.
_FIXED = ("aggregation", "unique_by", "session", "weight", "round_up", "minimum", "max_duration")
# How much later than the clock says a meter may be written: the time that it takes, and what clocks differ.
_WRITTEN_WITHIN = 10 * SECOND


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
    """Write a meter; what decides quantities cannot change once it has events, but for dimensions that are added.

    Nor is anything taken from it that a plan prices by.
    """
    body = named(read_body(), "key", name_of(key))
    body.pop("dimensions_since", None)  # what GET showed may be sent back
    meter = read_model(Meter, body)
    live = _live.live
    catalog = live.catalog
    stored = catalog.meters().get(meter.key)
    if stored and catalog.is_used("meters", meter.key):
        if _differs(stored, meter):
            raise Conflict("the meter has events: what decides quantities cannot change", "meter_in_use")
        meter = meter.replacing(stored, _notice(live))
    elif stored and (unfit := next(_unfit(meter, catalog), None)):
        raise Conflict(unfit, "meter_in_use")
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
    """Remove a meter that no event, plan or alert names, nor a version or an alert that a customer has or had."""
    catalog = _live.live.catalog
    meter = meter_named(name_of(key))
    priced = any(item.meter == meter.key for plan, _ in _needed(catalog) for item in plan.items)
    if priced or catalog.is_used("meters", meter.key) or catalog.is_used("alerts", meter.key):
        raise Conflict("the meter has events, a plan prices it, or an alert watches it", "meter_in_use")
    catalog.delete_meter(meter.key)
    return no_content()


def _needed(catalog: Catalog) -> Iterator[tuple[Plan, int]]:
    """The plans that may have to be rated by: the newest versions, and all of those that a customer has or had."""
    newest = catalog.plans()
    yield from newest.values()
    for key in sorted(catalog.used("plans") & newest.keys()):
        for each in catalog.plan_versions(key):
            if each.version < newest[key][1]:
                yield catalog.plan(key, each.version)


def _unfit(meter: Meter, catalog: Catalog) -> Iterator[str]:
    """What plans ask of a meter that it would not have any more."""
    for plan, version in _needed(catalog):
        items = [item.model_dump(mode="json") for item in plan.items if item.meter == meter.key]
        for _, what in misfits({"items": items}, {meter.key: meter}):
            yield f"plan {plan.key}, version {version}: {what}"


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
    """Write a plan: a new version when anything changed; it holds for periods that open after the next quarter.

    One that a customer has or had keeps its currency.
    """
    body = named(read_body(), "key", name_of(key))
    body.pop("version", None)  # what GET showed may be sent back
    live = _live.live
    plan = read_model(Plan, body, misfits(body, live.catalog.meters()))
    _check_currency(plan, live.catalog)
    # A minute's notice, so that no function still remembers the version before when a period opens.
    version, created = live.catalog.put_plan(plan, floor(live.clock() + MINUTE, QUARTER) + QUARTER)
    return reply(_plan_shown(plan, version), created=created)


def _check_currency(plan: Plan, catalog: Catalog) -> None:
    with suppress(NotFound):
        before, _ = catalog.plan(plan.key)
        if before.currency != plan.currency and catalog.is_used("plans", plan.key):
            said = f"a customer has or had the plan in {before.currency}: make another one for {plan.currency}"
            raise Conflict(said, "plan_in_use")


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
