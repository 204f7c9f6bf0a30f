"""Routes that look ahead and aside: how long a balance lasts, and what another plan would have cost."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import groupby, islice

from aws_lambda_powertools.event_handler.api_gateway import Response

from billing.invoices import invoice_id
from billing.rating import subtotal, subtotal_exact
from billing.runway import WINDOW, runs_out_at
from billing.statement import read_entry
from billing.wallet import Entry, OpenPeriod, balance
from billing.what_if import Comparison, Piece, WhatIfRequest, check_currency, pieces, side
from handlers import _live
from handlers._routes import name_of, needs, read_body, reply, router
from handlers._settling import View, view_of
from metering.decimals import text
from metering.errors import Invalid, NotFound
from metering.faults import read_model
from metering.times import HOUR, floor, format_time, parse_time
from metering.usage import Usage

# The clock hours of the ledger in which consumption is looked for: those of the window, and a day's more, by which a
# customer whose usage has just begun is told from one who paused. All are read at once, with the one that ends it.
_HOURS = WINDOW // HOUR + 24


@router.get("/v1/customers/<customer>/balance")
@needs("read")
def get_balance(customer: str) -> Response[str]:
    """What a customer can spend, as of now, and until when.

    `runs_out_at` is when the balance will be zero if the mean hourly draw of the last seven days (since the first draw
    if that is less long ago) goes on, with what expires and begins meanwhile, without top-ups and fees to come. It is
    null where that cannot be said: nothing was drawn lately, nothing is left, or it is a year or more ahead. Usage that
    came late counts when it was drawn, so just after a bulk import it is too near.
    """
    live = _live.live
    view = view_of(name_of(customer), live, live.clock())
    ends = runs_out_at(view.wallet, _lately(view), view.now)
    return reply(
        {
            "balance": text(balance(view.wallet)),
            "balance_exact": text(_balance_exact(view)),
            "currency": view.wallet.currency or None,
            "credits": view.live.ledger.credits(view.wallet),
            "as_of": format_time(view.now),
            "runs_out_at": None if ends is None else format_time(ends),
        }
    )


def _balance_exact(view: View) -> Fraction:
    """The balance before the running period's lines are rounded, where credits pay all of them.

    What is not rounded to anything yet takes nothing from a balance that cannot go below zero.
    """
    exact = Fraction(balance(view.wallet))
    for period in view.wallet.periods:
        lines = view.lines(period)
        if not period.closed and period.credits_applied + period.debt == period.owed:
            exact += Fraction(subtotal(lines)) - subtotal_exact(lines)
    return exact if view.account.customer.prepaid_only else max(exact, Fraction(0))


def _lately(view: View) -> Iterator[Entry]:
    """The newest entries of a ledger: those of a bounded number of clock hours."""
    shown = view.live.ledger.entries(view.wallet, view.settlement.entries, page=_HOURS + 1)
    hours: Iterable[tuple[int, Iterator[Entry]]] = groupby(map(read_entry, shown), lambda entry: floor(entry.at, HOUR))
    for _, several in islice(hours, _HOURS):
        yield from several


@router.post("/v1/customers/<customer>/what_if")
@needs("read")
def post_what_if(customer: str) -> Response[str]:
    """What a past or the running period would have cost on another plan, side by side; nothing is kept.

    The same usage is rated by both plans as it is known now, without credits, tax and adjustments. A plan with another
    calendar is rated as it would have been: a month bears its share of a yearly fee, and is cut into days for a daily
    plan. `difference` is above zero where the other plan costs more.
    """
    request = read_model(WhatIfRequest, read_body())
    live = _live.live
    view = view_of(name_of(customer), live, live.clock())
    period = _period_named(view, request.period)
    catalog, remembered = view.live.catalog, view.live.remembered
    own = remembered.plan(period.plan, period.version)
    named = isinstance(request.plan, str)
    other, version = catalog.plan(request.plan) if isinstance(request.plan, str) else (request.plan, 0)
    check_currency(other, view.wallet.currency)
    cut = list(pieces(period, view.account, own, other))
    known = _usage_of(view, period, cut)
    compared = Comparison(
        period.period,
        view.wallet.currency,
        side(own, period.version, [Piece(period.period, period.share)], known, view.now),
        side(other, version if named else None, cut, known, view.now),
    )
    return reply(compared.as_json())


def _usage_of(view: View, period: OpenPeriod, cut: Sequence[Piece]) -> Callable[[int, int], Sequence[Usage]]:
    """The usage of a period, so read that it can be cut there: no more windows than cover it (law 4.4)."""
    cuts = {period.start, period.end, *(piece.period.end for piece in cut)}
    measured = view.live.usage.read(view.wallet.customer, period.start, period.end, view.now - HOUR, cuts)
    within = replace(view, measured=measured)
    return lambda start, end: within.usage(start, end, None)


def _period_named(view: View, given: int | str | None) -> OpenPeriod:
    """A period by its first instant, or by the id or number of its invoice; the running one unless told."""
    if given is None:
        return view.running
    start = _start_named(view, given)
    concluded = view.live.periods.concluded(view.wallet.customer, start)
    known = [*view.wallet.periods, *([concluded.period] if concluded else [])]
    found = next((period for period in known if period.start == start < period.end), None)
    if found is None:
        raise NotFound("no period of this customer began then")
    return found


def _start_named(view: View, given: int | str) -> int:
    try:
        return parse_time(given)
    except Invalid:
        if isinstance(given, int):
            raise
    customer, invoices = view.account.customer.id, view.live.invoices
    identity = invoices.named(view.live.invoice_prefix, given) or given
    for period in view.wallet.periods:
        if invoice_id(customer, period.start, period.issue) == identity:
            return period.start
    invoice = invoices.head(identity)
    if invoice.customer != customer:
        raise NotFound(f"there is no invoice {given!r} of this customer")
    return invoice.period.start
