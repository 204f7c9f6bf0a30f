"""The runway: when credits will be used up if usage goes on as it was. Contract: api.md, `runs_out_at`.

The method is plain on purpose: the mean hourly draw of the last seven days of whole clock hours (since the first draw,
if that is less long ago) goes on without end, and burns the credits in their order while each is there. Fees to come,
top-ups, and what a period that follows will cost are not guessed.
"""

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction

from billing.credits import Credit, burn_order
from billing.money import exact
from billing.wallet import Entry, Wallet, balance
from metering.times import DAY, HOUR, MINUTE, floor

WINDOW = 7 * DAY
"""How far back consumption is looked at."""

_HORIZON = 365 * DAY


def runs_out_at(wallet: Wallet, entries: Iterable[Entry], now: int) -> int | None:
    """When a balance will be zero, cut to the minute; None where it is already, and where that cannot be said.

    That is with nothing drawn lately, before the clock hour of the first draw is over, and 365 days or more ahead.

    Args:
        wallet: settled up to now.
        entries: of its ledger, in any order: those since `WINDOW` before now; earlier draws tell that it is no new one.
        now: milliseconds.
    """
    hourly = mean_hourly_draw(entries, now)
    if hourly <= 0 or balance(wallet) <= 0:
        return None
    instant = used_up_at(wallet.credits, hourly / HOUR, now)
    return None if instant is None else max(now, floor(instant, MINUTE))


@exact
def mean_hourly_draw(entries: Iterable[Entry], now: int) -> Fraction:
    """What was drawn in a clock hour, less what was given back, on average; zero where nothing was."""
    end = floor(now, HOUR)
    drawn = [entry for entry in entries if entry.kind in ("draw", "return") and entry.at < end]
    first = min((floor(entry.at, HOUR) for entry in drawn), default=end)
    start = max(first, end - WINDOW)
    if start == end:
        return Fraction(0)
    return -sum((Fraction(entry.amount) for entry in drawn if entry.at >= start), Fraction(0)) / ((end - start) // HOUR)


def used_up_at(held: Sequence[Credit], rate: Fraction, now: int) -> int | None:
    """The first instant at which no credit has anything left; None if that is 365 days or more ahead.

    Args:
        held: the credits that are to burn, future ones too.
        rate: what burns in a millisecond, above zero.
        now: milliseconds.
    """
    left = {credit.id: Fraction(credit.remaining) for credit in held}
    limit = now + _HORIZON
    changes = sorted(instant for credit in held for instant in _changes(credit) if now < instant < limit)
    reached = now
    for until in [*changes, limit]:
        live = sorted((each for each in held if left[each.id] and _burns(each, reached)), key=burn_order)
        if not live:
            return reached
        lasts = sum((left[credit.id] for credit in live), Fraction(0)) / rate
        if lasts < until - reached:
            return reached + int(lasts)
        burning = rate * (until - reached)
        for credit in live:
            part = min(burning, left[credit.id])
            left[credit.id] -= part
            burning -= part
        reached = until
    return None


def _changes(credit: Credit) -> Iterator[int]:
    """The instants at which a credit begins or ends to burn."""
    if credit.begun_at is None:
        yield credit.effective_at
    if credit.expires_at is not None:
        yield credit.expires_at


def _burns(credit: Credit, instant: int) -> bool:
    begun = credit.begun_at is not None or credit.effective_at <= instant
    ended = credit.ended_at is not None or (credit.expires_at is not None and credit.expires_at <= instant)
    return begun and not ended
