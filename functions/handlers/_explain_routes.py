"""GET …/explain: how each line of an invoice came about, down to the events. Contract: api.md, Reading and acting."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import partial
from typing import Any
from urllib.parse import quote, urlencode

from aws_lambda_powertools.event_handler.api_gateway import Response

from adapters.usage import Measured
from billing.adjustments import Concluded
from billing.customers import Account
from billing.explaining import Explained, Window, difference, explain, tax_steps
from billing.invoices import Invoice, draft, invoice_id, start_in
from billing.money import total
from billing.periods import Period
from billing.plans import Item, Plan
from billing.rating import rate, subtotal, used_of
from billing.spans import Grid
from billing.wallet import OpenPeriod
from handlers import _live
from handlers._invoice_routes import invoice_named
from handlers._live import Live
from handlers._paging import page_of_stream
from handlers._routes import Body, name_of, needs, router
from handlers._settling import View, look, view_of
from handlers.invoice import draft_of
from metering.decimals import text
from metering.errors import NotFound, Unavailable
from metering.meters import Meter
from metering.times import DAY, HOUR, format_time, parse_time
from metering.usage import Usage, usage_between
from metering.windows import Slot, Tally

# More combinations of dimensions than this are not written out: the link beside them leads to all, in pages.
_MOST_ROWS = 100
_JOINED = {"min": "least", "max": "greatest", "latest": "latest", "unique": "distinct"}


@dataclass(frozen=True, slots=True)
class _Reading:
    """What an invoice was made of, as it is known now.

    Attributes:
        period: as it is in the wallet, or as it was kept when it left it.
        grid: the period, and the days of the customer; for one of two days or less, the hours.
        usage: of the whole period.
    """

    invoice: Invoice
    account: Account
    plan: Plan
    period: OpenPeriod
    meters: Mapping[str, Meter]
    grid: Grid
    measured: Measured
    now: int
    live: Live

    @property
    def over(self) -> bool:
        """Whether the period has ended."""
        return self.grid.end <= self.now

    def usage(self, measured: Measured, start: int, end: int) -> list[Usage]:
        """The usage of [start, end) of the meters that the plan prices."""
        rows: list[Usage] = []
        for key in sorted(self.meters):
            slots, running = measured.slots.get(key, {}), measured.open.get(key, ())
            ends_at = self.account.customer.ends_at
            rows += usage_between(self.meters[key], slots, running, start, end, self.now, ends_at)
        return rows

    def windows(self) -> Iterator[Window]:
        """The days or hours in which anything was used."""
        grid = self.grid
        found: defaultdict[int, dict[str, dict[Slot, Tally]]] = defaultdict(dict)
        for key in self.meters:
            slots = {at: tally for at, tally in self.measured.slots.get(key, {}).items() if at[0] < grid.end}
            slots = {at: tally for at, tally in slots.items() if at[0] >= grid.start}
            starts = grid.starts(quarter for quarter, _ in slots)
            for (quarter, dimensions), tally in slots.items():
                found[starts[quarter]].setdefault(key, {})[quarter, dimensions] = tally
        for period in grid.windows(grid.start):
            measured = Measured(dict(found.get(period.start, {})), self.measured.open)
            usage = self.usage(measured, period.start, period.end)
            if usage:
                yield Window(period, tuple(usage))


@router.get("/v1/invoices/<name>/explain")
@needs("read")
def explain_invoice(name: str) -> Response[str]:
    """How each line of an invoice came about: tiers, dimensions, the days it was read from, and links to its events.

    What a finalised invoice says stays; where the usage that is known today makes something else of a line, that is
    said beside it. Then an adjustment follows on a later invoice. A period that was concluded without an invoice is
    explained too, by the id that one would have, as what it would say now.
    """
    identity = name_of(name)
    try:
        return _answer(invoice_named(identity))
    except NotFound:
        if never_made := _never_made(identity, _live.live):
            return _answer(*never_made)
        raise


def _never_made(identity: str, live: Live) -> tuple[Invoice, View] | None:
    """What an invoice of a concluded period would say, of which none was made; None where there is no such period."""
    customer, start = identity.rpartition(":")[0], start_in(identity)
    concluded = live.periods.concluded(customer, start) if customer and start is not None else None
    if concluded is None or concluded.invoice or _id_of(customer, concluded) != identity:
        return None
    view, period = look(customer, live, live.clock()), concluded.period
    made = partial(draft, view.account, (period.plan, period.version), period.period)
    beside = (period.credits_applied, live.issuer, period.issue)
    reading = _read(made((), *beside), view, live)
    usage = reading.usage(reading.measured, period.start, period.end)
    return made(rate(reading.plan, usage, period.share, over=reading.over), *beside), view


def _id_of(customer: str, concluded: Concluded) -> str:
    """The id of the invoice of a concluded period, or the one that it would have."""
    return concluded.invoice or invoice_id(customer, concluded.period.start, concluded.period.issue)


@router.get("/v1/customers/<customer>/invoices/draft/explain")
@needs("read")
def explain_draft(customer: str) -> Response[str]:
    """How each line of the running period's invoice would come about, as of now."""
    live = _live.live
    view = view_of(name_of(customer), live, live.clock())
    return _answer(draft_of(view, view.running), view)


