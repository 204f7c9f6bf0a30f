"""The hour and the invoice queue: finalise the periods whose grace is over, number invoices, sweep. Law 5.7."""

import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from adapters.invoices import head_put, move_put
from adapters.items import ConditionFailed, Put
from adapters.ledger import grant_put
from adapters.periods import EndedPeriod, concluded_period
from adapters.shards import SHARDS
from billing.adjustments import adjustments_on, concluded_now, invoiced_anew, remainders
from billing.invoices import Invoice, draft, finalize, invoice_id, moved
from billing.rating import subtotal
from billing.wallet import OpenPeriod, Wallet, conclude, grant
from handlers import _live
from handlers._door import UNPROCESSABLE, count, logger
from handlers._live import Live
from handlers._settling import View, settle_customer
from metering.errors import Conflict, NotFound, Unavailable

_MOST_PER_SHARD = 1000
_PACK = 10
_ATTEMPTS = 10
# What hinders one invoice and none of its neighbours.
_UNDOABLE = (Conflict, NotFound, *UNPROCESSABLE)
_METERING = {"pair", "aggregate", "rate"}  # what these have parked may change what is owed


def draft_of(view: View, period: OpenPeriod) -> Invoice:
    """The invoice of an open period as of now."""
    plan = (period.plan, period.version)
    lines = view.lines(period)
    return draft(view.account, plan, period.period, lines, period.credits_applied, view.live.issuer, period.issue)


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
    frozen: list[Invoice] = []

    def freeze(view: View) -> tuple[Wallet, list[Put]] | None:
        frozen.clear()
        period = next((each for each in view.wallet.periods if each.start == start), None)
        if period is None:
            return None
        if not period.closed or (view.now < period.end + live.grace_milliseconds and not skip_grace):
            raise Conflict("the period has not ended", "period_open")
        if any(item["function"] in _METERING for item in live.outbox.parked(customer)):
            raise Conflict("a record of this customer is parked: redrive it first", "record_parked")
        wallet, _ = conclude(view.wallet, start)
        invoice = finalize(draft_of(view, period), view.account, view.now)
        puts = _concluded(view, period, invoice)
        if not is_due(view, invoice):
            wallet, granting = _granted(view, wallet, invoice, invoice.id)
            return wallet, [*puts, *granting]
        frozen.append(invoice)
        live.invoices.put_lines(invoice)
        return wallet, [*puts, head_put(invoice), *_replaces(invoice, period, live)]

    settle_customer(customer, live, now, freeze)
    if frozen:
        return frozen[0]
    done = live.periods.concluded(customer, start)
    return live.invoices.find(done.invoice) if done and done.invoice else None


def _concluded(view: View, period: OpenPeriod, invoice: Invoice) -> list[Put]:
    """What is kept of a period that is concluded, and of those that its invoice adjusts."""
    customer, live = view.wallet.customer, view.live
    made = invoice.id if is_due(view, invoice) else None
    kept = [concluded_now(view.wallet, period, subtotal(view.rated(period)), made)]
    for each in adjustments_on(view.wallet, period.start):
        earlier = live.periods.concluded(customer, each.period)
        kept += [invoiced_anew(earlier, each.amount)] if earlier else []
    return [concluded_period(customer, each) for each in kept]


def _replaces(invoice: Invoice, period: OpenPeriod, live: Live) -> list[Put]:
    """The void invoice of the same period, which says from now on by which one it is replaced."""
    void = live.invoices.find(invoice_id(invoice.customer, period.start, period.issue - 1)) if period.issue else None
    return [move_put(void, replace(void, reissued_as=invoice.id))] if void else []


def _granted(view: View, wallet: Wallet, invoice: Invoice, reference: str) -> tuple[Wallet, list[Put]]:
    """The wallet with the credit for what adjustments left below zero, if they did."""
    if not invoice.credit_granted:
        return wallet, []
    known, requests = view.live.ledger.grant_of, remainders(invoice.period.start, invoice.credit_granted, reference)
    request = next(each for each in requests if known(wallet.customer, each.id) is None)
    after = grant(wallet, request, view.now)
    return after, [grant_put(wallet.customer, after.credits[-1], request)]


def grant_remainder(invoice: Invoice, live: Live, now: int) -> None:
    """Grant what adjustments left below zero, once, with the invoice's number as its reference.

    Raises:
        Unavailable: others kept writing the wallet.
    """

    def change(view: View) -> tuple[Wallet, list[Put]] | None:
        head = live.invoices.head(invoice.id)
        if head.credit is not None or head.number is None:
            return None  # without a number it cannot be referred to: the next sweep gives both
        wallet, puts = _granted(view, view.wallet, head, str(head.number))
        return wallet, [*puts, move_put(head, replace(head, credit=wallet.credits[-1].id))]

    settle_customer(invoice.customer, live, now, change)


