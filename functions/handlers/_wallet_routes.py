"""Routes of one wallet: whether there is anything to spend, its ledger, and what is taken back of a credit."""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Annotated, get_args

from aws_lambda_powertools.event_handler.api_gateway import Response
from pydantic import Field, TypeAdapter

from adapters.items import Put
from adapters.revocations import Revocation, revocation_put
from billing.credits import RevocationRequest
from billing.statement import WindowUnit, read_entry, timeline, window_at
from billing.wallet import Wallet, balance, revoke
from handlers import _live
from handlers._paging import page, page_of_stream, place
from handlers._routes import Body, fault_at, name_of, needs, query, query_timezone, read_body, reply, router
from handlers._settling import View, settle_customer, view_of
from metering.decimals import text
from metering.errors import Conflict, Invalid, NotFound
from metering.faults import read_model
from metering.times import BEYOND, DAY, format_time, parse_time

# As `Row.place` has it: minus the start of a window (which may begin before 1970 where 1970 began later), the credit,
# and the period or -1.
_PLACE: TypeAdapter[tuple[int, str, int]] = TypeAdapter(
    tuple[Annotated[int, Field(gt=-BEYOND, le=31 * DAY)], str, Annotated[int, Field(ge=-1, lt=BEYOND)]]
)


@router.get("/v1/customers/<customer>/access")
@needs("read")
def get_access(customer: str) -> Response[str]:
    """Whether a customer may go on: not with `prepaid_only` and nothing left, a wallet without any credit included."""
    live = _live.live
    view = view_of(name_of(customer), live, live.clock())
    left = balance(view.wallet)
    return reply({"allowed": left > 0 or not view.account.customer.prepaid_only, "balance": text(left)})


@router.post("/v1/customers/<customer>/credits/<credit>/revoke")
@needs()
def post_revocation(customer: str, credit: str) -> Response[str]:
    """Take back what remains of a credit, or at most an amount of it; the same request again changes nothing.

    A credit that has ended or was used up has nothing left: nothing is taken then, and the answer says so. What was
    already drawn stays drawn.
    """
    request = read_model(RevocationRequest, read_body())
    live, name, of_credit = _live.live, name_of(customer), name_of(credit)
    made: list[Revocation] = []
    if not live.ledger.grant_of(name, of_credit):
        raise NotFound(f"there is no credit {of_credit!r}")

    def change(view: View) -> tuple[Wallet, list[Put]] | None:
        made.clear()
        known = live.revocations.find(name, request.id)
        if known:
            if (known.credit, known.request) != (of_credit, request):
                raise Conflict(f"there is another revocation {request.id!r}", "id_conflict")
            return None
        wallet, taken = _revoked(view, of_credit, request)
        made[:] = [Revocation(of_credit, request, _answer(wallet, of_credit, request, taken, view.now))]
        return wallet, [revocation_put(name, made[0])]

    settle_customer(name, live, live.clock(), change)
    known = live.revocations.find(name, request.id)
    return reply(dict(known.answer) if known else {}, created=bool(made))


def _revoked(view: View, credit: str, request: RevocationRequest) -> tuple[Wallet, Decimal]:
    """The wallet afterwards, and what was taken: nothing of a credit that has left it."""
    if all(each.id != credit for each in view.wallet.credits):
        return view.wallet, Decimal(0)
    with fault_at("/amount"):
        return revoke(view.wallet, credit, view.now, request.amount, request.id)


def _answer(wallet: Wallet, credit: str, request: RevocationRequest, taken: Decimal, now: int) -> Body:
    left = next((each.remaining for each in wallet.credits if each.id == credit), Decimal(0))
    return {
        "id": request.id,
        "credit": credit,
        "amount": None if request.amount is None else text(request.amount),
        "revoked": text(taken),
        "remaining": text(left),
        "at": format_time(now),
    }


@router.get("/v1/customers/<customer>/ledger")
@needs("read")
def get_ledger(customer: str) -> Response[str]:
    """The ledger, newest first; with `window`, what each credit was drawn in each hour, day or month, newest first.

    Windows in which nothing moved are left out; the `amount`s of all rows sum to the balance either way.
    """
    live = _live.live
    view = view_of(name_of(customer), live, live.clock())
    unit, timezone = query("window"), query_timezone(view.account.customer.timezone)
    if not unit:
        return page_of_stream(_with_invoices(live.ledger.entries(view.wallet, view.settlement.entries), view))
    known = next((each for each in get_args(WindowUnit) if each == unit), None)
    if known is None:
        raise Invalid(f"`window` must be one of {', '.join(get_args(WindowUnit))}")
    after = place(_PLACE)
    until = window_at(known, timezone, -after[0]).end if after else None
    entries = live.ledger.entries(view.wallet, view.settlement.entries, until)
    rows = timeline(map(read_entry, entries), known, timezone)
    return page((row.place, row.as_json()) for row in rows if after is None or row.place > after)


def _with_invoices(entries: Iterable[Body], view: View) -> Iterator[Body]:
    """The entries with the invoice of the period that each was for: it is made after them, and so looked up."""
    invoices, found = view.live.periods.invoices(view.wallet.customer), dict[int, str]()
    ahead = next(invoices, None)
    for entry in entries:
        start = None if entry["period"] is None else parse_time(entry["period"])
        while ahead and start is not None and start <= ahead[0]:
            found |= [ahead]
            ahead = next(invoices, None)
        yield entry if start is None else {**entry, "invoice": found.get(start)}
