"""Taking an invoice back: it keeps its number, its draws return, its period is forgiven or invoiced anew. Law 5.7."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from adapters.invoices import move_put
from adapters.items import Put
from adapters.outbox import outbox_item
from adapters.periods import concluded_period, due_period
from billing.adjustments import Concluded, adjusted, adjusted_by, forgive, invoiced_anew, reopen
from billing.credits import Credit
from billing.invoices import Invoice, asked_of, moved
from billing.settlement import Announcement
from billing.wallet import Wallet
from handlers._adjusting import invoiced_somewhere
from handlers._live import Live
from handlers._settling import View, settle_customer
from handlers.invoice import finalize_period, number_invoices
from metering.errors import NotFound
from metering.times import parse_time


def void_invoice(invoice: Invoice, live: Live, now: int, *, reissue: bool) -> Invoice:
    """Void a finalised invoice; with `reissue` its period is invoiced anew, under the next number.

    So is that of an invoice which was voided without. Doing it again changes nothing. A crash before the new invoice is
    made leaves its period due.

    Raises:
        Conflict: `invoice_paid`; `invoice_status` where it cannot be voided any more; `invoice_carried` while its sum
            stands on the Stripe invoice of another.
        Unavailable: others kept writing the wallet.
    """

    def change(view: View) -> tuple[Wallet, Sequence[Put]] | None:
        before = live.invoices.whole(invoice.id)
        after = moved(before, "void", view.now)
        concluded = live.periods.concluded(invoice.customer, invoice.period.start)
        if after == before:
            return _asked_for_after_all(view, before, concluded) if reissue else None
        if concluded is None:
            raise NotFound("the invoice's period is open again")
        news = Announcement(f"{before.id}:invoice.voided", "invoice.voided", _detail(before, reissue=reissue))
        puts = [move_put(before, after), Put(outbox_item(before.customer, news, view.now))]
        known = _known_credits(view, concluded)
        if reissue:
            wallet = reopen(view.wallet, concluded.period, known)
        else:
            wallet = forgive(view.wallet, concluded.period, known, view.now)
        wallet, left, earlier = _taken_back(wallet, before, concluded, live)
        if reissue:
            return wallet, [*puts, *earlier, due_period(before.customer, before.period.start, view.now)]
        wallet, following = invoiced_somewhere(wallet, view, [left])
        return wallet, [*puts, *earlier, *following, concluded_period(before.customer, replace(left, forgiven=True))]

    settle_customer(invoice.customer, live, now, change, invoice.period.start if reissue else None)
    if reissue:
        made = finalize_period(invoice.customer, invoice.period.start, live, now, skip_grace=True)
        number_invoices([made] if made else [], live, now)
    return live.invoices.whole(invoice.id)


def _asked_for_after_all(view: View, void: Invoice, concluded: Concluded | None) -> tuple[Wallet, Sequence[Put]] | None:
    """Open the forgiven period of a void invoice, if nothing has replaced that; its draws went back at the time."""
    if concluded is None or not concluded.forgiven or concluded.invoice != void.id:
        return None
    period = replace(concluded.period, drawn=(), held=())
    wallet = adjusted(reopen(view.wallet, period, ()), concluded, Decimal(0))
    return wallet, [due_period(void.customer, period.start, view.now)]


def _detail(invoice: Invoice, *, reissue: bool) -> dict[str, object]:
    return {"invoice": invoice.id, "number": invoice.number, "reissue": reissue}


def _known_credits(view: View, concluded: Concluded) -> list[Credit]:
    """The credits that paid for a period and have left the wallet since; without those that have ended."""
    held = {credit.id for credit in view.wallet.credits}
    gone = {draw.credit for draw in concluded.period.drawn if draw.credit is not None} - held
    found = []
    for name in sorted(gone):
        granted = view.live.ledger.grant_of(view.wallet.customer, name)
        credit = _used_up(granted[1]) if granted else None
        if credit and (credit.expires_at is None or credit.expires_at > view.now):
            found.append(credit)
    return found


def _used_up(shown: dict[str, object]) -> Credit:
    begins, ends = parse_time(shown["effective_at"]), shown["expires_at"]
    return Credit(
        id=str(shown["id"]),
        amount=Decimal(str(shown["amount"])),
        remaining=Decimal(0),
        kind="promotional" if shown["kind"] == "promotional" else "paid",
        priority=int(str(shown["priority"])),
        effective_at=begins,
        expires_at=None if ends is None else parse_time(ends),
        reference=None if shown["reference"] is None else str(shown["reference"]),
        begun_at=begins,
    )


def _taken_back(
    wallet: Wallet, invoice: Invoice, concluded: Concluded, live: Live
) -> tuple[Wallet, Concluded, list[Put]]:
    """Take back what an invoice asked for: what it adjusted earlier periods by, the next one has to ask for again.

    So has what later invoices asked for its own period be given back: that is forgiven, or invoiced anew as a whole.
    """
    asked, puts = asked_of(invoice), []
    left = invoiced_anew(concluded, -asked.pop(invoice.period))
    wallet = adjusted(wallet, left, Decimal(0))
    for period, amount in asked.items():
        wallet = adjusted_by(wallet, period, amount)
        earlier = live.periods.concluded(invoice.customer, period.start)
        if earlier:
            puts.append(concluded_period(invoice.customer, invoiced_anew(earlier, -amount)))
    return wallet, left, puts
