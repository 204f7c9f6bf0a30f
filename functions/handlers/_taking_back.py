"""What becomes of a credit whose payment was refunded, or lost in a dispute: it is taken back, or owed again. Law 5.6.

How much went back is asked of Stripe and SET with the attempt; the wallet moves by the difference to what was known.
"""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from adapters.attempts import attempt_put
from adapters.items import ConditionFailed, Put
from adapters.ledger import grant_put
from adapters.outbox import outbox_item
from adapters.stripe import from_minor_units
from billing.adjustments import owe_again
from billing.attempts import Attempt, credit_returned
from billing.credits import CreditRequest
from billing.settlement import Announcement
from billing.wallet import Wallet, grant, revoke
from handlers._adjusting import something_to_invoice
from handlers._attempting import Attempting
from handlers._live import Live
from handlers._settling import View, settle_customer
from metering.decimals import text
from metering.errors import Conflict


def take_back(payment: str, live: Live, now: int) -> None:
    """Make a top-up's credit fit what is left of its payment; payments that are no top-up's are nobody's here.

    Raises:
        Unavailable: Stripe's answer is unknown, or others kept writing the wallet.
        ConditionFailed: another run has written since Stripe was asked, and may know better what went back.
    """
    metadata = live.payments.read(payment).metadata
    customer, name = (metadata.get(f"taximeter_{kind}") for kind in ("customer", "top_up"))
    # What is still open is settled first: else its credit would be granted after it was to be taken back.
    bought = Attempting(live, now).go(customer, name) if customer and name else None
    if bought is None or bought.metadata != metadata or bought.payment_intent != payment or bought.state != "succeeded":
        return
    returned = from_minor_units(live.payments.returned(payment), bought.currency)
    if returned == bought.returned:
        return
    overtaken: list[bool] = []

    def change(view: View) -> tuple[Wallet, Sequence[Put]] | None:
        overtaken[:] = [live.attempts.find(bought.customer, bought.id) != bought]
        return None if overtaken[0] else _fitting(view, bought, returned)

    settle_customer(bought.customer, live, now, change)
    if overtaken[0]:
        raise ConditionFailed(f"{bought.id} is no longer what was read")


def check_bought(attempt: Attempt | None, customer: str, payment: str, live: Live) -> None:
    """Look whether a payment that was made for a top-up has bought it, or is to: what has not needs a person.

    So it is where tables were restored from a backup, or somebody has confirmed a payment that was given up.

    Raises:
        Conflict: `stripe_stray`, until it is refunded, or somebody has granted a credit with its id.
        Unavailable: Stripe's answer is unknown.
    """
    bought = attempt and (attempt.open or (attempt.state, attempt.payment_intent) == ("succeeded", payment))
    if bought or live.ledger.grant_of(customer, payment):
        return
    theirs = live.payments.read(payment)
    ours = theirs.metadata.get("taximeter_deployment") == live.deployment_id
    if ours and theirs.outcome == "succeeded" and live.payments.kept(payment):
        said = f"{payment} was paid for a top-up that does not know it: grant a credit with its id, or refund it"
        raise Conflict(said, "stripe_stray")


def _fitting(view: View, before: Attempt, returned: Decimal) -> tuple[Wallet, Sequence[Put]]:
    """The wallet after so much of an attempt's payment went back; less than was known of is given again."""
    lost = credit_returned(before, returned) - credit_returned(before, before.returned)
    after = replace(before, returned=returned)
    wallet, puts = view.wallet, list[Put]()
    if lost < 0:
        name = f"{_given_again(before)}{view.now}"
        request = CreditRequest(id=name, amount=-lost, kind="paid", reference=before.id)
        wallet = grant(wallet, request, view.now)
        puts.append(grant_put(before.customer, wallet.credits[-1], request))
    elif lost:
        wallet, taken = _taken(wallet, before, lost, returned, view.now)
        again = min(lost - taken, _spent(view, before) - before.owed_again)
        if again > 0:
            wallet, more = something_to_invoice(wallet, view)
            wallet = owe_again(wallet, str(before.payment_intent), again)
            after, puts = replace(after, owed_again=before.owed_again + again), [*puts, *more]
    news = Announcement(f"{before.customer}:top_up.returned:{before.id}:{text(returned)}:{view.now}", "top_up.returned",
        {"attempt": before.id, "payment_intent": before.payment_intent, "returned": text(returned),
         "credit": text(lost), "currency": before.currency})  # fmt: skip
    return wallet, [attempt_put(before, after), *puts, Put(outbox_item(before.customer, news, view.now))]


def _taken(wallet: Wallet, bought: Attempt, lost: Decimal, returned: Decimal, now: int) -> tuple[Wallet, Decimal]:
    """Take what remains of the credit, and of what was given again of it, up to what was lost."""
    taken = Decimal(0)
    for credit in [each.id for each in wallet.credits if _is_of(bought, each.id)]:
        wallet, part = revoke(wallet, credit, now, lost - taken, f"{bought.id}:{text(returned)}")
        taken += part
    return wallet, taken


def _given_again(bought: Attempt) -> str:
    """How the ids of credits begin that were granted because what went back of a payment came again."""
    return f"{bought.payment_intent}:returned:"


def _is_of(bought: Attempt, credit: str | None) -> bool:
    """Whether an attempt has bought a credit."""
    return credit is not None and (credit == bought.payment_intent or credit.startswith(_given_again(bought)))


def _spent(view: View, bought: Attempt) -> Decimal:
    """How much of an attempt's credit was drawn and not returned, by the ledger."""
    spent = Decimal(0)
    for entry in view.live.ledger.entries(view.wallet, view.settlement.entries):
        if _is_of(bought, entry["credit"]) and entry["kind"] in ("draw", "return"):
            spent -= Decimal(entry["amount"])
        if (entry["credit"], entry["kind"]) == (bought.payment_intent, "grant"):
            break  # nothing is older
    return spent
