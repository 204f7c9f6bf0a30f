"""Usage that changes after its period was concluded: what the next invoice is to carry for it. Law 5.7."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from adapters.items import Put
from adapters.periods import due_period
from billing.adjustments import Concluded, adjusted, closing_period
from billing.periods import Period
from billing.rating import subtotal
from billing.wallet import Wallet
from handlers._live import Live
from handlers._settling import View, settle_customer
from metering.times import HOUR, MINUTE, QUARTER, floor


def is_late(view: View, touched: Period) -> bool:
    """Whether usage may have changed in a period that is over and that the wallet does not look at any more.

    It may still look at an earlier one, whose invoice is made anew.
    """
    reached, closed_until = touched.start, view.wallet.opened_until
    for period in view.wallet.periods:
        if period.start <= reached:
            reached = max(reached, period.end)
    return closed_until is not None and reached < min(touched.end, closed_until)


def adjust(customer: str, touched: Iterable[Period], live: Live, now: int) -> None:
    """Rate the concluded periods again in which usage changed, and SET what they are to be adjusted by.

    Raises:
        NotFound, NoCurrency: there is no such customer, or nothing to charge it in.
        Unavailable: others kept writing the wallet.
    """
    intervals = sorted(touched, key=lambda each: each.start)

    def change(view: View) -> tuple[Wallet, Sequence[Put]] | None:
        # Read after the wallet: whoever invoices an adjustment meanwhile writes the wallet too, and this starts over.
        found = {
            concluded.period.start: concluded
            for each in intervals
            for concluded in live.periods.concluded_between(customer, each.start, each.end)
        }
        wallet = view.wallet
        for concluded in found.values():
            wallet = adjusted(wallet, concluded, subtotal(_as_known(view, concluded).rated(concluded.period)))
        return invoiced_somewhere(wallet, view, list(found.values())) if wallet != view.wallet else None

    settle_customer(customer, live, now, change)


def _as_known(view: View, concluded: Concluded) -> View:
    """The view with the usage of a concluded period instead of that of the open ones."""
    start, end = concluded.period.start, concluded.period.end
    usage = view.live.usage.read(view.wallet.customer, start, end, view.now - HOUR, (start, end))
    return replace(view, measured=usage)


def invoiced_somewhere(wallet: Wallet, view: View, found: Sequence[Concluded]) -> tuple[Wallet, Sequence[Put]]:
    """Give the adjustments of a customer who has ended a period, and so an invoice, of their own."""
    ends_at = view.account.customer.ends_at
    if not wallet.adjustments or wallet.periods or ends_at is None or view.now < ends_at:
        return wallet, ()
    return _with_a_period(wallet, view, found[-1])


def something_to_invoice(wallet: Wallet, view: View) -> tuple[Wallet, Sequence[Put]]:
    """The wallet with a period that can be asked for something: one of its own where none is open any more."""
    if wallet.periods:
        return wallet, ()
    return _with_a_period(wallet, view, view.live.periods.concluded_between(wallet.customer, 0, view.now)[-1])


def _with_a_period(wallet: Wallet, view: View, last: Concluded) -> tuple[Wallet, Sequence[Put]]:
    """A period without length, named by a minute on which no other can begin, also if the customer goes on after all.

    Those fall on quarters of hours.
    """
    start = floor(view.now, MINUTE)
    while not start % QUARTER or view.live.periods.concluded(wallet.customer, start):
        start += MINUTE
    due = due_period(wallet.customer, start, start + view.live.grace_milliseconds)
    return replace(wallet, periods=(closing_period(last, start),)), [due]
