"""What customers owe beside their invoices (above zero) or have to their credit (below)."""

from __future__ import annotations

from infra.local.stripe.account import Account
from infra.local.stripe.listing import PAGING, page
from infra.local.stripe.problems import Json
from infra.local.stripe.resources.payments import least
from infra.local.stripe.routes import route


def of(account: Account, invoice: Json) -> int:
    """Returns the balance that an invoice starts with: its customer's, if that is in the same currency."""
    customer = account.objects[invoice["customer"]]
    return int(customer["balance"]) if customer.get("currency") == invoice["currency"] else 0


def due(owed: int, currency: str) -> int:
    """Returns what of a sum is charged: all of it, or nothing when it is too little to be charged at all."""
    return owed if owed >= least(currency) else 0


def move(account: Account, customer: Json, amount: int, kind: str, invoice: str | None = None) -> None:
    """Adds to a customer's balance and keeps a record of it."""
    if not amount:
        return
    ending = customer["balance"] + amount
    account.add(
        "cbtxn",
        "customer_balance_transaction",
        amount=amount,
        checkout_session=None,
        created=account.now(),
        credit_note=None,
        currency=customer["currency"] or "usd",
        customer=customer["id"],
        description=None,
        ending_balance=ending,
        invoice=invoice,
        livemode=False,
        metadata={},
        type=kind,
    )
    account.change(customer, "customer.updated", balance=ending)


def listed(account: Account, params: Json, identifier: str) -> Json:
    """Returns what moved a customer's balance, newest first."""
    account.get("customer", identifier)
    rows = account.newest("customer_balance_transaction", customer=identifier, invoice=params.get("invoice"))
    return page(rows, params, f"/v1/customers/{identifier}/balance_transactions")


_PATH = "/v1/customers/{}/balance_transactions"
ROUTES = [route("GET", _PATH, "CustomerBalanceTransactionListParams", f"{PAGING} created invoice", listed)]
