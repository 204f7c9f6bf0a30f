"""The hour and the invoice queue: finalise the periods whose grace is over, number invoices, sweep. Law 5.7."""

import json
from collections.abc import Sequence
from typing import Any

from adapters.invoices import head_put
from adapters.items import ConditionFailed, Put
from adapters.ledger import SHARDS, EndedPeriod, concluded_period
from billing.invoices import Invoice, draft, finalize, invoice_id
from billing.wallet import OpenPeriod, Wallet, conclude
from handlers import _live
from handlers._door import UNPROCESSABLE, count, logger
from handlers._live import Live
from handlers._settling import View, settle_customer
from metering.errors import Conflict

_MOST_PER_SHARD = 1000
_PACK = 10
_ATTEMPTS = 10
_METERING = {"pair", "aggregate", "rate"}  # what these have parked may change what is owed


def draft_of(view: View, period: OpenPeriod) -> Invoice:
    """The invoice of an open period as of now."""
    plan = (period.plan, period.version)
    lines = view.lines(period)
    return draft(view.account, plan, period.period, lines, period.credits_applied, view.live.issuer)


def is_due(view: View, invoice: Invoice) -> bool:
    """Whether a period is invoiced once it is over: with lines, and not where everything is paid ahead."""
    return bool(invoice.lines) and not view.account.customer.prepaid_only


def finalize_period(customer: str, start: int, live: Live, now: int, *, skip_grace: bool = False) -> Invoice | None:
    """Invoice an ended period and take it out of the wallet; None where there is nothing to invoice.

    The lines are frozen before, then head and wallet are written at once. Doing it again finds it done. While a record
    of the customer is parked nothing is finalised: it waits.

    Raises:
        Conflict: `period_open` before its end, `record_parked` while one waits.
        Unavailable: others kept writing the wallet.
    """

    def freeze(view: View) -> tuple[Wallet, list[Put]] | None:
        period = next((each for each in view.wallet.periods if each.start == start), None)
        if period is None:
            return None
        if not period.closed or (view.now < period.end + live.grace_milliseconds and not skip_grace):
            raise Conflict("the period has not ended", "period_open")
        if any(item["function"] in _METERING for item in live.outbox.parked(customer)):
            raise Conflict("a record of this customer is parked: redrive it first", "record_parked")
        wallet, _ = conclude(view.wallet, start)
        return wallet, [concluded_period(customer, start), *_frozen(view, period, live)]

    settle_customer(customer, live, now, freeze)
    return live.invoices.of_period(customer, start)


def _frozen(view: View, period: OpenPeriod, live: Live) -> list[Put]:
    """The head of a period's invoice, its lines written before; nothing where there is nothing to invoice."""
    invoice = finalize(draft_of(view, period), view.account, view.now)
    if not is_due(view, invoice):
        return []
    live.invoices.put_lines(invoice)
    return [head_put(invoice)]


def number_invoices(invoices: Sequence[Invoice], live: Live, now: int) -> None:
    """Give numbers, in the order in which they were finalised; a race with others starts over."""
    waiting = sorted(invoices, key=lambda invoice: (invoice.finalized_at or 0, invoice.id))
    prefix = str(live.issuer.get("invoice_prefix") or "")
    for start in range(0, len(waiting), _PACK):
        for _ in range(_ATTEMPTS):
            try:
                live.invoices.give_numbers(prefix, waiting[start : start + _PACK], now)
                break
            except ConditionFailed:
                continue


def sweep(live: Live, now: int) -> None:
    """Fan out what is due: periods to finalise, numbers to give, payments and top-ups that stood still."""
    due: list[EndedPeriod] = []
    for shard in range(SHARDS):
        due += live.ledger.due_periods(shard, now, _MOST_PER_SHARD)
    packs: list[Any] = [
        {"periods": [[period.customer, period.start] for period in due[start : start + _PACK]]}
        for start in range(0, len(due), _PACK)
    ]
    live.queue("INVOICE").send(packs)
    number_invoices(live.invoices.unnumbered(now, _MOST_PER_SHARD), live, now)
    live.queue("TOP_UP").send(
        [
            {"customer": attempt.customer, "attempt": attempt.id}
            for attempt in live.ledger.standing_attempts(now, _MOST_PER_SHARD)
        ]
    )
    live.queue("COLLECT").send(
        [
            {"customer": invoice.customer, "invoice": invoice.id}
            for invoice in live.invoices.uncollected(now, _MOST_PER_SHARD)
        ]
    )


def finalize_periods(periods: Sequence[tuple[str, int]], live: Live, now: int) -> None:
    """Finalise periods and number their invoices; one that cannot be stays due, and its neighbours go on."""
    done: list[Invoice] = []
    for customer, start in periods:
        try:
            invoice = finalize_period(customer, start, live, now)
        except Conflict as waits:
            logger.warning("not finalised yet", extra={"invoice": invoice_id(customer, start), "reason": waits.code})
            count("InvoicesWaiting")
        except UNPROCESSABLE as error:
            logger.exception("parked", extra={"invoice": invoice_id(customer, start)})
            count("ParkedRecords")
            message = {"body": json.dumps({"periods": [[customer, start]]})}
            live.outbox.park(customer, "invoice", message, str(error), now)
        else:
            done += [invoice] if invoice else []
    number_invoices(done, live, now)


def handler(event: dict[str, Any], _context: object) -> None:
    """The schedule's hour, or packs from the queue."""
    live = _live.live
    if "Records" not in event:
        sweep(live, live.scheduled_now(event))
        return
    bodies = [json.loads(record["body"]) for record in event["Records"]]
    finalize_periods([(customer, start) for body in bodies for customer, start in body["periods"]], live, live.clock())