def number_invoices(invoices: Sequence[Invoice], live: Live, now: int) -> None:
    """Give numbers, in the order in which their periods ended, and the credits that refer to them.

    So the numbers do not depend on when the schedule ran. A race with others starts over; what cannot be numbered or
    credited is parked, and its neighbours go on.
    """
    waiting = sorted(invoices, key=lambda invoice: (invoice.period.end, invoice.id))
    for start in range(0, len(waiting), _PACK):
        _number(waiting[start : start + _PACK], live, now)
    _each((each for each in waiting if each.credit_granted), lambda each: grant_remainder(each, live, now), live, now)


def _number(pack: Sequence[Invoice], live: Live, now: int) -> None:
    """Number some invoices at once; where one of them hinders the others, one by one."""

    def give(*wanted: Invoice) -> None:
        for _ in range(_ATTEMPTS):
            with suppress(ConditionFailed):
                live.invoices.give_numbers(live.invoice_prefix, wanted, now)
                return

    try:
        give(*pack)
    except _UNDOABLE:
        _each(pack, give, live, now)


def _each(invoices: Iterable[Invoice], work: Callable[[Invoice], None], live: Live, now: int) -> None:
    """Do something for invoices; one for which it cannot be done is parked, and its neighbours go on."""
    for invoice in invoices:
        try:
            work(invoice)
        except Unavailable:
            # Others keep writing its wallet. It is still listed: the next sweep comes back to it.
            logger.warning("put off", extra={"invoice": invoice.id})
        except _UNDOABLE as error:
            logger.exception("parked", extra={"invoice": invoice.id})
            count("ParkedRecords")
            message = {"body": json.dumps({"invoices": [invoice.id]})}
            live.outbox.park(invoice.customer, "invoice", message, str(error), now)


def _lags(live: Live) -> bool:
    """Whether usage may be on its way that its period's grace did not wait for: then every period waits."""
    lag_milliseconds = live.lag.milliseconds()
    if lag_milliseconds <= live.grace_milliseconds:
        return False
    logger.warning("not finalised yet", extra={"reason": "stream_lags", "lag_milliseconds": lag_milliseconds})
    count("InvoicesWaiting")
    return True


def sweep(live: Live, now: int) -> None:
    """Fan out what is due: periods to finalise, numbers and credits to give, payments and top-ups that stood still.

    What was not paid in time is past due.
    """
    due: list[EndedPeriod] = []
    for shard in range(0 if _lags(live) else SHARDS):
        due += live.periods.due(shard, now, _MOST_PER_SHARD)
    due.sort(key=lambda period: (period.due_at, invoice_id(period.customer, period.start)))  # as they are numbered
    packs: list[Any] = [
        {"periods": [[period.customer, period.start] for period in due[start : start + _PACK]]}
        for start in range(0, len(due), _PACK)
    ]
    live.queue("INVOICE").send(packs)
    number_invoices(live.invoices.unnumbered(now, _MOST_PER_SHARD), live, now)
    uncredited = live.invoices.uncredited(now, _MOST_PER_SHARD)
    _each(uncredited, lambda each: grant_remainder(each, live, now), live, now)
    for invoice in live.invoices.overdue(now, _MOST_PER_SHARD):
        with suppress(ConditionFailed):  # it has just moved on
            live.invoices.move(invoice, moved(invoice, "past_due", now), [], now)
    live.queue("TOP_UP").send(
        [{"customer": attempt.customer, "attempt": attempt.id} for attempt in live.attempts.due(now, _MOST_PER_SHARD)]
    )
    live.queue("COLLECT").send(
        [
            {"customer": invoice.customer, "invoice": invoice.id}
            for invoice in live.invoices.uncollected(now, _MOST_PER_SHARD)
        ]
    )


def finalize_periods(periods: Sequence[tuple[str, int]], live: Live, now: int) -> None:
    """Finalise periods and number their invoices; one that cannot be stays due, and its neighbours go on.

    Raises:
        Unavailable: others kept writing a wallet; the batch comes again.
    """
    done: list[Invoice] = []
    busy: list[Unavailable] = []
    for customer, start in periods:
        try:
            invoice = finalize_period(customer, start, live, now)
        except Conflict as waits:
            logger.warning("not finalised yet", extra={"invoice": invoice_id(customer, start), "reason": waits.code})
            count("InvoicesWaiting")
        except Unavailable as error:
            busy.append(error)
        except (NotFound, *UNPROCESSABLE) as error:
            logger.exception("parked", extra={"invoice": invoice_id(customer, start)})
            count("ParkedRecords")
            message = {"body": json.dumps({"periods": [[customer, start]]})}
            live.outbox.park(customer, "invoice", message, str(error), now)
        else:
            done += [invoice] if invoice else []
    number_invoices(done, live, now)
    if busy:
        raise busy[0]


def handler(event: dict[str, Any], _context: object) -> None:
    """The schedule's hour, or packs from the queue."""
    live = _live.live
    if "Records" not in event:
        sweep(live, live.scheduled_now(event))
        return
    now = live.clock()
    bodies = [json.loads(record["body"]) for record in event["Records"]]
    finalize_periods([(customer, start) for body in bodies for customer, start in body.get("periods", ())], live, now)
    number_invoices([live.invoices.head(each) for body in bodies for each in body.get("invoices", ())], live, now)