def _answer(invoice: Invoice, view: View | None = None) -> Response[str]:
    reading = _read(invoice, view or look(invoice.customer, _live.live, _live.live.clock()), _live.live)
    usage = reading.usage(reading.measured, reading.grid.start, reading.grid.end)
    share = reading.period.share
    today = rate(reading.plan, usage, share, over=reading.over)
    lines = invoice.lines
    if invoice.status == "draft":
        # A draft moves while it is read: its lines are those that the windows below make.
        lines = (*(line.as_json() for line in today), *(line for line in lines if line["kind"] == "adjustment"))
    explained = explain(reading.plan, lines, usage, tuple(reading.windows()), share, over=reading.over)
    changed = difference(lines, today)
    beside = {
        "invoice": {name: value for name, value in invoice.as_json().items() if name != "lines"},
        "timezone": reading.grid.timezone,
        "share": text(share),
        "tax": tax_steps(invoice.as_json(), reading.account.customer.tax_on),
        "credits": {"applied": text(invoice.credits_applied), "by": _credits(reading)},
        "today": {"subtotal": text(subtotal(today)), "difference": text(changed), "as_of": format_time(reading.now)},
    }
    return page_of_stream((_row(reading, each) for each in explained), beside=beside)


def _read(invoice: Invoice, view: View, live: Live) -> _Reading:
    """Read the windows of an invoice's period; of the days in which it begins and ends, their hours."""
    account, plan, period = view.account, live.remembered.plan(*invoice.plan), invoice.period
    if not period.length_milliseconds:
        # It carries what earlier periods are adjusted by and nothing of its own.
        plan = plan.model_copy(update={"items": (), "discounts": (), "minimum": None, "maximum": None})
    kept = _kept(invoice.period.start, view)
    if kept is None:
        raise Unavailable("the period is being invoiced right now")
    timezone = str(invoice.bill_to["timezone"])  # as it was when the invoice was made
    grid = Grid("day" if period.length_milliseconds > 2 * DAY else "hour", timezone, period.start, period.end)
    wanted = {item.meter for item in plan.items if item.meter}
    meters = {key: meter for key, meter in live.remembered.meters(wanted).items() if key in wanted}
    whole_until = view.now - HOUR if grid.falls_on_days else None
    measured = live.usage.read(invoice.customer, grid.start, grid.end, whole_until, (grid.start, grid.end))
    return _Reading(invoice, account, plan, kept, meters, grid, measured, view.now, live)


def _kept(start: int, view: View) -> OpenPeriod | None:
    """A period as it is in the wallet, or as it was when it left it; None if it moved while it was looked for."""
    known = next((each for each in view.wallet.periods if each.start == start), None)
    concluded = None if known else view.live.periods.concluded(view.wallet.customer, start)
    return concluded.period if concluded else known


def _credits(reading: _Reading) -> list[Body]:
    """Which credits paid how much of the lines."""
    invoice, period = reading.invoice, reading.period
    paid: defaultdict[str, list[Decimal]] = defaultdict(list)
    if invoice.id == invoice_id(invoice.customer, period.start, period.issue):
        for draw in period.drawn:
            if draw.credit is not None:
                paid[draw.credit].append(draw.amount)
    elif invoice.credits_applied:
        # It was replaced, and the period says who paid for what replaced it.
        for entry in _entries(reading):
            paid[entry["credit"]].append(-Decimal(entry["amount"]))
    return [{"credit": credit, "amount": text(total(amounts))} for credit, amounts in sorted(paid.items())]


