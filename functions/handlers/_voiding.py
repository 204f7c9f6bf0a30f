"""Taking an invoice back: it keeps its number, its draws return, its period is forgiven or invoiced anew. Law 5.7."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from adapters.invoices import move_put
from adapters.items import Put
from adapters.outbox import outbox_item
from adapters.periods import concluded_period, due_period
from billing.adjustments import Concluded, adjusted, forgive, invoiced_anew, reopen
from billing.credits import Credit
from billing.invoices import Invoice, moved
from billing.money import total
from billing.settlement import Announcement
from billing.wallet import Wallet
from handlers._live import Live
from handlers._settling import View, settle_customer
from handlers.invoice import finalize_period, number_invoices
from metering.errors import NotFound
from metering.times import parse_time


def void_invoice(invoice: Invoice, live: Live, now: int, *, reissue: bool) -> Invoice:
    """Void a finalised invoice; with `reissue` its period is invoiced anew, under the next number.

    Doing it again changes nothing. A crash before the new invoice is made leaves its period due.

    Raises:
        Conflict: `invoice_paid`, or `invoice_status` where it cannot be voided any more.
        Unavailable: others kept writing the wallet.
    """

    def change(view: View) -> tuple[Wallet, Sequence[Put]] | None:
        before = live.invoices.whole(invoice.id)
        after = moved(before, "void", view.now)
        if after == before:
            return None
        concluded = live.periods.concluded(invoice.customer, invoice.period.start)
        if concluded is None:
            raise NotFound("the invoice's period is open again")
        news = Announcement(f"{before.id}:invoice.voided", "invoice.voided", _detail(before, reissue=reissue))
        puts = [move_put(before, after), Put(outbox_item(before.customer, news, view.now))]
        known = _known_credits(view, concluded)
        if not reissue:
            forgiven = concluded_period(before.customer, replace(concluded, forgiven=True))
            return forgive(view.wallet, concluded.period, known, view.now), [*puts, forgiven]
        opened = reopen(view.wallet, concluded, _own(before), known)
        wallet, undone = _unadjusted(opened, before, live)
        return wallet, [*puts, *undone, due_period(before.customer, before.period.start, view.now)]

    settle_customer(invoice.customer, live, now, change, invoice.period.start if reissue else None)
    if reissue:
        made = finalize_period(invoice.customer, invoice.period.start, live, now, skip_grace=True)
        number_invoices([made] if made else [], live, now)
    return live.invoices.whole(invoice.id)


def _own(invoice: Invoice) -> Decimal:
    """What an invoice asks for its own period, before tax and credits."""
    return total(Decimal(line["amount"]) for line in invoice.lines if _is_own(invoice, line))


def _is_own(invoice: Invoice, line: Mapping[str, Any]) -> bool:
    if line["kind"] != "adjustment":
        return True
    return "period" in line and parse_time(line["period"]["start"]) == invoice.period.start


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


def _unadjusted(wallet: Wallet, invoice: Invoice, live: Live) -> tuple[Wallet, list[Put]]:
    """Take back that an invoice adjusted earlier periods: the one that is made anew adjusts them."""
    puts = []
    for line in invoice.lines:
        if "period" in line and not _is_own(invoice, line):
            earlier = live.periods.concluded(invoice.customer, parse_time(line["period"]["start"]))
            if earlier and not earlier.forgiven:
                due = earlier.invoiced + next(
                    (each.amount for each in wallet.adjustments if each.period == earlier.period.start), Decimal(0)
                )
                earlier = invoiced_anew(earlier, -Decimal(line["amount"]))
                puts.append(concluded_period(invoice.customer, earlier))
                wallet = adjusted(wallet, earlier, due)
    return wallet, puts
