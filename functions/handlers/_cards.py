"""A card that a customer has saved on Stripe's page: it pays from now on, and what was not paid is tried again."""

from dataclasses import replace

from adapters.items import Put
from billing.customers import NoCurrency
from billing.top_ups import tried_anew
from billing.wallet import Wallet
from handlers._attempting import Attempting
from handlers._live import Live
from handlers._settling import View, settle_customer


def card_saved(page_id: str, live: Live, now: int) -> None:
    """Have a saved card pay: for top-ups, of which declines are forgotten, and for every invoice that waits.

    Doing it again changes nothing.

    Raises:
        Unavailable: Stripe's answer is unknown, or others kept writing the wallet.
    """
    page = live.stripe_pages.read(page_id)
    customer = page.metadata.get("taximeter_customer")
    if page.metadata.get("taximeter_deployment") != live.deployment_id:
        return  # another's, who shares our account at Stripe
    if customer is None or page.status != "complete" or page.method is None or page.customer is None:
        return
    live.stripe_customers.set_default_method(page.customer, page.method)
    try:
        known = settle_customer(customer, live, now).wallet.top_ups
    except NoCurrency:
        return  # nothing was ever charged
    asked = live.attempts.find(customer, known.open) if known.open else None
    if asked and asked.state == "action_required":
        Attempting(live, now, "another_card").go(customer, asked.id)
    settle_customer(customer, live, now, _tried_anew)
    live.queue("COLLECT").send([{"customer": customer, "card_added": True}])


def _tried_anew(view: View) -> tuple[Wallet, list[Put]] | None:
    wallet = replace(view.wallet, top_ups=tried_anew(view.wallet.top_ups))
    return (wallet, []) if wallet != view.wallet else None
