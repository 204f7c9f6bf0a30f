"""Routes that look ahead and aside: how long a balance lasts, and what another plan would have cost."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import groupby, islice

from aws_lambda_powertools.event_handler.api_gateway import Response

from billing.rating import subtotal, subtotal_exact
from billing.runway import WINDOW, runs_out_at
from billing.statement import read_entry
from billing.wallet import Entry, balance
from handlers import _live
from handlers._routes import name_of, needs, reply, router
from handlers._settling import View, look_or_empty
from metering.decimals import text
from metering.times import HOUR, floor, format_time

# The clock hours of the ledger in which consumption is looked for: those of the window, and a day's more, by which a
# customer whose usage has just begun is told from one who paused. All are read at once, with the one that ends it.
_HOURS = WINDOW // HOUR + 24


@router.get("/v1/customers/<customer>/balance")
@needs("read")
def get_balance(customer: str) -> Response[str]:
    """What a customer can spend, as of now, and until when.

    `runs_out_at` is when the balance will be zero if the mean hourly draw of the last seven days (since the first draw
    if that is less long ago) goes on, with what expires and begins meanwhile, without top-ups and fees to come. It is
    null where that cannot be said: nothing was drawn lately, nothing is left, or it is a year or more ahead.
    """
    view = look_or_empty(name_of(customer), _live.live)
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
    """The balance before the running period's lines are rounded, where credits pay all of them."""
    exact = Fraction(balance(view.wallet))
    for period in view.wallet.periods:
        lines = view.lines(period)
        if not period.closed and period.credits_applied + period.debt == period.owed:
            exact += Fraction(subtotal(lines)) - subtotal_exact(lines)
    return exact


def _lately(view: View) -> Iterator[Entry]:
    """The newest entries of a ledger: those of a bounded number of clock hours."""
    shown = view.live.ledger.entries(view.wallet, view.settlement.entries, page=_HOURS + 1)
    hours: Iterable[tuple[int, Iterator[Entry]]] = groupby(map(read_entry, shown), lambda entry: floor(entry.at, HOUR))
    for _, several in islice(hours, _HOURS):
        yield from several