def _entries(reading: _Reading) -> Iterator[Body]:
    """What the ledger drew and gave back for a period until its invoice was finalised, newest first."""
    wallet, until = reading.live.ledger.wallet(reading.invoice.customer), reading.invoice.finalized_at or reading.now
    start = format_time(reading.grid.start)
    for entry in reading.live.ledger.entries(wallet, until=until + 1) if wallet else ():
        if parse_time(entry["at"]) < reading.grid.start:
            return
        if entry["period"] == start and entry["kind"] in ("draw", "return") and entry["credit"]:
            yield entry


def _row(reading: _Reading, each: Explained) -> Body:
    usage = _usage(reading, each, each.item) if each.item and each.item.meter else None
    return {
        "id": each.id,
        "line": each.line,
        "differs": each.differs,
        "today": each.today.as_json() if each.today else None,
        "item": each.item.model_dump(mode="json") if each.item else None,
        "steps": dict(each.steps or _adjusted(reading, each.line or {})),
        "usage": usage,
    }


def _adjusted(reading: _Reading, line: Mapping[str, Any]) -> Body:
    """Of an adjustment, the period that it is for and where that is explained; or the credit that it asks for again."""
    period, customer = line.get("period"), reading.invoice.customer
    if line.get("credit"):
        return {"returned": {"credit": line["credit"], "top_ups": f"/v1/customers/{quote(customer)}/top_ups"}}
    if not period:
        return {}
    concluded = reading.live.periods.concluded(customer, parse_time(period["start"]))
    explained = f"/v1/invoices/{quote(_id_of(customer, concluded))}/explain" if concluded else None
    return {"adjusts": {**period, "explain": explained}}


def _usage(reading: _Reading, each: Explained, item: Item) -> Body:
    """The rows and windows of a line of usage; a line of which nothing is left has none."""
    aggregation = reading.meters[item.meter or ""].aggregation
    everything = Period(reading.grid.start, reading.grid.end)
    return {
        "meter": item.meter,
        "aggregation": aggregation,
        "joined_by": "sum" if item.measure == "events" else _JOINED.get(aggregation, "sum"),
        "rows": [
            {"dimensions": dict(row.dimensions), "quantity": text(row.quantity), "events": row.events}
            for row in each.usage[:_MOST_ROWS]
        ],
        "further_rows": max(0, len(each.usage) - _MOST_ROWS),
        "links": _links(reading, each, item, everything, "total"),
        "windows": [_window(reading, each, item, window) for window in each.windows],
    }


def _window(reading: _Reading, each: Explained, item: Item, window: Window) -> Body:
    finer = "hour" if reading.grid.unit == "day" else "minute"
    return {
        "start": format_time(window.period.start),
        "end": format_time(window.period.end),
        "quantity": text(used_of(item, window.usage) * Fraction(item.divide_by)),
        "events": sum(row.events for row in window.usage),
        "links": _links(reading, each, item, window.period, finer),
    }


def _links(reading: _Reading, each: Explained, item: Item, period: Period, window: str) -> Body:
    """Where the usage of a line can be read, and the events behind it; these only as long as they are kept."""
    meter = reading.meters[item.meter or ""]
    combination = {**dict.fromkeys(item.where, ""), **(each.dimensions or {}), **item.where}
    where = {f"where.{name}": value for name, value in combination.items() if value is not None}
    missing = ",".join(name for name, value in combination.items() if value is None)
    asked = {
        "customer": reading.invoice.customer,
        "meter": meter.key,
        "from": format_time(period.start),
        "to": format_time(period.end),
    }
    narrowed = {**asked, **where, **({"without": missing} if missing else {})}
    grouped = {"group_by": ",".join(meter.dimensions)} if window == "total" and meter.dimensions else {}
    usage = {**narrowed, "window": window, "timezone": reading.grid.timezone, **grouped}
    kept = period.end > reading.now - reading.live.raw_events.kept_milliseconds
    links = {"usage": _link("usage", usage.items()), "events": None, "sessions": None}
    if kept and meter.is_duration:
        # A stop need not carry the dimensions of its start: the edges of all sessions are shown.
        links |= {"events": _link("events", asked.items()), "sessions": _link("sessions", asked.items())}
    elif kept:
        links["events"] = _link("events", narrowed.items())
    return links


def _link(name: str, asked: Iterable[tuple[str, str]]) -> str:
    return f"/v1/{name}?{urlencode(list(asked))}"
