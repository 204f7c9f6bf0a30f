"""A customer of whom nothing was charged yet begins anew: at another start, or in another currency. Law 5.8.

A period's start is stored when it opens and never recomputed; so its periods are given up, and others open.
"""

from collections.abc import Sequence
from itertools import islice

from adapters.items import ConditionFailed, Put
from adapters.periods import left_period
from billing.accounts import begun_anew, is_charged
from billing.customers import Account
from billing.wallet import Wallet
from handlers._live import Live
from handlers._settling import unmoved
from metering.errors import Conflict, Unavailable

_ATTEMPTS = 10


def was_charged(wallet: Wallet, live: Live) -> bool:
    """Whether anything was ever charged to a wallet, whatever became of it."""
    return is_charged(wallet) or live.periods.any_charged(wallet.customer)


def begin_anew(account: Account, live: Live, now: int) -> None:
    """Give up the periods of a wallet that are not those of its customer any more; doing it again changes nothing.

    Raises:
        Conflict: `customer_in_use`, something has been charged for them, or there is a credit in the other currency.
        Unavailable: others kept writing the wallet.
    """
    for _ in range(_ATTEMPTS):
        wallet = live.ledger.wallet(account.customer.id)
        if wallet is None or (ended := _given_up(wallet, account, live)) is None:
            return
        stays = wallet.currency == account.currency
        if was_charged(wallet, live) or (not stays and live.ledger.is_funded(wallet.customer)):
            raise Conflict("something was charged or granted meanwhile", "customer_in_use")
        try:
            live.ledger.commit(unmoved(begun_anew(wallet, account)), now, live.grace_milliseconds, ended)
        except ConditionFailed:
            continue
        return
    raise Unavailable("the wallet is being written by others")


def first_start(wallet: Wallet, live: Live) -> int | None:
    """Where the first period of a wallet began; None while none has."""
    ended = [] if wallet.opened_until is None else islice(live.periods.starts(wallet.customer), 1)
    return min((*ended, *(period.start for period in wallet.periods)), default=None)


def _given_up(wallet: Wallet, account: Account, live: Live) -> Sequence[Put] | None:
    """What becomes of the periods that have ended; None where all periods are as the customer says."""
    first = first_start(wallet, live)
    if wallet.currency == account.currency and (first is None or first == account.first_instant):
        return None
    return [left_period(wallet.customer, start) for start in live.periods.starts(wallet.customer)]
